//! The program killed while it writes: all that it acknowledged is there afterwards, and nothing is there by halves.

use std::sync::{Arc, Mutex};

use rustix::process::{
    PidfdFlags, Resource, Rlimit, Signal, pidfd_open, pidfd_send_signal, prlimit,
};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::bench::{Ask, TOTALS, body};
use crate::database::{Database, Kind, on_both};
use crate::program::deployment::{Deployment, Output, Running};

/// How many accounts an import brings.
const BATCH: usize = 200;

/// Kills a command once it has written so many bytes to its database.
enum Killer {
    /// The kernel does, by a limit on each of its files, in the middle of the write that passes it.
    Files,
    Wire(Wire),
}

/// The way to PostgreSQL, which passes no more than it is told to.
struct Wire {
    url: String,
    quota: Arc<Quota>,
}

struct Quota {
    left: Mutex<usize>,
    spent: Notify,
}

impl Killer {
    /// One for the deployment's database, which it is led to by the killer's way from now on.
    async fn of(it: &mut Deployment, database: &Database) -> Killer {
        if database.kind == Kind::Sqlite {
            return Killer::Files;
        }
        let wire = Wire::to(database).await;
        it.set("DATABASE__URL", &wire.url);
        Killer::Wire(wire)
    }

    async fn run(&self, it: &Deployment, arguments: &[&str], input: &str, most: usize) -> Output {
        let mut running = it.start_by("read -r line; exec \"$0\" \"$@\"", arguments);
        let process = pidfd_open(running.id(), PidfdFlags::empty()).unwrap();
        let input = format!("begin\n{input}");
        match self {
            Killer::Files => {
                let most = Some(most as u64);
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
                    // It may have said all that it had to say.
                    let _ = pidfd_send_signal(&process, Signal::KILL);
                    std::future::pending::<Output>().await
                };
                let done = tokio::select! {
                    done = running.end() => done,
                    done = kill => done,
                };
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
        let wire = Wire { url, quota: Arc::clone(&quota) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&quota)));
            }
        });
        wire
    }
}

async fn pass(client: TcpStream, server: UnixStream, quota: Arc<Quota>) {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let answers = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
    });
    // Either may hang up.
    let _ = pass_some(from_client, to_server, &quota).await;
    answers.abort();
}

/// Passes what the quota allows, and swallows the rest until the client is gone.
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

/// The lines of an import of made-up users, whose names tell which import it was.
fn lines(users: std::ops::Range<usize>, import: usize) -> String {
    let line = |user: usize| {
        json!({
            "user_id": format!("{}", 1_000_000 + user),
            "screen_name": format!("u{user}_import{import}"),
            "access_token": format!("{}-{import:040}", 1_000_000 + user),
            "access_token_secret": format!("{import:045}"),
        })
    };
    users.map(|it| line(it).to_string() + "\n").collect()
}

/// For each made-up user that is there, which import it came by.
async fn imported(it: &Deployment) -> Vec<usize> {
    let listed: Value =
        serde_json::from_str(&it.must(&["account", "list", "--json"]).await).unwrap();
    let names = listed.as_array().unwrap().iter().map(|it| it["screen_name"].as_str().unwrap());
    names.filter_map(|it| it.split_once("_import")).map(|it| it.1.parse().unwrap()).collect()
}

