//! Every page of the console, empty and with data, as an admin, a read-only admin and an analyst see it.

use crate::browser::chromium::{Browser, Chromium};
use crate::console::Visitor;
use crate::console::rules::{Furnished, routes};
use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::webhooks::receiver::Receiver;
use crate::webhooks::start_gateway;

impl Browser {
    pub async fn signs_in(&self, gateway: &TestGateway, key: &str) {
        self.open(&format!("{}/console/sign-in", gateway.admin_url)).await;
        self.fill("key", key).await;
        self.press("Sign in").await;
        self.find("//nav[@aria-label='Console']").await;
    }

    /// Types into the field with that id.
    pub async fn fill(&self, id: &str, text: &str) {
        let text = serde_json::Value::from(text);
        self.run(&format!("document.getElementById('{id}').value = {text}")).await;
    }
}

/// What a browser displays at each of the paths.
async fn shown(gateway: &TestGateway, key: &str, paths: Vec<String>) -> Vec<String> {
    let visitor = Visitor::with_key(gateway, key).await;
    let mut shown = Vec::new();
    for path in paths {
        let answer = visitor.open(&path).await;
        if answer.status == 200 && answer.header("content-type").starts_with("text/html") {
            shown.push(path);
        }
    }
    shown
}

/// The name of a screenshot: the path, with `one` for each id.
fn name(path: &str) -> String {
    let is_id = |text: &str| text.contains(|c: char| c.is_ascii_digit() || c.is_uppercase());
    let words = path.trim_start_matches("/console").split('/').filter(|word| !word.is_empty());
    let words: Vec<&str> = words.map(|word| if is_id(word) { "one" } else { word }).collect();
    if words.is_empty() { "start".to_owned() } else { words.join("-") }
}

#[tokio::test]
async fn the_consoles_pages_are_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    let admin = gateway.new_admin_key().await;

    browser.open(&format!("{}/console/sign-in", gateway.admin_url)).await;
    browser.shows("console-sign-in").await;
    browser.fill("key", "csa_wrong").await;
    browser.press("Sign in").await;
    browser.reads("This admin key is not valid, or has expired or been revoked.").await;
    browser.shows("console-sign-in-refused").await;
    browser.signs_in(&gateway, &admin).await;
    let without_names =
        routes().into_iter().filter(|route| route.1 == "GET" && !route.0.contains('{'));
    let paths: Vec<String> = without_names.map(|route| route.0).collect();
    for path in shown(&gateway, &admin, paths.clone()).await {
        if path.contains("sign-in") || path == "/console" {
            continue;
        }
        browser.open(&format!("{}{path}", gateway.admin_url)).await;
        browser.shows(&format!("console-empty-{}", name(&path))).await;
    }
    database.run("delete from audit").await;
    browser.open(&format!("{}/console/audit", gateway.admin_url)).await;
    browser.reads("No entries yet.").await;
    browser.shows("console-audit-none").await;
    browser.run("document.querySelector('details').open = true").await;
    browser.shows("console-signing-out").await;
    browser.open(&format!("{}/console/nothing", gateway.admin_url)).await;
    browser.sees("Not found").await;
    browser.reads("This page does not exist.").await;
    browser.shows("console-nothing").await;

    let furnished = Furnished::new(&gateway).await;
    let (auditor, analyst) = (gateway.auditor_key().await, gateway.analyst_key().await);
    for (who, key) in [("admin", &admin), ("looks", &auditor), ("analyst", &analyst)] {
        browser.forgets().await;
        browser.signs_in(&gateway, key).await;
        for path in shown(&gateway, key, furnished.pages()).await {
            if path.contains("sign-in") {
                continue;
            }
            browser.open(&format!("{}{path}", gateway.admin_url)).await;
            browser.shows(&format!("console-{who}-{}", name(&path))).await;
        }
    }
    browser.open(&format!("{}/console/keys", gateway.admin_url)).await;
    browser.reads("Your key may not do this").await;
    browser.shows("console-forbidden").await;
}

#[tokio::test]
async fn a_webhook_is_added_tested_and_removed_in_a_browser() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    let (chromium, receiver) = (Chromium::start().await, Receiver::start().await);
    let browser = chromium.browser().await;
    browser.signs_in(&gateway, &gateway.new_admin_key().await).await;
    browser.press("Webhooks").await;
    browser.sees("Webhooks").await;
    browser.fill("url", "hooks.example.com").await;
    browser.press("Add webhook").await;
    browser.reads("must be https://").await;
    browser.shows("console-webhook-wrong").await;
    browser.fill("url", &receiver.url).await;
    browser.press("Add webhook").await;
    browser.sees("Save this secret now").await;
    browser.reads("whsec_").await;
    browser.shows("console-webhook-secret").await;
    browser.press("I have saved it").await;
    browser.sees("Webhook").await;
    receiver.next(&[500]);
    browser.press("Test now").await;
    browser.reads("The receiver rejected the test: it answered with status 500.").await;
    browser.shows("console-webhook-test-failed").await;
    browser.press("Test now").await;
    browser.reads("The test was delivered: the receiver returned status 204.").await;
    browser.shows("console-webhook-test-arrived").await;
    gateway.connect(&["alice"]).await;
    gateway.deliver().await;
    browser.press("Show").await;
    browser.press("Resend delivery 1").await;
    browser.reads("The event is being sent again.").await;
    assert_eq!(gateway.deliver().await, 1);
    browser.press("Remove…").await;
    browser.sees("Remove this webhook?").await;
    browser.shows("console-webhook-remove").await;
    browser.press("Remove webhook").await;
    browser.reads("The webhook was removed.").await;
    browser.shows("console-webhook-removed").await;
}
