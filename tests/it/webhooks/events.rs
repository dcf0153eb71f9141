//! The events: one for each change, in the documented shape, with a link to reconnect.

use countersign::gateway::{ImportEvents, NewWebhook};
use countersign::model::App;
use serde_json::json;

use crate::connect::browser::Browser;
use crate::connect::path_of;
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::trouble::{private, user_becomes};
use crate::upstream::NOW;
use crate::webhooks::receiver::Receiver;
use crate::webhooks::{names, start_gateway};

async fn each_change_of_an_account_is_told_once(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    let key = gateway.new_admin_key().await;
    let alice = format!("/admin/v1/accounts/{}", gateway.id("alice"));
    let mut expected = Vec::new();
    for (becomes, event) in [
        ("active", None),
        ("suspended", Some("blocked")),
        ("suspended", None),
        ("active", Some("recovered")),
        ("revoked", Some("revoked")),
        ("active", Some("recovered")),
    ] {
        user_becomes(&gateway, "alice", becomes).await;
        gateway.admin(&key, "POST", &format!("{alice}/verify")).send().await;
        expected.extend(event.map(|event| (event, "alice")));
    }
    gateway.connect(&["bob"]).await;
    expected.push(("connected", "bob"));
    assert_eq!(gateway.admin(&key, "DELETE", &alice).send().await.status, 200);
    expected.push(("removed", "alice"));
    assert_eq!(gateway.admin(&key, "DELETE", &alice).send().await.status, 404);
    assert_eq!(gateway.deliver().await, expected.len());
    let mut told = receiver.told();
    // The events of two accounts may come in either order.
    told.sort_by_key(|(_, name)| name.clone());
    expected.sort_by_key(|(_, name)| (*name).to_owned());
    assert_eq!(told, names(&expected));
    assert_eq!(gateway.deliver().await, 0, "nothing is sent twice");
}

async fn changes_and_attempts_are_counted(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    receiver.next(&[400]);
    gateway.inner.remove_account(None, &gateway.named("alice"), "test").await.unwrap();
    gateway.deliver().await;
    gateway.inner.test_webhook(&id, "test").await.unwrap().unwrap();
    gateway.deliver().await;
    let metrics =
        crate::http::Ask::new(&gateway.http, &gateway.admin_url, "GET", "/metrics").send().await;
    // Other tests in this process add to the count.
    for line in [
        "countersign_account_events_total{event=\"account.removed\"} ",
        "countersign_webhook_attempts_total{outcome=\"failed\"} ",
        "countersign_webhook_attempts_total{outcome=\"delivered\"} ",
    ] {
        assert!(metrics.text().contains(line), "{line} is not in {}", metrics.text());
    }
}

async fn an_event_says_who_when_why_and_nothing_else(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    gateway.connect(&["bob"]).await;
    gateway.deliver().await;
    let arrived = receiver.arrived().remove(0);
    assert_eq!(
        arrived.json(),
        json!({
            "type": "account.connected",
            "timestamp": "2026-03-10T21:15:30Z",
            "data": {
                "app": "demo",
                "user_id": gateway.id("bob").to_string(),
                "screen_name": "bob",
                "reason": "the tokens were imported",
            },
        })
    );
    assert_eq!((arrived.method.as_str(), &*arrived.path), ("POST", "/hook?token=abc"));
    assert_eq!(arrived.header("content-type"), "application/json");
    assert_eq!(arrived.header("webhook-timestamp"), NOW.unix_timestamp().to_string());
    assert!(arrived.id().starts_with(&format!("evt_{id}_")), "{}", arrived.id());
    assert!(arrived.header("user-agent").starts_with("countersign/"));
    for never in ["authorization", "cookie", "referer"] {
        assert_eq!(arrived.header(never), "");
    }
}

