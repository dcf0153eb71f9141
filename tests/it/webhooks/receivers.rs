//! Receivers, if the settings restrict the hosts that events may be sent to.

use countersign::config::{Config, HOSTS};
use serde_json::json;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::webhooks::receiver::Receiver;
use crate::webhooks::{start_gateway, with_http};

fn allowing(hosts: &str) -> impl FnOnce(&mut Config) {
    let hosts = (HOSTS.parse)(hosts).unwrap();
    |config| {
        with_http(config);
        config.webhooks.receivers = hosts;
    }
}

async fn a_receiver_elsewhere_is_not_added(database: Database) {
    let gateway =
        TestGateway::start_with(&database, allowing("hooks.example.com, *.internal, 127.0.0.1"))
            .await;
    let admin = gateway.new_admin_key().await;
    let add = |url: &str| {
        let ask = gateway
            .admin(&admin, "POST", "/admin/v1/webhooks")
            .header("content-type", "application/json");
        ask.body(json!({ "url": url }).to_string()).send()
    };
    for url in [
        "https://hooks.example.com/a",
        "https://HOOKS.example.com:8443/b",
        "https://a.b.internal/",
        "http://127.0.0.1:1/",
    ] {
        assert_eq!(add(url).await.status, 201, "{url}");
    }
    for url in [
        "https://example.com/",
        "https://hooks.example.com.evil.example/",
        "https://evil.example/hooks.example.com",
        "https://internal/",
        "http://127.0.0.2:1/",
        "http://2130706434/",
    ] {
        let refused = add(url).await;
        refused.is_own(400, "invalid_request");
        assert!(
            refused.json()["detail"].as_str().unwrap().contains("webhooks.receivers"),
            "{}",
            refused.text()
        );
    }
}

async fn a_receiver_that_may_not_be_any_more_gets_nothing(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    gateway.connect(&["alice"]).await;
    let stricter = TestGateway::build(
        gateway.sandbox.again(),
        &database.settings(),
        allowing("hooks.example.com"),
    )
    .await;
    assert_eq!(stricter.deliver().await, 1);
    let tested = stricter.inner.test_webhook(&id, "test").await.unwrap();
    assert!(tested.unwrap_err().why.contains("webhooks.receivers"));
    assert!(receiver.arrived().is_empty());
    let failure = stricter.inner.get_webhook(&id).await.unwrap().1.failure.unwrap();
    assert!(failure.contains("webhooks.receivers"), "{failure}");
}

on_both!(a_receiver_elsewhere_is_not_added, a_receiver_that_may_not_be_any_more_gets_nothing);
