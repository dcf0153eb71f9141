//! Every way in which an attempt to connect fails: its page says what happened and what to do, and nothing is stored.

use countersign::model::Secret;
use countersign::model::handshake::NotConnected;
use serde_json::{Value, json};
use time::Duration;

use crate::connect::browser::Browser;
use crate::connect::{fault, path_of, start_gateway, start_gateway_with};
use crate::database::{Database, PrivatePostgres, on_both, settings};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::sandbox::handshake::{ACCESS_TOKEN, REQUEST_TOKEN, decide};

impl Answer {
    /// The link's page, which says how the attempt ended and lets its browser begin again.
    #[track_caller]
    fn tells(&self, end: NotConnected) {
        let again = if end.is_for_others() { "<button class=\"plain\">" } else { "<button>" };
        let again = &format!("{again}Try again at X</button>");
        self.is_page(
            200,
            &["role=\"alert\"", "Not connected.", &shown(end.what()), &shown(end.advice()), again],
        );
    }

    /// A page that offers no next step.
    #[track_caller]
    fn ends(&self, status: u16, end: NotConnected) {
        self.is_page(status, &["role=\"alert\"", &shown(end.what()), &shown(end.advice())]);
        assert!(!self.text().contains("<form"), "{}", self.text());
    }
}

/// The text as it is escaped in a page.
fn shown(text: &str) -> String {
    text.replace('\'', "&#39;")
}

/// Begins, which leads back to the link's page, and gives that page.
async fn begin_fails(gateway: &TestGateway, end: NotConnected) {
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let pressed = browser.press(&link).await;
    pressed.goes_to(path_of(&link));
    browser.open(&link).await.tells(end);
    gateway.nothing_stored().await;
    // Another browser learns nothing about it.
    Browser::new().open(&link).await.ends(403, NotConnected::OtherBrowser);
}

/// The user allows access and the callback fails like this; then the same link works once the fault is gone.
async fn callback_fails(gateway: &TestGateway, faults: Value, end: NotConnected) {
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    let (before, is_fault) = (gateway.steps().await.1, !faults.as_array().unwrap().is_empty());
    gateway.order(faults).await;
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.tells(end);
    assert_eq!(gateway.steps().await.1, before + usize::from(is_fault), "{}", end.name());
    gateway.nothing_stored().await;
    gateway.order(json!([])).await;
    // A verifier is not sent a second time.
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.tells(end);
}

async fn a_user_who_says_no_can_begin_again(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let token = gateway.begin(&mut browser, &link).await;
    let refused = decide(&gateway.sandbox, &token, "cancel", "").await.text();
    let back = format!("{}/connect/callback?denied={token}", gateway.url);
    assert!(refused.contains(&back), "{refused}");
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.tells(NotConnected::Cancelled);
    // Repeating the callback gives the same outcome.
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.tells(NotConnected::Cancelled);
    gateway.nothing_stored().await;
    assert_eq!(gateway.steps().await, (1, 0));

    let back = gateway.allow(&mut browser, &link, "carol").await;
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
}

async fn a_link_ends_with_its_time(database: Database) {
    let gateway = start_gateway(&database).await;
    let hour = std::time::Duration::from_hours(1);
    let link = gateway.link_with(|link| link.expires_in = Some(hour)).await;
    let mut browser = Browser::new();
    gateway.sandbox.clock.forward(Duration::minutes(59));
    let back = gateway.allow(&mut browser, &link, "carol").await;
    gateway.sandbox.clock.forward(Duration::minutes(1));
    browser.open(&link).await.ends(404, NotConnected::LinkUnknown);
    browser.press(&link).await.ends(404, NotConnected::LinkUnknown);
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.ends(404, NotConnected::LinkUnknown);
    gateway.nothing_stored().await;
    assert_eq!(gateway.steps().await, (1, 0));
}

async fn a_link_that_never_was_is_not_known(database: Database) {
    let gateway = start_gateway(&database).await;
    let mut browser = Browser::new();
    for id in ["x", "%20", &"a".repeat(43), &"a".repeat(5000), "%00", "%ff", "a%2fb", "callback%00"]
    {
        let link = format!("{}/connect/{id}", gateway.url);
        browser.open(&link).await.ends(404, NotConnected::LinkUnknown);
        browser.press(&link).await.ends(404, NotConnected::LinkUnknown);
    }
    assert_eq!((gateway.steps().await, browser.cookies.len()), ((0, 0), 0));
}

