//! Every way in which a try ends badly: its page says what happened and what to do, and nothing is stored.

use countersign::model::Secret;
use countersign::model::handshake::NotConnected;
use serde_json::{Value, json};
use time::Duration;

use crate::bench::Answer;
use crate::connect::browser::Browser;
use crate::connect::{fault, open_house, open_house_with, path_of};
use crate::database::{PrivatePostgres, on_both, settings};
use crate::house::House;
use crate::sandbox::handshake::{ACCESS_TOKEN, REQUEST_TOKEN, decide};

impl Answer {
    /// The link's page, which tells how the try ended and lets its browser begin again.
    #[track_caller]
    fn tells(&self, end: NotConnected) {
        let again = if end.is_for_others() { "<button class=\"plain\">" } else { "<button>" };
        let again = &format!("{again}Try again at X</button>");
        self.is_page(
            200,
            &["role=\"alert\"", "Not connected.", &shown(end.what()), &shown(end.advice()), again],
        );
    }

    /// A page without a way on.
    #[track_caller]
    fn ends(&self, status: u16, end: NotConnected) {
        self.is_page(status, &["role=\"alert\"", &shown(end.what()), &shown(end.advice())]);
        assert!(!self.text().contains("<form"), "{}", self.text());
    }
}

/// As it stands in a page.
fn shown(text: &str) -> String {
    text.replace('\'', "&#39;")
}

/// Begins, which goes back to the link's page, and looks at that.
async fn begin_fails(house: &House, end: NotConnected) {
    let (link, mut browser) = (house.link().await, Browser::new());
    let pressed = browser.press(&link).await;
    pressed.goes_to(path_of(&link));
    browser.open(&link).await.tells(end);
    house.nothing_stored().await;
    // Another browser learns nothing of it.
    Browser::new().open(&link).await.ends(403, NotConnected::OtherBrowser);
}

/// The user allows it, and the callback ends so; then the same link works once nothing is wrong any more.
async fn callback_fails(house: &House, faults: Value, end: NotConnected) {
    let (link, mut browser) = (house.link().await, Browser::new());
    let back = house.allow(&mut browser, &link, "carol").await;
    let (before, is_fault) = (house.steps().await.1, !faults.as_array().unwrap().is_empty());
    house.order(faults).await;
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.tells(end);
    assert_eq!(house.steps().await.1, before + usize::from(is_fault), "{}", end.name());
    house.nothing_stored().await;
    house.order(json!([])).await;
    // The verifier does not come a second time.
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.tells(end);
}

