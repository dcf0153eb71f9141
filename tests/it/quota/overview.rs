//! What the overview says about X's quota: how much is used, by whom, and when there is more.

use countersign::config::Config;
use countersign::model::quota::Mode;
use serde_json::{Value, json};
use time::Duration;

use crate::console::Visitor;
use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::quota::{TOTALS, begin, call, limited, public, until_waiting};

/// The quotas in the overview.
async fn quotas(gateway: &TestGateway) -> Vec<Value> {
    let admin = gateway.new_admin_key().await;
    let answer = gateway.admin(&admin, "GET", "/admin/v1/overview").send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["quotas"].as_array().unwrap().clone()
}

/// The quota of public totals, which is the only one in use.
async fn quota(gateway: &TestGateway) -> Value {
    let [quota] = &quotas(gateway).await[..] else { panic!("{:?}", quotas(gateway).await) };
    quota.clone()
}

/// The overview's words, without its tags.
async fn page(gateway: &TestGateway) -> String {
    let page = Visitor::admin(gateway).await.open("/console/").await.text();
    page.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect()
}

/// Makes calls with a new key of that name; returns its id.
pub async fn call_as(gateway: &TestGateway, name: &str, calls: usize) -> String {
    let key = gateway.new_key(|key| name.clone_into(&mut key.name)).await;
    for _ in 0..calls {
        let ask = gateway.call(TOTALS, &public(gateway));
        ask.header("authorization", &format!("Bearer {key}")).send().await.is_relayed(200);
    }
    key[4..16].to_owned()
}

fn user(key: &str, name: &str, calls: u32, waiting: u32) -> Value {
    json!({ "key": key, "name": name, "calls": calls, "waiting": waiting })
}

async fn an_overview_says_who_uses_the_quota_and_when_there_is_more(database: Database) {
    let gateway = limited(&database, 10, |_| ()).await;
    assert_eq!(quotas(&gateway).await, [Value::Null; 0], "nothing is known yet");
    assert!(!page(&gateway).await.contains("X's quota"));
    let worker = call_as(&gateway, "worker", 6).await;
    call(&gateway, 3).await;
    let own = &gateway.key[4..16];
    let name = &*gateway.inner.get_key(own).await.unwrap().unwrap().name;
    let mut expected = json!({
        "app": "demo", "pool": "app-only totals", "mode": "enforce", "limit": 10, "used": 9,
        "ends_at": "2026-03-10T21:16:00Z", "free_at": null, "waiting": 0,
        "keys": [user(&worker, "worker", 6, 0), user(own, name, 3, 0)],
        "other_keys": { "keys": 0, "calls": 0, "waiting": 0 }, "other_calls": 0,
    });
    assert_eq!(quota(&gateway).await, expected);
    let text = page(&gateway).await;
    for part in ["9 of 10until 21:16:00 UTC", &format!("worker: 6{name}: 3"), "0now"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    assert_eq!(call(&gateway, 1).await, [200]);
    gateway.later(Duration::seconds(25)).await;
    let waits = begin(&gateway);
    until_waiting(&gateway, 1).await;
    expected["keys"][1] = user(own, name, 4, 1);
    for (field, value) in
        [("used", json!(10)), ("waiting", json!(1)), ("free_at", json!("2026-03-10T21:16:00Z"))]
    {
        expected[field] = value;
    }
    assert_eq!(quota(&gateway).await, expected);
    let text = page(&gateway).await;
    for part in ["10 of 10", &format!("{name}: 4, 1 waiting"), "121:16:00 UTC"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // Several keys have used the last window up, so that the calls of the next are spread over it.
    gateway.later(Duration::seconds(6)).await;
    let next = quota(&gateway).await;
    assert_eq!((&next["used"], &next["waiting"]), (&json!(0), &json!(1)), "{next}");
    assert_eq!(next["free_at"], "2026-03-10T21:16:07Z");
    gateway.later(Duration::seconds(7)).await;
    waits.await.unwrap().is_relayed(200);
    let next = quota(&gateway).await;
    assert_eq!(next["keys"], json!([user(own, name, 1, 0)]), "of the new window");
    assert_eq!((&next["used"], &next["waiting"]), (&json!(1), &json!(0)));
    assert_eq!(next["ends_at"], "2026-03-10T21:17:00Z");
    // A key that is gone still counts.
    database.run(&format!("delete from key where key_id = '{own}'")).await;
    assert_eq!(quota(&gateway).await["keys"][0]["name"], Value::Null);
}

async fn an_overview_counts_the_calls_of_all_replicas(database: Database) {
    let change = |config: &mut Config| config.limits.request_deadline *= 2;
    let one = limited(&database, 20, change).await;
    let other = TestGateway::build(one.sandbox.again(), &database.settings(), change).await;
    for (gateway, name) in [(&one, "one"), (&other, "other"), (&one, "one")] {
        gateway.inner.register_replica(name).await.unwrap();
    }
    let worker = call_as(&one, "worker", 5).await;
    call_as(&other, "nightly", 2).await;
    call(&other, 1).await;
    for gateway in [&one, &other, &one, &other] {
        gateway.inner.renew_leases().await.unwrap();
    }
    let calls = |quota: &Value| {
        let keys = quota["keys"].as_array().unwrap().clone();
        keys.into_iter().map(|key| key["calls"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    for gateway in [&one, &other] {
        let quota = quota(gateway).await;
        assert_eq!((&quota["used"], &quota["other_calls"]), (&json!(8), &json!(0)), "{quota}");
        assert_eq!(quota["keys"][0], user(&worker, "worker", 5, 0));
        assert_eq!(calls(&quota), [5, 2, 1]);
    }
    // What one of them has not yet said.
    call(&other, 2).await;
    assert_eq!(calls(&quota(&one).await), [5, 2, 1]);
    assert_eq!(calls(&quota(&other).await), [5, 3, 2]);
    // The window of which the leases speak is over.
    one.sandbox.clock.forward(Duration::seconds(40));
    assert_eq!(calls(&quota(&one).await), [0_u64; 0]);
}

async fn an_overview_names_ten_keys_and_counts_whatever_else_uses_the_quota(database: Database) {
    let gateway = limited(&database, 100, |config| {
        config.apps.get_mut("demo").unwrap().quota.mode = Mode::Observe;
    })
    .await;
    for number in 0..13 {
        call_as(&gateway, &format!("service {number}"), if number < 10 { 2 } else { 1 }).await;
    }
    // Somebody else's gateway, with the same credentials.
    let database = fresh(Kind::Sqlite).await;
    let foreign = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
    call(&foreign, 4).await;
    call_as(&gateway, "service 13", 1).await;
    let quota = quota(&gateway).await;
    let keys = quota["keys"].as_array().unwrap();
    assert!(keys.len() == 10 && keys.iter().all(|key| key["calls"] == 2), "{quota}");
    assert_eq!(quota["other_keys"], json!({ "keys": 4, "calls": 4, "waiting": 0 }));
    assert_eq!((&quota["used"], &quota["other_calls"]), (&json!(28), &json!(4)));
    let text = page(&gateway).await;
    for part in ["4 more keys: 4", "retries and others: 4", "only observed"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

on_both!(
    an_overview_says_who_uses_the_quota_and_when_there_is_more,
    an_overview_counts_the_calls_of_all_replicas,
    an_overview_names_ten_keys_and_counts_whatever_else_uses_the_quota
);
