//! How many statements a page of a list costs, counted on the way to PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign::config;
use countersign::model::Secret;
use countersign::store::{AccountFilter, PartEvents, Store};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, UnixStream, tcp, unix};

use crate::database::{Database, Kind, NOW, fresh};
use crate::store::new_account;

/// The messages with which a client has a statement run: `Execute`, and `Query` where it is not prepared.
const RUN: [u8; 2] = [b'E', b'Q'];

/// A way to a database that counts the statements that take it.
struct Counter {
    settings: config::Database,
    statements: Arc<AtomicUsize>,
}

impl Counter {
    async fn before(database: &Database) -> Counter {
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
        let statements = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&statements);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mut answers, requests) = UnixStream::connect(&to).await.unwrap().into_split();
                let (received, mut sent) = client.into_split();
                tokio::spawn(pass_on(received, requests, Arc::clone(&counted)));
                tokio::spawn(async move { copy(&mut answers, &mut sent).await });
            }
        });
        let url = Secret::new(here.to_url_lossy().to_string());
        Counter { settings: config::Database { url, ..database.settings() }, statements }
    }

    /// How many statements came since the last time.
    fn taken(&self) -> usize {
        self.statements.swap(0, Ordering::Relaxed)
    }
}

/// Passes on a start-up message, which has a length alone, and then messages of a kind and a length.
async fn pass_on(
    mut from: tcp::OwnedReadHalf,
    mut to: unix::OwnedWriteHalf,
    statements: Arc<AtomicUsize>,
) -> Option<()> {
    let mut kind = None;
    loop {
        let length = from.read_u32().await.ok()?;
        let mut message = vec![0; length as usize - 4];
        from.read_exact(&mut message).await.ok()?;
        if kind.is_some_and(|kind| RUN.contains(&kind)) {
            statements.fetch_add(1, Ordering::Relaxed);
        }
        let mut whole = Vec::from_iter(kind);
        whole.extend(length.to_be_bytes());
        whole.extend(message);
        to.write_all(&whole).await.ok()?;
        kind = Some(from.read_u8().await.ok()?);
    }
}

#[tokio::test]
async fn the_last_calls_of_many_accounts_take_as_many_statements_as_those_of_two() {
    let database = fresh(Kind::Postgres).await;
    let many: Vec<_> = (1..=1000).map(|number| new_account("main", number)).collect();
    database.store().await.put_accounts(&many, PartEvents::Each, "cli", NOW).await.unwrap();
    let counter = Counter::before(&database).await;
    let store = Store::connect(&counter.settings).await.unwrap();
    // The first use of a connection sets it up.
    store.ping().await.unwrap();
    counter.taken();

    let mut taken = Vec::new();
    for limit in [2, 1000] {
        let accounts = store
            .list_accounts(&AccountFilter { limit, ..AccountFilter::default() })
            .await
            .unwrap();
        assert_eq!(accounts.len(), limit as usize);
        assert_eq!(store.list_last_calls(&accounts).await.unwrap().len(), accounts.len());
        taken.push(counter.taken());
    }
    assert!(taken[0] > 0 && taken[0] == taken[1], "{taken:?}");
}

#[tokio::test]
async fn an_import_of_many_accounts_takes_as_many_statements_as_one_of_two() {
    let database = fresh(Kind::Postgres).await;
    database.store().await;
    let counter = Counter::before(&database).await;
    let store = Store::connect(&counter.settings).await.unwrap();
    store.ping().await.unwrap();
    store.prove_events_by(Box::new(|_| Some(b"proof".to_vec())));
    database
        .run(
            "insert into webhook (webhook_id, url, created_at, sealed_secret, leased_until)
             values ('w', 'https://a.example/', '2026-03-01T00:00:00Z', '', '2026-03-01T00:00:00Z')",
        )
        .await;
    for events in [PartEvents::Summary { held: &[], is_last: true }, PartEvents::Each] {
        let mut taken = Vec::new();
        for count in [2, 2, 500] {
            let accounts: Vec<_> = (1..=count).map(|number| new_account("main", number)).collect();
            counter.taken();
            store.put_accounts(&accounts, events, "cli", NOW).await.unwrap();
            taken.push(counter.taken());
        }
        // The first one sets a connection up.
        assert!(taken[1] > 0 && taken[1] == taken[2], "{taken:?}");
    }
}
