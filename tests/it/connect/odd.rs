//! Answers from X that cannot be trusted: nothing is stored, and the page says so.

use countersign::model::handshake::NotConnected;
use serde_json::{Value, json};

use crate::connect::browser::Browser;
use crate::connect::{fault, path_of, start_gateway};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::sandbox::handshake::{ACCESS_TOKEN, REQUEST_TOKEN};

/// An answer whose body is this form, verbatim.
fn form(text: &str) -> Value {
    json!({ "kind": "status", "status": 200, "text": text })
}

fn without(field: &str) -> Value {
    json!({ "kind": "fields", "fields": { field: null } })
}

fn with(field: &str, value: &str) -> Value {
    json!({ "kind": "fields", "fields": { field: value } })
}

/// What any step may answer instead of a form.
fn no_form() -> Vec<Value> {
    vec![
        json!({ "kind": "html" }),
        json!({ "kind": "cut_body" }),
        json!({ "kind": "truncated_gzip" }),
        json!({ "kind": "wrong_content_length" }),
        json!({ "kind": "gzip_bomb", "mb": 64 }),
        json!({ "kind": "status", "status": 204 }),
        json!({ "kind": "status", "status": 302, "headers": { "location": "http://127.0.0.1:9/" } }),
        form(""),
        form("&&&==="),
        form("oauth_token"),
        form("{\"oauth_token\":\"a\",\"oauth_token_secret\":\"b\"}"),
        form(&"oauth_token=a&".repeat(100_000)),
    ]
}

async fn fired_once(gateway: &TestGateway, wrong: &Value) {
    assert_eq!(gateway.fired().await, [1], "{wrong}");
    gateway.order(json!([])).await;
}

/// A refusal by code, or a page saying that X's answer was unusable or that X could not be reached.
fn odd_ends(text: &str) -> bool {
    [NotConnected::OddAnswer, NotConnected::XAway].iter().any(|reason| text.contains(reason.what()))
}

async fn an_odd_request_token_is_none(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let mut all = no_form();
    all.extend([
        without("oauth_callback_confirmed"),
        with("oauth_callback_confirmed", "false"),
        with("oauth_callback_confirmed", "TRUE"),
        without("oauth_token"),
        without("oauth_token_secret"),
        with("oauth_token", ""),
        with("oauth_token_secret", ""),
        with("oauth_token", "a b"),
        with("oauth_token", "a\r\nlocation: http://127.0.0.1:9/"),
        with("oauth_token_secret", "\u{0}"),
        with("oauth_token", &"a".repeat(300)),
        form("oauth_token=a&oauth_token=b&oauth_token_secret=s&oauth_callback_confirmed=true"),
        form("oauth_token=a&oauth_token_secret=s&oauth_callback_confirmed=true&oauth_callback_confirmed=true"),
    ]);
    for wrong in all {
        gateway.order(json!([fault(REQUEST_TOKEN, &wrong)])).await;
        browser.press(&link).await.goes_to(path_of(&link));
        let page = browser.open(&link).await;
        page.is_page(200, &["Not connected.", "Try again in a moment"]);
        assert!(odd_ends(&page.text()), "{wrong}: {}", page.text());
        fired_once(&gateway, &wrong).await;
    }
    gateway.nothing_stored().await;
    assert_eq!(gateway.steps().await.1, 0);
    gateway.begin(&mut browser, &link).await;
}

async fn an_odd_access_token_is_none(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let dave = gateway.sandbox.user("dave").clone();
    let carol = gateway.sandbox.user("carol").clone();
    let mut all = no_form();
    all.extend([
        without("oauth_token"),
        without("oauth_token_secret"),
        with("oauth_token", ""),
        with("oauth_token_secret", ""),
        with("oauth_token_secret", "two words"),
        with("oauth_token_secret", &"s".repeat(201)),
        with("oauth_token_secret", "a\"b"),
        with("oauth_token", &dave.access_token),
        with("oauth_token", carol.access_token.split_once('-').unwrap().1),
        with("oauth_token", &format!("0{}", carol.access_token)),
        with("oauth_token", &format!("{}-", carol.user_id)),
        with("user_id", &dave.user_id),
        with("user_id", ""),
        with("user_id", "99999999999999999999"),
        with("screen_name", ""),
        with("screen_name", "<script>alert(1)</script>"),
        with("screen_name", "a\r\nset-cookie: a=b"),
        with("screen_name", &"a".repeat(200)),
        form(&format!(
            "oauth_token={}&oauth_token_secret=s&user_id={}&user_id={}&screen_name=carol",
            carol.access_token, carol.user_id, dave.user_id
        )),
    ]);
    for wrong in all {
        let back = gateway.allow(&mut browser, &link, "carol").await;
        gateway.order(json!([fault(ACCESS_TOKEN, &wrong)])).await;
        let before = gateway.steps().await.1;
        browser.follow(&back).await.goes_to(path_of(&link));
        let page = browser.open(&link).await;
        assert!(odd_ends(&page.text()), "{wrong}: {}", page.text());
        page.is_page(200, &["Not connected.", "Try again in a moment"]);
        // Whatever the answer is, the request was made once.
        assert_eq!(gateway.steps().await.1, before + 1, "{wrong}");
        fired_once(&gateway, &wrong).await;
    }
    gateway.nothing_stored().await;
    let back = gateway.allow(&mut browser, &link, "carol").await;
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
}

async fn an_answer_of_an_older_kind_is_completed_by_what_x_says_of_the_user(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    let old = json!({ "kind": "fields", "fields": { "user_id": null, "screen_name": null } });
    gateway.order(json!([fault(ACCESS_TOKEN, &old)])).await;
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
    assert_eq!(gateway.arrived(crate::upstream::VERIFY).await.len(), 1);
}

async fn a_callback_that_is_not_as_x_sends_it_does_nothing(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    let (url, query) = back.split_once('?').unwrap();
    let (token, verifier) = query.split_once('&').unwrap();
    let (token, verifier) = (token.split_once('=').unwrap().1, verifier.split_once('=').unwrap().1);
    for odd in [
        String::new(),
        format!("oauth_token={token}"),
        format!("oauth_verifier={verifier}"),
        format!("{query}&denied={token}"),
        format!("{query}&oauth_token={token}"),
        format!("{query}&oauth_verifier=x"),
        format!("oauth_verifier={verifier}&denied={token}"),
        "oauth_token=%ff&oauth_verifier=%ff&x=%".to_owned(),
    ] {
        let page = browser.follow(&format!("{url}?{odd}")).await;
        page.is_page(
            400,
            &[
                "Not connected",
                "came back from X without a valid response.",
                "Open the link that you received again, and press its button.",
            ],
        );
    }
    for other in ["x", &token[1..], &token.to_uppercase(), &"a".repeat(250)] {
        browser
            .follow(&format!("{url}?oauth_token={other}&oauth_verifier={verifier}"))
            .await
            .goes_to(path_of(&link));
        browser.follow(&format!("{url}?denied={other}")).await.goes_to(path_of(&link));
    }
    assert_eq!(gateway.steps().await.1, 0);
    gateway.nothing_stored().await;
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
}

on_both!(
    an_odd_request_token_is_none,
    an_odd_access_token_is_none,
    an_answer_of_an_older_kind_is_completed_by_what_x_says_of_the_user,
    a_callback_that_is_not_as_x_sends_it_does_nothing
);
