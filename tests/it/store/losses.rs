//! Connections that are lost before a commit: nothing was stored, so the work is done again instead of being reported as
//! failed.

use std::time::Duration;

use countersign::config::{self, Pooler};
use countersign::model::usage::Month;
use countersign::model::{Account, AccountState, Secret};
use countersign::store::{Error, Grain, KeyFilter, Store, UsageFilter};
use sqlx::postgres::PgConnectOptions;

use crate::database::{Database, Kind, NOW, fresh};
use crate::postgres_relay::{Lost, Relay};
use crate::store::commits::{count, through};
use crate::store::{id, key};

#[tokio::test]
async fn work_whose_connection_is_lost_before_a_commit_is_done_again() {
    for pooler in [Pooler::None, Pooler::Session, Pooler::Transaction] {
        let database = fresh(Kind::Postgres).await;
        let seen = database.store().await;
        let relay = Relay::before(&database).await;
        let store = through(&relay, &database, pooler).await;
        // Before anything is written, in the middle, and when all is written.
        let moments = ["insert into key", "insert into audit", "txid_current_if_assigned"];
        for (name, at) in ["a", "b", "c"].into_iter().zip(moments) {
            relay.cut(at, Lost::Statement);
            store.insert_key(&key(name, name), b"verifier", "cli", NOW).await.unwrap();
            assert!(relay.is_cut(), "{pooler:?}, {at}");
            assert!(seen.find_key(name).await.unwrap().is_some());
        }
        assert_eq!(count(&seen, "key.created").await, 3, "{pooler:?}");
        assert_eq!(seen.latest_change().await.unwrap(), 3, "{pooler:?}");

        let reads = [
            "key where key_id =",
            "key where key_id >",
            "from named",
            "usage_month",
            "schema_version",
        ];
        for at in reads {
            relay.cut(at, Lost::Statement);
            read_all(&store).await;
            assert!(relay.is_cut(), "{pooler:?}, {at}");
        }
    }
}

/// One row and several, and what takes several statements on one connection.
async fn read_all(store: &Store) {
    assert!(store.find_key("a").await.unwrap().is_some());
    assert_eq!(store.list_keys(&KeyFilter { after: None, limit: 9 }).await.unwrap().len(), 3);
    let account = Account {
        app: "main".to_owned(),
        user_id: id(7),
        screen_name: "seven".to_owned(),
        state: AccountState::Active,
        state_since: NOW,
        connected_at: NOW,
    };
    assert_eq!(store.list_last_calls(&[account]).await.unwrap().len(), 1);
    let month = |text: &str| Month::parse(text).unwrap().begin();
    let usage = UsageFilter {
        from: month("2026-02"),
        until: month("2026-04"),
        months: true,
        by: Grain { hours: 24, ..Grain::default() },
        limit: 100,
        ..UsageFilter::default()
    };
    assert!(store.list_usage_over_time(&usage, None).await.unwrap().is_empty());
    store.schema().await.unwrap();
}

/// Has the server itself end sessions in the middle of a transaction, so many of them.
async fn hang_up(database: &Database, times: u32) {
    let sql = format!(
        "create sequence hung_up;
         create function hang_up() returns trigger language plpgsql as
         $$ begin
             if nextval('hung_up') <= {times} then
                 perform pg_terminate_backend(pg_backend_pid());
             end if;
             return new;
         end $$;
         create trigger hang_up before insert on audit for each row execute function hang_up()"
    );
    database.run(&sql).await;
}

#[tokio::test]
async fn a_write_whose_session_the_server_ends_is_done_again_a_few_times() {
    for (times, is_stored) in [(1, true), (4, true), (5, false)] {
        let database = fresh(Kind::Postgres).await;
        let store = database.store().await;
        hang_up(&database, times).await;
        let written = store.insert_key(&key("abc", "one"), b"verifier", "cli", NOW).await;
        match written {
            Ok(()) => assert!(is_stored, "{times}"),
            Err(Error::Unavailable(_)) => assert!(!is_stored, "{times}"),
            Err(error) => panic!("{times}: {error:?}"),
        }
        assert_eq!(store.find_key("abc").await.unwrap().is_some(), is_stored, "{times}");
        assert_eq!(count(&store, "key.created").await, usize::from(is_stored), "{times}");
    }
}

#[tokio::test]
async fn a_write_leaves_a_server_that_hangs_before_its_commit() {
    for at in ["insert into audit", "txid_current_if_assigned"] {
        let database = fresh(Kind::Postgres).await;
        let seen = database.store().await;
        let (first, second) = (Relay::before(&database).await, Relay::before(&database).await);
        let [port, other] = [&first, &second]
            .map(|relay| relay.url.parse::<PgConnectOptions>().unwrap().get_port());
        let url = first.url.replace(&format!(":{port}/"), &format!(":{port},127.0.0.1:{other}/"));
        assert!(url.contains(&other.to_string()), "{url}");
        let settings = config::Database {
            url: Secret::from(&*url),
            call_wait: Duration::from_secs(1),
            ..database.settings()
        };
        let store = Store::connect(&settings).await.unwrap();
        first.stall_at(at);
        let written = {
            let store = store.clone();
            tokio::spawn(async move {
                store.insert_key(&key("abc", "one"), b"verifier", "cli", NOW).await
            })
        };
        while !first.is_stalled() {
            tokio::task::yield_now().await;
        }
        // Others notice that the server does not answer.
        while store.ping().await.is_err() {}
        written.await.unwrap().unwrap();
        assert!(seen.find_key("abc").await.unwrap().is_some(), "{at}");
        assert_eq!(count(&seen, "key.created").await, 1, "{at}");
    }
}
