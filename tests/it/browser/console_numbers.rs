//! The console's pages of calls, usage and the overview, empty and with much data.

use countersign::model::Endpoint;
use serde_json::json;

use crate::browser::chromium::{Browser, Chromium};
use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::seed::Seed;

async fn shows(gateway: &TestGateway, browser: &Browser, path: &str, name: &str) {
    browser.open(&format!("{}{path}", gateway.admin_url)).await;
    browser.shows(name).await;
}

async fn signed_in(gateway: &TestGateway, chromium: &Chromium) -> Browser {
    let browser = chromium.browser().await;
    let key = gateway.new_admin_key().await;
    browser.open(&format!("{}/console/", gateway.admin_url)).await;
    browser.run(&format!("document.getElementById('key').value = {}", json!(key))).await;
    browser.press("Sign in").await;
    browser.find("//nav[@aria-label='Console']").await;
    // Complaints about the sign-in form are not about the pages behind it.
    browser.complaints().await;
    browser
}

/// A call that X answers, one that it refuses, one that the gateway refuses, and a question.
async fn make_calls(gateway: &TestGateway) {
    let body = |ids: &[String], metrics: &[&str]| {
        json!({
            "tweet_ids": ids,
            "engagement_types": metrics,
            "groupings": { "g": { "group_by": ["tweet.id"] } },
        })
    };
    let ids = gateway.sandbox.ids("alice", 2);
    gateway
        .call_as("alice", Endpoint::Totals, &body(&ids, &["impressions", "favorites"]))
        .send()
        .await
        .is_relayed(200);
    gateway
        .call_as("bob", Endpoint::Totals, &body(&ids, &["impressions"]))
        .send()
        .await
        .is_relayed(403);
    gateway
        .call(Endpoint::Totals, &body(&ids, &["impressions"]))
        .send()
        .await
        .is_own(400, "invalid_request");
    let question = json!({
        "tweet_ids": ids,
        "engagement_types": ["impressions", "favorites"],
        "owners": {
            &ids[0]: gateway.id("alice").to_string(),
            &ids[1]: gateway.id("alice").to_string(),
        },
    });
    let ask = gateway.ask("POST", "/v1/engagement").header("content-type", "application/json");
    assert_eq!(ask.body(question.to_string()).send().await.status, 200);
}

#[tokio::test]
async fn the_consoles_numbers_are_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let chromium = Chromium::start().await;
    let browser = signed_in(&gateway, &chromium).await;
    database.run("delete from account").await;
    shows(&gateway, &browser, "/console/", "console-overview-empty").await;
    gateway.connect(&["alice", "bob"]).await;
    shows(&gateway, &browser, "/console/calls", "console-calls-empty").await;
    shows(&gateway, &browser, "/console/usage", "console-usage-empty").await;
    database.seed(Seed { calls: 60, hours: 2000, lines: 12, ..Seed::default() }).await;
    make_calls(&gateway).await;
    shows(&gateway, &browser, "/console/calls", "console-calls").await;
    shows(&gateway, &browser, "/console/calls?account=alice", "console-calls-wrong").await;
    browser.open(&format!("{}/console/calls", gateway.admin_url)).await;
    let path = browser.run("return document.querySelector('td a').getAttribute('href')").await;
    shows(&gateway, &browser, path.as_str().unwrap(), "console-call").await;
    database.run("update account set state = 'revoked' where screen_name = 'bob'").await;
    shows(&gateway, &browser, "/console/", "console-overview").await;
    shows(&gateway, &browser, "/console/usage", "console-usage").await;
    shows(&gateway, &browser, "/console/usage?by=key", "console-usage-keys").await;
    shows(&gateway, &browser, "/console/usage?from=2025-12-01&by=outcome", "console-usage-months")
        .await;
    shows(&gateway, &browser, "/console/usage?from=2026-03-08&by=key", "console-usage-lines").await;
    shows(&gateway, &browser, "/console/usage?from=2026-03-10&by=auth", "console-usage-day").await;
    browser.open(&format!("{}/console/usage?from=2026-03-10&by=auth", gateway.admin_url)).await;
    browser.run("document.querySelector('.chart details').open = true").await;
    browser.shows("console-usage-table").await;
    shows(&gateway, &browser, "/console/usage?account=alice", "console-usage-wrong").await;
}
