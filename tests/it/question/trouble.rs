//! Partial failures: what is available is returned, and the rest is named with its reason.

use countersign::model::{Clock, Endpoint};
use countersign::sandbox::Settings;
use serde_json::json;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::question::{
    PATH, PLAN, ask, ask_with, missing, question, start_gateway, start_observing,
};
use crate::trouble::user_becomes;
use crate::upstream::{TestSandbox, small};

async fn an_account_that_was_revoked_takes_nobody_elses_numbers_away(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = [gateway.sandbox.ids("alice", 2), gateway.sandbox.ids("bob", 2)].concat();
    let mut wanted = question(&ids, &["impressions"]);
    let owner = |name: &str| json!(gateway.id(name).to_string());
    wanted["owners"] = json!({
        &ids[0]: owner("alice"),
        &ids[1]: owner("alice"),
        &ids[2]: owner("bob"),
        &ids[3]: owner("bob"),
    });
    user_becomes(&gateway, "alice", "revoked").await;
    for _ in 0..2 {
        // First X says so, then the account is marked.
        let answer = ask(&gateway, &wanted).await.json();
        assert_eq!(missing(&answer), [("account_revoked".to_owned(), 2)]);
        assert_eq!(answer["by_tweet"].as_object().unwrap().len(), 2);
    }
}

async fn an_account_that_is_revoked_meanwhile_keeps_what_came_before(database: Database) {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.limits.question_calls = 1;
    })
    .await;
    let (alice, bob) = (gateway.sandbox.old_ids("alice", 2), gateway.sandbox.old_ids("bob", 2));
    let mut wanted = question(&[alice.clone(), bob.clone()].concat(), &["impressions"]);
    let owner = |name: &str| json!(gateway.id(name).to_string());
    wanted["owners"] = json!({
        &alice[0]: owner("alice"),
        &alice[1]: owner("alice"),
        &bob[0]: owner("bob"),
        &bob[1]: owner("bob"),
    });
    wanted["window"] = json!({ "start": "2026-01-01", "end": "2026-03-01" });
    wanted["groupings"] = json!({ "days": { "group_by": ["tweet.id", "engagement.day"] } });
    gateway.order(json!([{ "kind": "hold", "path": "/insights/", "times": 1 }])).await;
    let ask = gateway
        .ask("POST", PATH)
        .header("content-type", "application/json")
        .body(wanted.to_string());
    let asked = tokio::spawn(ask.send());
    while gateway.fired().await != [1] {
        tokio::task::yield_now().await;
    }
    user_becomes(&gateway, "alice", "revoked").await;
    gateway.order(json!([])).await;
    let answer = asked.await.unwrap().json();
    assert_eq!(missing(&answer), [("account_revoked".to_owned(), 2)]);
    assert_eq!(answer["countersign"]["missing"][0]["tweet_ids"], json!(alice));
    // Three windows of at most 28 days, of which alice's token saw the first, the shortest.
    let days = |id: &String| answer["days"][id].as_object().unwrap().len();
    assert_eq!((days(&alice[0]), days(&bob[0])), (3, 59));
}

async fn a_spent_quota_and_faults_leave_the_rest(database: Database) {
    let gateway = start_observing(&database).await;
    let ids = [gateway.sandbox.ids("alice", 2), gateway.sandbox.ids("bob", 2)].concat();
    let mut wanted = question(&ids, &["impressions", "favorites"]);
    let owner = |name: &str| json!(gateway.id(name).to_string());
    wanted["owners"] = json!({
        &ids[0]: owner("alice"),
        &ids[1]: owner("alice"),
        &ids[2]: owner("bob"),
        &ids[3]: owner("bob"),
    });
    for (fault, reason) in [
        (json!({ "kind": "status", "status": 429 }), "quota"),
        (json!({ "kind": "status", "status": 500 }), "upstream_error"),
        (json!({ "kind": "bad_json" }), "upstream_error"),
    ] {
        let mut fault = fault;
        fault["path"] = json!("/insights/");
        fault["times"] = json!(1);
        gateway.order(json!([fault])).await;
        let answer = ask(&gateway, &wanted).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(answer["countersign"]["complete"], false);
        let reasons: Vec<String> = missing(&answer).into_iter().map(|part| part.0).collect();
        assert!(!reasons.is_empty() && reasons.iter().all(|found| found == reason), "{reasons:?}");
        gateway.order(json!([])).await;
    }
    assert_eq!(ask(&gateway, &wanted).await.json()["countersign"]["complete"], true);
}

