//! The console's forms and their results, as an admin meets them.

use countersign::model::{AccountRef, Endpoint};
use serde_json::json;

use crate::browser::chromium::{Browser, Chromium};
use crate::connect::start_gateway;
use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::program::deployment::Deployment;
use crate::upstream::body;

impl Browser {
    async fn goes_to(&self, gateway: &TestGateway, path: &str) {
        self.open(&format!("{}{path}", gateway.admin_url)).await;
    }
}

#[tokio::test]
async fn the_pages_about_accounts_are_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&gateway, &gateway.new_admin_key().await).await;

    let ids = gateway.sandbox.ids("alice", 2);
    for name in ["alice", "bob"] {
        let private = body(&ids, &["impressions"], &["tweet.id"]);
        gateway.call_as(name, Endpoint::TwentyEightHours, &private).send().await;
    }
    browser.goes_to(&gateway, "/console/accounts").await;
    browser.reads("X rejected the call (403)").await;
    browser.shows("console-accounts").await;
    browser.goes_to(&gateway, "/console/accounts?search=nobody").await;
    browser.shows("console-accounts-none-like-that").await;
    browser.goes_to(&gateway, "/console/accounts").await;
    browser.press("@bob").await;
    browser.sees("@bob").await;
    browser.shows("console-account").await;
    browser.press("Verify now").await;
    browser.reads("Checked with X: the account's token works.").await;
    browser.press("Create a reconnect link").await;
    browser.sees("Send this link").await;
    browser.shows("console-link-made").await;
    browser.press("Back to the account").await;
    browser.press("Remove…").await;
    browser.sees("Remove @bob?").await;
    browser.shows("console-account-remove").await;
    browser.press("Remove account").await;
    browser.reads("The account was removed and its token deleted.").await;
    let alice = AccountRef::Id(gateway.id("alice"));
    gateway.inner.remove_account(None, &alice, "test").await.unwrap();
    browser.goes_to(&gateway, "/console/accounts").await;
    browser.shows("console-accounts-none").await;
}

#[tokio::test]
async fn the_pages_about_keys_are_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&gateway, &gateway.new_admin_key().await).await;
    let odd = "</bdi><script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    gateway.new_key(|key| key.name = format!("{odd:W<100}")).await;
    gateway
        .new_key(|key| key.scopes.accounts = Some(vec![gateway.id("alice"), gateway.id("bob")]))
        .await;

    browser.goes_to(&gateway, "/console/keys").await;
    browser.shows("console-keys").await;
    browser.press("Create a service key").await;
    browser.sees("Create a service key").await;
    browser.shows("console-key-new").await;
    browser.types("name", "dashboard").await;
    browser.types("accounts", "alice").await;
    browser.press("Create key").await;
    browser.reads("must be a user id of 1 to 19 digits").await;
    browser.shows("console-key-wrong").await;
    browser.types("accounts", &gateway.id("alice").to_string()).await;
    browser.find("//option[@value='30d']").await.click().await.unwrap();
    browser.press("Create key").await;
    browser.reads("Key created. Copy it now: it is shown only once.").await;
    browser.shows("console-key-made").await;
    browser.goes_to(&gateway, "/console/keys/new?role=owner").await;
    browser.shows("console-key-new-admin").await;
    browser.goes_to(&gateway, "/console/keys?search=dashboard").await;
    browser.reads("2026-04-09 21:15 UTC").await;
    browser.shows("console-keys-expiring").await;
    browser.press("Change the limits of dashboard…").await;
    browser.sees("Limits of “dashboard”").await;
    browser.shows("console-key-limits").await;
    browser.types("weight", "0").await;
    browser.types("per_minute", "many").await;
    browser.press("Save limits").await;
    browser.reads("The limits were not changed.").await;
    browser.reads("must be from 1 to 1000").await;
    browser.shows("console-key-limits-wrong").await;
    browser.types("weight", "2").await;
    browser.types("per_minute", "120").await;
    browser.types("at_once", "4").await;
    browser.press("Save limits").await;
    browser.reads("The limits were changed.").await;
    browser.reads("weight 2, 120 requests per minute, 4 at once in each replica").await;
    browser.shows("console-keys-limited").await;
    browser.press("Revoke dashboard…").await;
    browser.sees("Revoke “dashboard”?").await;
    browser.shows("console-key-revoke").await;
    browser.press("Revoke key").await;
    browser.reads("The key was revoked").await;
    browser.goes_to(&gateway, "/console/keys?state=any").await;
    browser.shows("console-keys-ended").await;
    // Behind the gateway's back, which still has the session cached.
    database.run("update key set revoked_at = created_at").await;
    browser.goes_to(&gateway, "/console/keys").await;
    browser.reads("No active keys.").await;
    browser.shows("console-keys-none").await;
}

