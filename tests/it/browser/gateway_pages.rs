//! Every page of the gateway, as a user meets it.

use countersign::gateway::NewLink;
use countersign::model::handshake::NotConnected;
use serde_json::{Value, json};

use crate::browser::chromium::{Browser, Chromium};
use crate::connect::{fault, start_gateway_with};
use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::sandbox::handshake::{ACCESS_TOKEN, REQUEST_TOKEN};

/// Somebody who tries a link again and again.
struct Visitor<'a> {
    gateway: &'a TestGateway,
    browser: Browser,
    link: String,
}

impl Visitor<'_> {
    /// Goes on with another link.
    async fn takes(&mut self, change: impl FnOnce(&mut NewLink)) {
        self.link = self.gateway.link_with(change).await;
        self.browser.open(&self.link).await;
    }

    async fn tries_as(&self, name: &str) {
        self.browser.press("Continue to X").await;
        self.browser.choose(name).await;
        self.browser.press("Allow").await;
    }

    /// Is back on the link's page, which says how the attempt ended.
    async fn is_told(&self, end: NotConnected) {
        self.browser.sees("Connect your X account to demo").await;
        self.browser.reads(end.what()).await;
        self.browser.reads(end.advice()).await;
        self.browser.shows(&format!("gateway-after-{}", end.name())).await;
    }

    /// Is on a page that leads nowhere else.
    async fn is_refused(&self, end: NotConnected, title: &str) {
        self.browser.sees(title).await;
        self.browser.reads(end.what()).await;
        self.browser.reads(end.advice()).await;
        self.browser.shows(&format!("gateway-trouble-{}", end.name())).await;
    }
}

#[tokio::test]
async fn the_gateways_pages_are_sound_in_every_size_and_colour() {
    let database = fresh(Kind::Sqlite).await;
    let mut onward = String::new();
    let gateway = start_gateway_with(&database, |config| {
        onward.clone_from(&config.upstream.api_url);
        onward.push_str("/settings/connected_apps");
        config.connect.return_to.push(onward.clone());
    })
    .await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    let mut visitor = Visitor { gateway: &gateway, browser, link: String::new() };

    visitor.takes(|_| ()).await;
    visitor.browser.shows("gateway-invitation").await;
    let label =
        "</p><script>alert(1)</script>\"'><img src=https://evil.example/x onerror=alert(2)>";
    visitor.takes(|link| link.label = format!("{label:W<100}")).await;
    visitor.browser.reads(label.split_once('"').unwrap().0).await;
    visitor.browser.shows("gateway-invitation-odd-label").await;
    let carol = Some(gateway.id("carol"));
    visitor.takes(|link| link.expected_user = carol).await;
    visitor.browser.shows("gateway-invitation-for-one-user").await;
    visitor.tries_as("dave").await;
    visitor.is_told(NotConnected::OtherUser).await;

    before_x(&mut visitor).await;
    after_x(&mut visitor).await;
    connected(&mut visitor, &onward).await;
    without_a_way_on(&mut visitor).await;

    visitor.takes(|_| ()).await;
    database.run("alter table link rename to gone").await;
    visitor.browser.open(&visitor.link).await;
    visitor.browser.sees("Temporarily unavailable").await;
    visitor.browser.reads("The server cannot do this right now.").await;
    visitor.browser.shows("gateway-trouble-server").await;
}

