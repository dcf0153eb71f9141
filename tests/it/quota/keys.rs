//! Limits of single keys: their part of X's quota, requests per minute and requests at once.

use countersign::gateway::NewKey;
use serde_json::{Value, json};

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::quota::{PATIENCE, TOTALS, public};
use crate::upstream::TestSandbox;

async fn call_with(gateway: &TestGateway, key: &str) -> Answer {
    let ask = gateway.call(TOTALS, &public(gateway));
    ask.header("authorization", &format!("Bearer {key}")).send().await
}

async fn statuses(gateway: &TestGateway, key: &str, calls: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..calls {
        statuses.push(call_with(gateway, key).await.status.as_u16());
    }
    statuses
}

async fn key_with(gateway: &TestGateway, change: impl FnOnce(&mut NewKey)) -> String {
    gateway.new_key(change).await
}

#[tokio::test]
async fn a_key_makes_as_many_requests_per_minute_as_it_may() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let key = key_with(&gateway, |key| key.limits.per_minute = Some(3)).await;
    assert_eq!(statuses(&gateway, &key, 3).await, [200, 200, 200]);
    let refused = call_with(&gateway, &key).await;
    refused.is_own(429, "key_limit");
    assert_eq!(refused.header("retry-after"), "61");
    assert!(refused.text().contains("3 requests per minute"), "{}", refused.text());
    // Plans and questions count as well, whether or not they can be answered.
    let plan = gateway.ask("POST", "/v1/engagement/plan");
    let plan = plan.header("authorization", &format!("Bearer {key}"));
    let plan = plan.header("content-type", "application/json").body("{}").send().await;
    plan.is_own(429, "key_limit");
    assert_eq!(gateway.arrived("/insights/").await.len(), 3);
    // Other keys are not concerned.
    assert_eq!(statuses(&gateway, &gateway.key, 1).await, [200]);
    gateway.sandbox.clock.forward(time::Duration::seconds(30));
    assert_eq!(statuses(&gateway, &key, 1).await, [429]);
    gateway.sandbox.clock.forward(time::Duration::seconds(31));
    assert_eq!(statuses(&gateway, &key, 4).await, [200, 200, 200, 429]);
}

#[tokio::test]
async fn a_key_makes_as_many_requests_at_once_as_it_may() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let key = key_with(&gateway, |key| key.limits.at_once = Some(2)).await;
    gateway.order(json!([{ "kind": "hold", "path": "/insights/" }])).await;
    let held: Vec<_> = (0..2)
        .map(|_| {
            let ask = gateway.call(TOTALS, &public(&gateway));
            let ask = ask.header("authorization", &format!("Bearer {key}"));
            let ask = ask.header("cache-control", "no-cache");
            tokio::spawn(async move { ask.send().await })
        })
        .collect();
    let arrive = async { while gateway.arrived("/insights/").await.len() < 2 {} };
    tokio::time::timeout(PATIENCE, arrive).await.expect("both calls reach X");
    let refused = call_with(&gateway, &key).await;
    refused.is_own(429, "key_limit");
    assert_eq!(refused.header("retry-after"), "1");
    gateway.order(json!([])).await;
    for call in held {
        call.await.unwrap().is_relayed(200);
    }
    assert_eq!(statuses(&gateway, &key, 3).await, [200, 200, 200]);
}