async fn where_nothing_was_answered_it_is_said_when_to_ask_again(database: Database) {
    let gateway = start_observing(&database).await;
    let wanted = question(&gateway.sandbox.ids("alice", 2), &["favorites"]);
    let reset = (gateway.sandbox.clock.now().unix_timestamp() + 42).to_string();
    let spent = json!({ "x-per-minute-remaining": "0", "x-per-minute-reset": reset });
    let after = json!({ "retry-after": "7" });
    for (status, headers, own, seconds) in [
        (429, &spent, 429, "42"),
        (429, &after, 429, "7"),
        (429, &json!({}), 429, "60"),
        (503, &after, 502, "7"),
        (500, &json!({}), 502, "1"),
    ] {
        gateway.order(json!([{ "kind": "status", "status": status, "headers": headers, "path": "/insights/" }])).await;
        let answer = ask(&gateway, &wanted).await;
        answer.is_own(own, "nothing_answered");
        assert_eq!(answer.header("retry-after"), seconds, "{status} {headers}");
    }
}

async fn a_page_of_something_on_the_way_is_told_by_type_length_and_title(database: Database) {
    let gateway = start_gateway(&database).await;
    gateway.order(json!([{ "kind": "html", "path": "/insights/" }])).await;
    let answer = ask(&gateway, &question(&gateway.sandbox.ids("alice", 2), &["favorites"])).await;
    answer.is_own(502, "nothing_answered");
    let lack = answer.json()["missing"][0].clone();
    assert_eq!(lack["reason"], "upstream_error");
    let told = "not a response that X documents: text/html, 90 bytes, titled \"502 Proxy Error\"";
    assert_eq!(lack["detail"], told);
}

async fn no_more_calls_run_at_a_time_than_the_settings_say(database: Database) {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.limits.question_calls = 2;
    })
    .await;
    gateway.order(json!([{ "kind": "hold", "path": "/insights/" }])).await;
    let ids = gateway.sandbox.old_ids("alice", 1);
    let mut wanted = question(&ids, &["impressions"]);
    wanted["window"] = json!({ "start": "2025-06-01", "end": "2026-03-01" });
    wanted["owners"] = json!({ &ids[0]: gateway.id("alice").to_string() });
    let asks: Vec<_> = (0..3)
        .map(|_| {
            let ask = gateway
                .ask("POST", PATH)
                .header("content-type", "application/json")
                .body(wanted.to_string());
            tokio::spawn(ask.send())
        })
        .collect();
    while gateway.fired().await != [2] {
        tokio::task::yield_now().await;
    }
    // Of three questions with ten calls each, no third one has arrived.
    assert_eq!(gateway.arrived("/insights/").await.len(), 2);
    gateway.order(json!([])).await;
    for ask in asks {
        assert_eq!(ask.await.unwrap().json()["countersign"]["complete"], true);
    }
}

async fn who_hangs_up_ends_what_still_runs(database: Database) {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.limits.question_calls = 1;
    })
    .await;
    gateway.order(json!([{ "kind": "hold", "path": "/insights/" }])).await;
    let ids = gateway.sandbox.old_ids("alice", 1);
    let mut wanted = question(&ids, &["impressions"]);
    wanted["window"] = json!({ "start": "2025-06-01", "end": "2026-03-01" });
    wanted["owners"] = json!({ &ids[0]: gateway.id("alice").to_string() });
    let ask = gateway
        .ask("POST", PATH)
        .header("content-type", "application/json")
        .body(wanted.to_string());
    let asked = tokio::spawn(ask.try_send());
    while gateway.fired().await != [1] {
        tokio::task::yield_now().await;
    }
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    gateway.order(json!([])).await;
    // The slot is free again, and no second one of the ten calls was made.
    let next = question(&gateway.sandbox.ids("bob", 1), &["favorites"]);
    assert_eq!(ask_with(&gateway, &gateway.key, PATH, &next).await.status, 200);
    assert_eq!(gateway.arrived("/insights/engagement/historical").await.len(), 1);
}