async fn a_link_belongs_to_the_browser_that_began(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser, mut other) = (gateway.link().await, Browser::new(), Browser::new());
    // Opening the link without pressing the button does not bind it to a browser.
    other.open(&link).await.is_page(200, &["Continue to X"]);
    let back = gateway.allow(&mut browser, &link, "carol").await;
    other.open(&link).await.ends(403, NotConnected::OtherBrowser);
    other.press(&link).await.ends(403, NotConnected::OtherBrowser);
    // A callback in another browser has no effect: without a cookie, and with the cookie of another link.
    other.follow(&back).await.ends(403, NotConnected::OtherBrowser);
    let own = gateway.link().await;
    gateway.begin(&mut other, &own).await;
    other.follow(&back).await.goes_to(path_of(&own));
    other.open(&own).await.is_page(200, &["Continue to X"]);
    gateway.nothing_stored().await;
    assert_eq!(gateway.steps().await, (2, 0));
    // The browser that began can still finish.
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
}

async fn only_the_user_that_a_link_is_for_connects_by_it(database: Database) {
    let gateway = start_gateway(&database).await;
    let carol = gateway.id("carol");
    let link = gateway.link_with(|link| link.expected_user = Some(carol)).await;
    let mut browser = Browser::new();
    for other in ["dave", "alice"] {
        let back = gateway.allow(&mut browser, &link, other).await;
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.tells(NotConnected::OtherUser);
        gateway.nothing_stored().await;
    }
    let back = gateway.allow(&mut browser, &link, "carol").await;
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
}

async fn a_try_that_takes_too_long_ends(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    gateway.sandbox.clock.forward(Duration::minutes(15));
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.tells(NotConnected::TookTooLong);
    gateway.nothing_stored().await;
    assert_eq!(gateway.steps().await, (1, 0));
    let back = gateway.allow(&mut browser, &link, "carol").await;
    gateway.sandbox.clock.forward(Duration::seconds(15 * 60 - 1));
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
}

async fn a_callback_must_be_approved_at_x(database: Database) {
    let gateway = start_gateway(&database).await;
    // X compares callbacks exactly, down to a trailing slash.
    gateway.switch(json!({ "callbacks": [format!("{}/connect/callback/", gateway.url)] })).await;
    begin_fails(&gateway, NotConnected::CallbackNotApproved).await;
    gateway.switch(json!({ "callbacks": [] })).await;
    begin_fails(&gateway, NotConnected::CallbackNotApproved).await;
    let answers = gateway.arrived(REQUEST_TOKEN).await;
    assert_eq!(
        answers.iter().map(|answer| answer["status"].as_u64().unwrap()).collect::<Vec<_>>(),
        [403, 401]
    );
    // In JSON, whereas the sandbox's own answer is in XML.
    gateway.order(json!([fault(REQUEST_TOKEN, &json!({ "kind": "status", "code": 415 }))])).await;
    begin_fails(&gateway, NotConnected::CallbackNotApproved).await;
    gateway.order(json!([])).await;

    gateway.switch(json!({ "callbacks": [format!("{}/connect/callback", gateway.url)] })).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    gateway.begin(&mut browser, &link).await;
}

async fn what_x_holds_against_an_app_is_told(database: Database) {
    let gateway = start_gateway(&database).await;
    gateway.switch(json!({ "suspended_apps": ["demo"] })).await;
    begin_fails(&gateway, NotConnected::AppSuspended).await;
    gateway.switch(json!({ "suspended_apps": [] })).await;
    gateway.order(json!([fault(REQUEST_TOKEN, &json!({ "kind": "status", "code": 135 }))])).await;
    begin_fails(&gateway, NotConnected::ClockRejected).await;
    gateway.order(json!([fault(REQUEST_TOKEN, &json!({ "kind": "status", "code": 32 }))])).await;
    begin_fails(&gateway, NotConnected::AppRejected).await;
}

async fn a_wrong_consumer_secret_is_told(database: Database) {
    let gateway = start_gateway_with(&database, |config| {
        config.apps.get_mut("demo").unwrap().consumer_secret = Secret::from("wrong");
    })
    .await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    browser.press(&link).await.goes_to(path_of(&link));
    browser.open(&link).await.tells(NotConnected::AppRejected);
    assert!(!gateway.is_connected("carol").await);
}

async fn a_clock_that_is_off_is_corrected_by_what_x_says(database: Database) {
    let gateway = start_gateway(&database).await;
    gateway.switch(json!({ "clock_offset_s": 1000 })).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
    assert_eq!(gateway.steps().await, (2, 1));
}

