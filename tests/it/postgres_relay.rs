//! A way to PostgreSQL on which a test reads along, which it cuts around a commit, stalls, or slows down.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream, tcp, unix};
use tokio::sync::watch;

use crate::database::Database;

/// What is lost when a connection is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lost {
    /// The client's commit, so that the server rolls back.
    Commit,
    /// The server's answer to it.
    Answer,
    /// The statement itself, so that no commit is ever sent.
    Statement,
}

pub struct Relay {
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    statements: Mutex<Vec<String>>,
    cut: Mutex<Option<Cut>>,
    is_cut: AtomicBool,
    stalls_at: Mutex<Option<&'static str>>,
    is_stalled: AtomicBool,
    /// Whether everything is lost: connections end, and new ones end at once.
    severed: watch::Sender<bool>,
    /// How many milliseconds later each answer arrives.
    delay: AtomicU64,
}

struct Cut {
    /// Part of a statement in the transaction.
    of: &'static str,
    lost: Lost,
    /// Whether no other connection goes on or through.
    is_final: bool,
}

impl Relay {
    pub async fn before(database: &Database) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server: PgConnectOptions = database.url.parse().unwrap();
        let folder = server.get_socket().expect("tests reach the shared server by its socket");
        let to = folder.join(format!(".s.PGSQL.{}", server.get_port()));
        let here = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(listener.local_addr().unwrap().port())
            .ssl_mode(PgSslMode::Disable)
            .username(server.get_username())
            .database(server.get_database().unwrap());
        let shared = Arc::<Shared>::default();
        let of_relay = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&to).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&of_relay)));
            }
        });
        Relay { url: here.to_url_lossy().to_string(), shared }
    }

    /// Cuts the connection of the next transaction with such a statement: when it commits, or at that statement.
    pub fn cut(&self, of: &'static str, lost: Lost) {
        self.shared.order(Cut { of, lost, is_final: false });
    }

    /// `cut`, and all other connections as well, until the relay is mended.
    pub fn sever(&self, of: &'static str, lost: Lost) {
        self.shared.order(Cut { of, lost, is_final: true });
    }

    pub fn mend(&self) {
        self.shared.severed.send_replace(false);
    }

    /// Lets nothing through any more once such a statement arrives, and ends no connection either.
    pub fn stall_at(&self, of: &'static str) {
        *self.shared.stalls_at.lock().unwrap() = Some(of);
    }

    /// Whether it does.
    pub fn is_stalled(&self) -> bool {
        self.shared.is_stalled.load(Ordering::Acquire)
    }

    /// Delivers each answer that much later from now on.
    pub fn slow_down(&self, by: Duration) {
        self.shared.delay.store(by.as_millis().try_into().unwrap(), Ordering::Release);
    }

    /// Whether the ordered cut took place.
    pub fn is_cut(&self) -> bool {
        self.shared.is_cut.load(Ordering::Acquire)
    }

    /// The text of each statement so far, each time that it ran.
    pub fn statements(&self) -> Vec<String> {
        self.shared.statements.lock().unwrap().clone()
    }
}

impl Shared {
    fn order(&self, cut: Cut) {
        self.is_cut.store(false, Ordering::Release);
        *self.cut.lock().unwrap() = Some(cut);
    }

    /// What is lost with a statement that ends this transaction so far.
    fn lost_with(&self, transaction: &[String]) -> Option<Lost> {
        let mut cut = self.cut.lock().unwrap();
        let last = transaction.last()?;
        let ordered = cut.take_if(|cut| match cut.lost {
            Lost::Statement => last.contains(cut.of),
            _ => last == "commit" && transaction.iter().any(|earlier| earlier.contains(cut.of)),
        })?;
        self.is_cut.store(true, Ordering::Release);
        if ordered.is_final {
            self.severed.send_replace(true);
        }
        Some(ordered.lost)
    }
}

async fn pass(client: TcpStream, server: UnixStream, shared: Arc<Shared>) {
    let mut severed = shared.severed.subscribe();
    if *severed.borrow_and_update() {
        return;
    }
    let (received, sent) = client.into_split();
    let (answers, requests) = server.into_split();
    let is_deaf = Arc::<AtomicBool>::default();
    // When one of these ends, so does the connection.
    tokio::select! {
        _ = pass_requests(received, requests, &shared, &is_deaf) => (),
        _ = pass_answers(answers, sent, &shared, &is_deaf) => (),
        // The answer to a commit must come, so that it is certain that the server has committed.
        _ = severed.wait_for(|severed| *severed && !is_deaf.load(Ordering::Acquire)) => (),
    }
}

/// Passes on a start-up message, which has a length alone, and then messages of a kind and a length.
async fn pass_requests(
    mut from: tcp::OwnedReadHalf,
    mut to: unix::OwnedWriteHalf,
    shared: &Shared,
    is_deaf: &AtomicBool,
) -> Option<()> {
    let mut kind = None;
    let mut prepared: HashMap<String, String> = HashMap::new();
    let mut transaction: Vec<String> = Vec::new();
    loop {
        let length = from.read_u32().await.ok()?;
        let mut message = vec![0; length as usize - 4];
        from.read_exact(&mut message).await.ok()?;
        let mut texts = message.split(|byte| *byte == 0);
        let mut text = || String::from_utf8_lossy(texts.next().unwrap()).into_owned();
        let run = match kind {
            Some(b'P') => {
                prepared.insert(text(), text());
                None
            }
            Some(b'B') => {
                text();
                Some(prepared[&text()].clone())
            }
            Some(b'Q') => Some(text()),
            _ => None,
        };
        let mut is_lost = false;
        if let Some(statement) = run {
            shared.statements.lock().unwrap().push(statement.clone());
            if shared.stalls_at.lock().unwrap().is_some_and(|of| statement.contains(of)) {
                shared.is_stalled.store(true, Ordering::Release);
            }
            if statement.starts_with("begin") {
                transaction.clear();
            }
            transaction.push(statement);
            match shared.lost_with(&transaction) {
                Some(Lost::Commit | Lost::Statement) => return None,
                Some(Lost::Answer) => is_lost = true,
                None => (),
            }
        }
        is_deaf.store(is_lost, Ordering::Release);
        let mut whole = Vec::from_iter(kind);
        whole.extend(length.to_be_bytes());
        whole.extend(message);
        if !shared.is_stalled.load(Ordering::Acquire) {
            to.write_all(&whole).await.ok()?;
        }
        kind = Some(from.read_u8().await.ok()?);
    }
}

async fn pass_answers(
    mut from: unix::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    shared: &Shared,
    is_deaf: &AtomicBool,
) -> Option<()> {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut bytes).await.ok().filter(|count| *count > 0)?;
        if is_deaf.load(Ordering::Acquire) {
            return None;
        }
        let delay = Duration::from_millis(shared.delay.load(Ordering::Acquire));
        tokio::time::sleep(delay).await;
        to.write_all(&bytes[..count]).await.ok()?;
    }
}
