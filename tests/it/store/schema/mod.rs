//! Migrations.

use countersign::model::call::Attempt;
use countersign::model::key::{Right, Role};
use countersign::model::quota::KeyLease;
use countersign::model::usage::Aspect;
use countersign::model::webhook::Subject;
use countersign::model::{Cause, Origin};
use countersign::store::{
    CallFilter, Change, Error, LeaseLives, Schema, Store, TokenCalls, UsageFilter,
};
use tokio::task::JoinSet;

use crate::database::{Database, Kind, NOW, on_both};
use crate::store::id;

/// What each version's program may have written, by version.
const ROWS: [(i64, &str); 7] = [
    (1, include_str!("0001.sql")),
    (2, include_str!("0002.sql")),
    (3, include_str!("0003.sql")),
    (4, include_str!("0004.sql")),
    (5, include_str!("0005.sql")),
    (6, include_str!("0006.sql")),
    (7, include_str!("0007.sql")),
];

async fn eight_replicas_that_start_at_once_migrate_once(database: Database) {
    let mut replicas = JoinSet::new();
    for _ in 0..8 {
        let settings = database.settings();
        replicas.spawn(async move {
            let store = Store::connect(&settings).await.unwrap();
            let applied = store.migrate(NOW).await.unwrap();
            store.check_schema().await.unwrap();
            applied
        });
    }
    let mut applied: Vec<i64> = replicas.join_all().await.into_iter().flatten().collect();
    applied.sort_unstable();
    let known = database.connect().await.schema().await.unwrap().known;
    assert!(applied.into_iter().eq(1..=known), "each version once");
}

async fn an_empty_database_is_too_old(database: Database) {
    let store = database.connect().await;
    assert_eq!(store.schema().await.unwrap().found, 0);
    let refused = store.check_schema().await;
    assert!(matches!(refused, Err(Error::SchemaTooOld { found: 0, .. })), "{refused:?}");
    store.migrate(NOW).await.unwrap();
    store.check_schema().await.unwrap();
    assert!(store.migrate(NOW).await.unwrap().is_empty(), "nothing is left to do");
}

async fn a_newer_schema_is_refused_and_left_alone(database: Database) {
    let store = database.store().await;
    let known = store.schema().await.unwrap().known;
    add_version(&database, 999, known + 1).await;
    let expected = Schema { found: 999, known, oldest_program: known + 1 };
    assert_eq!(store.schema().await.unwrap(), expected);
    for refused in [store.check_schema().await, store.migrate(NOW).await.map(drop)] {
        let is_refused = matches!(refused, Err(Error::SchemaTooNew { found: 999, .. }));
        assert!(is_refused, "{refused:?}");
    }
}

async fn a_newer_schema_that_admits_this_program_is_used_and_left_alone(database: Database) {
    let store = database.store().await;
    let known = store.schema().await.unwrap().known;
    add_version(&database, 999, known).await;
    store.check_schema().await.unwrap();
    assert!(store.migrate(NOW).await.unwrap().is_empty());
    assert!(store.pending_migrations().await.unwrap().is_empty());
    assert_eq!(store.schema().await.unwrap().found, 999);
}

async fn what_would_be_applied_is_listed_and_not_applied(database: Database) {
    let store = database.connect().await;
    let pending = store.pending_migrations().await.unwrap();
    let known = store.schema().await.unwrap().known;
    assert!(pending.iter().map(|migration| migration.version).eq(1..=known));
    assert!(pending[0].sql(&store).contains("create table account ("));
    assert_eq!(store.schema().await.unwrap().found, 0);
}

async fn a_development_versions_database_is_named_as_such(database: Database) {
    let store = database.connect().await;
    database.run("create table schema_version (version integer, name text, applied_at text)").await;
    for refused in [store.check_schema().await, store.migrate(NOW).await.map(drop)] {
        assert!(matches!(refused, Err(Error::SchemaOfDevelopment)), "{refused:?}");
    }
}

