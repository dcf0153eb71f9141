//! Transactions that PostgreSQL rolls back in favour of others are done again, up to a limit.

use std::time::Duration;

use countersign::store::{Error, PartEvents, Store};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::database::{Database, Kind, NOW, fresh};
use crate::store::{id, key, new_account};

/// Rolls back whoever writes to `table`, with this SQLSTATE: the first `times`, when the row is written or at the commit.
async fn roll_back(database: &Database, table: &str, code: &str, times: u32, at_commit: bool) {
    let trigger = if at_commit { "constraint trigger" } else { "trigger" };
    let deferred = if at_commit { "deferrable initially deferred" } else { "" };
    database
        .run(&format!(
            "drop sequence if exists tries cascade; create sequence tries;
             create or replace function roll_back() returns trigger language plpgsql as $$ begin
                 if nextval('tries') <= {times} then
                     raise exception 'in favour of others' using errcode = '{code}';
                 end if;
                 return new;
             end $$;
             drop trigger if exists roll_back on key;
             drop trigger if exists roll_back on audit;
             create {trigger} roll_back after insert or update on {table} {deferred}
             for each row execute function roll_back()"
        ))
        .await;
}

async fn tries(database: &Database) -> i64 {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    sqlx::query_scalar("select last_value from tries").fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_write_that_is_rolled_back_is_done_again() {
    let database = fresh(Kind::Postgres).await;
    let store = database.store().await;
    store.put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW).await.unwrap();
    let mut number = 0;
    for code in ["40001", "40P01"] {
        for at_commit in [false, true] {
            number += 1;
            let new = key(&format!("k{number}"), &format!("key {number}"));
            roll_back(&database, "audit", code, 3, at_commit).await;
            store.insert_key(&new, b"verifier", "cli", NOW).await.unwrap();
            assert_eq!(tries(&database).await, 4, "{code}, {at_commit}");
            // One statement by itself.
            roll_back(&database, "key", code, 1, at_commit).await;
            store.touch_key(&new.id, NOW).await.unwrap();
            assert_eq!(tries(&database).await, 2, "{code}, {at_commit}");
        }
    }
    assert_eq!(store.latest_change().await.unwrap(), 1 + number, "no number is left out");
}

#[tokio::test]
async fn a_write_that_is_always_rolled_back_ends_as_unavailable() {
    let database = fresh(Kind::Postgres).await;
    let store = database.store().await;
    roll_back(&database, "audit", "40P01", u32::MAX, false).await;
    let written = store.insert_key(&key("abc", "one"), b"verifier", "cli", NOW).await;
    assert!(matches!(written, Err(Error::Unavailable(_))), "{written:?}");
    assert_eq!(tries(&database).await, 20);
    assert!(store.find_key("abc").await.unwrap().is_none());
}

#[tokio::test]
async fn writers_get_through_where_every_transaction_is_serializable() {
    let database = fresh(Kind::Postgres).await;
    database.store().await;
    let name = database.name();
    let strict = "set default_transaction_isolation = serializable";
    database.run(&format!("alter database {name} {strict}")).await;
    // The setting is for new connections.
    let stores = [database.connect().await, database.connect().await];
    let mut writing = JoinSet::new();
    for number in 1..=20_u64 {
        let store: Store = stores[usize::try_from(number % 2).unwrap()].clone();
        writing.spawn(async move {
            store
                .put_accounts(&[new_account("main", number)], PartEvents::Each, "cli", NOW)
                .await?;
            store.find_account("main", id(number)).await
        });
    }
    for written in writing.join_all().await {
        assert!(written.unwrap().is_some());
    }
    assert_eq!(stores[0].latest_change().await.unwrap(), 20);
}

/// Waits until somebody waits for a row that another transaction has changed.
async fn wait_for_a_row(database: &Database) {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let sql = "select count(*) from pg_stat_activity
         where datname = current_database() and wait_event = 'transactionid'";
    let waiting = async {
        while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut connection).await.unwrap() == 0 {}
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("nobody waits");
}

/// The test takes the lock that the store takes last, and then wants the one that it took first.
#[tokio::test]
async fn the_victim_of_a_deadlock_tries_again() {
    let database = fresh(Kind::Postgres).await;
    let store = database.store().await;
    store.insert_key(&key("abc", "one"), b"verifier", "cli", NOW).await.unwrap();
    let mut other = PgConnection::connect(&database.url).await.unwrap();
    let begin = "set deadlock_timeout = '1h'; begin; update change_counter set latest = latest";
    sqlx::raw_sql(begin).execute(&mut other).await.unwrap();
    let revoking = store.clone();
    let revoking =
        tokio::spawn(async move { revoking.revoke_key("abc", b"verifier", "cli", NOW).await });
    wait_for_a_row(&database).await;
    let rest = "update key set name = name; commit";
    sqlx::raw_sql(rest).execute(&mut other).await.unwrap();
    assert!(revoking.await.unwrap().unwrap());
    assert!(store.find_key("abc").await.unwrap().unwrap().key.unwrap().revoked_at.is_some());
}

/// An import's first lock is a row of an account; the one that all other changes need is its last.
#[tokio::test]
async fn an_import_that_waits_holds_up_no_other_change() {
    let database = fresh(Kind::Postgres).await;
    let store = database.store().await;
    let accounts = [new_account("main", 7), new_account("main", 8), new_account("main", 9)];
    store.put_accounts(&accounts, PartEvents::Each, "cli", NOW).await.unwrap();
    let mut other = PgConnection::connect(&database.url).await.unwrap();
    let hold = "begin; update account set screen_name = screen_name where user_id = '8'";
    sqlx::raw_sql(hold).execute(&mut other).await.unwrap();
    let importer = store.clone();
    let importing = tokio::spawn(async move {
        let events = PartEvents::Summary { held: &[], is_last: true };
        importer.put_accounts(&accounts[1..], events, "cli", NOW).await
    });
    wait_for_a_row(&database).await;
    assert!(store.remove_account("main", id(7), "cli", NOW).await.unwrap());
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    importing.await.unwrap().unwrap();
}
