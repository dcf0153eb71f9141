//! Callers who ask the same at the same time share one call to X.

use std::time::Duration;

use countersign::config::Config;
use countersign::model::Endpoint;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};
use crate::relay::{private, public};
use crate::upstream::body;

const TOTALS: Endpoint = Endpoint::Totals;
/// The longest wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Has the sandbox keep the next answer back until it is released.
async fn hold(gateway: &TestGateway) {
    gateway.order(json!([{ "kind": "hold", "path": "/insights/", "times": 1 }])).await;
}

async fn release(gateway: &TestGateway) {
    gateway.order(json!([])).await;
}

fn begin(ask: &Ask) -> JoinHandle<Answer> {
    let ask = ask.clone();
    tokio::spawn(async move { ask.send().await })
}

/// Returns once so many callers wait for X.
async fn until_waiting(gateway: &TestGateway, callers: usize) {
    let waits = async {
        while gateway.inner.count_waiting_callers() != callers {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("callers wait");
}

/// Begins that many equal requests, of which the first is held by the sandbox.
async fn crowd(gateway: &TestGateway, ask: &Ask, size: usize) -> Vec<JoinHandle<Answer>> {
    // What changes accounts meanwhile would keep callers from joining.
    gateway.inner.catch_up_once().await.unwrap();
    hold(gateway).await;
    let mut crowd = Vec::new();
    for number in 1..=size {
        crowd.push(begin(ask));
        until_waiting(gateway, number).await;
        until_fired(gateway, &[1]).await;
    }
    crowd
}

/// Returns once each fault has struck so often.
async fn until_fired(gateway: &TestGateway, times: &[u64]) {
    let strikes = async { while gateway.fired().await != times {} };
    tokio::time::timeout(PATIENCE, strikes).await.expect("the call reaches X");
}

async fn arrived(gateway: &TestGateway) -> usize {
    gateway.arrived("/insights/").await.len()
}

async fn usage(gateway: &TestGateway, admin: &str, query: &str) -> Value {
    let ask = gateway.admin(admin, "GET", &format!("/admin/v1/usage{query}"));
    ask.send().await.json()["sums"].clone()
}

async fn equal_calls_at_once_are_one_call(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let (admin, other) = (gateway.new_admin_key().await, gateway.new_key(|_| ()).await);
    let ask = gateway.call(TOTALS, &public(&gateway));
    let mut crowd = crowd(&gateway, &ask, 3).await;
    let other = format!("Bearer {other}");
    crowd.push(begin(&ask.clone().header("authorization", &other).header("x-request-id", "mine")));
    until_waiting(&gateway, 4).await;
    release(&gateway).await;
    let mut answers = Vec::new();
    for call in crowd {
        answers.push(call.await.unwrap());
    }
    for answer in &answers {
        answer.is_relayed(200);
        assert_eq!(answer.json(), answers[0].json());
        assert_eq!(answer.header("countersign-auth"), "app-only");
        assert_eq!(
            answer.header("x-per-minute-remaining"),
            answers[0].header("x-per-minute-remaining")
        );
    }
    assert_eq!(answers[3].header("x-request-id"), "mine");
    assert_eq!(arrived(&gateway).await, 1);

    // Each has its own line among the recent calls; one of them says that a request was sent.
    let calls = gateway.admin(&admin, "GET", "/admin/v1/calls").send().await.json();
    let attempts = calls["calls"].as_array().unwrap().iter().map(|call| call["attempts"].as_u64());
    let mut attempts: Vec<u64> = attempts.map(Option::unwrap).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [0, 0, 0, 1], "{calls}");
    gateway.inner.settle_usage().await;
    let sums = usage(&gateway, &admin, "?by=key").await;
    let of = |name: &str| -> Vec<u64> {
        let mut sums: Vec<u64> =
            sums.as_array().unwrap().iter().map(|sum| sum[name].as_u64().unwrap()).collect();
        sums.sort_unstable();
        sums
    };
    assert_eq!((of("calls"), of("saved"), of("posts")), (vec![0, 1], vec![1, 2], vec![0, 2]));

    // Whoever comes later makes a call.
    ask.send().await.is_relayed(200);
    assert_eq!(arrived(&gateway).await, 2);
    let metrics = gateway.admin("", "GET", "/metrics").send().await.text();
    assert!(metrics.contains("countersign_calls_saved_total{app=\"demo\",how=\"in_flight\"}"));
}

async fn whoever_made_the_call_may_leave_and_it_goes_on(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let ask = gateway.call_as("alice", TOTALS, &private(&gateway, "alice"));
    let mut crowd = crowd(&gateway, &ask, 3).await;
    crowd.remove(0).abort();
    until_waiting(&gateway, 2).await;
    crowd.remove(0).abort();
    until_waiting(&gateway, 1).await;
    release(&gateway).await;
    crowd.remove(0).await.unwrap().is_relayed(200);
    assert_eq!(arrived(&gateway).await, 1);
}

async fn a_call_that_nobody_waits_for_any_more_is_not_joined(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let ask = gateway.call(TOTALS, &public(&gateway));
    for call in crowd(&gateway, &ask, 2).await {
        call.abort();
    }
    until_waiting(&gateway, 0).await;
    ask.send().await.is_relayed(200);
    assert_eq!(arrived(&gateway).await, 2);
}

on_both!(
    equal_calls_at_once_are_one_call,
    whoever_made_the_call_may_leave_and_it_goes_on,
    a_call_that_nobody_waits_for_any_more_is_not_joined
);

#[tokio::test]
async fn only_equal_calls_are_shared() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let ids = gateway.sandbox.ids("alice", 2);
    let of = |ids: &[String], types: &[&str]| body(ids, types, &["tweet.id", "engagement.type"]);
    let shared = gateway.call(TOTALS, &of(&ids, &["favorites"]));
    let crowd = crowd(&gateway, &shared, 1).await;
    let others = [
        shared.clone().header("cache-control", "no-cache"),
        shared.clone().header("countersign-auth", "user").header("countersign-account", "@alice"),
        gateway.call(TOTALS, &of(&ids[..1], &["favorites"])),
        gateway.call(TOTALS, &of(&ids, &["retweets"])),
        gateway.call_as("alice", Endpoint::TwentyEightHours, &of(&ids, &["favorites"])),
    ];
    for other in others {
        other.send().await.is_relayed(200);
    }
    assert_eq!(arrived(&gateway).await, 6);
    release(&gateway).await;
    for call in crowd {
        call.await.unwrap().is_relayed(200);
    }
}

