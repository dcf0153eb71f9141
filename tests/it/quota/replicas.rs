//! One quota for several replicas, which share it by leases.

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::quota::{begin, call, limited, until_waiting};
use countersign::config::Config;

async fn share(gateway: &TestGateway) {
    gateway.inner.renew_leases().await.unwrap();
}

/// Two replicas in front of one sandbox with this quota.
async fn two(database: &Database, per_minute: u32) -> [TestGateway; 2] {
    let change = |config: &mut Config| config.limits.request_deadline *= 2;
    let one = limited(database, per_minute, change).await;
    let other = TestGateway::build(one.sandbox.again(), &database.settings(), change).await;
    for (gateway, name) in [(&one, "one"), (&other, "other")] {
        gateway.inner.register_replica(name).await.unwrap();
    }
    one.inner.register_replica("one").await.unwrap();
    [one, other]
}

async fn what_one_replica_has_learnt_of_the_quota_the_other_knows(database: Database) {
    let [one, other] = two(&database, 10).await;
    assert_eq!(call(&one, 9).await, [200; 9]);
    for gateway in [&one, &other, &one, &other] {
        share(gateway).await;
    }
    let known = other.inner.list_quotas().remove(0).level;
    assert_eq!((known.limit, known.left), (Some(10.0), 1.0));
    // X has not answered it yet, and still no call is wasted.
    let begun: Vec<_> = (0..2).map(|_| begin(&other)).collect();
    until_waiting(&other, 1).await;
    for gateway in [&other, &one, &other, &one, &other] {
        share(gateway).await;
    }
    let mut statuses = Vec::new();
    for call in begun {
        statuses.push(call.await.unwrap().status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429]);
    let calls = one.arrived("/insights/").await;
    assert!(calls.len() == 10 && calls.iter().all(|call| call["status"] == 200), "{calls:?}");
}

async fn a_quota_moves_to_where_calls_wait(database: Database) {
    let [one, other] = two(&database, 10).await;
    call(&one, 1).await;
    call(&other, 1).await;
    let shares = async || {
        for gateway in [&one, &other, &one, &other] {
            share(gateway).await;
        }
        [&one, &other].map(|gateway| {
            let quotas = gateway.inner.list_quotas();
            quotas.into_iter().find(|quota| quota.pool == "app-only totals").unwrap().level.share
        })
    };
    let [first, second] = shares().await;
    assert!(first + second <= 1.0 && first > 0.2 && second > 0.2, "{first} {second}");
    // The other one's callers want more than there is.
    call(&other, 12).await;
    let [first, second] = shares().await;
    assert!(first + second <= 1.0 && second > first * 2.0, "{first} {second}");
}

on_both!(
    what_one_replica_has_learnt_of_the_quota_the_other_knows,
    a_quota_moves_to_where_calls_wait
);
