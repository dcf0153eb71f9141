//! The change feed: no change is lost, whatever is written at the same time.

use std::collections::HashSet;

use countersign::model::AccountState;
use countersign::store::{Change, PartEvents};
use time::Duration;
use tokio::task::JoinSet;

use crate::database::{Database, Kind, NOW, fresh, on_both};
use crate::store::{id, key, new_account};

async fn a_poller_sees_each_change_of_fifty_writers_once_and_in_order(database: Database) {
    const WRITERS: u64 = 50;
    const EACH: u64 = 4;
    let replicas = [database.store().await, database.connect().await];
    let reader = database.connect().await;
    let mut writers = JoinSet::new();
    for (writer, store) in (1..=WRITERS).zip(replicas.iter().cycle()) {
        let store = store.clone();
        writers.spawn(async move {
            for round in 0..EACH {
                let account = new_account("main", writer * 100 + round);
                store.put_accounts(&[account], PartEvents::Each, "cli", NOW).await.unwrap();
            }
        });
    }

    let (mut seen, mut after, mut done) = (Vec::new(), 0, false);
    while !done {
        // Checked before the poll: the poll after the last writer has ended sees everything.
        done = writers.is_empty();
        let changes = reader.list_changes(after).await.unwrap();
        assert!(changes.complete);
        assert_eq!(changes.latest - after, i64::try_from(changes.changes.len()).unwrap());
        after = changes.latest;
        seen.extend(changes.changes);
        while let Some(ended) = writers.try_join_next() {
            ended.unwrap();
        }
        tokio::task::yield_now().await;
    }
    let distinct: HashSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (200, 200));
    for writer in 1..=WRITERS {
        let of_writer = |change: &Change| match change {
            Change::Accounts { user_ids, .. } => {
                let number: u64 = user_ids[0].to_string().parse().unwrap();
                (number / 100 == writer).then_some(number % 100)
            }
            _ => None,
        };
        assert!(seen.iter().filter_map(of_writer).eq(0..EACH), "in the order written");
    }
}

async fn each_kind_of_change_reads_back(database: Database) {
    let store = database.store().await;
    assert_eq!(store.latest_change().await.unwrap(), 0);
    let accounts = [new_account("main", 2), new_account("main", 1)];
    store.put_accounts(&accounts, PartEvents::Each, "cli", NOW).await.unwrap();
    store.insert_key(&key("abc", "reports"), b"verifier", "cli", NOW).await.unwrap();
    store.replace_bearer("main", None, b"token", NOW).await.unwrap();
    store.touch_key("abc", NOW).await.unwrap();
    store.insert_authors(&[(7, id(1))].into()).await.unwrap();
    store.remove_authors(&[(7, id(1))], NOW).await.unwrap();

    let main = || "main".to_owned();
    let expected = [
        Change::Accounts { app: main(), user_ids: vec![id(1), id(2)] },
        Change::Key { id: "abc".to_owned() },
        Change::Bearer { app: main() },
        Change::Author { post: 7 },
    ];
    let all = store.list_changes(0).await.unwrap();
    assert_eq!((all.latest, all.complete, &*all.changes), (4, true, &expected[..]));
    let some = store.list_changes(2).await.unwrap();
    assert_eq!((some.latest, some.complete, &*some.changes), (4, true, &expected[2..]));
    let none = store.list_changes(4).await.unwrap();
    assert_eq!((none.latest, none.complete, none.changes.len()), (4, true, 0));
}

async fn whoever_asks_for_pruned_changes_is_told(database: Database) {
    let store = database.store().await;
    for hour in 0..4 {
        let account = new_account("main", 7);
        store
            .put_accounts(&[account], PartEvents::Each, "cli", NOW + Duration::hours(hour))
            .await
            .unwrap();
    }
    assert_eq!(store.prune_changes(NOW + Duration::hours(2)).await.unwrap(), 2);
    for (after, complete) in [(0, false), (1, false), (2, true), (4, true)] {
        let changes = store.list_changes(after).await.unwrap();
        assert_eq!((changes.latest, changes.complete), (4, complete), "after {after}");
    }
    assert!(!store.list_changes(9).await.unwrap().complete, "of another database");
    assert_eq!(store.prune_changes(NOW + Duration::hours(9)).await.unwrap(), 2);
    assert!(store.list_changes(4).await.unwrap().complete);
    assert_eq!(store.latest_change().await.unwrap(), 4);
}

async fn too_many_missed_changes_are_told_as_incomplete(database: Database) {
    let store = database.store().await;
    // Those of an app are one change.
    let accounts: Vec<_> =
        (1..=1001).map(|number| new_account(&format!("app{number}"), 7)).collect();
    store.put_accounts(&accounts, PartEvents::Each, "cli", NOW).await.unwrap();
    let changes = store.list_changes(0).await.unwrap();
    assert_eq!((changes.latest, changes.complete, changes.changes.len()), (1001, false, 0));
    assert_eq!(store.list_changes(1).await.unwrap().changes.len(), 1000);
}

on_both!(
    a_poller_sees_each_change_of_fifty_writers_once_and_in_order,
    each_kind_of_change_reads_back,
    whoever_asks_for_pruned_changes_is_told,
    too_many_missed_changes_are_told_as_incomplete
);

#[tokio::test]
async fn a_listener_on_postgres_wakes_at_a_change() {
    let database = fresh(Kind::Postgres).await;
    let store = database.store().await;
    let mut wake = database.connect().await.listen().await.unwrap().unwrap();
    store.put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW).await.unwrap();
    wake.wait().await.unwrap();

    let woken = tokio::spawn(async move { wake.wait().await });
    let revoked = AccountState::Revoked;
    let stored = store.find_account("main", id(7)).await.unwrap().unwrap();
    store.update_account_state(&stored, revoked, "code 89", "gateway", NOW).await.unwrap();
    woken.await.unwrap().unwrap();
}

#[tokio::test]
async fn nothing_listens_on_sqlite() {
    let database = fresh(Kind::Sqlite).await;
    assert!(database.store().await.listen().await.unwrap().is_none());
}