on_both! {
    async fn an_import_that_is_killed_is_there_whole_or_not_at_all(database: Database) {
        let mut it = Deployment::new(&database).await;
        it.prepare().await;
        let killer = Killer::of(&mut it, &database).await;
        // For SQLite from the size of its index on, which is made first.
        let (first, step) = match database.kind {
            Kind::Sqlite => (32 * 1024, 5_000),
            Kind::Postgres => (0, 5_000),
        };
        let (mut last, mut kept) = (Vec::new(), 0);
        for import in 1.. {
            let most = first + import * step;
            let done = killer.run(&it, &["account", "import"], &lines(0..BATCH, import), most).await;
            let found = imported(&it).await;
            let whole = found == [import; BATCH];
            assert!(whole || found == last, "{import}: {found:?}");
            let acknowledged = done.out == format!("imported {BATCH} accounts\n");
            assert!(whole || !acknowledged, "{import}: {done:?}");
            kept += usize::from(!whole);
            it.must(&["check"]).await;
            last = found;
            if done.code == 0 {
                assert!(acknowledged && import > 10 && kept > 8, "{import} rounds, {kept} undone");
                break;
            }
            assert_eq!(done.code, -1, "it was killed: {done:?}");
        }
        it.must(&["account", "verify", "@alice"]).await;
    }

    async fn writes_acknowledged_by_a_gateway_that_is_killed_are_there(database: Database) {
        let it = Deployment::new(&database).await;
        it.prepare().await;
        let admin = it.key("boss", &["--admin"]).await;
        let mut acknowledged = Vec::new();
        for round in 0..20 {
            let running = it.serve().await;
            acknowledged.extend(write_until_killed(&running, &admin, round).await);
            running.end().await;
        }
        assert!(acknowledged.len() >= (0..20).sum(), "{}", acknowledged.len());

        it.must(&["check"]).await;
        let found = imported(&it).await;
        let running = it.serve().await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = body(&it.bench.ids("alice", 1), &["impressions"], &["tweet.id"]).to_string();
        for write in acknowledged {
            match write {
                Write::Import(import) => assert!(found.contains(&import), "{import}"),
                Write::Key(key) => {
                    let call = Ask::new(&http, &running.url, "POST", TOTALS)
                        .header("x-api-key", &key)
                        .header("countersign-account", "@alice");
                    call.body(&*body).send().await.is_relayed(200);
                }
            }
        }
        // Whether it was acknowledged or not, an import is whole, and a key has its entry in the audit log.
        for import in &found {
            assert_eq!(found.iter().filter(|it| *it == import).count(), 3, "{import}");
        }
        let ask = |path: &str| Ask::new(&http, &running.admin_url, "GET", path).header("x-api-key", &admin);
        let keys = ask("/admin/v1/keys?limit=1000").send().await.json();
        let audit = ask("/admin/v1/audit?limit=1000").send().await.json();
        let mut keys: Vec<String> = keys["keys"].as_array().unwrap().iter().map(|it| format!("key:{}", it["id"].as_str().unwrap())).collect();
        let entries = audit["entries"].as_array().unwrap().iter().filter(|it| it["action"] == "key.created");
        let mut created: Vec<&str> = entries.map(|it| it["subject"].as_str().unwrap()).collect();
        keys.sort_unstable();
        created.sort_unstable();
        assert_eq!(keys, created);
    }
}

/// What the gateway said it has stored.
enum Write {
    Key(String),
    Import(usize),
}

const WRITERS: usize = 4;

/// Writes from several sides at once, and kills the gateway when it has acknowledged `most`; each writer is cut off.
async fn write_until_killed(running: &Running, admin: &str, most: usize) -> Vec<Write> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |path: &str, content_type: &str| {
        let ask = Ask::new(&http, &running.admin_url, "POST", path).header("x-api-key", admin);
        ask.header("content-type", content_type)
    };
    let key = ask("/admin/v1/keys", "application/json");
    let import = ask("/admin/v1/accounts", "application/x-ndjson");
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let first = (most * WRITERS + writer) * 1000;
        writers.spawn(write(key.clone(), import.clone(), first, sender.clone()));
    }
    drop(sender);
    let mut acknowledged = Vec::new();
    while acknowledged.len() < most {
        acknowledged.push(receiver.recv().await.unwrap());
    }
    running.signal(Signal::KILL);
    writers.join_all().await;
    while let Some(write) = receiver.recv().await {
        acknowledged.push(write);
    }
    acknowledged
}

/// Makes keys and imports in turn, with numbers from `first` on, until the gateway is gone.
async fn write(key: Ask, import: Ask, first: usize, acknowledged: mpsc::UnboundedSender<Write>) {
    for number in first.. {
        let ask = if number % 2 == 0 {
            key.clone().body(json!({ "name": format!("key {number}") }).to_string())
        } else {
            import.clone().body(lines(number * 3..number * 3 + 3, number))
        };
        let Ok(answer) = ask.try_send().await else { return };
        assert_eq!(answer.status, 201, "{}", answer.text());
        let write = match answer.json()["secret"].as_str() {
            Some(secret) => Write::Key(secret.to_owned()),
            None => Write::Import(number),
        };
        acknowledged.send(write).unwrap();
    }
}
