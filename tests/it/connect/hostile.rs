//! Hostile input: whatever others wrote is displayed as text, on every page of ours and of the sandbox's.

use countersign::model::UserId;
use countersign::model::handshake::{Link, NotConnected};
use countersign::pages::connect::view;
use serde_json::json;
use time::macros::datetime;

use crate::connect::browser::Browser;
use crate::connect::strings::{hostile, needs_escape, skeleton, unescaped, without_escapes};
use crate::connect::{fault, path_of, start_gateway, start_gateway_with};
use crate::database::{Database, on_both};
use crate::http::Answer;
use crate::sandbox::handshake::{ACCESS_TOKEN, AUTHORIZE, begin, begun, decide, token_of};
use crate::upstream::{TestSandbox, VERIFY, escape};

/// The page has the same tags as one with harmless text, and displays the text unchanged.
#[track_caller]
fn is_text(text: &str, page: &str, plain: &str) {
    assert_eq!(skeleton(page), skeleton(plain), "{text:?}");
    // Some of the marks are part of the page itself.
    let as_it_is = text.len() > 1 && without_escapes(page).contains(text);
    assert!(!needs_escape(text) || !as_it_is, "{text:?} in {page}");
    assert!(unescaped(page).contains(text), "{text:?} is not in {page}");
}

impl Answer {
    /// A page of the sandbox, with this status.
    #[track_caller]
    fn is_sandbox_page(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
        assert_eq!(self.header("content-security-policy"), policy);
        self.text()
    }
}

#[test]
fn a_page_of_ours_has_the_same_tags_whatever_it_shows() {
    let pages = |text: &str| {
        let link = Link {
            app: text.to_owned(),
            label: text.to_owned(),
            expected_user: None,
            return_to: Some(text.to_owned()),
            created_at: datetime!(2026-01-01 0:00 UTC),
            expires_at: datetime!(2026-01-02 0:00 UTC),
        };
        let for_one = Link { expected_user: UserId::parse("7"), ..link.clone() };
        [
            view::invitation(&link, None, Some(NotConnected::Cancelled), text, (text, text)),
            view::invitation(&for_one, Some(text), None, text, (text, text)),
            view::connected(&link, text),
            view::connected(&Link { return_to: None, ..link.clone() }, text),
            view::trouble(text, text, text),
        ]
    };
    let plain = pages("plain");
    for text in hostile() {
        for (page, plain) in pages(&text).iter().zip(&plain) {
            is_text(&text, page, plain);
        }
    }
}

async fn what_an_admin_calls_a_link_is_text(database: Database) {
    let gateway = start_gateway(&database).await;
    let (admin, browser) = (gateway.new_admin_key().await, Browser::new());
    let plain = browser
        .other()
        .open(&gateway.link_with(|link| "plain".clone_into(&mut link.label)).await)
        .await
        .text();
    let mut shown = 0;
    for text in hostile() {
        let ask = gateway
            .admin(&admin, "POST", "/admin/v1/links")
            .header("content-type", "application/json");
        let made = ask.body(json!({ "label": text }).to_string()).send().await;
        if text.chars().any(char::is_control) || text.chars().count() > 100 {
            made.is_own(400, "invalid_request");
            continue;
        }
        assert_eq!((made.status.as_u16(), &made.json()["label"]), (201, &json!(text)));
        let page = browser.other().open(made.json()["url"].as_str().unwrap()).await;
        page.is_guarded();
        // A change of text direction ends with the label.
        assert!(
            unescaped(&page.text()).contains(&format!("“<bdi>{text}</bdi>”")),
            "{}",
            page.text()
        );
        is_text(&text, &page.text(), &plain);
        shown += 1;
    }
    assert!(shown >= 100, "{shown}");
}

async fn where_a_browser_goes_on_to_is_text(database: Database) {
    // Addresses that no settings could contain.
    let all: Vec<String> = hostile().into_iter().filter(|text| !text.contains('\0')).collect();
    let gateway =
        start_gateway_with(&database, |config| config.connect.return_to.clone_from(&all)).await;
    let mut plain = String::new();
    for text in [&"plain".to_owned()].into_iter().chain(&all).step_by(4) {
        let link = if plain.is_empty() {
            gateway.link().await
        } else {
            gateway.link_with(|link| link.return_to = Some(text.clone())).await
        };
        let mut browser = Browser::new();
        let back = gateway.allow(&mut browser, &link, "carol").await;
        let went = browser.follow(&back).await;
        went.is_guarded();
        assert!(went.header("set-cookie").is_empty());
        let page = browser.open(&link).await;
        assert_eq!(page.status, 200, "{}", page.text());
        if plain.is_empty() {
            plain = page.text().replace(
                "<p class=\"soft\">You can close this page.</p>",
                "<a class=\"button\" href=\"plain\">Continue to plain</a>",
            );
        } else {
            is_text(text, &page.text(), &plain);
        }
    }
}

