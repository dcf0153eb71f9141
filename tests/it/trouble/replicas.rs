//! A change by one replica takes effect on another: with notifications from the database, and without.

use std::time::Duration;

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::trouble::{PATIENCE, eventually_status, id_of, private, public, with_key};

const NEVER: Duration = Duration::from_hours(1);

/// Two replicas, of which the second rarely polls the feed and never forgets what does not exist.
async fn pair(database: &Database, poll: Duration) -> (TestGateway, TestGateway) {
    let one = TestGateway::start(database).await;
    let two = TestGateway::build(one.sandbox.again(), &database.settings(), |config| {
        config.database.poll = poll;
        config.limits.negative_cache = NEVER;
    })
    .await;
    (one, two)
}

pub async fn changes_arrive(one: &TestGateway, two: &TestGateway) {
    let key = one.new_key(|_| ()).await;
    let call = with_key(private(two, "alice"), &key);
    call.clone().send().await.is_relayed(200);
    one.inner.revoke_key(id_of(&key), "test").await.unwrap().unwrap();
    eventually_status(&call, 401).await.is_own(401, "unknown_key");

    let call = private(two, "alice");
    call.clone().send().await.is_relayed(200);
    let alice = countersign::model::AccountRef::Id(one.id("alice"));
    one.inner.remove_account(Some("demo"), &alice, "test").await.unwrap();
    eventually_status(&call, 404).await.is_own(404, "account_not_found");

    one.connect(&["alice"]).await;
    eventually_status(&call, 200).await.is_relayed(200);
    call.header("countersign-account", "@alice").send().await.is_relayed(200);
}

/// Writes a change of a key into the feed without notifying anybody.
async fn remove_in_silence(database: &Database, key: &str) {
    let id = id_of(key);
    let change = "insert into change (change_id, kind, app, subject, changed_at)
         select latest, 'key', null,";
    let at = match database.kind {
        Kind::Sqlite => "'2026-03-10 21:15:30+00:00'",
        Kind::Postgres => "timestamptz '2026-03-10 21:15:30+00:00'",
    };
    database
        .run(&format!(
            "begin; delete from key where key_id = '{id}';
             update change_counter set latest = latest + 1;
             {change} '{id}', {at} from change_counter; commit"
        ))
        .await;
}

async fn another_replicas_changes_are_obeyed(database: Database) {
    let (one, two) = pair(&database, Duration::from_millis(50)).await;
    changes_arrive(&one, &two).await;
    changes_arrive(&two, &one).await;
}

async fn a_change_that_nobody_was_told_of_is_found(database: Database) {
    let (one, two) = pair(&database, Duration::from_millis(50)).await;
    let key = one.new_key(|_| ()).await;
    two.inner.catch_up_once().await.unwrap();
    let call = with_key(public(&two), &key);
    call.clone().send().await.is_relayed(200);
    remove_in_silence(&database, &key).await;
    eventually_status(&call, 401).await.is_own(401, "unknown_key");
}

async fn changes_that_are_no_longer_kept_are_obeyed(database: Database) {
    let (one, two) = pair(&database, Duration::from_millis(50)).await;
    let key = one.new_key(|_| ()).await;
    two.inner.catch_up_once().await.unwrap();
    let call = with_key(private(&two, "alice"), &key);
    call.clone().send().await.is_relayed(200);
    let id = id_of(&key);
    database
        .run(&format!(
            "begin; delete from key where key_id = '{id}'; delete from change;
                 update change_counter set latest = latest + 5; commit"
        ))
        .await;
    eventually_status(&call, 401).await.is_own(401, "unknown_key");
}

async fn a_feed_that_went_back_is_read_from_the_start(database: Database) {
    let (one, two) = pair(&database, Duration::from_millis(50)).await;
    let key = one.new_key(|_| ()).await;
    two.inner.catch_up_once().await.unwrap();
    let call = with_key(private(&two, "alice"), &key);
    call.clone().send().await.is_relayed(200);
    let id = id_of(&key);
    // As after the database was restored from a backup.
    database
        .run(&format!(
            "delete from key where key_id = '{id}'; update change_counter set latest = 1"
        ))
        .await;
    eventually_status(&call, 401).await.is_own(401, "unknown_key");
}

async fn a_mark_made_by_one_replica_holds_on_the_other(database: Database) {
    let (one, two) = pair(&database, Duration::from_millis(50)).await;
    private(&two, "alice").send().await.is_relayed(200);
    crate::trouble::user_becomes(&one, "alice", "revoked").await;
    private(&one, "alice").send().await.is_relayed(401);
    // X says nothing about it to the second replica, which can know of it from the first one alone.
    crate::trouble::user_becomes(&one, "alice", "active").await;
    // No call before that, since a successful call heals the account.
    two.inner.catch_up_once().await.unwrap();
    private(&two, "alice").send().await.is_own(409, "account_not_active");
}

on_both!(
    another_replicas_changes_are_obeyed,
    a_change_that_nobody_was_told_of_is_found,
    changes_that_are_no_longer_kept_are_obeyed,
    a_feed_that_went_back_is_read_from_the_start,
    a_mark_made_by_one_replica_holds_on_the_other
);

#[tokio::test]
async fn word_from_postgres_suffices() {
    let database = fresh(Kind::Postgres).await;
    let (one, two) = pair(&database, NEVER).await;
    // The listener is ready once the first poll of the feed is over.
    let listeners = "select 1 / (count(*) / 2) from pg_stat_activity
         where datname = current_database() and query like 'LISTEN%'";
    eventually_true(&database, listeners).await;
    changes_arrive(&one, &two).await;
}

#[tokio::test]
pub async fn changes_arrive_though_the_listening_connection_was_lost() {
    let database = fresh(Kind::Postgres).await;
    let (one, two) = pair(&database, Duration::from_millis(50)).await;
    let listeners = "select 1 / (count(*) / 2) from pg_stat_activity
         where datname = current_database() and query like 'LISTEN%'";
    eventually_true(&database, listeners).await;
    for _ in 0..2 {
        database
            .run(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = current_database() and query like 'LISTEN%'",
            )
            .await;
        changes_arrive(&one, &two).await;
        eventually_true(&database, listeners).await;
    }
}

/// Repeats a statement until it succeeds.
async fn eventually_true(database: &Database, sql: &str) {
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(&database.url).await.unwrap();
    let waiting = async {
        loop {
            let sql = sqlx::AssertSqlSafe(sql.to_owned());
            if sqlx::raw_sql(sql).execute(&mut connection).await.is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never true: {sql}"));
}
