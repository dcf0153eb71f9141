//! Recent calls: who made them, with which credentials, and what was returned.

use countersign::model::Endpoint;
use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;

async fn calls(gateway: &TestGateway, admin: &str, query: &str) -> Vec<Value> {
    let answer = gateway.admin(admin, "GET", &format!("/admin/v1/calls{query}")).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["calls"].as_array().unwrap().clone()
}

fn body(ids: &[String], metrics: &[&str]) -> Value {
    json!({ "tweet_ids": ids, "engagement_types": metrics, "groupings": { "g": { "group_by": ["tweet.id"] } } })
}

async fn a_call_is_told_with_everything_but_what_is_secret(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let ids = gateway.sandbox.ids("alice", 3);
    let answer = gateway
        .call_as("alice", Endpoint::Totals, &body(&ids, &["impressions", "favorites"]))
        .header("x-request-id", "mine-1")
        .send()
        .await;
    answer.is_relayed(200);
    let call = calls(&gateway, &admin, "").await.remove(0);
    let number = |name: &str| call[name].as_f64().unwrap();
    assert!(number("ms") >= number("upstream_ms"), "{call}");
    assert!(gateway.key.contains(call["key"].as_str().unwrap()), "{call}");
    assert_eq!(
        call,
        json!({
            "subject": null,
            "id": call["id"],
            "at": "2026-03-10T21:15:30Z",
            "request_id": "mine-1",
            "app": "demo",
            "key": call["key"],
            "account": gateway.id("alice").to_string(),
            "endpoint": "totals",
            "auth": "user-context",
            "posts": 3,
            "engagement_types": ["impressions", "favorites"],
            "screen_name": "alice",
            "status": 200,
            "code": null,
            "cause": null,
            "x_said": null,
            "attempts": 1,
            "tries": [{ "status": 200, "ms": 0.0 }],
            "ms": call["ms"],
            "upstream_ms": call["upstream_ms"],
            "bytes": answer.header("content-length").parse::<u64>().unwrap(),
        })
    );
}

async fn one_call_is_found_by_its_number(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    gateway
        .call(Endpoint::Totals, &body(&gateway.sandbox.ids("alice", 1), &["favorites"]))
        .send()
        .await
        .is_relayed(200);
    // Before anything was recorded.
    let id = calls(&gateway, &admin, "").await[0]["id"].as_i64().unwrap();
    let one = gateway.admin(&admin, "GET", &format!("/admin/v1/calls/{id}")).send().await;
    assert_eq!(one.json(), calls(&gateway, &admin, "").await[0]);
    for id in ["0", "4711", "x", "-1", "99999999999999999999"] {
        gateway
            .admin(&admin, "GET", &format!("/admin/v1/calls/{id}"))
            .send()
            .await
            .is_own(404, "not_found");
    }
}

/// Two calls that X answers, one that it refuses, two that the gateway refuses, and one of a stranger's.
async fn make_five(gateway: &TestGateway) {
    let (alice, bob) = (gateway.sandbox.ids("alice", 1), gateway.sandbox.ids("bob", 1));
    gateway.call(Endpoint::Totals, &body(&alice, &["favorites"])).send().await.is_relayed(200);
    gateway
        .call_as("alice", Endpoint::TwentyEightHours, &body(&alice, &["favorites"]))
        .send()
        .await
        .is_relayed(200);
    gateway
        .call_as("bob", Endpoint::Totals, &body(&alice, &["impressions"]))
        .send()
        .await
        .is_relayed(403);
    gateway
        .call(Endpoint::Totals, &body(&bob, &["impressions"]))
        .send()
        .await
        .is_own(400, "invalid_request");
    let other = gateway.new_key(|key| key.scopes.endpoints = Some(vec![Endpoint::Totals])).await;
    let other = |ask: crate::http::Ask| ask.header("authorization", &format!("Bearer {other}"));
    other(gateway.call_as("bob", Endpoint::Historical, &body(&bob, &["favorites"])))
        .send()
        .await
        .is_own(403, "not_allowed");
    // Unauthorised callers leave no record.
    gateway
        .call(Endpoint::Totals, &body(&bob, &["favorites"]))
        .header("authorization", "Bearer nobody")
        .send()
        .await
        .is_own(401, "unknown_key");
}