async fn limits_change_while_a_key_lives(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let other = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
    let admin = gateway.new_admin_key().await;
    let key = key_with(&gateway, |key| "worker".clone_into(&mut key.name)).await;
    assert_eq!(statuses(&other, &key, 2).await, [200, 200]);
    let update = async |changes: Value| {
        let ask = gateway.admin(&admin, "PATCH", "/admin/v1/keys/worker");
        ask.header("content-type", "application/json").body(changes.to_string()).send().await
    };
    let changed = update(json!({ "per_minute": 2, "weight": 5 })).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let limits =
        |key: &Value| [&key["weight"], &key["per_minute"], &key["at_once"]].map(Value::clone);
    assert_eq!(limits(&changed.json()), [json!(5), json!(2), Value::Null]);
    other.inner.catch_up_once().await.unwrap();
    assert_eq!(statuses(&other, &key, 3).await, [200, 200, 429]);
    // What is left out stays; null removes.
    let changed = update(json!({ "at_once": 7 })).await.json();
    assert_eq!(limits(&changed), [json!(5), json!(2), json!(7)]);
    let changed = update(json!({ "per_minute": null })).await.json();
    assert_eq!(limits(&changed), [json!(5), Value::Null, json!(7)]);
    other.inner.catch_up_once().await.unwrap();
    assert_eq!(statuses(&other, &key, 1).await, [200]);

    let audit = gateway.admin(&admin, "GET", "/admin/v1/audit?action=key.updated").send().await;
    let lines = audit.json()["entries"].clone();
    assert_eq!(lines.as_array().unwrap().len(), 3, "{lines}");
    assert_eq!(lines[0]["detail"], "key \"worker\": weight 5, per minute any, at once 7");

    for (changes, pointer) in [
        (json!({ "weight": 0 }), "/weight"),
        (json!({ "weight": 1001 }), "/weight"),
        (json!({ "per_minute": 0 }), "/per_minute"),
        (json!({ "at_once": 0 }), "/at_once"),
    ] {
        let refused = update(changes).await;
        refused.is_own(400, "invalid_request");
        assert_eq!(refused.json()["problems"][0]["pointer"], pointer);
    }
    let own = gateway.admin(&admin, "PATCH", &format!("/admin/v1/keys/{admin}"));
    let own = own.header("content-type", "application/json").body("{\"weight\":2}").send().await;
    own.is_own(400, "invalid_request");
}

async fn limits_hold_over_all_replicas(database: Database) {
    let one = TestGateway::build(TestSandbox::start().await, &database.settings(), |_| ()).await;
    let other = TestGateway::build(one.sandbox.again(), &database.settings(), |_| ()).await;
    for (gateway, name) in [(&one, "one"), (&other, "other"), (&one, "one")] {
        gateway.inner.register_replica(name).await.unwrap();
    }
    let key = key_with(&one, |key| key.limits.per_minute = Some(60)).await;
    let mut answered = 0;
    for _ in 0..4 {
        for gateway in [&one, &other] {
            let answers = statuses(gateway, &key, 40).await;
            answered += answers.into_iter().filter(|status| *status == 200).count();
            gateway.inner.renew_leases().await.unwrap();
        }
    }
    // Both have asked for more than there is, and together got all of it.
    assert_eq!(answered, 60);
    one.sandbox.clock.forward(time::Duration::seconds(61));
    let mut answered = 0;
    for _ in 0..6 {
        for gateway in [&one, &other] {
            gateway.inner.renew_leases().await.unwrap();
            let answers = statuses(gateway, &key, 10).await;
            answered += answers.into_iter().filter(|status| *status == 200).count();
        }
    }
    assert!((54..=60).contains(&answered), "{answered}");
}

async fn a_restart_leaves_a_key_what_it_has_not_used(database: Database) {
    let one = TestGateway::build(TestSandbox::start().await, &database.settings(), |_| ()).await;
    one.inner.register_replica("one").await.unwrap();
    let key = key_with(&one, |key| key.limits.per_minute = Some(10)).await;
    assert_eq!(statuses(&one, &key, 2).await, [200, 200]);
    one.inner.renew_leases().await.unwrap();
    one.inner.deregister_replica().await;
    database.run("update key_lease set renewed_at = renewed_at - 4").await;
    let next = TestGateway::build(one.sandbox.again(), &database.settings(), |_| ()).await;
    next.inner.register_replica("next").await.unwrap();
    next.inner.renew_leases().await.unwrap();
    let mut answers = statuses(&next, &key, 1).await;
    next.inner.renew_leases().await.unwrap();
    answers.extend(statuses(&next, &key, 8).await);
    assert_eq!(answers, [[200; 8].as_slice(), &[429]].concat());
}

async fn limits_written_into_the_database_by_others_open_nothing(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = key_with(&gateway, |key| key.limits.per_minute = Some(1)).await;
    database.run("update key set per_minute = 1000000").await;
    call_with(&gateway, &key).await.is_own(401, "unknown_key");
}

on_both!(
    limits_change_while_a_key_lives,
    limits_hold_over_all_replicas,
    a_restart_leaves_a_key_what_it_has_not_used,
    limits_written_into_the_database_by_others_open_nothing
);
