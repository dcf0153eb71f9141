//! The demo's front end: a page such as a customer's, which asks the gateway itself.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::chromium::Chromium;
use crate::program::demo;

#[tokio::test]
async fn the_demos_page_is_sound_in_every_size_and_colour() {
    let folder = TempDir::new().unwrap();
    let (_running, card) = demo::card(folder.path()).await;
    let url = |name: &str| card[name].as_str().unwrap().to_owned();
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.open(&url("front")).await;
    browser.sees("How our posts are doing").await;
    browser.find("//*[@id='state'][normalize-space()='Up to date.']").await;
    let shown = "return [...document.querySelectorAll('figure')].map(it => [
        it.querySelectorAll('svg[role=img]').length, it.querySelectorAll('tbody tr').length > 0,
        /calls? made/.test(it.textContent)])";
    assert_eq!(
        browser.run(shown).await,
        json!([[1, true, true], [1, true, true], [1, true, true]])
    );
    // A post of somebody who has not connected.
    browser.reads("Missing").await;
    // The lines that make it work are those of this gateway and this page.
    let lines = browser.run("return document.querySelector('#mint').textContent").await;
    for line in [
        format!("{}/v1/browser-tokens", url("gateway")),
        format!("origins: [\"{}\"]", url("front")),
    ] {
        assert!(lines.as_str().unwrap().contains(&line), "{line}: {lines}");
    }
    browser.run(&format!("window.mayLoad = '{}'", url("gateway"))).await;
    browser.shows("front").await;

    let sizes = "return [...document.querySelectorAll('figure svg[role=img] path')].length";
    let lines = browser.run(sizes).await;
    assert!(lines.as_u64().unwrap() > 4, "{lines}");
}

/// The page's back end gives tokens to its own page alone.
#[tokio::test]
async fn the_demos_back_end_makes_tokens_for_its_own_page_alone() {
    let folder = TempDir::new().unwrap();
    let (_running, card) = demo::card(folder.path()).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let front = card["front"].as_str().unwrap();
    let ask = |method: &str, path: &str| crate::http::Ask::new(&http, front, method, path);
    let own =
        || ask("POST", "/token").header("origin", front).header("sec-fetch-site", "same-origin");
    let made = own().send().await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(made.json()["token"].as_str().unwrap().starts_with("csb_"));
    for refused in [
        own().header("origin", ""),
        own().header("origin", "https://evil.example"),
        own().header("origin", "null"),
        own().header("sec-fetch-site", ""),
        own().header("sec-fetch-site", "same-site"),
        own().header("sec-fetch-site", "cross-site"),
    ] {
        refused.send().await.is_own(403, "origin_not_allowed");
    }
    ask("GET", "/token").send().await.is_own(405, "method_not_allowed");
    ask("GET", "/keys.json").send().await.is_own(404, "not_found");
    let told = ask("GET", "/page.json").send().await.json();
    assert_eq!(told["gateway"], card["gateway"]);
    assert_eq!(told["posts"].as_array().unwrap().len(), 6);
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/page.json", "application/json"),
    ] {
        let answer = ask("GET", path).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, kind));
        assert!(!answer.text().contains("csk_") || path == "/", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self' http://"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.headers.get("access-control-allow-origin"), None::<&_>);
    }
    let keys = std::fs::read_to_string(folder.path().join("countersign-demo/keys.json")).unwrap();
    let keys: Value = serde_json::from_str(&keys).unwrap();
    assert!(keys["page_key"].as_str().unwrap().starts_with("csk_"));
}
