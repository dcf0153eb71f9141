//! The console's first page: the state of everything at a glance.

use countersign::model::Endpoint;
use serde_json::json;
use time::Duration;

use crate::console::{Visitor, is_page};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::seed::Seed;

const ROOT: &str = "/console/";

#[track_caller]
fn says(page: &crate::http::Answer, texts: &[&str]) {
    is_page(page, 200);
    for text in texts {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
}

async fn an_overview_of_nothing_leads_to_the_beginning(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    says(
        &visitor.open(ROOT).await,
        &[
            "Nothing needs attention.",
            "No calls in the last 24 hours.",
            "/console/accounts?state=active",
            "<dd class=\"state active\">2</dd>",
        ],
    );
    assert!(!visitor.open(ROOT).await.text().contains("Welcome. Countersign holds"));
    database.run("delete from account").await;
    says(
        &visitor.open(ROOT).await,
        &[
            "Welcome. Countersign holds",
            "No calls in the last 24 hours.",
            "href=\"/console/start\"",
            "No accounts connected yet",
        ],
    );
}

/// Five calls that reach X, one of which it refuses, and one that the gateway refuses.
async fn make_calls(gateway: &TestGateway) {
    let body = |metric: &str| {
        json!({
            "tweet_ids": gateway.sandbox.ids("alice", 1),
            "engagement_types": [metric],
            "groupings": { "g": { "group_by": ["tweet.id"] } },
        })
    };
    for _ in 0..3 {
        gateway.call(Endpoint::Totals, &body("favorites")).send().await.is_relayed(200);
    }
    gateway.call_as("alice", Endpoint::Totals, &body("impressions")).send().await.is_relayed(200);
    gateway.call_as("bob", Endpoint::Totals, &body("impressions")).send().await.is_relayed(403);
    // X was not called for this one.
    gateway
        .call(Endpoint::Totals, &body("impressions"))
        .send()
        .await
        .is_own(400, "invalid_request");
}

async fn an_overview_tells_of_the_last_day(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    make_calls(&gateway).await;
    let row = "<th scope=\"row\">21:00</th><td class=\"number\">3</td><td class=\"number\">1</td><td \
               class=\"number\">0</td><td class=\"number\">1</td>";
    let page = visitor.open(ROOT).await;
    says(
        &page,
        &[
            "<dt>Calls to X</dt><dd>5</dd>",
            "<dt>Rejected or failed</dt><dd>1</dd>",
            row,
            "calls per hour",
            "Times are for the latest 5 calls",
            "Median time",
            "95&nbsp;% within",
            "App-only calls use",
            "X bills demo for 2 accounts used this month",
        ],
    );
    assert_eq!(page.text().matches("<th scope=\"row\">").count(), 24);
    // Within the last quarter of an hour.
    says(
        &page,
        &[
            "<dt>Calls per minute, this hour</dt><dd>0.3</dd>",
            "<dt>Calls per minute, busiest hour</dt><dd>0.3</dd>",
        ],
    );
    gateway.sandbox.clock.forward(Duration::hours(23));
    let visitor = Visitor::admin(&gateway).await;
    says(
        &visitor.open(ROOT).await,
        &[
            "<dt>Calls to X</dt><dd>5</dd>",
            "<dt>Calls per minute, this hour</dt><dd>0.0</dd>",
            "<dt>Calls per minute, busiest hour</dt><dd>0.1</dd>",
        ],
    );
    gateway.sandbox.clock.forward(Duration::hours(2));
    let visitor = Visitor::admin(&gateway).await;
    let page = visitor.open(ROOT).await;
    says(&page, &["No calls in the last 24 hours.", "href=\"/console/start\""]);
    assert!(
        !page.text().contains("Median time") && !page.text().contains("<svg"),
        "{}",
        page.text()
    );
}

async fn a_stuck_webhook_is_named(
    gateway: &TestGateway,
    visitor: &Visitor<'_>,
    database: &Database,
) {
    let url = "https://hooks.example.com/%3Cscript%3E?token=s3cret";
    let admin = gateway.new_admin_key().await;
    let webhook = gateway
        .admin(&admin, "POST", "/admin/v1/webhooks")
        .header("content-type", "application/json")
        .body(json!({ "url": url }).to_string())
        .send()
        .await;
    let id = webhook.json()["id"].as_str().unwrap().to_owned();
    says(&visitor.open(ROOT).await, &["Needs attention"]);
    assert!(!visitor.open(ROOT).await.text().contains("hooks.example.com"));
    let columns = "webhook_id, event, app, user_id, screen_name, reason, occurred_at, attempts, attempt_at, failure";
    database
        .run(&format!(
            "insert into delivery ({columns}) values ('{id}', 'account.revoked', 'demo', '7', \
             'x', '', '2026-03-10T20:00:00Z', 3, '2026-03-10T23:00:00Z', \
             '<script>alert(1)</script>')"
        ))
        .await;
    let page = visitor.open(ROOT).await;
    says(
        &page,
        &[
            "is not accepting events: 1 pending since 2026-03-10 20:00 UTC",
            "&#60;script&#62;",
            "href=\"/console/webhooks\"",
        ],
    );
    assert!(!page.text().contains("<script") && !page.text().contains("s3cret"), "{}", page.text());
}

async fn an_overview_tells_what_needs_attention_and_where(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    database.seed(Seed { accounts: 60, ..Seed::default() }).await;
    database.run("update account set state = 'quarantined' where screen_name = 'bob'").await;
    let needs = [
        "2 accounts are revoked",
        "href=\"/console/accounts?state=revoked\"",
        "1 account is blocked",
        "href=\"/console/accounts?state=blocked\"",
        "1 account is quarantined",
    ];
    says(&visitor.open(ROOT).await, &needs);
    // The counts that the gateway's own process writes are not the ones missing.
    database.run("insert into usage_writer (writer_id, started_at, written_at, settled_at, writes, lost_calls) \
                  values ('0', '2026-03-09T00:00:00Z', '2026-03-09T00:00:00Z', null, 1, 0)").await;
    says(
        &visitor.open(ROOT).await,
        &["Usage of the last days is incomplete", "href=\"/console/usage#gaps\""],
    );

    gateway.sandbox.put("/sandbox/switches", json!({ "suspended_apps": ["demo"] })).await;
    let body = json!({
        "tweet_ids": gateway.sandbox.ids("alice", 1),
        "engagement_types": ["impressions"],
        "groupings": { "g": { "group_by": ["tweet.id"] } },
    });
    gateway.call_as("alice", Endpoint::Totals, &body).send().await;
    says(
        &visitor.open(ROOT).await,
        &[
            "App demo: X rejects its consumer key and secret",
            "href=\"/console/calls?cause=app_rejected&",
        ],
    );

    a_stuck_webhook_is_named(&gateway, &visitor, &database).await;
}

on_both!(
    an_overview_of_nothing_leads_to_the_beginning,
    an_overview_tells_of_the_last_day,
    an_overview_tells_what_needs_attention_and_where
);
