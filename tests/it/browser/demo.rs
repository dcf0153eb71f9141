//! What a new user does first: `countersign demo`, its link in a browser, and calls as the account that was connected.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::chromium::{Browser, Chromium};
use crate::http::{Answer, Ask};
use crate::program::demo;
use crate::upstream::{LAST_28H, body};
use crate::webhooks::receiver::{Arrived, Receiver};

/// A running demo, as somebody knows it who has only its card.
pub struct Demo {
    pub card: Value,
    http: reqwest::Client,
    /// A user of the sandbox whose account is not connected at first.
    pub newcomer: Value,
}

impl Demo {
    pub async fn of(card: Value) -> Demo {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut demo = Demo { card, http, newcomer: Value::Null };
        let world = demo.ask("sandbox", "GET", "/sandbox/world").send().await.json();
        let users = world["users"].as_array().unwrap().iter();
        let known = demo.card["accounts"].to_string();
        let mut others = users.filter(|user| {
            user["state"] == "active" && !known.contains(user["user_id"].as_str().unwrap())
        });
        demo.newcomer = others.next().unwrap().clone();
        demo
    }

    pub fn name(&self) -> &str {
        self.newcomer["screen_name"].as_str().unwrap()
    }

    pub fn ask(&self, server: &str, method: &str, path: &str) -> Ask {
        Ask::new(&self.http, self.card[server].as_str().unwrap(), method, path)
    }

    fn admin(&self, method: &str, path: &str) -> Ask {
        self.ask("admin", method, path)
            .header("x-api-key", self.card["admin_key"].as_str().unwrap())
    }

    async fn new_link(&self) -> String {
        let wanted = json!({ "app": "demo", "label": "once more" }).to_string();
        let made = self.admin("POST", "/admin/v1/links").header("content-type", "application/json");
        let made = made.body(wanted).send().await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["url"].as_str().unwrap().to_owned()
    }

    /// A call that only the newcomer's own token may sign.
    async fn call(&self) -> Answer {
        let id = self.newcomer["posts"][0]["id"].as_str().unwrap().to_owned();
        let call = self.ask("gateway", "POST", LAST_28H);
        call.header("x-api-key", self.card["key"].as_str().unwrap())
            .header("countersign-account", self.newcomer["user_id"].as_str().unwrap())
            .body(body(&[id], &["impressions"], &["tweet.id"]).to_string())
            .send()
            .await
    }

    async fn state(&self) -> Value {
        let path = format!("/admin/v1/accounts/{}", self.newcomer["user_id"].as_str().unwrap());
        self.admin("GET", &path).send().await.json()["state"].clone()
    }

    /// Connects the newcomer with that link.
    pub async fn connect(&self, browser: &Browser, link: &str) {
        browser.open(link).await;
        browser.sees("Connect your X account to demo").await;
        browser.press("Continue to X").await;
        browser.sees("Let the app “demo” use an account?").await;
        browser.choose(self.name()).await;
        browser.press("Allow").await;
        browser.sees(&format!("Connected as @{}", self.name())).await;
        assert_eq!(browser.url().await.as_str(), link, "a clean address, without a token");
        self.call().await.is_relayed(200);
        assert_eq!(self.state().await, "active");
    }
}

#[tokio::test]
async fn an_account_is_connected_revoked_and_connected_again() {
    let folder = TempDir::new().unwrap();
    let (_running, card) = demo::card(folder.path()).await;
    let demo = Demo::of(card).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    demo.call().await.is_own(404, "account_not_found");
    let receiver = Receiver::start().await;
    let hook = demo.admin("POST", "/admin/v1/webhooks").header("content-type", "application/json");
    let hook = hook.body(json!({ "url": receiver.url }).to_string()).send().await;
    assert_eq!(hook.status, 201, "{}", hook.text());

    let first = demo.card["link"].as_str().unwrap();
    demo.connect(&browser, first).await;

    // Whoever opens the link in another browser learns that it was used, and not by whom.
    let other = chromium.browser().await;
    other.open(first).await;
    other.sees("Already used").await;
    other.reads("This link has already been used.").await;

    let second = demo.new_link().await;
    browser.open(&second).await;
    browser.press("Continue to X").await;
    browser.sees("Let the app “demo” use an account?").await;
    browser.press("Cancel").await;
    browser.sees("You did not let “demo” in").await;
    browser.press("Return to demo").await;
    browser.sees("Connect your X account to demo").await;
    browser.reads("Not connected. Access was denied at X, so nothing was connected.").await;

    let settings = format!("{}/settings/connected_apps", demo.card["sandbox"].as_str().unwrap());
    browser.open(&settings).await;
    browser.press(&format!("Revoke demo for @{}", demo.name())).await;
    browser.reads(&format!("@{} demo not connected", demo.name())).await;
    demo.call().await.is_relayed(401);
    let refused = demo.call().await;
    refused.is_own(403, "account_not_active");
    assert!(refused.text().contains("revoked"), "{}", refused.text());
    assert_eq!(demo.state().await, "revoked");

    // The connection and its end, which says how to reconnect.
    let events = account_events(&receiver, 2).await;
    assert_eq!(events[1].what(), ("account.revoked".to_owned(), demo.name().to_owned()));
    let link = events[1].json()["data"]["reconnect_url"].as_str().unwrap().to_owned();
    demo.connect(&browser, &link).await;
    assert_eq!(account_events(&receiver, 3).await[2].what().0, "account.connected");
}

/// Waits for so many events of accounts; that an account cannot be used is an event about the gateway, too.
async fn account_events(receiver: &Receiver, count: usize) -> Vec<Arrived> {
    loop {
        let arrived = receiver.arrived();
        let next = arrived.len() + 1;
        let is_of_account =
            |event: &Arrived| event.json()["type"].as_str().unwrap().starts_with("account.");
        let events: Vec<Arrived> = arrived.into_iter().filter(is_of_account).collect();
        if events.len() >= count {
            return events;
        }
        receiver.wait_for(next).await;
    }
}
