//! What callers may see of their own keys: scope and limits, accounts, and usage; and nothing of anybody else's.

mod accounts;
mod usage;

use std::time::Duration;

use countersign::gateway::NewKey;
use countersign::model::key::Right;
use countersign::model::{Endpoint, Origin};
use serde_json::{Value, json};

use crate::database::{Database, Kind, PrivatePostgres, fresh, on_both};
use crate::gateway::{ORIGIN, TestGateway};
use crate::http::{Answer, Ask};
use crate::trouble::away::warm;
use crate::upstream::body;

const PATHS: [&str; 3] = ["/v1/key", "/v1/accounts", "/v1/usage"];

fn ask(gateway: &TestGateway, key: &str, path: &str) -> Ask {
    gateway.ask("GET", path).header("authorization", &format!("Bearer {key}"))
}

async fn get(gateway: &TestGateway, key: &str, path: &str) -> Value {
    let answer = ask(gateway, key, path).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

/// A call with a key, as a user if one is named.
async fn call(gateway: &TestGateway, key: &str, name: Option<&str>) -> Answer {
    let posts = gateway.sandbox.ids(name.unwrap_or("alice"), 2);
    let types = if name.is_some() { "impressions" } else { "favorites" };
    let body = body(&posts, &[types], &["tweet.id"]);
    let call = match name {
        Some(name) => gateway.call_as(name, Endpoint::Totals, &body),
        None => gateway.call(Endpoint::Totals, &body),
    };
    call.header("authorization", &format!("Bearer {key}")).send().await
}

async fn a_key_tells_its_holder_what_it_may_do(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let alice = gateway.id("alice");
    let key = gateway
        .new_key(|key| {
            "reports".clone_into(&mut key.name);
            key.scopes.accounts = Some(vec![alice]);
            key.scopes.endpoints = Some(vec![Endpoint::Totals]);
            key.scopes.rights = [Right::Browser, Right::CreateLinks].into();
            key.scopes.origins = vec![Origin::parse(ORIGIN).unwrap()];
            key.limits.per_minute = Some(100);
            key.expires_in = Some(Duration::from_hours(24));
        })
        .await;
    let mut expected = json!({
        "id": &key[4..16],
        "name": "reports",
        "app": "demo",
        "accounts": [alice.to_string()],
        "endpoints": ["totals"],
        "create_links": true,
        "browser": true,
        "in_browsers": false,
        "origins": [ORIGIN],
        "weight": 1,
        "per_minute": 100,
        "at_once": null,
        "created_at": "2026-03-10T21:15:30Z",
        "expires_at": "2026-03-11T21:15:30Z",
    });
    assert_eq!(get(&gateway, &key, "/v1/key").await, expected);
    let header = gateway.ask("GET", "/v1/key").header("authorization", "");
    assert_eq!(header.header("x-api-key", &key).send().await.json(), expected);

    // What operators see of it says the same, and more.
    let listed = gateway.admin(&admin, "GET", "/admin/v1/keys").send().await.json();
    let mut listed = listed["keys"].as_array().unwrap().clone();
    listed.retain(|listed| listed["id"] == expected["id"]);
    let more = ["role", "explore", "revoked_at", "last_used_at"];
    listed[0].as_object_mut().unwrap().retain(|name, _| !more.contains(&&**name));
    assert_eq!(listed, [expected.clone()]);

    let change = gateway.admin(&admin, "PATCH", "/admin/v1/keys/reports");
    let change = change.body(r#"{"per_minute":null,"at_once":9,"weight":5}"#);
    assert_eq!(change.send().await.status, 200);
    for (name, value) in [("per_minute", json!(null)), ("at_once", json!(9)), ("weight", json!(5))]
    {
        expected[name] = value;
    }
    assert_eq!(get(&gateway, &key, "/v1/key").await, expected);
}

async fn others_are_refused_whatever_they_ask(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let maker = gateway.mighty_key().await;
    let question = json!({ "question": {
        "tweet_ids": gateway.sandbox.ids("alice", 1), "engagement_types": ["favorites"],
    } });
    let made = gateway.ask("POST", "/v1/browser-tokens").body(question.to_string());
    let made = made.header("content-type", "application/json");
    let made = made.header("authorization", &format!("Bearer {maker}")).send().await.json();
    let token = made["token"].as_str().unwrap();
    let revoked = gateway.new_key(|key| "ended".clone_into(&mut key.name)).await;
    get(&gateway, &revoked, "/v1/key").await;
    let ended = gateway.admin(&admin, "DELETE", "/admin/v1/keys/ended").send().await;
    assert_eq!(ended.status, 200);
    let expired = gateway.new_key(|key| key.expires_in = Some(Duration::from_mins(1))).await;
    get(&gateway, &expired, "/v1/key").await;
    gateway.sandbox.clock.forward(time::Duration::minutes(1));
    for path in PATHS {
        // Strangers learn nothing about parameters either.
        for path in [path.to_owned(), format!("{path}?nonsense=1")] {
            let with = async |key: &str| ask(&gateway, key, &path).send().await;
            with(token).await.is_own(403, "not_allowed");
            with(&admin).await.is_own(401, "unknown_key");
            with(&revoked).await.is_own(401, "unknown_key");
            with(&expired).await.is_own(401, "unknown_key");
            with("csk_x").await.is_own(401, "unknown_key");
            let none = gateway.ask("GET", &path).header("authorization", "").send().await;
            none.is_own(401, "missing_key");
        }
        let page = ask(&gateway, &gateway.key, path).header("origin", ORIGIN);
        let page = page.header("sec-fetch-site", "cross-site").send().await;
        page.is_own(403, "key_leaked");
        let page = ask(&gateway, &maker, path).header("origin", ORIGIN).send().await;
        let cors = page.headers.keys().filter(|name| name.as_str().starts_with("access-control-"));
        assert_eq!((page.status.as_u16(), cors.count()), (200, 0), "it may be sent by browsers");
        let head = ask(&gateway, &gateway.key, path).method("HEAD").send().await;
        assert_eq!((head.status.as_u16(), head.raw.len()), (200, 0));
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let other = ask(&gateway, &gateway.key, path).method(method).send().await;
            other.is_own(405, "method_not_allowed");
        }
        let elsewhere = ask(&gateway, &admin, "").to(&format!("{}{path}", gateway.admin_url));
        elsewhere.send().await.is_own(404, "not_found");
    }
}

async fn wrong_parameters_are_refused(database: Database) {
    let gateway = TestGateway::start(&database).await;
    for (path, expected) in [
        ("/v1/accounts?limit=0", "limit: must be a whole number from 1 to 1000"),
        ("/v1/accounts?limit=1001", "limit: must be a whole number from 1 to 1000"),
        ("/v1/accounts?state=gone", "state must be active, revoked, blocked or quarantined"),
        ("/v1/accounts?after=demo/1", "after must be the next of the page before"),
        ("/v1/accounts?app=demo", "unknown field `app`"),
        ("/v1/accounts?after=%00", "must not contain NUL"),
        ("/v1/usage?from=yesterday", "from must be a date or a time"),
        ("/v1/usage?from=2026-03-02&until=2026-03-01", "from must be before until"),
        (
            "/v1/usage?by=day,key",
            "by must name some of hour, day, account, endpoint, auth, outcome",
        ),
        ("/v1/usage?by=app", "by must name some of hour, day, account"),
        ("/v1/usage?account=@alice", "account must be a user id"),
        ("/v1/usage?key=4vJ0aBcDeFgH", "unknown field `key`"),
        ("/v1/usage?app=demo", "unknown field `app`"),
    ] {
        let refused = gateway.ask("GET", path).send().await;
        refused.is_own(400, "invalid_request");
        let problem = &refused.json()["problems"][0];
        assert_eq!(problem["part"], "query");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(expected), "{path}: {detail}");
    }
    // A key has nothing to choose from.
    get(&gateway, &gateway.key, "/v1/key").await;
}

