//! Migrations.

use countersign::store::{Error, Schema, Store};
use tokio::task::JoinSet;

use crate::database::{Database, NOW, on_both};

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
    let newer = "insert into schema_version values (999, 'later', '2030-01-01T00:00:00Z')";
    database.run(newer).await;
    assert_eq!(store.schema().await.unwrap(), Schema { found: 999, known: 10 });
    for refused in [store.check_schema().await, store.migrate(NOW).await.map(drop)] {
        let expected = matches!(refused, Err(Error::SchemaTooNew { found: 999, known: 10 }));
        assert!(expected, "{refused:?}");
    }
}

on_both!(
    eight_replicas_that_start_at_once_migrate_once,
    an_empty_database_is_too_old,
    a_newer_schema_is_refused_and_left_alone
);