/// Attempts that end before X shows a page.
async fn before_x(visitor: &mut Visitor<'_>) {
    let gateway = visitor.gateway;
    let switches = [
        (
            json!({ "callbacks": [] }),
            json!({ "callbacks": null }),
            NotConnected::CallbackNotApproved,
        ),
        (
            json!({ "suspended_apps": ["demo"] }),
            json!({ "suspended_apps": [] }),
            NotConnected::AppSuspended,
        ),
    ];
    for (on, off, end) in switches {
        gateway.switch(on).await;
        visitor.takes(|_| ()).await;
        visitor.browser.press("Continue to X").await;
        visitor.is_told(end).await;
        gateway.switch(off).await;
    }
    for (wrong, end) in [
        (json!({ "kind": "status", "code": 135 }), NotConnected::ClockRejected),
        (json!({ "kind": "status", "code": 32 }), NotConnected::AppRejected),
        (json!({ "kind": "status", "status": 503 }), NotConnected::XAway),
        (json!({ "kind": "html" }), NotConnected::OddAnswer),
    ] {
        ordered(visitor, REQUEST_TOKEN, &wrong).await;
        visitor.takes(|_| ()).await;
        visitor.browser.press("Continue to X").await;
        visitor.is_told(end).await;
        gateway.order(json!([])).await;
    }
}

/// Attempts that end after X was called.
async fn after_x(visitor: &mut Visitor<'_>) {
    ordered(visitor, ACCESS_TOKEN, &json!({ "kind": "status", "code": 89 })).await;
    visitor.takes(|_| ()).await;
    visitor.tries_as("carol").await;
    visitor.is_told(NotConnected::TookTooLong).await;
    visitor.gateway.order(json!([])).await;

    visitor.takes(|_| ()).await;
    visitor.browser.press("Continue to X").await;
    visitor.browser.press("Cancel").await;
    visitor.browser.press("Return to demo").await;
    visitor.is_told(NotConnected::Cancelled).await;
    // The user cancels.
    visitor.browser.press("Try again at X").await;
    visitor.browser.sees("Let the app “demo” use an account?").await;
}

async fn connected(visitor: &mut Visitor<'_>, onward: &str) {
    visitor.takes(|link| link.return_to = Some(onward.to_owned())).await;
    visitor.tries_as("carol").await;
    visitor.browser.sees("Connected apps").await;
    visitor.browser.open(&visitor.link).await;
    visitor.browser.sees("Connected as @carol").await;
    visitor.browser.shows("gateway-connected-with-a-way-on").await;

    visitor.takes(|_| ()).await;
    visitor.tries_as("carol").await;
    visitor.browser.sees("Connected as @carol").await;
    visitor.browser.shows("gateway-connected").await;
    visitor.browser.forgets().await;
    visitor.browser.open(&visitor.link).await;
    visitor.is_refused(NotConnected::LinkUsed, "Already used").await;
}

/// Pages that offer nothing to press.
async fn without_a_way_on(visitor: &mut Visitor<'_>) {
    let (url, browser) = (&visitor.gateway.url, &visitor.browser);
    browser.open(&format!("{url}/connect/nosuchlink")).await;
    visitor.is_refused(NotConnected::LinkUnknown, "Not connected").await;

    visitor.takes(|_| ()).await;
    let browser = &visitor.browser;
    browser.press("Continue to X").await;
    browser.sees("Let the app “demo” use an account?").await;
    browser.open(&format!("{url}/connect/callback?oauth_token=1")).await;
    browser.sees("Not connected").await;
    browser.reads("Your browser came back from X without a valid response.").await;
    browser.shows("gateway-trouble-callback").await;
    browser.forgets().await;
    browser.open(&visitor.link).await;
    visitor.is_refused(NotConnected::OtherBrowser, "Not connected").await;

    browser
        .open(&format!("http://{}/settings/connected_apps", visitor.gateway.sandbox.address))
        .await;
    let action = json!(format!("{}/begin", visitor.link));
    let forged = format!("const it = document.forms[0]; it.action = {action}; it.submit()");
    browser.run(&forged).await;
    browser.sees("Not started").await;
    browser.shows("gateway-trouble-not_begun").await;
    // The address of that page can be opened again.
    browser.open(&format!("{}/begin", visitor.link)).await;
    visitor.is_refused(NotConnected::OtherBrowser, "Not connected").await;
}

async fn ordered(visitor: &Visitor<'_>, path: &str, wrong: &Value) {
    visitor.gateway.order(json!([fault(path, wrong)])).await;
}
