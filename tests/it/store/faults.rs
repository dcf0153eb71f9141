//! The database locked, and PostgreSQL stopped, hung, unreachable and demoted: look-ups give up in time,
//! and everything works again afterwards.

use std::time::Duration;

use countersign::store::{Error, PartEvents, Store};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::database::{Database, HANG_UP, Kind, NOW, PrivatePostgres, fresh, on_both, settings};
use crate::store::{id, new_account};

async fn a_writer_locked_out_gives_up_and_readers_go_on(database: Database) {
    database
        .store()
        .await
        .put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW)
        .await
        .unwrap();
    let mut settings = database.settings();
    settings.wait = Duration::from_millis(300);
    settings.statement_timeout = Duration::from_millis(300);
    let store = Store::connect(&settings).await.unwrap();

    let lock = database.lock_writers_out().await;
    let written = store.put_accounts(&[new_account("main", 8)], PartEvents::Each, "cli", NOW).await;
    assert!(matches!(written, Err(Error::Unavailable(_))), "{written:?}");
    assert!(store.find_account("main", id(7)).await.unwrap().is_some());
    drop(lock);

    database
        .connect()
        .await
        .put_accounts(&[new_account("main", 8)], PartEvents::Each, "cli", NOW)
        .await
        .unwrap();
    assert_eq!(store.latest_change().await.unwrap(), 2);
}

on_both!(a_writer_locked_out_gives_up_and_readers_go_on);

/// A network between store and server that can lose packets, as when a route disappears.
struct Network {
    url: String,
    epoch: watch::Sender<u32>,
}

impl Network {
    async fn before(server: &PrivatePostgres) -> Network {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = server.url().replace(&format!(":{}/", server.port()), &format!(":{port}/"));
        let (epoch, epochs) = watch::channel(0);
        let server = server.port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server, epochs.clone()));
            }
        });
        Network { url, epoch }
    }

    /// Leaves every connection open without transferring anything on it any more; gives how many there were.
    fn silence(&self) -> usize {
        self.epoch.send_modify(|epoch| *epoch += 1);
        // One receiver waits for new connections.
        self.epoch.receiver_count() - 1
    }
}

async fn relay(mut client: TcpStream, server: u16, mut epochs: watch::Receiver<u32>) {
    epochs.mark_unchanged();
    let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => (),
        _ = epochs.changed() => std::future::pending().await,
    }
}

async fn connect(url: &str) -> Store {
    let mut settings = settings(url);
    settings.wait = Duration::from_secs(2);
    settings.statement_timeout = Duration::from_secs(2);
    let store = Store::connect(&settings).await.unwrap();
    store.migrate(NOW).await.unwrap();
    store.put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW).await.unwrap();
    store
}

async fn look_ups_give_up_in_time(store: &Store) {
    let mut look_ups = JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        look_ups.spawn(async move { store.find_account("main", id(7)).await.err() });
    }
    for error in look_ups.join_all().await {
        assert!(matches!(error, Some(Error::Unavailable(_))), "{error:?}");
    }
}

async fn all_works_again(store: &Store) {
    while store.find_account("main", id(7)).await.is_err() {}
    store.put_accounts(&[new_account("main", 8)], PartEvents::Each, "cli", NOW).await.unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn look_ups_on_a_stopped_server_give_up_in_time_and_recover() {
    let server = PrivatePostgres::start_new();
    let store = connect(&server.url()).await;
    for _ in 0..2 {
        server.stop();
        look_ups_give_up_in_time(&store).await;
        assert!(matches!(store.ping().await, Err(Error::Unavailable(_))));
        let written =
            store.put_accounts(&[new_account("main", 9)], PartEvents::Each, "cli", NOW).await;
        assert!(matches!(written, Err(Error::Unavailable(_))), "{written:?}");
        server.start();
        all_works_again(&store).await;
    }
}

#[tokio::test]
async fn look_ups_on_a_hung_server_give_up_in_time_and_recover() {
    let server = PrivatePostgres::start_new();
    let store = connect(&server.url()).await;
    server.hang();
    for _ in 0..3 {
        look_ups_give_up_in_time(&store).await;
    }
    server.resume();
    all_works_again(&store).await;
}

#[tokio::test]
async fn the_first_look_up_after_a_restart_succeeds() {
    let server = PrivatePostgres::start_new();
    let store = connect(&server.url()).await;
    server.stop();
    server.start();
    assert!(store.find_account("main", id(7)).await.unwrap().is_some());
}

#[tokio::test]
async fn connections_that_fell_silent_are_replaced() {
    let server = PrivatePostgres::start_new();
    let network = Network::before(&server).await;
    let store = connect(&network.url).await;
    let mut warm = JoinSet::new();
    for number in 1..=20 {
        let store = store.clone();
        warm.spawn(async move { store.find_account("main", id(number)).await.unwrap() });
    }
    warm.join_all().await;
    let silenced = network.silence();
    assert!(silenced > 1, "{silenced} connections");
    all_works_again(&store).await;
}

#[tokio::test]
async fn a_listener_hears_again_after_a_restart() {
    let server = PrivatePostgres::start_new();
    let store = connect(&server.url()).await;
    let mut wake = store.listen().await.unwrap().unwrap();
    server.stop();
    assert!(matches!(wake.wait().await, Err(Error::Unavailable(_))));
    assert!(matches!(wake.wait().await, Err(Error::Unavailable(_))), "it is still away");
    server.start();
    wake.wait().await.unwrap();
    store.put_accounts(&[new_account("main", 8)], PartEvents::Each, "cli", NOW).await.unwrap();
    wake.wait().await.unwrap();
}

#[tokio::test]
async fn a_listener_that_fell_silent_is_noticed() {
    let server = PrivatePostgres::start_new();
    let network = Network::before(&server).await;
    connect(&network.url).await;
    let mut settings = settings(&network.url);
    settings.wait = Duration::from_millis(500);
    let store = Store::connect(&settings).await.unwrap();
    let mut wake = store.listen().await.unwrap().unwrap();
    network.silence();
    assert!(matches!(wake.wait().await, Err(Error::Unavailable(_))));
    wake.wait().await.unwrap();
    store.put_accounts(&[new_account("main", 8)], PartEvents::Each, "cli", NOW).await.unwrap();
    wake.wait().await.unwrap();
}

#[tokio::test]
async fn a_demoted_server_is_unavailable_until_it_takes_writes_again() {
    let database = fresh(Kind::Postgres).await;
    let store = database.store().await;
    let name = database.name();
    let demote = format!("alter database {name} set default_transaction_read_only = on");
    database.run(&demote).await;
    database.run(HANG_UP).await;
    for refused in [store.ping().await, Store::connect(&database.settings()).await.map(drop)] {
        let Err(Error::Unavailable(cause)) = refused else { panic!("{refused:?}") };
        assert!(cause.to_string().ends_with("the server is read-only"), "{cause}");
    }

    let promote = format!("alter database {name} reset default_transaction_read_only");
    database.run(&format!("set transaction_read_only = off; {promote}")).await;
    store.ping().await.unwrap();
    store.put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW).await.unwrap();
}