async fn when_time_is_up_what_is_there_is_given(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = ["alice", "bob"].map(|name| gateway.sandbox.ids(name, 1).remove(0));
    let mut wanted = question(&ids, &["impressions", "favorites"]);
    wanted["owners"] =
        json!({ &ids[0]: gateway.id("alice").to_string(), &ids[1]: gateway.id("bob").to_string() });
    gateway.order(json!([{ "kind": "hang", "path": "/insights/", "times": 1 }])).await;
    let asked = gateway
        .ask("POST", PATH)
        .header("countersign-deadline", "300ms")
        .header("content-type", "application/json");
    let answer = asked.clone().body(wanted.to_string()).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(missing(&answer.json()), [("deadline".to_owned(), 1)]);
    gateway.order(json!([{ "kind": "hang", "path": "/insights/" }])).await;
    let nothing = asked.clone().body(wanted.to_string()).send().await;
    nothing.is_own(504, "nothing_answered");
    assert_eq!(nothing.header("retry-after"), "1");
    assert!(
        nothing.text().contains("1 post is not ready before the deadline, no time was left"),
        "{}",
        nothing.text()
    );
    let wrong = asked.header("countersign-deadline", "soon").body(wanted.to_string()).send().await;
    wrong.is_own(400, "invalid_request");
    assert_eq!(wrong.json()["problems"][0]["header"], "Countersign-Deadline");
}

async fn a_key_asks_no_more_than_it_may(database: Database) {
    let gateway = start_gateway(&database).await;
    let alice = gateway.id("alice");
    let narrow = gateway
        .new_key(|key| {
            key.scopes.endpoints = Some(vec![Endpoint::Totals]);
            key.scopes.accounts = Some(vec![alice]);
        })
        .await;
    let ids = gateway.sandbox.ids("bob", 2);
    for path in [PATH, PLAN] {
        let mut wanted = question(&ids, &["impressions"]);
        wanted["window"] = json!("28hr");
        ask_with(&gateway, &narrow, path, &wanted).await.is_own(403, "not_allowed");
        let mut wanted = question(&ids, &["impressions"]);
        wanted["accounts"] = json!(["@bob"]);
        ask_with(&gateway, &narrow, path, &wanted).await.is_own(400, "invalid_request");
    }
    let mut wanted = question(&ids, &["impressions"]);
    wanted["owners"] =
        json!({ &ids[0]: gateway.id("bob").to_string(), &ids[1]: gateway.id("bob").to_string() });
    let refused = ask_with(&gateway, &narrow, PATH, &wanted).await;
    refused.is_own(404, "nothing_answered");
    assert_eq!(refused.json()["missing"][0]["reason"], "not_connected");
    assert_eq!(gateway.arrived("/insights/").await.len(), 0, "bob's token was not used");
    gateway
        .ask("POST", PATH)
        .header("authorization", "Bearer x")
        .send()
        .await
        .is_own(401, "unknown_key");
}

on_both!(
    an_account_that_was_revoked_takes_nobody_elses_numbers_away,
    an_account_that_is_revoked_meanwhile_keeps_what_came_before,
    a_spent_quota_and_faults_leave_the_rest,
    where_nothing_was_answered_it_is_said_when_to_ask_again,
    a_page_of_something_on_the_way_is_told_by_type_length_and_title,
    no_more_calls_run_at_a_time_than_the_settings_say,
    who_hangs_up_ends_what_still_runs,
    when_time_is_up_what_is_there_is_given,
    a_key_asks_no_more_than_it_may
);