#[tokio::test]
async fn nobody_gets_an_answer_of_an_account_that_the_key_may_not_use() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let bob = gateway.id("bob");
    let stranger = gateway.new_key(|key| key.scopes.accounts = Some(vec![bob])).await;
    let ask = gateway.call_as("alice", TOTALS, &private(&gateway, "alice"));
    let crowd = crowd(&gateway, &ask, 1).await;
    let refused = ask.header("authorization", &format!("Bearer {stranger}")).send().await;
    refused.is_own(404, "account_not_found");
    release(&gateway).await;
    for call in crowd {
        call.await.unwrap().is_relayed(200);
    }
}

#[tokio::test]
async fn a_failure_of_x_is_shared_too() {
    let database = fresh(Kind::Sqlite).await;
    let gateway =
        TestGateway::start_with(&database, |config| config.limits.retry_floor = 0.0).await;
    let faults = json!([
        { "kind": "hold", "path": "/insights/", "times": 1 },
        { "kind": "cut_body", "path": "/insights/", "times": 1 },
    ]);
    gateway.order(faults).await;
    let ask = gateway.call(TOTALS, &public(&gateway));
    let mut crowd = vec![begin(&ask)];
    until_fired(&gateway, &[1, 1]).await;
    crowd.push(begin(&ask));
    until_waiting(&gateway, 2).await;
    release(&gateway).await;
    for call in crowd {
        call.await.unwrap().is_own(502, "upstream_cut_short");
    }
    assert_eq!(arrived(&gateway).await, 1);
}

