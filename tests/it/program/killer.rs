//! Kills a command in the middle of a write to its database, after any number of bytes.

use std::sync::{Arc, Mutex};

use rustix::process::{
    PidfdFlags, Resource, Rlimit, Signal, pidfd_open, pidfd_send_signal, prlimit,
};
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, RwLock};

use crate::database::{Database, Kind};
use crate::program::deployment::{Deployment, Output};

/// The size of SQLite's index of its log, a file that is created before anything is written.
const INDEX: usize = 32 * 1024;

/// Kills a command once it has written a given number of bytes to its database.
pub enum Killer {
    /// The kernel kills it, by a limit on the size of its files, in the middle of the write that exceeds it.
    Files,
    Wire(Wire),
}

/// A proxy in front of PostgreSQL, which passes on only as many bytes as it is told to.
pub struct Wire {
    url: String,
    quota: Arc<Quota>,
    /// Locked for reading by each connection until PostgreSQL has closed it as well.
    open: Arc<RwLock<()>>,
}

struct Quota {
    left: Mutex<usize>,
    spent: Notify,
}

impl Killer {
    /// A killer for the deployment's database, which is reached through it from now on.
    pub async fn of(deployment: &mut Deployment, database: &Database) -> Killer {
        if database.kind == Kind::Sqlite {
            return Killer::Files;
        }
        let wire = Wire::to(database).await;
        deployment.set("DATABASE__URL", &wire.url);
        Killer::Wire(wire)
    }

    /// Runs a command until it has written `most` bytes; it ends by itself only if it writes fewer.
    pub async fn run(
        &self,
        deployment: &Deployment,
        arguments: &[&str],
        input: &str,
        most: usize,
    ) -> Output {
        let mut running = deployment.start_by("read -r line; exec \"$0\" \"$@\"", arguments);
        let process = pidfd_open(running.id(), PidfdFlags::empty()).unwrap();
        let input = format!("begin\n{input}");
        match self {
            Killer::Files => {
                let most = Some((INDEX + most) as u64);
                let limit = Rlimit { current: most, maximum: most };
                prlimit(Some(running.id()), Resource::Fsize, limit).unwrap();
                running.tell(&input);
                running.end().await
            }
            Killer::Wire(wire) => {
                *wire.quota.left.lock().unwrap() = most;
                running.tell(&input);
                let kill = async {
                    wire.quota.spent.notified().await;
                    // It may have sent everything that it had to send.
                    let _ = pidfd_send_signal(&process, Signal::KILL);
                    std::future::pending::<Output>().await
                };
                let done = tokio::select! {
                    done = running.end() => done,
                    done = kill => done,
                };
                drop(wire.open.write().await);
                *wire.quota.left.lock().unwrap() = usize::MAX;
                done
            }
        }
    }
}

impl Wire {
    async fn to(database: &Database) -> Wire {
        let options: PgConnectOptions = database.url.parse().unwrap();
        let socket = options.get_socket().unwrap().join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, name) = (listener.local_addr().unwrap().port(), database.name());
        let url = format!("postgres://countersign@127.0.0.1:{port}/{name}?sslmode=disable");
        let quota = Arc::new(Quota { left: Mutex::new(usize::MAX), spent: Notify::new() });
        let open = Arc::new(RwLock::new(()));
        let wire = Wire { url, quota: Arc::clone(&quota), open: Arc::clone(&open) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let open = Arc::clone(&open).read_owned().await;
                let server = UnixStream::connect(&socket).await.unwrap();
                let passing = pass(client, server, Arc::clone(&quota));
                tokio::spawn(async move {
                    passing.await;
                    drop(open);
                });
            }
        });
        wire
    }
}

async fn pass(client: TcpStream, server: UnixStream, quota: Arc<Quota>) {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let asking = async {
        // Either side may hang up.
        let _ = pass_some(from_client, to_server, &quota).await;
    };
    let answering = async {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        let _ = tokio::io::copy(&mut from_server, &mut tokio::io::sink()).await;
    };
    tokio::join!(asking, answering);
}

/// Passes on as much as the quota allows, and discards the rest until the client is gone.
async fn pass_some(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    quota: &Quota,
) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        let count = client.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        let (passed, spent) = {
            let mut left = quota.left.lock().unwrap();
            let passed = count.min(*left);
            *left -= passed;
            (passed, passed > 0 && *left == 0)
        };
        server.write_all(&bytes[..passed]).await?;
        if spent {
            quota.spent.notify_one();
        }
    }
}
