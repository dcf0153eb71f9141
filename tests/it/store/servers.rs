//! Several servers in one URL: the one that takes writes is found, and found again when it changes.

use std::time::Duration;

use countersign::config;
use countersign::model::Secret;
use countersign::store::{Error, PartEvents, Store};

use crate::database::{NOW, PrivatePostgres, settings};
use crate::store::{id, new_account};

/// Two servers, each with the schema, behind one URL.
struct Pair {
    first: PrivatePostgres,
    second: PrivatePostgres,
    settings: config::Database,
}

impl Pair {
    async fn start() -> Pair {
        let (first, second) = (PrivatePostgres::start_new(), PrivatePostgres::start_new());
        for server in [&first, &second] {
            let store = Store::connect(&settings(&server.url())).await.unwrap();
            store.migrate(NOW).await.unwrap();
        }
        let url = format!(
            "postgres://countersign@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable&target_session_attrs=read-write&connect_timeout=2",
            first.port(),
            second.port()
        );
        let settings = config::Database {
            url: Secret::from(&*url),
            wait: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(2),
            ..settings(&url)
        };
        Pair { first, second, settings }
    }
}

async fn set_read_only(server: &PrivatePostgres, value: &str) {
    let change = format!(
        "set transaction_read_only = off; alter database postgres set default_transaction_read_only = {value}"
    );
    server.run(&change).await;
}

/// Whether the account is stored on this server.
async fn has(server: &PrivatePostgres, number: u64) -> bool {
    let store = Store::connect(&settings(&server.url())).await.unwrap();
    store.find_account("main", id(number)).await.unwrap().is_some()
}

async fn write(store: &Store, number: u64) -> Result<(), Error> {
    store.put_accounts(&[new_account("main", number)], PartEvents::Each, "cli", NOW).await.map(drop)
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_passed_over() {
    let pair = Pair::start().await;
    set_read_only(&pair.first, "on").await;
    let store = Store::connect(&pair.settings).await.unwrap();
    write(&store, 7).await.unwrap();
    assert!(has(&pair.second, 7).await);
    let mut wake = store.listen().await.unwrap().unwrap();

    // They change places while connections to both are open.
    set_read_only(&pair.first, "off").await;
    set_read_only(&pair.second, "on").await;
    pair.second.run(crate::database::HANG_UP).await;
    while write(&store, 8).await.is_err() {}
    assert!(has(&pair.first, 8).await);
    while wake.wait().await.is_err() {}
    write(&store, 9).await.unwrap();
    wake.wait().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_gone_or_hangs_is_left_for_one_that_answers() {
    for hangs in [false, true] {
        let pair = Pair::start().await;
        let store = Store::connect(&pair.settings).await.unwrap();
        write(&store, 7).await.unwrap();
        let (used, other) = if has(&pair.first, 7).await {
            (&pair.first, &pair.second)
        } else {
            (&pair.second, &pair.first)
        };
        if hangs {
            used.hang();
        } else {
            used.stop();
        }
        while write(&store, 8).await.is_err() {}
        assert!(has(other, 8).await);
        if hangs {
            used.resume();
        } else {
            used.start();
        }
        // Nobody returns to a server only because it is back.
        write(&store, 9).await.unwrap();
        assert!(has(other, 9).await);
    }
}

#[tokio::test]
async fn each_server_that_cannot_be_used_has_its_reason() {
    let pair = Pair::start().await;
    set_read_only(&pair.first, "on").await;
    pair.second.stop();
    let connected = Store::connect(&pair.settings).await;
    let Err(Error::Unavailable(cause)) = connected.map(drop) else { panic!("it is connected") };
    let text = cause.to_string();
    let (first, second) = (pair.first.port(), pair.second.port());
    assert!(text.contains(&format!("host 127.0.0.1, port {first}: the server is read-only; ")));
    assert!(text.contains(&format!("host 127.0.0.1, port {second}: connection: ")), "{text}");
    pair.second.start();
}
