//! Leases of quotas and of limited keys.

use std::time::Duration;

use countersign::model::quota::{Demand, KeyLease, Lease, Reported};
use countersign::store::{LeaseLives, Leases, Store};

use crate::database::{Database, on_both};
use crate::store::replicas::replica;

const LIVES: LeaseLives =
    LeaseLives { quotas: Duration::from_secs(3), keys: Duration::from_mins(1) };

fn leases(share: f64) -> Leases {
    let demand = vec![
        Demand {
            key: "k1".into(),
            weight: 2.0,
            calls: 7,
            for_pages: 3,
            held: 2,
            pace: 1.5,
            evidence: 0.25,
            used: 9,
            waiting: 4,
        },
        Demand {
            key: "k2".into(),
            weight: 1.0,
            calls: 0,
            for_pages: 0,
            held: 0,
            pace: 0.001,
            evidence: 1.0,
            used: 0,
            waiting: 0,
        },
    ];
    let reported =
        Some(Reported { limit: Some(600), remaining: Some(0), reset: Some(1_773_177_360) });
    let lease = Lease { share, demand, reported, made: 12, in_flight: 3 };
    let bare = Lease { share: 0.5, ..Lease::default() };
    let pool = |name: &str| ("main".to_owned(), name.to_owned());
    Leases {
        quotas: vec![(pool("app-only totals"), lease), (pool("user-context 28hr"), bare)],
        keys: vec![("k1".to_owned(), KeyLease { made: 5, most: 20, wanted: 9 })],
    }
}

async fn of_others(store: &Store, replica: &str) -> Leases {
    store.list_leases_of_others(replica, LIVES).await.unwrap()
}

async fn what_a_replica_writes_down_others_read(database: Database) {
    let store = database.store().await;
    for id in ["a", "b"] {
        store.record_heartbeat(&replica(id, &["k0000001"])).await.unwrap();
    }
    let (own, others) = store.renew_leases("a", LIVES, |_| leases(0.75)).await.unwrap();
    assert_eq!((own, others), (leases(0.75), Leases::default()));
    assert_eq!(of_others(&store, "a").await, Leases::default(), "its own are not among them");
    assert_eq!(of_others(&store, "b").await, leases(0.75));
    let (_, others) = store.renew_leases("b", LIVES, |_| leases(0.25)).await.unwrap();
    assert_eq!(others, leases(0.75));
    // Renewed, not added.
    store.renew_leases("a", LIVES, |_| leases(0.5)).await.unwrap();
    assert_eq!(of_others(&store, "b").await, leases(0.5));
}

async fn a_lease_ends_when_it_is_not_renewed_or_its_replica_is_gone(database: Database) {
    let store = database.store().await;
    for id in ["a", "b"] {
        store.record_heartbeat(&replica(id, &["k0000001"])).await.unwrap();
        store.renew_leases(id, LIVES, |_| leases(0.5)).await.unwrap();
    }
    database.run("update quota_lease set renewed_at = renewed_at - 5 where replica_id = 'a'").await;
    let left = of_others(&store, "b").await;
    assert_eq!((left.quotas.len(), left.keys.len()), (0, 1), "what keys have asked counts longer");
    database.run("update key_lease set renewed_at = renewed_at - 5 where replica_id = 'a'").await;
    let left = of_others(&store, "b").await.keys[0].1;
    assert_eq!(left, KeyLease { made: 5, most: 5, wanted: 9 }, "whoever is gone takes no more");
    store.prune_leases(LIVES).await.unwrap();
    let longer = LeaseLives { quotas: Duration::from_hours(1), keys: Duration::from_hours(1) };
    let all = store.list_leases_of_others("", longer).await.unwrap();
    assert_eq!((all.quotas.len(), all.keys.len()), (2, 2));
    store.remove_replica("b").await.unwrap();
    let all = store.list_leases_of_others("", longer).await.unwrap();
    assert_eq!((all.quotas.len(), all.keys.len()), (0, 2));
}

async fn replicas_that_renew_at_once_never_take_more_than_there_is(database: Database) {
    let store = database.store().await;
    let names: Vec<String> = (0..8).map(|number| format!("r{number}")).collect();
    for name in &names {
        store.record_heartbeat(&replica(name, &["k0000001"])).await.unwrap();
    }
    // Each takes up to a half of what the others leave.
    let take = |others: &Leases| {
        let taken: f64 = others.quotas.iter().map(|(_, lease)| lease.share).sum();
        let lease = Lease { share: ((1.0 - taken) / 2.0).max(0.0), ..Lease::default() };
        Leases { quotas: vec![(("main".to_owned(), "all".to_owned()), lease)], ..Leases::default() }
    };
    let renewals = names.iter().map(|name| {
        let (store, name) = (store.clone(), name.clone());
        tokio::spawn(async move { store.renew_leases(&name, LIVES, take).await.unwrap().0 })
    });
    let mut shares = Vec::new();
    for renewal in renewals.collect::<Vec<_>>() {
        shares.push(renewal.await.unwrap().quotas[0].1.share);
    }
    let sum: f64 = shares.iter().sum();
    assert!((sum - (1.0 - 0.5_f64.powi(8))).abs() < 1e-4, "{shares:?}");
}

on_both!(
    what_a_replica_writes_down_others_read,
    a_lease_ends_when_it_is_not_renewed_or_its_replica_is_gone,
    replicas_that_renew_at_once_never_take_more_than_there_is
);
