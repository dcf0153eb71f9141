//! The overview for programs, `/admin/v1/overview`.

use countersign::model::Endpoint;
use countersign::model::app::AccountLimit;
use serde_json::{Value, json};
use time::Duration;

use crate::console::Visitor;
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::seed::Seed;
use crate::webhooks::receiver::Receiver;
use crate::webhooks::start_gateway;

async fn overview(gateway: &TestGateway) -> Value {
    let admin = gateway.new_admin_key().await;
    let answer = gateway.admin(&admin, "GET", "/admin/v1/overview").send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn body(gateway: &TestGateway, metric: &str) -> Value {
    json!({
        "tweet_ids": gateway.sandbox.ids("alice", 1),
        "engagement_types": [metric],
        "groupings": { "g": { "group_by": ["tweet.id"] } },
    })
}

async fn an_overview_of_nothing_is_whole(database: Database) {
    let gateway = TestGateway::start(&database).await;
    assert_eq!(
        overview(&gateway).await,
        json!({
            "attention": [],
            "lately": { "calls": 0, "failed": 0, "calls_yesterday": 0, "failed_yesterday": 0 },
            "degraded": [],
            "accounts": { "active": 2, "revoked": 0, "blocked": 0, "quarantined": 0 },
            "since": "2026-03-09T22:00:00Z",
            "calls": 0,
            "failed": 0,
            "hours": [],
            "latency": null,
            "webhooks": [],
            "events_waiting": 0,
            "events_waiting_since": null,
            "gaps": [],
            "accounts_used": [
                { "app": "demo", "accounts": 0, "account_limit": null, "over_limit": null },
            ],
            "quotas": [],
        })
    );
}

/// The calls of an hour with one kind of credentials.
fn hour(at: &str, auth: &str, calls: u64, failed: u64) -> Value {
    json!({ "at": at, "auth": auth, "calls": calls, "failed": failed })
}

async fn an_overview_tells_of_the_last_day(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        config.apps.values_mut().next().unwrap().account_limit =
            Some(AccountLimit { most: 1, refuses: false });
    })
    .await;
    for _ in 0..3 {
        gateway.call(Endpoint::Totals, &body(&gateway, "favorites")).send().await.is_relayed(200);
    }
    gateway
        .call_as("alice", Endpoint::Totals, &body(&gateway, "impressions"))
        .send()
        .await
        .is_relayed(200);
    gateway.later(Duration::hours(1)).await;
    gateway
        .call_as("bob", Endpoint::Totals, &body(&gateway, "impressions"))
        .send()
        .await
        .is_relayed(403);
    // X was not called for this one.
    gateway
        .call(Endpoint::Totals, &body(&gateway, "impressions"))
        .send()
        .await
        .is_own(400, "invalid_request");
    let told = overview(&gateway).await;
    assert_eq!(
        (&told["calls"], &told["failed"], &told["since"]),
        (&json!(5), &json!(1), &json!("2026-03-09T23:00:00Z"))
    );
    assert_eq!(
        told["hours"],
        json!([
            hour("2026-03-10T21:00:00Z", "app-only", 3, 0),
            hour("2026-03-10T21:00:00Z", "user-context", 1, 0),
            hour("2026-03-10T22:00:00Z", "user-context", 1, 1),
        ])
    );
    let latency = |name: &str| told["latency"][name].as_f64().unwrap();
    assert_eq!(told["latency"]["calls"], 5);
    assert!(latency("median_ms") <= latency("p95_ms"), "{told}");
    assert_eq!(
        told["accounts_used"],
        json!([{ "app": "demo", "accounts": 2, "account_limit": 1, "over_limit": "warn" }])
    );
    gateway.sandbox.clock.forward(Duration::hours(25));
    let later = overview(&gateway).await;
    assert_eq!(
        (&later["calls"], &later["hours"], &later["latency"]),
        (&json!(0), &json!([]), &Value::Null)
    );
}

async fn an_overview_tells_what_needs_attention(database: Database) {
    let gateway = TestGateway::start(&database).await;
    database.seed(Seed { accounts: 60, ..Seed::default() }).await;
    let states = overview(&gateway).await["accounts"].clone();
    assert_eq!((&states["revoked"], &states["blocked"]), (&json!(2), &json!(1)), "{states}");
    // The counts that the gateway's own process writes are not the ones missing.
    database.run("insert into usage_writer (writer_id, started_at, written_at, settled_at, writes, lost_calls) \
                  values ('0', '2026-03-09T00:00:00Z', '2026-03-09T00:00:00Z', null, 1, 0)").await;
    gateway.sandbox.put("/sandbox/switches", json!({ "suspended_apps": ["demo"] })).await;
    gateway.call_as("alice", Endpoint::Totals, &body(&gateway, "impressions")).send().await;
    let admin = gateway.new_admin_key().await;
    for url in ["https://a.example/takes", "https://b.example/refuses"] {
        let new = json!({ "url": url }).to_string();
        gateway
            .admin(&admin, "POST", "/admin/v1/webhooks")
            .header("content-type", "application/json")
            .body(new)
            .send()
            .await;
    }
    let columns = "webhook_id, event, app, user_id, screen_name, reason, occurred_at, attempts, attempt_at, failure";
    let of = "from webhook where url = 'https://b.example/refuses'";
    database.run(&format!("insert into delivery ({columns}) select webhook_id, 'account.revoked', 'demo', \
                           '7', 'x', '', '2026-03-10T20:00:00Z', 3, '2026-03-10T23:00:00Z', 'no answer' {of}")).await;
    let told = overview(&gateway).await;
    assert_eq!(
        told["degraded"],
        json!(["app demo: X rejects its consumer key and secret, or has suspended it"])
    );
    assert_eq!(
        told["gaps"],
        json!([{ "since": "2026-03-09T00:00:00Z", "lost_calls": 0, "killed": true }])
    );
    let [webhook] = &told["webhooks"].as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!(
        (&webhook["url"], &webhook["waiting"], &webhook["waiting_since"], &webhook["failure"]),
        (
            &json!("https://b.example/refuses"),
            &json!(1),
            &json!("2026-03-10T20:00:00Z"),
            &json!("no answer")
        )
    );
    assert_eq!(told["events_waiting"], 1);
    assert_eq!(told["events_waiting_since"], "2026-03-10T20:00:00Z");
}

/// One that takes its events is behind when they are late.
async fn an_overview_tells_which_webhooks_are_behind(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    gateway.connect(&["alice"]).await;
    let [early, late] = [Duration::minutes(4), Duration::minutes(1)];
    gateway.later(early).await;
    assert_eq!(overview(&gateway).await["webhooks"], json!([]));
    gateway.later(late).await;
    let told = overview(&gateway).await;
    assert_eq!(
        (&told["webhooks"][0]["id"], &told["webhooks"][0]["failure"]),
        (&json!(id), &Value::Null)
    );
    let page = Visitor::admin(&gateway).await.open("/console/").await.text();
    assert!(page.contains("is behind: 1 pending since 2026-03-10 21:15"), "{page}");
    let pending = "Events pending for webhooks: 1, the oldest since 2026-03-10 21:15 UTC.";
    assert!(page.contains(pending), "{page}");
    gateway.deliver().await;
    assert_eq!(overview(&gateway).await["webhooks"], json!([]));
}

on_both!(
    an_overview_of_nothing_is_whole,
    an_overview_tells_of_the_last_day,
    an_overview_tells_what_needs_attention,
    an_overview_tells_which_webhooks_are_behind
);
