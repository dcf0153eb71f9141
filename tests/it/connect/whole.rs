//! The whole way, from an admin's request for a link to a relayed call for the account that it connected.

use countersign::model::Endpoint;
use serde_json::{Value, json};
use time::Duration;

use crate::connect::browser::Browser;
use crate::connect::{path_of, private, start_gateway, start_gateway_with, token_in};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::sandbox::handshake::ACCESS_TOKEN;

/// Creates a link for carol as an admin; gives its URL.
async fn create_link(gateway: &TestGateway, carol: &str) -> String {
    let admin = gateway.new_admin_key().await;
    let wanted = json!({ "label": "for the report", "user_id": carol, "expires": "2h" });
    let made =
        gateway.admin(&admin, "POST", "/admin/v1/links").header("content-type", "application/json");
    let made = made.body(wanted.to_string()).send().await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    assert_eq!(made["expires_at"], "2026-03-10T23:15:30Z");
    assert_eq!(made["user_id"], carol);
    assert_eq!((&made["app"], &made["label"]), (&json!("demo"), &json!("for the report")));
    let link = made["url"].as_str().unwrap();
    assert!(link.starts_with(&format!("{}/connect/", gateway.url)), "{link}");
    link.to_owned()
}

async fn both_steps_are_audited(gateway: &TestGateway, carol: &str) {
    let (app, account) = ("app:demo".to_owned(), format!("account:demo/{carol}"));
    let created = gateway.audited("link.created").await;
    assert_eq!(created.len(), 1);
    assert!(created[0].0.starts_with("key:"), "{created:?}");
    assert_eq!((&created[0].1, &*created[0].2), (&app, "link \"for the report\""));
    assert_eq!(
        gateway.audited("account.connected").await,
        [("link".to_owned(), account, "@carol".to_owned())]
    );
}

async fn an_account_is_connected_by_a_link_in_a_browser(database: Database) {
    let gateway = start_gateway(&database).await;
    let carol = gateway.id("carol").to_string();
    let link = &*create_link(&gateway, &carol).await;
    let mut browser = Browser::new();
    let page = browser.open(link).await;
    page.is_page(
        200,
        &[
            "Connect your X account to demo",
            "“<bdi>for the report</bdi>”",
            &format!("only for the X account with the id {carol}"),
            "Continue to X</button>",
            "until <time datetime=\"2026-03-10T23:15:30Z\">23:15 UTC on 10 March 2026</time>",
            &format!("method=\"post\" action=\"{}/begin\"", path_of(link)),
        ],
    );
    assert_eq!((browser.cookies.len(), gateway.steps().await), (0, (0, 0)));
    let style = browser.open(&format!("{}/connect/style.css", gateway.url)).await;
    assert_eq!(
        (style.status.as_u16(), style.header("content-type")),
        (200, "text/css; charset=utf-8")
    );
    style.is_guarded();

    let pressed = browser.press(link).await;
    let token = token_in(&pressed);
    pressed.goes_to(&format!(
        "http://{}/oauth/authorize?oauth_token={token}",
        gateway.sandbox.address
    ));
    let (name, rest) = pressed.header("set-cookie").split_once('=').unwrap();
    let (value, rest) = rest.split_once(';').unwrap();
    assert_eq!(
        (name, rest),
        ("countersign-connect", " HttpOnly; SameSite=Lax; Path=/; Max-Age=86400")
    );
    assert!(value.len() > 43 && !value.contains(&token), "{value}");

    let back = gateway.allowed(&token, "carol").await;
    assert!(back.starts_with(&format!("{}/connect/callback?", gateway.url)), "{back}");
    browser.follow(&back).await.goes_to(path_of(link));
    let page = browser.open(link).await;
    page.is_page(200, &["Connected</span> as @carol", "You can close this page."]);
    assert!(!page.text().contains("<form"), "{}", page.text());
    assert_eq!(gateway.steps().await, (1, 1));

    let private = private(&gateway, "carol");
    gateway.call_as("carol", Endpoint::TwentyEightHours, &private).send().await.is_relayed(200);
    let arrived = gateway.arrived("/insights/engagement/28hr").await;
    let signed = arrived[0]["header_values"]["authorization"].to_string();
    assert!(signed.contains(&gateway.sandbox.user("carol").access_token), "{}", arrived[0]);

    both_steps_are_audited(&gateway, &carol).await;
}

async fn a_link_that_was_used_is_used_for_everybody_else(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    browser.follow(&back).await.goes_to(path_of(&link));
    for mut other in [Browser::new(), {
        let mut browser = Browser::new();
        let own = gateway.link().await;
        gateway.begin(&mut browser, &own).await;
        browser
    }] {
        let page = other.open(&link).await;
        page.is_page(410, &["This link has already been used.", "If you used it, you are done."]);
        assert!(!page.text().contains("carol"), "{}", page.text());
        other.press(&link).await.is_page(410, &["This link has already been used."]);
    }
    // Nor can the browser that used it begin once more.
    browser.press(&link).await.is_page(410, &["This link has already been used."]);
    browser.open(&link).await.is_page(200, &["as @carol"]);
    // Its owner still sees the outcome after the link itself has expired.
    gateway.sandbox.clock.forward(Duration::days(2));
    browser.open(&link).await.is_page(200, &["as @carol"]);
}