#[tokio::test]
async fn the_pages_about_links_are_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&gateway, &gateway.new_admin_key().await).await;

    browser.goes_to(&gateway, "/console/links").await;
    browser.shows("console-links-none").await;
    let odd = "</bdi><script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    gateway.link_with(|link| link.label = format!("{odd:W<100}")).await;
    gateway.link_with(|link| link.expected_user = Some(gateway.id("carol"))).await;
    browser.goes_to(&gateway, "/console/links").await;
    browser.shows("console-links").await;
    browser.press("Create a link").await;
    browser.sees("Create a link to connect an account").await;
    browser.shows("console-link-new").await;
    browser.types("label", "the weekly report").await;
    browser.types("user_id", "carol").await;
    browser.press("Create link").await;
    browser.reads("must be a user id of 1 to 19 digits").await;
    browser.shows("console-link-wrong").await;
    browser.types("user_id", "").await;
    browser.press("Create link").await;
    browser.sees("Send this link").await;
    browser.press("All links").await;
    browser.press("Withdraw the weekly report…").await;
    browser.sees("Withdraw “the weekly report”?").await;
    browser.press("Withdraw link").await;
    browser.reads("The link was withdrawn").await;
}

#[tokio::test]
async fn the_first_steps_are_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&gateway, &gateway.new_admin_key().await).await;
    browser.goes_to(&gateway, "/console/start").await;
    browser.shows("console-start-almost").await;
    for name in ["alice", "bob"] {
        let named = AccountRef::Id(gateway.id(name));
        gateway.inner.remove_account(None, &named, "test").await.unwrap();
    }
    browser.goes_to(&gateway, "/console/accounts").await;
    browser.press("first steps").await;
    browser.sees("First steps").await;
    browser.shows("console-start").await;
    browser.press("Create a link").await;
    browser.sees("Create a link to connect an account").await;
}

#[tokio::test]
async fn the_first_steps_begin_with_nothing_at_all() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.set("APPS__DEMO__CONSUMER_KEY", "");
    deployment.set("APPS__DEMO__CONSUMER_SECRET", "");
    deployment.must(&["migrate"]).await;
    let key = deployment.key("boss", &["--admin"]).await;
    let running = deployment.serve().await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.open(&format!("{}/console/start", running.admin_url)).await;
    browser.types("key", &key).await;
    browser.press("Sign in").await;
    browser.sees("First steps").await;
    browser.reads("1. Configure an app next").await;
    browser.complaints().await;
    browser.shows("console-start-nothing").await;
}

// Each row is displayed as a block there, which must not change its role for screen readers.
#[tokio::test]
async fn a_table_on_a_phone_is_one_to_screen_readers() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&gateway, &gateway.new_admin_key().await).await;
    let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true });
    browser.tell("Emulation.setDeviceMetricsOverride", phone).await;
    browser.goes_to(&gateway, "/console/accounts").await;
    let tree = browser.tell("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().unwrap();
    let count = |role: &str| nodes.iter().filter(|node| node["role"]["value"] == role).count();
    assert_eq!(["table", "row", "columnheader", "cell"].map(count), [1, 3, 7, 14]);
    let shown = "return [...document.querySelectorAll('tbody tr')].map(it => it.getBoundingClientRect().width > 300 && it.cells[1].offsetTop > it.cells[0].offsetTop)";
    assert_eq!(browser.run(shown).await, json!([true, true]));
}