async fn a_screen_name_that_is_none_is_stored_from_no_answer_and_shown_from_no_row(
    database: Database,
) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let carol = gateway.id("carol").to_string();
    let old = json!({ "kind": "fields", "fields": { "user_id": null, "screen_name": null } });
    let odd = [NotConnected::OddAnswer.headline(), NotConnected::OddAnswer.what()];
    for (number, text) in hostile().iter().enumerate() {
        let back = gateway.allow(&mut browser, &link, "carol").await;
        // Returned by the exchange, or by the older method of looking the token up.
        let faults = if number % 2 == 0 {
            json!([fault(
                ACCESS_TOKEN,
                &json!({ "kind": "fields", "fields": { "screen_name": text } })
            )])
        } else {
            let profile = json!({ "id_str": carol, "screen_name": text, "protected": false });
            json!([
                fault(ACCESS_TOKEN, &old),
                fault(VERIFY, &json!({ "kind": "status", "status": 200, "body": profile }))
            ])
        };
        gateway.order(faults).await;
        browser.follow(&back).await.goes_to(path_of(&link));
        assert!(gateway.fired().await.iter().all(|count| *count == 1), "{text:?}");
        gateway.order(json!([])).await;
        browser.open(&link).await.is_page(200, &odd);
    }
    gateway.nothing_stored().await;
    let back = gateway.allow(&mut browser, &link, "carol").await;
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
    for text in hostile().iter().filter(|text| !text.contains('\0')) {
        database
            .run(&format!("update link set screen_name = '{}'", text.replace('\'', "''")))
            .await;
        let page = browser.open(&link).await;
        page.is_page(500, &["The server cannot do this right now."]);
        assert!(!page.text().contains(&**text) || text.trim().len() < 2, "{}", page.text());
    }
}

async fn hostile_paths_queries_and_cookies_do_nothing(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    let unknown = browser.other().open(&format!("{}/connect/x", gateway.url)).await.text();
    let odd = browser.follow(&format!("{}/connect/callback", gateway.url)).await.text();
    for text in &hostile() {
        let encoded = escape(text);
        for page in [
            browser.other().open(&format!("{}/connect/{encoded}", gateway.url)).await,
            browser.other().open(&format!("{link}{encoded}")).await,
            browser.other().press(&format!("{}/connect/{encoded}", gateway.url)).await,
            browser.other().follow(&format!("{back}&x={encoded}")).await,
        ] {
            assert!(page.status.is_client_error(), "{text:?}: {page:?}");
            assert_eq!(skeleton(&page.text()), skeleton(&unknown), "{text:?}");
            page.is_guarded();
            assert_eq!((page.header("set-cookie"), page.header("location")), ("", ""));
        }
        let follow = browser
            .follow(&format!(
                "{}/connect/callback?oauth_token={encoded}&oauth_verifier={encoded}",
                gateway.url
            ))
            .await;
        let could_be_a_token =
            text.len() <= 250 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if could_be_a_token {
            follow.goes_to(path_of(&link));
        } else {
            assert_eq!((follow.status.as_u16(), follow.text()), (400, odd.clone()), "{text:?}");
            follow.is_guarded();
        }
        // A cookie that somebody else wrote can only select one of our own paths.
        if text.len() < 5000 && text.bytes().all(|byte| (32..127).contains(&byte)) {
            for cookie in [
                format!("countersign-connect={text}"),
                format!("countersign-connect={text}.x"),
                format!("countersign-connect=x.{text}"),
                text.clone(),
            ] {
                let page = browser.other().ask("GET", &back).header("cookie", &cookie).send().await;
                page.is_page(403, &["already open in another browser"]);
                browser
                    .other()
                    .ask("GET", &link)
                    .header("cookie", &cookie)
                    .send()
                    .await
                    .is_page(403, &["already open in another browser"]);
            }
        }
    }
    gateway.nothing_stored().await;
    assert_eq!(gateway.steps().await.1, 0);
    browser.follow(&back).await.goes_to(path_of(&link));
}