/// Rows written under each version are still there, and read, after all later migrations.
async fn rows_of_every_version_are_read_after_the_last(database: Database) {
    let store = database.connect().await;
    for migration in store.pending_migrations().await.unwrap() {
        store.migrate_to(migration.version, NOW).await.unwrap();
        let (_, rows) = ROWS
            .iter()
            .find(|(version, _)| *version == migration.version)
            .unwrap_or_else(|| panic!("version {} has no rows in ROWS", migration.version));
        let rows = match database.kind {
            Kind::Sqlite => (*rows).to_owned(),
            Kind::Postgres => rows.replace(" as blob)", " as bytea)"),
        };
        database.run(&rows).await;
    }
    store.check_schema().await.unwrap();
    let account = store.find_account("main", id(7)).await.unwrap().expect("an account");
    assert_eq!((&*account.account.screen_name, &*account.sealed_token), ("alice", &b"token"[..]));
    let key = store.find_key("k1").await.unwrap().expect("a key").key.unwrap();
    assert_eq!((key.role, key.scopes.rights), (Role::Caller, [Right::CreateLinks].into()));
    let auditor = store.find_key("k2").await.unwrap().expect("a key").key.unwrap();
    assert_eq!(auditor.role, Role::Auditor);
    let (from, until) = (492_336, 492_337);
    let filter = UsageFilter { from, until, limit: 5, ..UsageFilter::default() };
    assert_eq!(store.list_largest_usage(&filter, Aspect::App).await.unwrap()[0].1.calls, 3);
    let changes = store.list_changes(99).await.unwrap().changes;
    let of_two = Change::Accounts { app: "main".to_owned(), user_ids: vec![id(7), id(11)] };
    assert_eq!(changes.last(), Some(&of_two), "{changes:?}");
    let (now, most) = (NOW + time::Duration::days(365), 8);
    let claimed = store.claim_deliveries(most, now, now).await.unwrap();
    let subjects: Vec<_> = claimed.into_iter().map(|claimed| claimed.delivery.subject).collect();
    let alice = Subject::Account { user_id: id(7), screen_name: "alice".to_owned() };
    let clock = Subject::Gateway {
        cause: "clock_off".to_owned(),
        figures: vec![("seconds".to_owned(), 612)],
    };
    assert_eq!(subjects, [alice, Subject::Import { added: 3, replaced: 2 }, clock]);
    let calls = store.list_calls(&CallFilter { limit: 1, ..CallFilter::default() }).await.unwrap();
    let said = calls[0].said.as_ref().map(|said| (said.code, &*said.text, &*said.form));
    assert_eq!(said, Some((Some(89), "Invalid or expired token", "errors in JSON")));
    let attempt = |status, micros| Attempt { status, time: micros };
    let first = Some(std::time::Duration::from_micros(1200));
    assert_eq!(calls[0].tries, [attempt(Some(503), first), attempt(Some(401), None)]);
    assert_eq!((calls[0].endpoint, calls[0].cause), (None, Some(Cause::AccountRevoked)));
    let ended = store.list_ended_calls((29_552_955, 29_552_955)).await.unwrap();
    assert_eq!((ended[0].cause, ended[0].calls), (Some(Cause::AccountRevoked), 3));
    let second = std::time::Duration::from_secs(1);
    let lives = LeaseLives { quotas: second, keys: second };
    let leases = store.list_leases_of_others("r1", lives).await.unwrap();
    let (pool, lease) = &leases.quotas[0];
    assert_eq!((&*pool.0, &*pool.1, lease.made), ("main", "app-only totals", 12));
    assert_eq!(leases.keys[0].1, KeyLease { made: 5, most: 20, wanted: 9 });
    let charts = store.find_key("k4").await.unwrap().expect("a key").key.unwrap();
    let origins: Vec<_> = charts.scopes.origins.iter().map(Origin::as_str).collect();
    assert_eq!(origins, ["https://app.example.com", "http://localhost:8300"]);
    let withdrawn = store.list_withdrawals(5).await.unwrap();
    assert_eq!((&*withdrawn[0].subject, withdrawn[0].tokens_after), ("viewer-42", 1_773_177_330));
    let added = TokenCalls { token: "bt_1".to_owned(), ends_at: 0, calls: 2 };
    store.add_token_calls(&[added]).await.unwrap();
    let calls = store.list_token_calls(&["bt_1".into()]).await.unwrap();
    assert_eq!(calls, [("bt_1".to_owned(), 9)]);
    let subjects = store.list_subject_usage("k4", 20_522, 9).await.unwrap();
    assert_eq!(
        (&*subjects[0].subject, subjects[0].questions, subjects[0].calls),
        ("viewer-42", 3, 5)
    );
    for (id, role, rights) in
        [("k5", Role::Analyst, [].into()), ("k6", Role::Auditor, [Right::Explore].into())]
    {
        let key = store.find_key(id).await.unwrap().expect("a key").key.unwrap();
        assert_eq!((key.role, key.scopes.rights), (role, rights));
    }
    let seals = store.list_token_seals().await.unwrap();
    assert_eq!(seals, [("k0000001".to_owned(), 1_773_180_990)]);
}

async fn add_version(database: &Database, version: i64, oldest_program: i64) {
    let row = format!("{version}, 'later', {oldest_program}, '2030-01-01T00:00:00Z'");
    database.run(&format!("insert into schema_version values ({row})")).await;
}

on_both!(
    eight_replicas_that_start_at_once_migrate_once,
    an_empty_database_is_too_old,
    a_newer_schema_is_refused_and_left_alone,
    a_newer_schema_that_admits_this_program_is_used_and_left_alone,
    what_would_be_applied_is_listed_and_not_applied,
    a_development_versions_database_is_named_as_such,
    rows_of_every_version_are_read_after_the_last
);
