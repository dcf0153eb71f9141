//! Questions under a quota: they go on with what has budget, and finish the rest when there is some.

use countersign::model::quota::Mode;
use serde_json::{Value, json};

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::quota::{PATIENCE, arrived, call, limited, until_waiting};

fn question(gateway: &TestGateway, ids: &[String], types: &[&str]) -> Ask {
    let wanted = json!({
        "tweet_ids": ids, "engagement_types": types,
        "groupings": { "by_tweet": { "group_by": ["tweet.id", "engagement.type"] } },
        "owners": owners(gateway, ids),
    });
    gateway
        .ask("POST", "/v1/engagement")
        .header("content-type", "application/json")
        .body(wanted.to_string())
}

fn owners(gateway: &TestGateway, ids: &[String]) -> Value {
    let mut owners = json!({});
    for name in ["alice", "bob", "carol"] {
        let user = gateway.sandbox.user(name);
        for id in ids.iter().filter(|id| user.posts.iter().any(|post| post.id == **id)) {
            owners[id] = json!(user.user_id);
        }
    }
    owners
}

#[tokio::test]
async fn a_question_goes_on_with_the_credentials_that_have_quota() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 2, |_| ()).await;
    // The app's own calls are used up; those as alice are not. Carol is not connected.
    call(&gateway, 2).await;
    let ids = [gateway.sandbox.ids("alice", 1), gateway.sandbox.ids("carol", 1)].concat();
    let ask = question(&gateway, &ids, &["favorites", "impressions"]);
    let answer = ask.header("countersign-deadline", "9s").send().await.json();
    assert!(answer["by_tweet"][&ids[0]]["impressions"].is_string(), "{answer}");
    let missing = answer["countersign"]["missing"].as_array().unwrap();
    let reasons: Vec<_> =
        missing.iter().map(|part| (&part["reason"], &part["engagement_types"])).collect();
    let of = |reason: &str, types: &[&str]| (json!(reason), json!(types));
    let expected = [of("not_connected", &["impressions"]), of("quota", &["favorites"])];
    let expected: Vec<_> = expected.iter().map(|(reason, types)| (reason, types)).collect();
    assert_eq!(reasons, expected, "{answer}");
    assert_eq!(arrived(&gateway).await, 3, "no call was wasted");
}

#[tokio::test]
async fn a_question_finishes_when_there_is_quota_again() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 2, |_| ()).await;
    call(&gateway, 2).await;
    gateway.sandbox.clock.forward(time::Duration::seconds(15));
    let ids = gateway.sandbox.ids("alice", 3);
    let ask = question(&gateway, &ids, &["favorites"]);
    let asked = tokio::spawn(async move { ask.send().await });
    // Beyond limits.quota_wait, within its deadline.
    until_waiting(&gateway, 1).await;
    gateway.sandbox.clock.forward(time::Duration::seconds(16));
    let answer = asked.await.unwrap().json();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
}

#[tokio::test]
async fn a_question_without_any_quota_is_refused_at_once_with_the_time_to_come_back() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 2, |_| ()).await;
    call(&gateway, 2).await;
    let ids = gateway.sandbox.ids("alice", 3);
    let ask = question(&gateway, &ids, &["favorites"]).header("countersign-deadline", "4s");
    let refused = ask.send().await;
    refused.is_own(429, "nothing_answered");
    assert_eq!(refused.header("retry-after"), "29");
    assert_eq!(arrived(&gateway).await, 2);
}

#[tokio::test]
async fn thirty_two_calls_under_a_quota_of_ten_are_answered_in_four_windows() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 10, |config| config.limits.question_calls = 8).await;
    gateway.sandbox.put("/sandbox/switches", json!({ "minute_s": 3 })).await;
    // The first call tells the quota, and that its window is short.
    call(&gateway, 1).await;
    let ids: Vec<String> = (1..=32 * 250)
        .map(|number: u64| (1_560_000_000_000_000_000 + number).to_string())
        .collect();
    let ask = question(&gateway, &ids, &["favorites"]);
    let asked = tokio::spawn(async move { ask.send().await });
    for calls in [10, 20, 30] {
        let arrives = async { while arrived(&gateway).await < calls {} };
        tokio::time::timeout(PATIENCE, arrives).await.expect("a window's calls are made");
        gateway.sandbox.clock.forward(time::Duration::milliseconds(3200));
    }
    asked.await.unwrap();
    let calls = gateway.arrived("/insights/").await;
    let refused = calls.iter().filter(|call| call["status"] == 429).count();
    assert_eq!((calls.len(), refused), (33, 0));
}

#[tokio::test]
async fn parts_that_x_refuses_wait_without_keeping_each_other_from_being_read() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 100, |config| config.limits.question_calls = 2).await;
    call(&gateway, 1).await;
    let reset = (gateway.sandbox.clock.now_s() + 2).to_string();
    let spent = json!({ "x-per-minute-remaining": "0", "x-per-minute-limit": "100", "x-per-minute-reset": reset });
    let fault = json!({ "kind": "status", "status": 429, "headers": spent, "path": "/insights/", "times": 2 });
    gateway.order(json!([{ "kind": "hold", "path": "/insights/", "times": 2 }, fault])).await;
    let ids: Vec<String> =
        (1..=2 * 250).map(|number: u64| (1_560_000_000_000_000_000 + number).to_string()).collect();
    let ask = question(&gateway, &ids, &["favorites"]);
    let asked = tokio::spawn(async move { ask.send().await });
    let strikes = async { while gateway.fired().await != [2, 2] {} };
    tokio::time::timeout(PATIENCE, strikes).await.expect("both parts are refused");
    gateway.order(json!([])).await;
    until_waiting(&gateway, 2).await;
    gateway.sandbox.clock.forward(time::Duration::seconds(3));
    asked.await.unwrap();
    assert_eq!(arrived(&gateway).await, 5);
}

#[tokio::test]
async fn an_observed_quota_changes_nothing_for_questions() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 2, |config| {
        config.apps.get_mut("demo").unwrap().quota.mode = Mode::Observe;
    })
    .await;
    call(&gateway, 2).await;
    let ids = gateway.sandbox.ids("alice", 3);
    let refused = question(&gateway, &ids, &["favorites"]).send().await;
    refused.is_own(429, "nothing_answered");
    assert_eq!(arrived(&gateway).await, 3);
}
