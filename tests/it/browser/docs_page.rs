//! The API reference page.

use fantoccini::key::Key;

use crate::browser::chromium::Chromium;
use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;

#[tokio::test]
async fn the_description_is_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.open(&format!("{}/docs", gateway.url)).await;
    browser.sees("Countersign API reference").await;
    browser.shows("gateway-docs").await;

    // The first tab stop skips the table of contents.
    browser.open(&format!("{}/docs", gateway.admin_url)).await;
    browser.strike(Key::Tab).await;
    let focused = "return document.activeElement.textContent";
    assert_eq!(browser.run(focused).await, "Skip to the text");
    browser.strike(Key::Enter).await;
    assert_eq!(browser.url().await.fragment(), Some("begin"));
    // No heading level is skipped, and each landmark has a name.
    let levels =
        "return [...document.querySelectorAll('h1, h2, h3, h4')].map(it => +it.tagName[1])";
    let levels: Vec<i64> = serde_json::from_value(browser.run(levels).await).unwrap();
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    let nameless = "return [...document.querySelectorAll('nav, section, article')].filter(it => !it.ariaLabel && !document.getElementById(it.getAttribute('aria-labelledby'))?.textContent).length";
    assert_eq!(browser.run(nameless).await, 0);
}
