//! The console's forms and what comes of them, as an admin comes by them.

use countersign::model::{AccountRef, Endpoint};

use crate::bench::body;
use crate::browser::chromium::{Browser, Chromium};
use crate::connect::open_house;
use crate::database::{Kind, fresh};
use crate::house::House;

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
    browser.reads("X was asked: the account's token works.").await;
    browser.press("Make a link to reconnect").await;
    browser.sees("A link for you to send").await;
    browser.shows("console-link-made").await;
    browser.press("Back to the account").await;
    browser.press("Remove…").await;
    browser.sees("Remove @bob?").await;
    browser.shows("console-account-remove").await;
    browser.press("Remove the account").await;
    browser.reads("The account is removed, and its token gone.").await;
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
    browser.press("Make a key for a service").await;
    browser.sees("Make a key for a service").await;
    browser.shows("console-key-new").await;
    browser.types("name", "dashboard").await;
    browser.types("accounts", "alice").await;
    browser.press("Make the key").await;
    browser.reads("must be a user id of 1 to 19 digits").await;
    browser.shows("console-key-wrong").await;
    browser.types("accounts", &house.id("alice").to_string()).await;
    browser.press("Make the key").await;
    browser.reads("This is the one time that it is shown").await;
    browser.shows("console-key-made").await;
    browser.goes_to(&house, "/console/keys/new?kind=admin").await;
    browser.shows("console-key-new-admin").await;
    browser.goes_to(&house, "/console/keys?search=dashboard").await;
    browser.press("Revoke dashboard…").await;
    browser.sees("Revoke dashboard?").await;
    browser.shows("console-key-revoke").await;
    browser.press("Revoke the key").await;
    browser.reads("The key is revoked").await;
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
    browser.press("Make a link").await;
    browser.sees("Make a link to connect an account").await;
    browser.shows("console-link-new").await;
    browser.types("label", "the weekly report").await;
    browser.types("user_id", "carol").await;
    browser.press("Make the link").await;
    browser.reads("must be a user id of 1 to 19 digits").await;
    browser.shows("console-link-wrong").await;
    browser.types("user_id", "").await;
    browser.press("Make the link").await;
    browser.sees("A link for you to send").await;
    browser.press("All links that wait").await;
    browser.press("Withdraw the weekly report").await;
    browser.reads("The link is withdrawn").await;
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
    browser.press("The first steps").await;
    browser.sees("First steps").await;
    browser.shows("console-start").await;
    browser.press("Make a link").await;
    browser.sees("Make a link to connect an account").await;
}