async fn who_connects_by_a_link_is_told(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    let link = gateway.link().await;
    let mut browser = Browser::new();
    let callback = gateway.allow(&mut browser, &link, "alice").await;
    browser.follow(&callback).await.goes_to(path_of(&link));
    gateway.deliver().await;
    let arrived = receiver.arrived();
    assert_eq!(receiver.told(), names(&[("connected", "alice")]));
    assert_eq!(arrived[0].json()["data"]["reason"], "the user allowed the app at X");
    assert_eq!(arrived[0].json()["data"]["reconnect_url"], json!(null));
}

async fn the_end_of_an_account_carries_a_link_for_its_user_alone(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    user_becomes(&gateway, "alice", "revoked").await;
    gateway.inner.verify_account(None, &gateway.named("alice"), "test").await.unwrap();
    gateway.deliver().await;
    let data = receiver.arrived()[0].json()["data"].clone();
    let link = data["reconnect_url"].as_str().unwrap();
    assert!(link.starts_with(&format!("{}/connect/", gateway.url)), "{link}");
    assert_eq!(data["reconnect_until"], "2026-03-11T21:15:30Z");
    assert_eq!(data["reason"], "X says that the access token is no longer valid");
    assert_eq!(
        gateway.audited("link.created").await,
        [("webhook".to_owned(), "app:demo".to_owned(), r#"link "to reconnect @alice""#.to_owned())]
    );

    user_becomes(&gateway, "alice", "active").await;
    let mut browser = Browser::new();
    let other = gateway.allow(&mut browser, link, "bob").await;
    browser.follow(&other).await.goes_to(path_of(link));
    browser.open(link).await.is_page(200, &["This link is for a different X user"]);
    let back = gateway.allow(&mut browser, link, "alice").await;
    browser.follow(&back).await.goes_to(path_of(link));
    browser.open(link).await.is_page(200, &["as @alice"]);
    gateway.deliver().await;
    assert_eq!(receiver.told(), names(&[("revoked", "alice"), ("connected", "alice")]));
    private(&gateway, "alice").send().await.is_relayed(200);
}

async fn without_a_public_address_events_carry_no_link(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        config.webhooks.allow_http = true;
        config.connect.public_url = None;
    })
    .await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    gateway.inner.remove_account(None, &gateway.named("alice"), "test").await.unwrap();
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!(receiver.arrived()[0].json()["data"]["reconnect_url"], json!(null));
}

async fn a_webhook_of_one_app_hears_of_that_app_alone(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        config.webhooks.allow_http = true;
        let name = "other".to_owned();
        config.apps.insert(name.clone(), App { name, ..config.apps["demo"].clone() });
    })
    .await;
    let (all, one) = (Receiver::start().await, Receiver::start().await);
    gateway.hook(&all).await;
    let new = NewWebhook { url: one.url.clone(), app: Some("other".to_owned()) };
    gateway.inner.add_webhook(new, "test").await.unwrap();
    gateway.connect(&["alice"]).await;
    let bob = gateway.import_of("bob");
    gateway
        .inner
        .import_accounts(Some("other"), &[bob], ImportEvents::Each, "test", |_| ())
        .await
        .unwrap();
    gateway.deliver().await;
    assert_eq!(one.told(), names(&[("connected", "bob")]));
    assert_eq!(all.told(), names(&[("connected", "alice"), ("connected", "bob")]));
    assert_ne!(all.arrived()[1].id(), one.arrived()[0].id());
}

async fn without_webhooks_nothing_is_kept_for_later(database: Database) {
    let gateway = start_gateway(&database).await;
    gateway.inner.remove_account(None, &gateway.named("alice"), "test").await.unwrap();
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    assert_eq!(gateway.deliver().await, 0);
}

on_both!(
    each_change_of_an_account_is_told_once,
    changes_and_attempts_are_counted,
    an_event_says_who_when_why_and_nothing_else,
    who_connects_by_a_link_is_told,
    the_end_of_an_account_carries_a_link_for_its_user_alone,
    without_a_public_address_events_carry_no_link,
    a_webhook_of_one_app_hears_of_that_app_alone,
    without_webhooks_nothing_is_kept_for_later
);
