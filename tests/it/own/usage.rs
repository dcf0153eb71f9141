//! The usage of a key.

use countersign::model::Endpoint;
use serde_json::{Value, json};

use crate::connect::replica::{PUBLIC_URL, Replica};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::own::{ask, call, get};
use crate::upstream::body;

async fn a_key_sees_its_own_usage_and_no_others(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let (one, other, idle) = (
        gateway.new_key(|_| ()).await,
        gateway.new_key(|_| ()).await,
        gateway.new_key(|_| ()).await,
    );
    for name in [None, Some("alice"), Some("alice")] {
        call(&gateway, &one, name).await.is_relayed(200);
    }
    for name in [None, Some("bob")] {
        call(&gateway, &other, name).await.is_relayed(200);
    }
    gateway.inner.settle_usage().await;
    let found = get(&gateway, &one, "/v1/usage").await;
    let bytes = found["sums"][0]["bytes"].clone();
    let sum = json!({
        "at": "2026-03-10T00:00:00Z", "calls": 3, "posts": 6, "bytes": bytes, "saved": 0,
    });
    assert!(bytes.as_u64().unwrap() > 0);
    assert_eq!(
        found,
        json!({
            "from": "2026-02-08T21:00:00Z",
            "until": "2026-03-10T22:00:00Z",
            "sums": [sum],
            "truncated": false,
            "gaps": [],
        })
    );
    let sums = async |key: &str, query: &str| {
        get(&gateway, key, &format!("/v1/usage{query}")).await["sums"].clone()
    };
    let calls = |sums: &Value| -> Vec<Value> {
        let sums = sums.as_array().unwrap().iter();
        sums.map(|sum| json!([sum["account"], sum["calls"]])).collect()
    };
    let alice = gateway.id("alice").to_string();
    let by = sums(&one, "?by=account").await;
    assert_eq!(calls(&by), [json!([null, 1]), json!([alice, 2])]);
    // Of bob's account, it has used nothing; the other key has.
    let of_bob = format!("?by=account&account={}", gateway.id("bob"));
    assert_eq!(sums(&one, &of_bob).await, json!([]));
    assert_eq!(calls(&sums(&other, &of_bob).await), [json!([gateway.id("bob").to_string(), 1])]);
    assert_eq!(sums(&idle, "?by=hour,account,endpoint,auth,outcome").await, json!([]));
    assert_eq!(sums(&one, "?until=2026-03-10").await, json!([]));

    // Operators see the same sums of the key.
    for by in ["hour", "day", "account,auth", "endpoint,outcome", "hour,account,outcome"] {
        let path = format!("/admin/v1/usage?by={by}&key={}", &one[4..16]);
        let told = gateway.admin(&admin, "GET", &path).send().await.json();
        assert_eq!(sums(&one, &format!("?by={by}")).await, told["sums"], "{by}");
    }
    let table = ask(&gateway, &one, "/v1/usage?by=day,auth").header("accept", "text/csv");
    let table = table.send().await;
    assert_eq!(
        ["content-type", "countersign-complete", "cache-control", "vary"]
            .map(|it| table.header(it)),
        ["text/csv", "true", "no-store", "accept"]
    );
    let text = table.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "at,auth,calls,posts,bytes,saved");
    assert!(lines[1].starts_with("2026-03-10T00:00:00Z,app-only,1,2,"), "{text}");
    assert!(lines[2].starts_with("2026-03-10T00:00:00Z,user-context,2,4,"), "{text}");
    assert_eq!(lines.len(), 3);
}

async fn gaps_are_named_without_others_calls(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let replica = Replica::open(&gateway.sandbox, &database.settings()).await;
    let body = body(&gateway.sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let to_other = gateway.call(Endpoint::Totals, &body);
    let other = replica.at(PUBLIC_URL);
    let to_other = to_other.to(&format!("{other}{}", Endpoint::Totals.path()));
    to_other.clone().send().await.is_relayed(200);
    replica.write_usage().await;
    to_other.send().await.is_relayed(200);
    replica.write_call_count().await;
    replica.crash().await;
    gateway.sandbox.clock.forward(time::Duration::minutes(2));
    let idle = gateway.new_key(|_| ()).await;
    let found = get(&gateway, &idle, "/v1/usage").await;
    assert_eq!(
        (&found["sums"], &found["gaps"]),
        (&json!([]), &json!([{ "since": "2026-03-10T21:15:30Z" }]))
    );
    let table = ask(&gateway, &idle, "/v1/usage").header("accept", "text/csv").send().await;
    assert_eq!(table.header("countersign-complete"), "false");
}

on_both!(a_key_sees_its_own_usage_and_no_others, gaps_are_named_without_others_calls);
