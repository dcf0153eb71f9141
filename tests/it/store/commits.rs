//! Connections that are lost around a commit: what was stored is not reported as failed, nor stored twice.

use std::time::Duration;

use countersign::config::{self, Pooler};
use countersign::store::{Error, PartEvents, Store};

use crate::database::{Database, Kind, NOW, fresh, newest};
use crate::postgres_relay::{Lost, Relay};
use crate::store::{id, key, new_account};

pub async fn through(relay: &Relay, database: &Database, pooler: Pooler) -> Store {
    let url = countersign::model::Secret::from(&*relay.url);
    Store::connect(&config::Database { url, pooler, ..database.settings() }).await.unwrap()
}

/// How many entries of this action the audit log has.
pub async fn count(store: &Store, action: &str) -> usize {
    let entries = store.list_audit(&newest(100)).await.unwrap();
    entries.iter().filter(|entry| entry.action == action).count()
}

#[tokio::test]
async fn a_write_is_stored_once_whatever_its_commit_loses() {
    for pooler in [Pooler::None, Pooler::Session, Pooler::Transaction] {
        for lost in [Lost::Commit, Lost::Answer] {
            let database = fresh(Kind::Postgres).await;
            let seen = database.store().await;
            let relay = Relay::before(&database).await;
            let store = through(&relay, &database, pooler).await;

            relay.cut("insert into key", lost);
            store.insert_key(&key("abc", "one"), b"verifier", "cli", NOW).await.unwrap();
            assert!(relay.is_cut(), "{pooler:?}, {lost:?}");
            assert!(seen.find_key("abc").await.unwrap().is_some());
            assert_eq!(count(&seen, "key.created").await, 1, "{pooler:?}, {lost:?}");

            relay.cut("insert into account", lost);
            store
                .put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW)
                .await
                .unwrap();
            assert!(relay.is_cut() && seen.find_account("main", id(7)).await.unwrap().is_some());
            assert_eq!(count(&seen, "account.imported").await, 1, "{pooler:?}, {lost:?}");

            // A statement that needs no transaction has one all the same.
            relay.cut("update key set last_used_at", lost);
            store.touch_key("abc", NOW).await.unwrap();
            let touched = seen.find_key("abc").await.unwrap().unwrap().key.unwrap();
            assert!(relay.is_cut() && touched.last_used_at == Some(NOW), "{pooler:?}, {lost:?}");

            relay.cut("delete from account", lost);
            assert!(store.remove_account("main", id(7), "cli", NOW).await.unwrap());
            assert!(relay.is_cut() && seen.find_account("main", id(7)).await.unwrap().is_none());
            assert_eq!(seen.latest_change().await.unwrap(), 3, "{pooler:?}, {lost:?}");
        }
    }
}

#[tokio::test]
async fn an_outcome_that_cannot_be_found_is_reported_as_unknown() {
    for (lost, is_stored) in [(Lost::Answer, true), (Lost::Commit, false)] {
        let database = fresh(Kind::Postgres).await;
        let seen = database.store().await;
        let relay = Relay::before(&database).await;
        let mut settings = database.settings();
        settings.url = countersign::model::Secret::from(&*relay.url);
        settings.wait = Duration::from_millis(200);
        settings.statement_timeout = Duration::from_millis(200);
        let store = Store::connect(&settings).await.unwrap();

        relay.sever("insert into key", lost);
        let written = store.insert_key(&key("abc", "one"), b"verifier", "cli", NOW).await;
        assert!(relay.is_cut());
        assert!(matches!(written, Err(Error::OutcomeUnknown(_))), "{lost:?}: {written:?}");
        assert_eq!(seen.find_key("abc").await.unwrap().is_some(), is_stored, "{lost:?}");

        relay.mend();
        assert_eq!(store.find_key("abc").await.unwrap().is_some(), is_stored, "{lost:?}");
    }
}

/// A server that was restarted, or promoted in place of the one that gave the transaction its number.
#[tokio::test]
async fn a_number_that_another_server_gave_proves_no_commit() {
    let other = "create function pg_postmaster_start_time() returns timestamptz
         language sql as 'select clock_timestamp()'";
    let behind = "create function txid_status(bigint) returns text language plpgsql as
         $$ begin raise exception 'in the future' using errcode = '22023'; end $$";
    for (server, lost, is_known) in
        [(other, Lost::Answer, false), (other, Lost::Commit, true), (behind, Lost::Commit, true)]
    {
        let database = fresh(Kind::Postgres).await;
        let seen = database.store().await;
        let name = database.name();
        database.run(&format!("alter database {name} set search_path = public, pg_catalog")).await;
        database.run(server).await;
        let relay = Relay::before(&database).await;
        let store = through(&relay, &database, Pooler::None).await;

        relay.cut("insert into key", lost);
        let written = store.insert_key(&key("abc", "one"), b"verifier", "cli", NOW).await;
        assert!(relay.is_cut());
        match written {
            Ok(()) => assert!(is_known, "{server}, {lost:?}"),
            Err(Error::OutcomeUnknown(_)) => assert!(!is_known, "{server}, {lost:?}"),
            Err(error) => panic!("{server}, {lost:?}: {error:?}"),
        }
        assert!(seen.find_key("abc").await.unwrap().is_some());
        assert_eq!(count(&seen, "key.created").await, 1, "{server}, {lost:?}");
    }
}
