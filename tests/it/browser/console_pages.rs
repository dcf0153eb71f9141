//! Every page of the console, as an admin comes by it.

use countersign::model::{AccountRef, Endpoint};

use crate::bench::body;
use crate::browser::chromium::{Browser, Chromium};
use crate::connect::open_house;
use crate::database::{Kind, fresh};
use crate::house::House;

impl Browser {
    /// Signs in to the console of that house.
    pub async fn signs_in(&self, house: &House, key: &str) {
        self.open(&format!("{}/console/sign-in", house.admin_url)).await;
        self.types("key", key).await;
        self.press("Sign in").await;
        self.find("//header").await;
    }

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
