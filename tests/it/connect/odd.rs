//! Answers of the provider that cannot be trusted: nothing is stored, and the page says so.

use countersign::model::handshake::NotConnected;
use serde_json::{Value, json};

use crate::connect::browser::Browser;
use crate::connect::{fault, open_house, path_of};
use crate::database::on_both;
use crate::house::House;
use crate::sandbox::handshake::{ACCESS_TOKEN, REQUEST_TOKEN};

/// That answer's form, as it is.
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

async fn fired_once(house: &House, wrong: &Value) {
    assert_eq!(house.fired().await, [1], "{wrong}");
    house.order(json!([])).await;
}

/// A refusal by code, or a page that says that X cannot be trusted or was not reached.
fn odd_ends(text: &str) -> bool {
    [NotConnected::OddAnswer, NotConnected::XAway].iter().any(|it| text.contains(it.what()))
}

on_both! {
    async fn an_odd_request_token_is_none(database: Database) {
        let house = open_house(&database).await;
        let (link, mut browser) = (house.link().await, Browser::new());
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
            house.order(json!([fault(REQUEST_TOKEN, &wrong)])).await;
            browser.press(&link).await.goes_to(path_of(&link));
            let page = browser.open(&link).await;
            page.is_page(200, &["Not connected.", "Begin again in a moment"]);
            assert!(odd_ends(&page.text()), "{wrong}: {}", page.text());
            fired_once(&house, &wrong).await;
        }
        house.nothing_stored().await;
        assert_eq!(house.steps().await.1, 0);
        house.begin(&mut browser, &link).await;
    }

    async fn an_odd_access_token_is_none(database: Database) {
        let house = open_house(&database).await;
        let (link, mut browser) = (house.link().await, Browser::new());
        let dave = house.bench.user("dave").clone();
        let carol = house.bench.user("carol").clone();
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
            form(&format!("oauth_token={}&oauth_token_secret=s&user_id={}&user_id={}&screen_name=carol", carol.access_token, carol.user_id, dave.user_id)),
        ]);
        for wrong in all {
            let back = house.allow(&mut browser, &link, "carol").await;
            house.order(json!([fault(ACCESS_TOKEN, &wrong)])).await;
            let before = house.steps().await.1;
            browser.follow(&back).await.goes_to(path_of(&link));
            let page = browser.open(&link).await;
            assert!(odd_ends(&page.text()), "{wrong}: {}", page.text());
            page.is_page(200, &["Not connected.", "Begin again in a moment"]);
            // Whatever comes back, it was asked for once.
            assert_eq!(house.steps().await.1, before + 1, "{wrong}");
            fired_once(&house, &wrong).await;
        }
        house.nothing_stored().await;
        let back = house.allow(&mut browser, &link, "carol").await;
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.is_page(200, &["as @carol"]);
    }

    async fn an_answer_of_an_older_kind_is_completed_by_what_x_says_of_the_user(database: Database) {
        let house = open_house(&database).await;
        let (link, mut browser) = (house.link().await, Browser::new());
        let back = house.allow(&mut browser, &link, "carol").await;
        let old = json!({ "kind": "fields", "fields": { "user_id": null, "screen_name": null } });
        house.order(json!([fault(ACCESS_TOKEN, &old)])).await;
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.is_page(200, &["as @carol"]);
        assert_eq!(house.arrived(crate::bench::VERIFY).await.len(), 1);
    }

    async fn a_callback_that_is_not_as_x_sends_it_does_nothing(database: Database) {
        let house = open_house(&database).await;
        let (link, mut browser) = (house.link().await, Browser::new());
        let back = house.allow(&mut browser, &link, "carol").await;
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
            page.is_page(400, &["Not connected", "came back from X without a valid response.", "Open the link that you received again, and press its button."]);
        }
        for other in ["x", &token[1..], &token.to_uppercase(), &"a".repeat(250)] {
            browser.follow(&format!("{url}?oauth_token={other}&oauth_verifier={verifier}")).await.goes_to(path_of(&link));
            browser.follow(&format!("{url}?denied={other}")).await.goes_to(path_of(&link));
        }
        assert_eq!(house.steps().await.1, 0);
        house.nothing_stored().await;
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.is_page(200, &["as @carol"]);
    }
}
