//! Usage: the sums of calls, who may read them, and what a killed process loses.

use countersign::model::Endpoint;
use serde_json::{Value, json};
use time::Duration;

use crate::connect::replica::Replica;
use crate::database::{Database, Kind, PrivatePostgres, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::trouble::away::warm;
use crate::trouble::eventually;
use crate::upstream::TOTALS;

async fn usage(gateway: &TestGateway, admin: &str, query: &str) -> Value {
    let answer = gateway.admin(admin, "GET", &format!("/admin/v1/usage{query}")).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn body(ids: &[String], metrics: &[&str]) -> Value {
    json!({ "tweet_ids": ids, "engagement_types": metrics, "groupings": { "g": { "group_by": ["tweet.id"] } } })
}

/// Two calls as bob, one that the gateway refuses, and a question, which takes two calls.
async fn call_in_other_ways(gateway: &TestGateway, alice: &[String], bob: &[String]) {
    gateway
        .call_as("bob", Endpoint::Totals, &body(bob, &["impressions"]))
        .send()
        .await
        .is_relayed(200);
    gateway
        .call_as("bob", Endpoint::Totals, &body(alice, &["impressions"]))
        .send()
        .await
        .is_relayed(403);
    // A call that is refused here costs nothing at X.
    gateway
        .call(Endpoint::Totals, &body(alice, &["nonsense"]))
        .send()
        .await
        .is_own(400, "invalid_request");
    let question = json!({
        "tweet_ids": alice,
        "engagement_types": ["favorites", "impressions"],
        "owners": {
            &alice[0]: gateway.id("alice").to_string(),
            &alice[1]: gateway.id("alice").to_string(),
            &alice[2]: gateway.id("alice").to_string(),
        },
    });
    let asked = gateway.ask("POST", "/v1/engagement").header("content-type", "application/json");
    assert_eq!(asked.body(question.to_string()).send().await.status, 200);
}

async fn calls_of_all_kinds_add_up_to_what_arrived(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let (alice, bob) = (gateway.sandbox.ids("alice", 3), gateway.sandbox.ids("bob", 2));
    let public = gateway.call(Endpoint::Totals, &body(&alice, &["favorites"]));
    let answered = public.clone().send().await;
    public.send().await.is_relayed(200);
    call_in_other_ways(&gateway, &alice, &bob).await;

    let told = usage(&gateway, &admin, "?by=account,outcome").await;
    let sums: Vec<String> = told["sums"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sum| {
            format!("{} {} {} {}", sum["account"], sum["outcome"], sum["calls"], sum["posts"])
        })
        .collect();
    let (of_alice, of_bob) = (gateway.id("alice"), gateway.id("bob"));
    let mut expected = [
        format!("\"{of_alice}\" \"2xx\" 1 3"),
        format!("\"{of_bob}\" \"2xx\" 1 2"),
        format!("\"{of_bob}\" \"4xx\" 1 3"),
    ];
    expected.sort();
    assert_eq!((&*sums[0], &sums[1..]), ("null \"2xx\" 2 6", &expected[..]));
    let day = &usage(&gateway, &admin, "").await["sums"];
    assert_eq!(
        (day.as_array().unwrap().len(), &day[0]["at"], &day[0]["calls"]),
        (1, &json!("2026-03-10T00:00:00Z"), &json!(5))
    );
    assert_eq!(gateway.arrived(TOTALS).await.len(), 5);
    let public = &usage(&gateway, &admin, "?by=hour,app,key,endpoint,auth").await["sums"][0];
    assert_eq!(
        (&public["at"], &public["app"], &public["endpoint"], &public["auth"]),
        (&json!("2026-03-10T21:00:00Z"), &json!("demo"), &json!("totals"), &json!("app-only"))
    );
    assert!(gateway.key.contains(public["key"].as_str().unwrap()), "{public}");
    assert!(
        public["bytes"].as_u64().unwrap()
            >= 2 * answered.header("content-length").parse::<u64>().unwrap(),
        "{public}"
    );
    assert_eq!(told["accounts"], json!([{ "month": "2026-03", "app": "demo", "accounts": 2 }]));
    assert_eq!((&told["gaps"], &told["truncated"]), (&json!([]), &json!(false)));
}

async fn second_attempts_and_silence_are_counted(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let call = || {
        gateway
            .call(Endpoint::Totals, &body(&gateway.sandbox.ids("alice", 1), &["favorites"]))
            .send()
    };
    gateway
        .order(json!([{ "kind": "status", "status": 503, "path": "/insights/", "times": 1 }]))
        .await;
    call().await.is_relayed(200);
    gateway.order(json!([{ "kind": "reset", "path": "/insights/" }])).await;
    call().await.is_own(502, "upstream_unreachable");
    gateway.order(json!([])).await;
    let told = usage(&gateway, &admin, "?by=outcome").await;
    let arrived = gateway.arrived(TOTALS).await.len();
    assert_eq!(
        told["sums"][0],
        json!({ "outcome": "2xx", "calls": 2, "posts": 1, "bytes": told["sums"][0]["bytes"], "saved": 0 })
    );
    assert_eq!(
        told["sums"][1],
        json!({ "outcome": "none", "calls": arrived - 2, "posts": 1, "bytes": 0, "saved": 0 })
    );
}

async fn a_caller_who_hangs_up_is_counted_too(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    gateway.order(json!([{ "kind": "hold", "path": "/insights/" }])).await;
    let asked = tokio::spawn(
        gateway
            .call(Endpoint::Totals, &body(&gateway.sandbox.ids("alice", 1), &["favorites"]))
            .try_send(),
    );
    while gateway.fired().await != [1] {
        tokio::task::yield_now().await;
    }
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    gateway.order(json!([])).await;
    while usage(&gateway, &admin, "").await["sums"] == json!([]) {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        usage(&gateway, &admin, "?by=outcome").await["sums"][0],
        json!({ "outcome": "none", "calls": 1, "posts": 1, "bytes": 0, "saved": 0 })
    );
}

async fn a_killed_replica_takes_only_what_it_had_not_written(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let replica = Replica::open(&gateway.sandbox, &database.settings()).await;
    let ids = gateway.sandbox.ids("alice", 1);
    let ask = |url: &str, name: &str| {
        let ask = Ask::new(&gateway.http, url, "POST", TOTALS)
            .header("authorization", &format!("Bearer {}", gateway.key));
        ask.header("countersign-account", &gateway.id(name).to_string())
            .header("content-type", "application/json")
            .body(body(&ids, &["impressions"]).to_string())
            .send()
    };
    let other = replica.at(crate::connect::replica::PUBLIC_URL);
    for _ in 0..5 {
        ask(&gateway.url, "alice").await.is_relayed(200);
        ask(&other, "bob").await.is_relayed(403);
    }
    replica.write_usage().await;
    for _ in 0..3 {
        ask(&other, "alice").await.is_relayed(200);
    }
    replica.write_call_count().await;
    ask(&other, "alice").await.is_relayed(200);
    replica.crash().await;
    let told = usage(&gateway, &admin, "?by=outcome").await;
    assert_eq!(
        told["sums"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sum| sum["calls"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [5, 5]
    );
    assert_eq!(gateway.arrived(TOTALS).await.len(), 14);
    assert_eq!(told["accounts"][0]["accounts"], 2);
    assert_eq!(told["gaps"], json!([]), "it may still live");
    gateway.sandbox.clock.forward(Duration::minutes(2));
    let told = usage(&gateway, &admin, "").await;
    assert_eq!(
        told["gaps"],
        json!([{ "since": "2026-03-10T21:15:30Z", "lost_calls": 3, "killed": true }]),
        "all but what came after it had last told"
    );
}

async fn wrong_questions_on_usage_are_refused(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    for (query, expected) in [
        ("?from=yesterday", "from must be a date or a time"),
        ("?until=2026-13-01", "until must be a date or a time"),
        ("?from=2026-03-02&until=2026-03-01", "from must be before until"),
        ("?by=day,week", "by must name some of hour, day, app"),
        ("?account=%40alice", "account must be a user id"),
        ("?day=1", "unknown field"),
        ("?until=9999-12-31T23:30:00Z", "until must be at most 9999-12-31T23:00:00Z"),
        ("?until=9999-12-31T23:30:00-05:00", "until must be a date or a time"),
        ("?from=9999-12-31T23:30:00-05:00", "from must be a date or a time"),
        ("?until=-9999-01-01", "until must be a date or a time"),
    ] {
        let answer = gateway.admin(&admin, "GET", &format!("/admin/v1/usage{query}")).send().await;
        answer.is_own(400, "invalid_request");
        assert!(answer.text().contains(expected), "{query}: {}", answer.text());
    }
    let told = usage(&gateway, &admin, "?until=9999-12-31T23:00:00Z").await;
    assert_eq!(told["until"], "9999-12-31T23:00:00Z");
}

on_both!(
    calls_of_all_kinds_add_up_to_what_arrived,
    second_attempts_and_silence_are_counted,
    a_caller_who_hangs_up_is_counted_too,
    a_killed_replica_takes_only_what_it_had_not_written,
    wrong_questions_on_usage_are_refused
);

#[tokio::test]
async fn a_replica_that_ends_settles_its_sums() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    gateway
        .call(Endpoint::Totals, &body(&gateway.sandbox.ids("alice", 1), &["favorites"]))
        .send()
        .await
        .is_relayed(200);
    gateway.inner.settle_usage().await;
    let writers = gateway.store.list_usage_writers(crate::upstream::NOW).await.unwrap();
    assert_eq!(writers.len(), 1);
    assert!(writers[0].settled_at.is_some());
    // Without anything new, nothing is written.
    gateway.sandbox.clock.forward(Duration::hours(1));
    gateway.inner.settle_usage().await;
    assert_eq!(gateway.store.list_usage_writers(crate::upstream::NOW).await.unwrap(), writers);
}

#[tokio::test]
async fn usage_waits_for_a_database_that_is_away() {
    let server = PrivatePostgres::start_new();
    let gateway = warm(&server).await;
    let call = || {
        gateway
            .call(Endpoint::Totals, &body(&gateway.sandbox.ids("alice", 1), &["favorites"]))
            .send()
    };
    let admin = gateway.new_admin_key().await;
    let before = usage(&gateway, &admin, "?by=app").await["sums"][0]["calls"].as_u64().unwrap();
    server.stop();
    for _ in 0..2 {
        call().await.is_relayed(200);
        gateway.inner.settle_usage().await;
    }
    server.start();
    let ask = gateway.admin(&admin, "GET", "/admin/v1/usage?by=app");
    eventually(&ask, |answer| {
        answer.status == 200 && answer.json()["sums"][0]["calls"] == before + 2
    })
    .await;
}