on_both! {
    async fn a_user_who_says_no_can_begin_again(database: Database) {
        let house = open_house(&database).await;
        let (link, mut browser) = (house.link().await, Browser::new());
        let token = house.begin(&mut browser, &link).await;
        let refused = decide(&house.bench, &token, "cancel", "").await.text();
        let back = format!("{}/connect/callback?denied={token}", house.url);
        assert!(refused.contains(&back), "{refused}");
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.tells(NotConnected::Cancelled);
        // Said again, it is no other end.
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.tells(NotConnected::Cancelled);
        house.nothing_stored().await;
        assert_eq!(house.steps().await, (1, 0));

        let back = house.allow(&mut browser, &link, "carol").await;
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.is_page(200, &["as @carol"]);
    }

    async fn a_link_ends_with_its_time(database: Database) {
        let house = open_house(&database).await;
        let hour = std::time::Duration::from_hours(1);
        let link = house.link_with(|it| it.expires_in = Some(hour)).await;
        let mut browser = Browser::new();
        house.bench.clock.forward(Duration::minutes(59));
        let back = house.allow(&mut browser, &link, "carol").await;
        house.bench.clock.forward(Duration::minutes(1));
        browser.open(&link).await.ends(404, NotConnected::LinkUnknown);
        browser.press(&link).await.ends(404, NotConnected::LinkUnknown);
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.ends(404, NotConnected::LinkUnknown);
        house.nothing_stored().await;
        assert_eq!(house.steps().await, (1, 0));
    }

    async fn a_link_that_never_was_is_not_known(database: Database) {
        let house = open_house(&database).await;
        let mut browser = Browser::new();
        for id in ["x", "%20", &"a".repeat(43), &"a".repeat(5000), "%00", "%ff", "a%2fb", "callback%00"] {
            let link = format!("{}/connect/{id}", house.url);
            browser.open(&link).await.ends(404, NotConnected::LinkUnknown);
            browser.press(&link).await.ends(404, NotConnected::LinkUnknown);
        }
        assert_eq!((house.steps().await, browser.cookies.len()), ((0, 0), 0));
    }

    async fn a_link_belongs_to_the_browser_that_began(database: Database) {
        let house = open_house(&database).await;
        let (link, mut browser, mut other) = (house.link().await, Browser::new(), Browser::new());
        // Whoever only looks at it takes nothing.
        other.open(&link).await.is_page(200, &["Continue to X"]);
        let back = house.allow(&mut browser, &link, "carol").await;
        other.open(&link).await.ends(403, NotConnected::OtherBrowser);
        other.press(&link).await.ends(403, NotConnected::OtherBrowser);
        // What X sent another browser back with does nothing: without a cookie, and with one of another link.
        other.follow(&back).await.ends(403, NotConnected::OtherBrowser);
        let own = house.link().await;
        house.begin(&mut other, &own).await;
        other.follow(&back).await.goes_to(path_of(&own));
        other.open(&own).await.is_page(200, &["Continue to X"]);
        house.nothing_stored().await;
        assert_eq!(house.steps().await, (2, 0));
        // And it still works where it was begun.
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.is_page(200, &["as @carol"]);
    }

    async fn only_the_user_that_a_link_is_for_connects_by_it(database: Database) {
        let house = open_house(&database).await;
        let carol = house.id("carol");
        let link = house.link_with(|it| it.expected_user = Some(carol)).await;
        let mut browser = Browser::new();
        for other in ["dave", "alice"] {
            let back = house.allow(&mut browser, &link, other).await;
            browser.follow(&back).await.goes_to(path_of(&link));
            browser.open(&link).await.tells(NotConnected::OtherUser);
            house.nothing_stored().await;
        }
        let back = house.allow(&mut browser, &link, "carol").await;
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.is_page(200, &["as @carol"]);
    }

    async fn a_try_that_takes_too_long_ends(database: Database) {
        let house = open_house(&database).await;
        let (link, mut browser) = (house.link().await, Browser::new());
        let back = house.allow(&mut browser, &link, "carol").await;
        house.bench.clock.forward(Duration::minutes(15));
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.tells(NotConnected::TookTooLong);
        house.nothing_stored().await;
        assert_eq!(house.steps().await, (1, 0));
        let back = house.allow(&mut browser, &link, "carol").await;
        house.bench.clock.forward(Duration::seconds(15 * 60 - 1));
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.is_page(200, &["as @carol"]);
    }

    async fn a_callback_must_be_approved_at_x(database: Database) {
        let house = open_house(&database).await;
        // Exactly: X holds a slash at the end against it.
        house.switch(json!({ "callbacks": [format!("{}/connect/callback/", house.url)] })).await;
        begin_fails(&house, NotConnected::CallbackNotApproved).await;
        house.switch(json!({ "callbacks": [] })).await;
        begin_fails(&house, NotConnected::CallbackNotApproved).await;
        let answers = house.arrived(REQUEST_TOKEN).await;
        assert_eq!(answers.iter().map(|it| it["status"].as_u64().unwrap()).collect::<Vec<_>>(), [403, 401]);
        // In JSON, as the sandbox's own answer is in XML.
        house.order(json!([fault(REQUEST_TOKEN, &json!({ "kind": "status", "code": 415 }))])).await;
        begin_fails(&house, NotConnected::CallbackNotApproved).await;
        house.order(json!([])).await;

        house.switch(json!({ "callbacks": [format!("{}/connect/callback", house.url)] })).await;
        let (link, mut browser) = (house.link().await, Browser::new());
        house.begin(&mut browser, &link).await;
    }

    async fn what_x_holds_against_an_app_is_told(database: Database) {
        let house = open_house(&database).await;
        house.switch(json!({ "suspended_apps": ["demo"] })).await;
        begin_fails(&house, NotConnected::AppSuspended).await;
        house.switch(json!({ "suspended_apps": [] })).await;
        house.order(json!([fault(REQUEST_TOKEN, &json!({ "kind": "status", "code": 135 }))])).await;
        begin_fails(&house, NotConnected::ClockRejected).await;
        house.order(json!([fault(REQUEST_TOKEN, &json!({ "kind": "status", "code": 32 }))])).await;
        begin_fails(&house, NotConnected::AppRejected).await;
    }

    async fn a_wrong_consumer_secret_is_told(database: Database) {
        let house = open_house_with(&database, |config| {
            config.apps.get_mut("demo").unwrap().consumer_secret = Secret::from("wrong");
        })
        .await;
        let (link, mut browser) = (house.link().await, Browser::new());
        browser.press(&link).await.goes_to(path_of(&link));
        browser.open(&link).await.tells(NotConnected::AppRejected);
        assert!(!house.is_connected("carol").await);
    }

    async fn a_clock_that_is_off_is_corrected_by_what_x_says(database: Database) {
        let house = open_house(&database).await;
        house.switch(json!({ "clock_offset_s": 1000 })).await;
        let (link, mut browser) = (house.link().await, Browser::new());
        let back = house.allow(&mut browser, &link, "carol").await;
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.is_page(200, &["as @carol"]);
        assert_eq!(house.steps().await, (2, 1));
    }

    async fn x_may_be_away(database: Database) {
        let house = open_house(&database).await;
        for wrong in [json!({ "kind": "reset" }), json!({ "kind": "status", "status": 503 }), json!({ "kind": "status", "code": 88 })] {
            house.order(json!([fault(REQUEST_TOKEN, &wrong)])).await;
            begin_fails(&house, NotConnected::XAway).await;
            house.order(json!([])).await;
            callback_fails(&house, json!([fault(ACCESS_TOKEN, &wrong)]), NotConnected::XAway).await;
        }
    }

    async fn an_exchange_that_x_refuses_ends_the_try(database: Database) {
        let house = open_house(&database).await;
        for (code, end) in [
            (89, NotConnected::TookTooLong),
            (32, NotConnected::AppRejected),
            (135, NotConnected::ClockRejected),
            (416, NotConnected::AppSuspended),
        ] {
            let wrong = json!([fault(ACCESS_TOKEN, &json!({ "kind": "status", "code": code }))]);
            callback_fails(&house, wrong, end).await;
        }
        for text in ["Request token missing", "This feature is temporarily unavailable", "<hash><error>Invalid / expired Token</error></hash>", ""] {
            let wrong = json!([fault(ACCESS_TOKEN, &json!({ "kind": "status", "status": 401, "text": text }))]);
            callback_fails(&house, wrong, NotConnected::TookTooLong).await;
        }
    }

    async fn a_row_that_was_edited_in_the_database_is_no_link(database: Database) {
        let house = open_house(&database).await;
        for change in [
            "app = 'other'",
            "label = 'x'",
            "expected_user_id = '1'",
            "return_to = 'https://evil.example/'",
            "expires_at = '2026-03-12 01:00:00+00:00'",
        ] {
            let (link, mut browser) = (house.link().await, Browser::new());
            let back = house.allow(&mut browser, &link, "carol").await;
            database.run(&format!("update link set {change} where user_id is null")).await;
            browser.open(&link).await.ends(404, NotConnected::LinkUnknown);
            browser.press(&link).await.ends(404, NotConnected::LinkUnknown);
            browser.follow(&back).await.goes_to(path_of(&link));
            database.run("delete from link").await;
        }
        // A link for one user, made one for all.
        let carol = house.id("carol");
        let (link, mut browser) = (house.link_with(|it| it.expected_user = Some(carol)).await, Browser::new());
        database.run("update link set expected_user_id = null").await;
        browser.press(&link).await.ends(404, NotConnected::LinkUnknown);
        house.nothing_stored().await;
        assert_eq!(house.steps().await.1, 0);
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_a_page_as_well() {
    let postgres = PrivatePostgres::start_new();
    let bench = crate::bench::Bench::start_with(countersign::sandbox::Settings {
        users: 4,
        ..crate::bench::small()
    })
    .await;
    let short = |config: &mut countersign::config::Config| {
        config.database.wait = std::time::Duration::from_millis(500);
    };
    let house = House::build(bench, &settings(&postgres.url()), short).await;
    let (link, mut browser) = (house.link().await, Browser::new());
    let back = house.allow(&mut browser, &link, "carol").await;
    postgres.stop();
    let texts = ["The server cannot do this right now.", "Try again in a moment."];
    browser.open(&link).await.is_page(503, &texts);
    browser.press(&link).await.is_page(503, &texts);
    browser.follow(&back).await.is_page(503, &texts);
    postgres.start();
    // Nothing was taken, so the same address goes on.
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
    assert_eq!(house.steps().await.1, 1);
}