async fn connecting_again_replaces_the_token_and_keeps_all_else(database: Database) {
    let gateway = start_gateway(&database).await;
    let (first, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &first, "carol").await;
    browser.follow(&back).await.goes_to(path_of(&first));
    let id = gateway.id("carol");
    let limited = gateway.new_key(|key| key.scopes.accounts = Some(vec![id])).await;
    let before = gateway.store.find_account("demo", id).await.unwrap().unwrap();

    // A user who revokes access and grants it again has another token.
    let revoked = gateway.sandbox.form("/settings/connected_apps", "screen_name=carol&app=demo");
    assert!(revoked.send().await.status.as_u16() < 400);
    gateway.sandbox.clock.forward(Duration::hours(1));
    let second = gateway.link().await;
    let back = gateway.allow(&mut browser, &second, "carol").await;
    browser.follow(&back).await.goes_to(path_of(&second));
    browser.open(&second).await.is_page(200, &["as @carol"]);

    let after = gateway.store.find_account("demo", id).await.unwrap().unwrap();
    assert_ne!(before.sealed_token, after.sealed_token);
    assert_eq!(before.account.connected_at, after.account.connected_at);
    assert_eq!(gateway.audited("account.connected").await.len(), 2);
    let call = gateway.call_as("carol", Endpoint::Totals, &private(&gateway, "carol"));
    let bearer = format!("Bearer {limited}");
    call.header("authorization", &bearer).send().await.is_relayed(200);
    let granted = gateway.arrived(ACCESS_TOKEN).await;
    assert_eq!(granted.len(), 2);
    let used = gateway.arrived("/insights/").await;
    let world = gateway.sandbox.get("/sandbox/world").await;
    let users: Vec<&Value> = world["users"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|user| user["screen_name"] == "carol")
        .collect();
    assert!(
        used[0]["header_values"]["authorization"]
            .to_string()
            .contains(users[0]["access_token"].as_str().unwrap()),
        "{}",
        used[0]
    );
}

async fn a_browser_goes_on_to_where_the_link_says(database: Database) {
    let target = "https://app.example.com/done?a=b%20c";
    let gateway =
        start_gateway_with(&database, |config| config.connect.return_to = vec![target.to_owned()])
            .await;
    let link = gateway.link_with(|link| link.return_to = Some(target.to_owned())).await;
    let mut browser = Browser::new();
    let back = gateway.allow(&mut browser, &link, "carol").await;
    let went = browser.follow(&back).await;
    went.goes_to(target);
    browser.open(&link).await.is_page(200, &["as @carol", &format!("href=\"{target}\"")]);
    // Repeating the callback shows the same outcome, on our page.
    browser.follow(&back).await.goes_to(path_of(&link));
}

async fn a_browser_no_longer_goes_where_the_settings_no_longer_say(database: Database) {
    let target = "https://app.example.com/done";
    let gateway =
        start_gateway_with(&database, |config| config.connect.return_to = vec![target.to_owned()])
            .await;
    let link = gateway.link_with(|link| link.return_to = Some(target.to_owned())).await;
    let gateway = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
    let (link, mut browser) = (format!("{}{}", gateway.url, path_of(&link)), Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    browser.follow(&back).await.goes_to(path_of(&link));
    let page = browser.open(&link).await;
    page.is_page(200, &["as @carol", "You can close this page."]);
    assert!(!page.text().contains(target), "{}", page.text());
}

async fn two_links_can_be_begun_in_one_browser(database: Database) {
    let gateway = start_gateway(&database).await;
    let (one, two, mut browser) = (gateway.link().await, gateway.link().await, Browser::new());
    let first = gateway.allow(&mut browser, &one, "carol").await;
    let second = gateway.allow(&mut browser, &two, "dave").await;
    browser.follow(&first).await.goes_to(path_of(&one));
    browser.open(&one).await.is_page(200, &["as @carol"]);
    browser.follow(&second).await.goes_to(path_of(&two));
    browser.open(&two).await.is_page(200, &["as @dave"]);
    assert!(gateway.is_connected("carol").await && gateway.is_connected("dave").await);
}

on_both!(
    an_account_is_connected_by_a_link_in_a_browser,
    a_link_that_was_used_is_used_for_everybody_else,
    connecting_again_replaces_the_token_and_keeps_all_else,
    a_browser_goes_on_to_where_the_link_says,
    a_browser_no_longer_goes_where_the_settings_no_longer_say,
    two_links_can_be_begun_in_one_browser
);
