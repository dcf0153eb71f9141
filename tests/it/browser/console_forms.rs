//! The console's forms and what comes of them, as an admin comes by them.

use countersign::model::{AccountRef, Endpoint};
use serde_json::json;

use crate::bench::body;
use crate::browser::chromium::{Browser, Chromium};
use crate::connect::open_house;
use crate::database::{Kind, fresh};
use crate::house::House;
use crate::program::deployment::Deployment;

impl Browser {
    async fn goes_to(&self, house: &House, path: &str) {
        self.open(&format!("{}{path}", house.admin_url)).await;
    }
}

#[tokio::test]
async fn the_pages_about_accounts_are_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let house = open_house(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&house, &house.new_admin_key().await).await;

    let ids = house.bench.ids("alice", 2);
    for name in ["alice", "bob"] {
        let private = body(&ids, &["impressions"], &["tweet.id"]);
        house.call_as(name, Endpoint::TwentyEightHours, &private).send().await;
    }
    browser.goes_to(&house, "/console/accounts").await;
    browser.reads("X refused the call (403)").await;
    browser.shows("console-accounts").await;
    browser.goes_to(&house, "/console/accounts?search=nobody").await;
    browser.shows("console-accounts-none-like-that").await;
    browser.goes_to(&house, "/console/accounts").await;
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
    let alice = AccountRef::Id(house.id("alice"));
    house.gateway.remove_account(None, &alice, "test").await.unwrap();
    browser.goes_to(&house, "/console/accounts").await;
    browser.shows("console-accounts-none").await;
}

#[tokio::test]
async fn the_pages_about_keys_are_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let house = open_house(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&house, &house.new_admin_key().await).await;
    let odd = "</bdi><script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    house.new_key(|it| it.name = format!("{odd:W<100}")).await;
    house.new_key(|it| it.accounts = vec![house.id("alice"), house.id("bob")]).await;

    browser.goes_to(&house, "/console/keys").await;
    browser.shows("console-keys").await;
    browser.press("Create a service key").await;
    browser.sees("Create a service key").await;
    browser.shows("console-key-new").await;
    browser.types("name", "dashboard").await;
    browser.types("accounts", "alice").await;
    browser.press("Create key").await;
    browser.reads("must be a user id of 1 to 19 digits").await;
    browser.shows("console-key-wrong").await;
    browser.types("accounts", &house.id("alice").to_string()).await;
    browser.find("//option[@value='30d']").await.click().await.unwrap();
    browser.press("Create key").await;
    browser.reads("Key created. Copy it now: it is shown only once.").await;
    browser.shows("console-key-made").await;
    browser.goes_to(&house, "/console/keys/new?kind=admin").await;
    browser.shows("console-key-new-admin").await;
    browser.goes_to(&house, "/console/keys?search=dashboard").await;
    browser.reads("2026-04-09 21:15 UTC").await;
    browser.shows("console-keys-expiring").await;
    browser.press("Revoke dashboard…").await;
    browser.sees("Revoke “dashboard”?").await;
    browser.shows("console-key-revoke").await;
    browser.press("Revoke key").await;
    browser.reads("The key was revoked").await;
    browser.goes_to(&house, "/console/keys?state=any").await;
    browser.shows("console-keys-ended").await;
    // Past the gateway, which goes on to know the session.
    database.run("update key set revoked_at = created_at").await;
    browser.goes_to(&house, "/console/keys").await;
    browser.reads("No active keys.").await;
    browser.shows("console-keys-none").await;
}

#[tokio::test]
async fn the_pages_about_links_are_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let house = open_house(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&house, &house.new_admin_key().await).await;

    browser.goes_to(&house, "/console/links").await;
    browser.shows("console-links-none").await;
    let odd = "</bdi><script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    house.link_with(|it| it.label = format!("{odd:W<100}")).await;
    house.link_with(|it| it.expected_user = Some(house.id("carol"))).await;
    browser.goes_to(&house, "/console/links").await;
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
    let house = open_house(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&house, &house.new_admin_key().await).await;
    browser.goes_to(&house, "/console/start").await;
    browser.shows("console-start-almost").await;
    for name in ["alice", "bob"] {
        let named = AccountRef::Id(house.id(name));
        house.gateway.remove_account(None, &named, "test").await.unwrap();
    }
    browser.goes_to(&house, "/console/accounts").await;
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

// Each row is shown by itself there, which must not make it something else to who does not see it.
#[tokio::test]
async fn a_table_on_a_phone_is_one_to_screen_readers() {
    let database = fresh(Kind::Sqlite).await;
    let house = open_house(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.signs_in(&house, &house.new_admin_key().await).await;
    let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true });
    browser.tell("Emulation.setDeviceMetricsOverride", phone).await;
    browser.goes_to(&house, "/console/accounts").await;
    let tree = browser.tell("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().unwrap();
    let count = |role: &str| nodes.iter().filter(|it| it["role"]["value"] == role).count();
    assert_eq!(["table", "row", "columnheader", "cell"].map(count), [1, 3, 7, 14]);
    let shown = "return [...document.querySelectorAll('tbody tr')].map(it => it.getBoundingClientRect().width > 300 && it.cells[1].offsetTop > it.cells[0].offsetTop)";
    assert_eq!(browser.run(shown).await, json!([true, true]));
}