/// Asks for access with callbacks that contain `text`; gives how many of them X accepts.
async fn callbacks_are_text(
    sandbox: &TestSandbox,
    text: &str,
    plain: &str,
    refused: &str,
) -> usize {
    let mut callbacks = 0;
    // An app may register a callback that contains markup, as long as it is a URL.
    for callback in [
        format!("https://app.example.com/?{text}"),
        format!("https://app.example.com/plain#{text}"),
        text.to_owned(),
    ] {
        let answer = begin(sandbox, &callback).await;
        if answer.status != 200 {
            assert_eq!(answer.status, 403, "{callback:?}: {}", answer.text());
            continue;
        }
        callbacks += 1;
        let token = token_of(&answer).0;
        let page = sandbox.ask("GET", &format!("{AUTHORIZE}?oauth_token={token}"));
        is_text(&callback, &page.send().await.is_sandbox_page(200), plain);
        let back = decide(sandbox, &token, "cancel", "").await.is_sandbox_page(200);
        assert_eq!(skeleton(&back), skeleton(refused), "{back}");
    }
    callbacks
}

async fn what_others_wrote_is_text_on_the_sandboxs_pages_too(database: Database) {
    let gateway = start_gateway(&database).await;
    let sandbox = &gateway.sandbox;
    let token = begun(sandbox, "https://app.example.com/plain").await.0;
    let page = async |path: &str| sandbox.ask("GET", path).send().await;
    let plain = page(&format!("{AUTHORIZE}?oauth_token={token}")).await.is_sandbox_page(200);
    let invalid = page(AUTHORIZE).await.is_sandbox_page(403);
    let refused =
        decide(sandbox, &begun(sandbox, "https://app.example.com/plain").await.0, "cancel", "")
            .await
            .is_sandbox_page(200);
    let incomplete = decide(sandbox, &token, "allow", "nobody").await.is_sandbox_page(400);
    let mut callbacks = 0;
    for text in hostile() {
        let encoded = escape(&text);
        for path in ["/oauth/authorize", "/oauth/authenticate"] {
            let query = ["oauth_token", "screen_name", "force_login", "x"]
                .map(|name| format!("{name}={encoded}"))
                .join("&");
            let asked = page(&format!("{path}?{query}")).await;
            assert_eq!(asked.is_sandbox_page(403), invalid);
            let asked = page(&format!(
                "{path}?oauth_token={token}&screen_name={encoded}&{encoded}={encoded}"
            ))
            .await;
            assert_eq!(skeleton(&asked.is_sandbox_page(200)), skeleton(&plain));
        }
        assert_eq!(
            decide(sandbox, &encoded, "allow", &encoded).await.is_sandbox_page(403),
            invalid
        );
        assert_eq!(
            decide(sandbox, &token, &encoded, &encoded).await.is_sandbox_page(400),
            incomplete
        );
        let revoked = sandbox
            .form("/settings/connected_apps", &format!("screen_name={encoded}&app={encoded}"))
            .send()
            .await;
        assert_eq!(
            (revoked.status.as_u16(), revoked.header("content-type")),
            (400, "application/json;charset=utf-8")
        );
        callbacks += callbacks_are_text(sandbox, &text, &plain, &refused).await;
    }
    assert!(callbacks >= 50, "{callbacks}");
}

async fn a_cookie_that_a_browser_made_up_is_replaced(database: Database) {
    let gateway = start_gateway(&database).await;
    for weak in
        ["x.x", "x.", "x.aaaa", &format!("x.{}", "é".repeat(20)), &format!("x.{}", "a".repeat(500))]
    {
        let (link, mut browser) = (gateway.link().await, Browser::new());
        let id = link.rsplit_once('/').unwrap().1;
        for weak in [weak.to_owned(), weak.replacen('x', id, 1)] {
            browser.cookies = vec![("countersign-connect".to_owned(), weak)];
            let link = gateway.link().await;
            gateway.begin(&mut browser, &link).await;
            let (id, proof) = browser.cookies[0].1.split_once('.').unwrap();
            assert!(link.ends_with(id) && proof.len() == 43, "{:?}", browser.cookies);
        }
    }
}

on_both!(
    what_an_admin_calls_a_link_is_text,
    where_a_browser_goes_on_to_is_text,
    a_screen_name_that_is_none_is_stored_from_no_answer_and_shown_from_no_row,
    hostile_paths_queries_and_cookies_do_nothing,
    what_others_wrote_is_text_on_the_sandboxs_pages_too,
    a_cookie_that_a_browser_made_up_is_replaced
);
