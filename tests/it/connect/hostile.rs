//! Hostile input: whatever others wrote stays text, on every page of ours and of the sandbox's.

use countersign::model::UserId;
use countersign::model::handshake::{Link, NotConnected};
use countersign::pages::connect::view;
use serde_json::json;
use time::macros::datetime;

use crate::bench::{Answer, VERIFY, escape};
use crate::connect::browser::Browser;
use crate::connect::strings::{hostile, needs_escape, skeleton, unescaped, without_escapes};
use crate::connect::{fault, open_house, open_house_with, path_of};
use crate::database::on_both;
use crate::sandbox::handshake::{ACCESS_TOKEN, AUTHORIZE, begin, begun, decide, token_of};

/// The page has the tags of the one with harmless text and no others, and shows the text as it is.
#[track_caller]
fn is_text(text: &str, page: &str, plain: &str) {
    assert_eq!(skeleton(page), skeleton(plain), "{text:?}");
    // Some marks stand in a page of their own right.
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

on_both! {
    async fn what_an_admin_calls_a_link_is_text(database: Database) {
        let house = open_house(&database).await;
        let (admin, browser) = (house.new_admin_key().await, Browser::new());
        let plain = browser.other().open(&house.link_with(|it| "plain".clone_into(&mut it.label)).await).await.text();
        let mut shown = 0;
        for text in hostile() {
            let ask = house.admin(&admin, "POST", "/admin/v1/links").header("content-type", "application/json");
            let made = ask.body(json!({ "label": text }).to_string()).send().await;
            if text.chars().any(char::is_control) || text.chars().count() > 100 {
                made.is_own(400, "invalid_request");
                continue;
            }
            assert_eq!((made.status.as_u16(), &made.json()["label"]), (201, &json!(text)));
            let page = browser.other().open(made.json()["url"].as_str().unwrap()).await;
            page.is_guarded();
            // What turns the text's direction ends with the label.
            assert!(unescaped(&page.text()).contains(&format!("“<bdi>{text}</bdi>”")), "{}", page.text());
            is_text(&text, &page.text(), &plain);
            shown += 1;
        }
        assert!(shown >= 100, "{shown}");
    }

    async fn where_a_browser_goes_on_to_is_text(database: Database) {
        // As no settings can say it.
        let all: Vec<String> = hostile().into_iter().filter(|it| !it.contains('\0')).collect();
        let house = open_house_with(&database, |it| it.connect.return_to.clone_from(&all)).await;
        let mut plain = String::new();
        for text in [&"plain".to_owned()].into_iter().chain(&all).step_by(4) {
            let link = if plain.is_empty() { house.link().await } else { house.link_with(|it| it.return_to = Some(text.clone())).await };
            let mut browser = Browser::new();
            let back = house.allow(&mut browser, &link, "carol").await;
            let went = browser.follow(&back).await;
            went.is_guarded();
            assert!(went.header("set-cookie").is_empty());
            let page = browser.open(&link).await;
            assert_eq!(page.status, 200, "{}", page.text());
            if plain.is_empty() {
                plain = page.text().replace("<p class=\"soft\">You can close this page.</p>", "<a class=\"button\" href=\"plain\">Continue to plain</a>");
            } else {
                is_text(text, &page.text(), &plain);
            }
        }
    }

    async fn a_screen_name_that_is_none_is_stored_from_no_answer_and_shown_from_no_row(database: Database) {
        let house = open_house(&database).await;
        let (link, mut browser) = (house.link().await, Browser::new());
        let carol = house.id("carol").to_string();
        let old = json!({ "kind": "fields", "fields": { "user_id": null, "screen_name": null } });
        let odd = [NotConnected::OddAnswer.headline(), NotConnected::OddAnswer.what()];
        for (number, text) in hostile().iter().enumerate() {
            let back = house.allow(&mut browser, &link, "carol").await;
            // From the exchange, or by the older way: asked for with the token.
            let faults = if number % 2 == 0 {
                json!([fault(ACCESS_TOKEN, &json!({ "kind": "fields", "fields": { "screen_name": text } }))])
            } else {
                let profile = json!({ "id_str": carol, "screen_name": text, "protected": false });
                json!([fault(ACCESS_TOKEN, &old), fault(VERIFY, &json!({ "kind": "status", "status": 200, "body": profile }))])
            };
            house.order(faults).await;
            browser.follow(&back).await.goes_to(path_of(&link));
            assert!(house.fired().await.iter().all(|it| *it == 1), "{text:?}");
            house.order(json!([])).await;
            browser.open(&link).await.is_page(200, &odd);
        }
        house.nothing_stored().await;
        let back = house.allow(&mut browser, &link, "carol").await;
        browser.follow(&back).await.goes_to(path_of(&link));
        browser.open(&link).await.is_page(200, &["as @carol"]);
        for text in hostile().iter().filter(|it| !it.contains('\0')) {
            database.run(&format!("update link set screen_name = '{}'", text.replace('\'', "''"))).await;
            let page = browser.open(&link).await;
            page.is_page(500, &["The server cannot do this right now."]);
            assert!(!page.text().contains(&**text) || text.trim().len() < 2, "{}", page.text());
        }
    }

    async fn hostile_paths_queries_and_cookies_do_nothing(database: Database) {
        let house = open_house(&database).await;
        let (link, mut browser) = (house.link().await, Browser::new());
        let back = house.allow(&mut browser, &link, "carol").await;
        let unknown = browser.other().open(&format!("{}/connect/x", house.url)).await.text();
        let odd = browser.follow(&format!("{}/connect/callback", house.url)).await.text();
        for text in &hostile() {
            let encoded = escape(text);
            for page in [
                browser.other().open(&format!("{}/connect/{encoded}", house.url)).await,
                browser.other().open(&format!("{link}{encoded}")).await,
                browser.other().press(&format!("{}/connect/{encoded}", house.url)).await,
                browser.other().follow(&format!("{back}&x={encoded}")).await,
            ] {
                assert!(page.status.is_client_error(), "{text:?}: {page:?}");
                assert_eq!(skeleton(&page.text()), skeleton(&unknown), "{text:?}");
                page.is_guarded();
                assert_eq!((page.header("set-cookie"), page.header("location")), ("", ""));
            }
            let follow = browser.follow(&format!("{}/connect/callback?oauth_token={encoded}&oauth_verifier={encoded}", house.url)).await;
            let could_be_a_token = text.len() <= 250 && text.bytes().all(|it| it.is_ascii_graphic());
            if could_be_a_token {
                follow.goes_to(path_of(&link));
            } else {
                assert_eq!((follow.status.as_u16(), follow.text()), (400, odd.clone()), "{text:?}");
                follow.is_guarded();
            }
            // A cookie that somebody else wrote decides nothing but a path of our own.
            if text.len() < 5000 && text.bytes().all(|it| (32..127).contains(&it)) {
                for cookie in [format!("countersign-connect={text}"), format!("countersign-connect={text}.x"), format!("countersign-connect=x.{text}"), text.clone()] {
                    let page = browser.other().ask("GET", &back).header("cookie", &cookie).send().await;
                    page.is_page(403, &["Another browser has begun"]);
                    browser.other().ask("GET", &link).header("cookie", &cookie).send().await.is_page(403, &["Another browser has begun"]);
                }
            }
        }
        house.nothing_stored().await;
        assert_eq!(house.steps().await.1, 0);
        browser.follow(&back).await.goes_to(path_of(&link));
    }

    async fn what_others_wrote_is_text_on_the_sandboxs_pages_too(database: Database) {
        let house = open_house(&database).await;
        let bench = &house.bench;
        let token = begun(bench, "https://app.example.com/plain").await.0;
        let page = async |path: &str| bench.ask("GET", path).send().await;
        let plain = page(&format!("{AUTHORIZE}?oauth_token={token}")).await.is_sandbox_page(200);
        let invalid = page(AUTHORIZE).await.is_sandbox_page(403);
        let refused = decide(bench, &begun(bench, "https://app.example.com/plain").await.0, "cancel", "").await.is_sandbox_page(200);
        let incomplete = decide(bench, &token, "allow", "nobody").await.is_sandbox_page(400);
        let mut callbacks = 0;
        for text in hostile() {
            let encoded = escape(&text);
            for path in ["/oauth/authorize", "/oauth/authenticate"] {
                let asked = page(&format!("{path}?oauth_token={encoded}&screen_name={encoded}&force_login={encoded}&x={encoded}")).await;
                assert_eq!(asked.is_sandbox_page(403), invalid);
                let asked = page(&format!("{path}?oauth_token={token}&screen_name={encoded}&{encoded}={encoded}")).await;
                assert_eq!(skeleton(&asked.is_sandbox_page(200)), skeleton(&plain));
            }
            assert_eq!(decide(bench, &encoded, "allow", &encoded).await.is_sandbox_page(403), invalid);
            assert_eq!(decide(bench, &token, &encoded, &encoded).await.is_sandbox_page(400), incomplete);
            let revoked = bench.form("/settings/connected_apps", &format!("screen_name={encoded}&app={encoded}")).send().await;
            assert_eq!((revoked.status.as_u16(), revoked.header("content-type")), (400, "application/json;charset=utf-8"));
            // An app may name a callback that is more than text, as far as it is a URL.
            for callback in [format!("https://app.example.com/?{text}"), format!("https://app.example.com/plain#{text}"), text.clone()] {
                let answer = begin(bench, &callback).await;
                if answer.status != 200 {
                    assert_eq!(answer.status, 403, "{callback:?}: {}", answer.text());
                    continue;
                }
                callbacks += 1;
                let token = token_of(&answer).0;
                is_text(&callback, &page(&format!("{AUTHORIZE}?oauth_token={token}")).await.is_sandbox_page(200), &plain);
                let back = decide(bench, &token, "cancel", "").await.is_sandbox_page(200);
                assert_eq!(skeleton(&back), skeleton(&refused), "{back}");
            }
        }
        assert!(callbacks >= 50, "{callbacks}");
    }

    async fn a_cookie_that_a_browser_made_up_is_replaced(database: Database) {
        let house = open_house(&database).await;
        for weak in ["x.x", "x.", "x.aaaa", &format!("x.{}", "é".repeat(20)), &format!("x.{}", "a".repeat(500))] {
            let (link, mut browser) = (house.link().await, Browser::new());
            let id = link.rsplit_once('/').unwrap().1;
            for weak in [weak.to_owned(), weak.replacen('x', id, 1)] {
                browser.cookies = vec![("countersign-connect".to_owned(), weak)];
                let link = house.link().await;
                house.begin(&mut browser, &link).await;
                let (id, proof) = browser.cookies[0].1.split_once('.').unwrap();
                assert!(link.ends_with(id) && proof.len() == 43, "{:?}", browser.cookies);
            }
        }
    }
}