async fn x_may_be_away(database: Database) {
    let gateway = start_gateway(&database).await;
    for wrong in [
        json!({ "kind": "reset" }),
        json!({ "kind": "status", "status": 503 }),
        json!({ "kind": "status", "code": 88 }),
    ] {
        gateway.order(json!([fault(REQUEST_TOKEN, &wrong)])).await;
        begin_fails(&gateway, NotConnected::XAway).await;
        gateway.order(json!([])).await;
        callback_fails(&gateway, json!([fault(ACCESS_TOKEN, &wrong)]), NotConnected::XAway).await;
    }
}

async fn an_exchange_that_x_refuses_ends_the_try(database: Database) {
    let gateway = start_gateway(&database).await;
    for (code, end) in [
        (89, NotConnected::TookTooLong),
        (32, NotConnected::AppRejected),
        (135, NotConnected::ClockRejected),
        (416, NotConnected::AppSuspended),
    ] {
        let wrong = json!([fault(ACCESS_TOKEN, &json!({ "kind": "status", "code": code }))]);
        callback_fails(&gateway, wrong, end).await;
    }
    for text in [
        "Request token missing",
        "This feature is temporarily unavailable",
        "<hash><error>Invalid / expired Token</error></hash>",
        "",
    ] {
        let wrong =
            json!([fault(ACCESS_TOKEN, &json!({ "kind": "status", "status": 401, "text": text }))]);
        callback_fails(&gateway, wrong, NotConnected::TookTooLong).await;
    }
}

async fn a_row_that_was_edited_in_the_database_is_no_link(database: Database) {
    let gateway = start_gateway(&database).await;
    for change in [
        "app = 'other'",
        "label = 'x'",
        "expected_user_id = '1'",
        "return_to = 'https://evil.example/'",
        "expires_at = '2026-03-12 01:00:00+00:00'",
    ] {
        let (link, mut browser) = (gateway.link().await, Browser::new());
        let back = gateway.allow(&mut browser, &link, "carol").await;
        database.run(&format!("update link set {change} where user_id is null")).await;
        browser.open(&link).await.ends(404, NotConnected::LinkUnknown);
        browser.press(&link).await.ends(404, NotConnected::LinkUnknown);
        browser.follow(&back).await.goes_to(path_of(&link));
        database.run("delete from link").await;
    }
    // A link for one user, changed into a link for anybody.
    let carol = gateway.id("carol");
    let (link, mut browser) =
        (gateway.link_with(|link| link.expected_user = Some(carol)).await, Browser::new());
    database.run("update link set expected_user_id = null").await;
    browser.press(&link).await.ends(404, NotConnected::LinkUnknown);
    gateway.nothing_stored().await;
    assert_eq!(gateway.steps().await.1, 0);
}

on_both!(
    a_user_who_says_no_can_begin_again,
    a_link_ends_with_its_time,
    a_link_that_never_was_is_not_known,
    a_link_belongs_to_the_browser_that_began,
    only_the_user_that_a_link_is_for_connects_by_it,
    a_try_that_takes_too_long_ends,
    a_callback_must_be_approved_at_x,
    what_x_holds_against_an_app_is_told,
    a_wrong_consumer_secret_is_told,
    a_clock_that_is_off_is_corrected_by_what_x_says,
    x_may_be_away,
    an_exchange_that_x_refuses_ends_the_try,
    a_row_that_was_edited_in_the_database_is_no_link
);

#[tokio::test]
async fn a_database_that_is_away_is_a_page_as_well() {
    let postgres = PrivatePostgres::start_new();
    let sandbox = crate::upstream::TestSandbox::start_with(countersign::sandbox::Settings {
        users: 4,
        ..crate::upstream::small()
    })
    .await;
    let short = |config: &mut countersign::config::Config| {
        config.database.wait = std::time::Duration::from_millis(500);
    };
    let gateway = TestGateway::build(sandbox, &settings(&postgres.url()), short).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    postgres.stop();
    let texts = ["The server cannot do this right now.", "Try again in a moment."];
    browser.open(&link).await.is_page(503, &texts);
    browser.press(&link).await.is_page(503, &texts);
    browser.follow(&back).await.is_page(503, &texts);
    postgres.start();
    // Nothing was consumed, so the same address still works.
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
    assert_eq!(gateway.steps().await.1, 1);
}