#[tokio::test]
async fn each_keeps_its_own_deadline() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let ids = gateway.sandbox.ids("alice", 2);
    let question = json!({ "tweet_ids": ids, "engagement_types": ["favorites"] });
    let ask = gateway.ask("POST", "/v1/engagement").header("content-type", "application/json");
    let ask = ask.body(question.to_string());
    let crowd = crowd(&gateway, &ask, 1).await;
    let hasty = ask.clone().header("countersign-deadline", "100ms").send().await;
    hasty.is_own(504, "nothing_answered");
    release(&gateway).await;
    for call in crowd {
        assert_eq!(call.await.unwrap().status, 200);
    }
    assert_eq!(arrived(&gateway).await, 1);
}

#[tokio::test]
async fn a_call_goes_on_for_those_who_still_wait_for_their_turn() {
    let database = fresh(Kind::Sqlite).await;
    let change = |config: &mut Config| config.limits.question_calls = 1;
    let gateway = TestGateway::start_with(&database, change).await;
    let ids = gateway.sandbox.ids("alice", 2);
    let of = |types: &[&str]| {
        let question = json!({ "tweet_ids": ids, "engagement_types": types });
        let ask = gateway.ask("POST", "/v1/engagement").header("content-type", "application/json");
        ask.body(question.to_string())
    };
    let first = crowd(&gateway, &of(&["retweets"]), 1).await;
    let gone = begin(&of(&["favorites"]));
    until_waiting(&gateway, 2).await;
    let stays = begin(&of(&["favorites"]));
    until_waiting(&gateway, 3).await;
    // The first ends, and the next call is held while it has the only turn.
    hold(&gateway).await;
    until_fired(&gateway, &[1]).await;
    gone.abort();
    until_waiting(&gateway, 1).await;
    release(&gateway).await;
    assert_eq!(stays.await.unwrap().status, 200);
    assert_eq!(arrived(&gateway).await, 2);
    for call in first {
        assert_eq!(call.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn fifty_equal_questions_at_once_take_the_calls_of_one() {
    let database = fresh(Kind::Sqlite).await;
    let change = |config: &mut Config| config.limits.key_questions = 50;
    let gateway = TestGateway::start_with(&database, change).await;
    let [alice, bob] = ["alice", "bob"].map(|name| gateway.id(name).to_string());
    let ids = [gateway.sandbox.old_ids("alice", 2), gateway.sandbox.old_ids("bob", 2)].concat();
    let owners = json!({ &ids[0]: alice, &ids[1]: alice, &ids[2]: bob, &ids[3]: bob });
    let question = json!({
        "tweet_ids": ids,
        "engagement_types": ["favorites"],
        "window": { "start": "2026-02-01", "end": "2026-02-08" },
        "owners": owners,
    });
    let ask = gateway.ask("POST", "/v1/engagement").header("content-type", "application/json");
    let ask = ask.body(question.to_string());
    gateway.inner.catch_up_once().await.unwrap();
    let alone = ask.clone().send().await.json();
    assert_eq!(arrived(&gateway).await, 2);
    gateway.order(json!([{ "kind": "hold", "path": "/insights/", "times": 2 }])).await;
    let crowd: Vec<_> = (0..50).map(|_| begin(&ask)).collect();
    until_waiting(&gateway, 100).await;
    release(&gateway).await;
    for call in crowd {
        let answer = call.await.unwrap().json();
        assert_eq!(answer["by_tweet"], alone["by_tweet"]);
        for call in answer["countersign"]["calls"].as_array().unwrap() {
            let is_saved = call["saved"] == "in_flight";
            assert_eq!((call["status"].as_u64(), call["attempts"] == 0), (Some(200), is_saved));
        }
    }
    assert_eq!(arrived(&gateway).await, 4);
}