on_both!(
    a_key_tells_its_holder_what_it_may_do,
    others_are_refused_whatever_they_ask,
    wrong_parameters_are_refused,
);

#[tokio::test]
async fn requests_about_a_key_count_against_its_limits_and_are_no_calls() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let limited = |change: fn(&mut NewKey)| gateway.new_key(change);
    let key = limited(|key| key.limits.per_minute = Some(4)).await;
    for path in PATHS {
        get(&gateway, &key, path).await;
    }
    ask(&gateway, &key, "/v1/usage?by=nothing").send().await.is_own(400, "invalid_request");
    for path in PATHS {
        ask(&gateway, &key, path).send().await.is_own(429, "key_limit");
    }
    call(&gateway, &key, None).await.is_own(429, "key_limit");

    let calls = gateway.admin(&admin, "GET", "/admin/v1/calls?outcome=ok").send().await.json();
    assert_eq!(calls["calls"], json!([]));
    let usage = gateway.admin(&admin, "GET", "/admin/v1/usage").send().await.json();
    assert_eq!(usage["sums"], json!([]));
    assert_eq!(gateway.arrived("/").await.len(), 0);

    let key = limited(|key| key.limits.at_once = Some(1)).await;
    gateway.order(json!([{ "kind": "hold", "path": "/insights/" }])).await;
    let body = body(&gateway.sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let held = gateway.call(Endpoint::Totals, &body);
    let held = tokio::spawn(held.header("authorization", &format!("Bearer {key}")).send());
    while gateway.fired().await != [1] {
        tokio::task::yield_now().await;
    }
    for path in PATHS {
        ask(&gateway, &key, path).send().await.is_own(429, "key_limit");
    }
    gateway.order(json!([])).await;
    held.await.unwrap().is_relayed(200);
    for path in PATHS {
        get(&gateway, &key, path).await;
    }
}

#[tokio::test]
async fn a_key_is_shown_and_no_list_while_the_database_is_away() {
    let server = PrivatePostgres::start_new();
    let gateway = warm(&server).await;
    server.stop();
    for path in PATHS {
        let answer = gateway.ask("GET", path).send().await;
        if path == "/v1/key" {
            assert_eq!(answer.status, 200, "{}", answer.text());
        } else {
            answer.is_own(503, "store_unavailable");
            assert!(!answer.header("retry-after").is_empty());
        }
    }
}
