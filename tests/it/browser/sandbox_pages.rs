//! Every page of the sandbox.

use countersign::sandbox::Settings;
use serde_json::json;

use crate::browser::chromium::Chromium;
use crate::sandbox::handshake::{AUTHORIZE, CALLBACK, begun};
use crate::upstream::TestSandbox;

#[tokio::test]
async fn the_sandboxs_pages_are_sound_in_every_size_and_colour() {
    let sandbox = TestSandbox::start_with(Settings::default()).await;
    for (name, state) in [("bob", "suspended"), ("carol", "protected")] {
        let path = format!("/sandbox/users/{}", sandbox.user(name).user_id);
        assert_eq!(sandbox.put(&path, json!({ "state": state })).await.status, 200);
    }
    let page = |path: &str| format!("http://{}{path}", sandbox.address);
    let ask = |token: &str| page(&format!("{AUTHORIZE}?oauth_token={token}"));
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;

    let (token, _) = begun(&sandbox, CALLBACK).await;
    browser.open(&ask(&token)).await;
    browser.shows("sandbox-authorize").await;
    // Bypasses the browser's own validation of an empty form.
    browser.run("document.forms[0].noValidate = true").await;
    browser.press("Allow").await;
    browser.reads("Choose one of the users, then allow or cancel.").await;
    browser.shows("sandbox-authorize-complaint").await;
    browser.press("Cancel").await;
    browser.sees("You did not let “demo” in").await;
    browser.shows("sandbox-not_let_in").await;
    browser.open(&ask(&token)).await;
    browser.sees("Whoa there!").await;
    browser.shows("sandbox-invalid_token").await;

    let (token, _) = begun(&sandbox, "oob").await;
    browser.open(&ask(&token)).await;
    browser.reads("You will get a PIN to type in at the app.").await;
    browser.shows("sandbox-authorize-pin").await;
    browser.choose("dave").await;
    browser.press("Allow").await;
    browser.sees("Your PIN for “demo”").await;
    browser.shows("sandbox-pin").await;
    let (token, _) = begun(&sandbox, "oob").await;
    browser.open(&ask(&token)).await;
    browser.press("Cancel").await;
    browser.reads("You can close this page.").await;
    browser.shows("sandbox-not_let_in-pin").await;

    browser.open(&page("/settings/connected_apps")).await;
    browser.sees("Connected apps").await;
    browser.shows("sandbox-connected_apps").await;
}
