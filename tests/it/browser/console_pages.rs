//! Every page of the console, empty and with something on it, as an admin comes by it and as one who only looks.

use crate::browser::chromium::{Browser, Chromium};
use crate::console::Visitor;
use crate::console::rules::{Furnished, routes};
use crate::database::{Kind, fresh};
use crate::house::House;
use crate::webhooks::open_house;
use crate::webhooks::receiver::Receiver;

impl Browser {
    pub async fn signs_in(&self, house: &House, key: &str) {
        self.open(&format!("{}/console/sign-in", house.admin_url)).await;
        self.fill("key", key).await;
        self.press("Sign in").await;
        self.find("//nav[@aria-label='Console']").await;
    }

    /// Writes into the field of that id.
    pub async fn fill(&self, id: &str, text: &str) {
        let text = serde_json::Value::from(text);
        self.run(&format!("document.getElementById('{id}').value = {text}")).await;
    }
}

/// Of those paths, what is shown in a browser.
async fn shown(house: &House, key: &str, paths: Vec<String>) -> Vec<String> {
    let visitor = Visitor::with_key(house, key).await;
    let mut shown = Vec::new();
    for path in paths {
        let answer = visitor.open(&path).await;
        if answer.status == 200 && answer.header("content-type").starts_with("text/html") {
            shown.push(path);
        }
    }
    shown
}

/// What a picture is called: the path, with `one` for each id.
fn name(path: &str) -> String {
    let is_id = |it: &str| it.contains(|it: char| it.is_ascii_digit() || it.is_uppercase());
    let words = path.trim_start_matches("/console").split('/').filter(|it| !it.is_empty());
    let words: Vec<&str> = words.map(|it| if is_id(it) { "one" } else { it }).collect();
    if words.is_empty() { "start".to_owned() } else { words.join("-") }
}

#[tokio::test]
async fn the_consoles_pages_are_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let house = open_house(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    let admin = house.new_admin_key().await;

    browser.open(&format!("{}/console/sign-in", house.admin_url)).await;
    browser.shows("console-sign-in").await;
    browser.fill("key", "csa_wrong").await;
    browser.press("Sign in").await;
    browser.reads("This admin key is not valid, or has expired or been revoked.").await;
    browser.shows("console-sign-in-refused").await;
    browser.signs_in(&house, &admin).await;
    let without_names = routes().into_iter().filter(|it| it.1 == "GET" && !it.0.contains('{'));
    let paths: Vec<String> = without_names.map(|it| it.0).collect();
    for path in shown(&house, &admin, paths.clone()).await {
        if path.contains("sign-in") || path == "/console" {
            continue;
        }
        browser.open(&format!("{}{path}", house.admin_url)).await;
        browser.shows(&format!("console-empty-{}", name(&path))).await;
    }
    database.run("delete from audit").await;
    browser.open(&format!("{}/console/audit", house.admin_url)).await;
    browser.reads("No entries yet.").await;
    browser.shows("console-audit-none").await;
    browser.run("document.querySelector('details').open = true").await;
    browser.shows("console-signing-out").await;
    browser.open(&format!("{}/console/nothing", house.admin_url)).await;
    browser.sees("Not found").await;
    browser.reads("This page does not exist.").await;
    browser.shows("console-nothing").await;

    let furnished = Furnished::new(&house).await;
    for (who, key) in [("admin", &admin), ("looks", &house.looking_key().await)] {
        browser.forgets().await;
        browser.signs_in(&house, key).await;
        for path in shown(&house, key, furnished.pages()).await {
            if path.contains("sign-in") {
                continue;
            }
            browser.open(&format!("{}{path}", house.admin_url)).await;
            browser.shows(&format!("console-{who}-{}", name(&path))).await;
        }
    }
}

#[tokio::test]
async fn a_webhook_is_added_tested_and_removed_in_a_browser() {
    let database = fresh(Kind::Sqlite).await;
    let house = open_house(&database).await;
    let (chromium, receiver) = (Chromium::start().await, Receiver::start().await);
    let browser = chromium.browser().await;
    browser.signs_in(&house, &house.new_admin_key().await).await;
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
    house.connect(&["alice"]).await;
    house.deliver().await;
    browser.press("Show").await;
    browser.press("Resend delivery 1").await;
    browser.reads("The event is being sent again.").await;
    assert_eq!(house.deliver().await, 1);
    browser.press("Remove…").await;
    browser.sees("Remove this webhook?").await;
    browser.shows("console-webhook-remove").await;
    browser.press("Remove webhook").await;
    browser.reads("The webhook was removed.").await;
    browser.shows("console-webhook-removed").await;
}
