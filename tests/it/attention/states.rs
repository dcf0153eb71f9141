//! States of the gateway, of its accounts and of what it depends on.

use serde_json::json;
use time::Duration;

use crate::console::Visitor;
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;

async fn accounts_that_cannot_be_used_are_named(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    for (state, cause) in [
        ("revoked", "account_revoked"),
        ("blocked", "account_blocked"),
        ("quarantined", "account_quarantined"),
    ] {
        database
            .run(&format!("update account set state = '{state}' where screen_name = 'bob'"))
            .await;
        let item = gateway.attention(&admin).await.remove(0);
        assert_eq!(
            (&item["cause"], &item["app"], &item["figures"]),
            (&json!(cause), &json!("demo"), &json!({ "accounts": 1 }))
        );
        let bob = gateway.id("bob").to_string();
        assert_eq!(
            item["accounts"],
            json!([{ "account": bob, "screen_name": "bob", "calls": null }])
        );
        let page = Visitor::admin(&gateway).await.open("/console/").await.text();
        assert!(page.contains("@bob") && page.contains("What to do:"), "{page}");
    }
    database.run("update account set state = 'active' where screen_name = 'bob'").await;
    assert_eq!(gateway.causes(&admin).await, [""; 0]);
}

async fn a_revoked_key_in_use_is_named_until_it_is_not(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let old = gateway.new_key(|key| "old reports".clone_into(&mut key.name)).await;
    let ask = || {
        let ask = gateway.ask("GET", "/v1/key");
        ask.header("authorization", &format!("Bearer {old}")).send()
    };
    assert_eq!(ask().await.status, 200);
    gateway.inner.revoke_key(&old, "test").await.unwrap().unwrap();
    gateway.inner.catch_up_once().await.unwrap();
    for _ in 0..2 {
        assert_eq!(ask().await.status, 401);
    }
    let item = gateway.attention(&admin).await.remove(0);
    assert_eq!(
        (&item["cause"], &item["figures"]["requests"], &item["keys"][0]["name"]),
        (&json!("refused_key"), &json!(2), &json!("old reports"))
    );
    gateway.later(Duration::minutes(2)).await;
    assert_eq!(gateway.causes(&admin).await, [""; 0]);
}

async fn a_callback_that_x_does_not_approve_is_named_until_it_does(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    gateway
        .order(json!([{ "kind": "status", "path": "/oauth/request_token", "status": 403, "code": 415, "message": "Callback URL not approved" }]))
        .await;
    assert!(gateway.inner.verify_callback("demo").await.is_err());
    assert_eq!(gateway.causes(&admin).await, ["callback_not_approved"]);
    gateway.order(json!([])).await;
    gateway.inner.verify_callback("demo").await.unwrap();
    assert_eq!(gateway.causes(&admin).await, [""; 0]);
}

on_both!(
    accounts_that_cannot_be_used_are_named,
    a_revoked_key_in_use_is_named_until_it_is_not,
    a_callback_that_x_does_not_approve_is_named_until_it_does
);
