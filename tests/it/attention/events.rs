//! Webhooks are told what begins to need attention and what does no longer: once, whichever replicas see it.

use serde_json::{Value, json};
use time::Duration;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::webhooks::receiver::Receiver;
use crate::webhooks::start_gateway;

async fn notify(gateway: &TestGateway) {
    gateway.inner.catch_up_once().await.unwrap();
    let items = gateway.inner.list_attention().await.unwrap();
    gateway.inner.notify_webhooks(&items).await.unwrap();
}

/// Notifies, and delivers.
async fn check(gateway: &TestGateway) {
    notify(gateway).await;
    gateway.deliver().await;
}

fn events_of(receiver: &Receiver) -> Vec<Value> {
    receiver.arrived().iter().map(|event| event.json().clone()).collect()
}

async fn webhooks_are_notified_once_an_hour_of_what_needs_attention(database: Database) {
    let gateway = start_gateway(&database).await;
    let other = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    let state = async |state: &str| {
        database
            .run(&format!("update account set state = '{state}' where screen_name = 'bob'"))
            .await;
    };
    check(&gateway).await;
    assert!(events_of(&receiver).is_empty());
    state("blocked").await;
    for _ in 0..3 {
        notify(&other).await;
        check(&gateway).await;
    }
    let events = events_of(&receiver);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (&events[0]["type"], &events[0]["data"]["cause"], &events[0]["data"]["app"]),
        (&json!("gateway.degraded"), &json!("account_blocked"), &json!("demo"))
    );
    assert_eq!(events[0]["data"]["figures"], json!({ "accounts": 1 }));
    let reason = events[0]["data"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("App demo: 1 account is blocked"), "{reason}");

    state("active").await;
    check(&gateway).await;
    assert_eq!(events_of(&receiver).len(), 1, "another replica may still see it");
    gateway.later(Duration::minutes(3)).await;
    notify(&other).await;
    check(&gateway).await;
    let events = events_of(&receiver);
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(
        (&events[1]["type"], &events[1]["data"]["cause"], &events[1]["data"]["figures"]),
        (&json!("gateway.recovered"), &json!("account_blocked"), &json!({ "seconds": 180 }))
    );

    // Again, but within the hour.
    state("blocked").await;
    gateway.later(Duration::minutes(56)).await;
    check(&gateway).await;
    assert_eq!(events_of(&receiver).len(), 2);
    gateway.later(Duration::minutes(1)).await;
    check(&gateway).await;
    assert_eq!(events_of(&receiver).len(), 3);
}

on_both!(webhooks_are_notified_once_an_hour_of_what_needs_attention);