/// Each filter lists the calls that it should; `all` is newest first.
async fn filters_hold(gateway: &TestGateway, admin: &str, all: &[Value]) {
    let (mine, theirs) = (all[4]["key"].as_str().unwrap(), all[0]["key"].as_str().unwrap());
    assert_ne!(mine, theirs);
    let alices = gateway.id("alice");
    for (query, expected) in [
        (format!("?key={mine}"), &[1, 2, 3, 4][..]),
        (format!("?key={theirs}"), &[0]),
        (format!("?account={alices}"), &[3]),
        ("?endpoint=totals".to_owned(), &[1, 2, 4]),
        ("?outcome=ok".to_owned(), &[3, 4]),
        ("?outcome=failed&endpoint=totals".to_owned(), &[1, 2]),
        ("?status=403".to_owned(), &[0, 2]),
        ("?status=4xx".to_owned(), &[0, 1, 2]),
        ("?status=2XX&endpoint=totals".to_owned(), &[4]),
        ("?status=5xx".to_owned(), &[]),
        ("?status=403&outcome=ok".to_owned(), &[]),
        (format!("?request_id={}", all[2]["request_id"].as_str().unwrap()), &[2]),
        ("?limit=2".to_owned(), &[0, 1]),
        (format!("?limit=2&before={}", all[1]["id"]), &[2, 3]),
    ] {
        let expected: Vec<&Value> = expected.iter().map(|index| &all[*index]).collect();
        assert_eq!(
            calls(gateway, admin, &query).await.iter().collect::<Vec<_>>(),
            expected,
            "{query}"
        );
    }
}

async fn calls_are_found_by_key_account_endpoint_status_and_end(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    make_five(&gateway).await;
    let all = calls(&gateway, &admin, "").await;
    let told: Vec<String> = all
        .iter()
        .map(|call| format!("{} {} {}", call["endpoint"], call["auth"], call["status"]))
        .collect();
    assert_eq!(
        told,
        [
            "\"historical\" null 403",
            "\"totals\" null 400",
            "\"totals\" \"user-context\" 403",
            "\"28hr\" \"user-context\" 200",
            "\"totals\" \"app-only\" 200",
        ]
    );
    assert_eq!(
        (&all[0]["code"], &all[1]["code"], &all[2]["code"]),
        (&json!("not_allowed"), &json!("invalid_request"), &json!(null))
    );
    filters_hold(&gateway, &admin, &all).await;
    for (query, expected) in [
        ("?account=alice", "account must be a user id"),
        ("?endpoint=2", "endpoint must be totals"),
        ("?outcome=yes", "outcome must be ok or failed"),
        ("?status=6xx", "status must be a status such as 429, or a class such as 5xx"),
        ("?status=", "status must be a status"),
        ("?code=quota", "unknown field"),
    ] {
        let answer = gateway.admin(&admin, "GET", &format!("/admin/v1/calls{query}")).send().await;
        answer.is_own(400, "invalid_request");
        assert!(answer.text().contains(expected), "{query}: {}", answer.text());
    }
}

async fn the_calls_of_a_question_share_its_id(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let (alice, bob) = (gateway.sandbox.ids("alice", 2), gateway.sandbox.ids("bob", 1));
    let owner = |name: &str| json!(gateway.id(name).to_string());
    let question = json!({
        "tweet_ids": [alice[0], alice[1], bob[0]], "engagement_types": ["impressions", "favorites"],
        "owners": { &alice[0]: owner("alice"), &alice[1]: owner("alice"), &bob[0]: owner("bob") },
    });
    for accept in ["application/json", "application/x-ndjson"] {
        let ask = gateway
            .ask("POST", "/v1/engagement")
            .header("content-type", "application/json")
            .header("accept", accept);
        let answer = ask
            .header("x-request-id", accept.split_once('/').unwrap().1)
            .body(question.to_string())
            .send()
            .await;
        assert_eq!(answer.status, 200);
    }
    for id in ["json", "x-ndjson"] {
        let told = calls(&gateway, &admin, &format!("?request_id={id}")).await;
        let mut parts: Vec<String> = told
            .iter()
            .map(|call| {
                format!("{} {} {} {}", call["auth"], call["account"], call["posts"], call["status"])
            })
            .collect();
        parts.sort();
        let mut expected = ["alice", "bob"].map(|name| {
            format!(
                "\"user-context\" {} {} 200",
                owner(name),
                gateway.sandbox.ids(name, if name == "alice" { 2 } else { 1 }).len()
            )
        });
        expected.sort();
        assert_eq!(parts, expected);
    }
}

async fn when_there_are_too_many_those_that_failed_are_kept(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let good = body(&gateway.sandbox.ids("alice", 1), &["favorites"]);
    let wrong = body(&gateway.sandbox.ids("alice", 1), &["nonsense"]);
    for _ in 0..498 {
        gateway.call(Endpoint::Totals, &wrong).send().await;
    }
    for _ in 0..4 {
        gateway.call(Endpoint::Totals, &good).send().await.is_relayed(200);
    }
    for _ in 0..3 {
        gateway.call(Endpoint::Totals, &wrong).send().await;
    }
    let all = calls(&gateway, &admin, "?limit=1000").await;
    let well = calls(&gateway, &admin, "?limit=1000&outcome=ok").await;
    assert_eq!((all.len(), well.len()), (500, 2));
}

on_both!(
    a_call_is_told_with_everything_but_what_is_secret,
    one_call_is_found_by_its_number,
    calls_are_found_by_key_account_endpoint_status_and_end,
    the_calls_of_a_question_share_its_id,
    when_there_are_too_many_those_that_failed_are_kept
);
