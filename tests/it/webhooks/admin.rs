//! Adding, listing and removing webhooks over the operators' API.

use serde_json::{Value, json};

use crate::database::{Database, newest, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::webhooks::receiver::Receiver;
use crate::webhooks::start_gateway;

async fn send(gateway: &TestGateway, key: &str, method: &str, path: &str, body: Value) -> Answer {
    let ask = gateway.admin(key, method, &format!("/admin/v1/webhooks{path}"));
    ask.header("content-type", "application/json").body(body.to_string()).send().await
}

/// Rotates the secret with an overlap, during which no other rotation is allowed, and once more after it.
async fn rotate_twice(gateway: &TestGateway, key: &str, id: &str, secret: &str) {
    let rotated =
        send(gateway, key, "POST", &format!("/{id}/rotate"), json!({ "overlap": "2h" })).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text());
    assert_eq!(rotated.json()["old_secret_until"], "2026-03-10T23:15:30Z");
    assert_ne!(rotated.json()["secret"], secret);
    assert_eq!(rotated.header("cache-control"), "no-store");
    let path = format!("/admin/v1/webhooks/{id}/rotate");
    let refused = gateway.admin(key, "POST", &path).send().await;
    refused.is_own(400, "invalid_request");
    assert!(
        refused.text().contains("still signs until 2026-03-10T23:15:30Z"),
        "{}",
        refused.text()
    );
    gateway.later(time::Duration::hours(2)).await;
    let rotated = gateway.admin(key, "POST", &path).send().await;
    assert_eq!(
        rotated.json()["old_secret_until"],
        "2026-03-11T23:15:30Z",
        "a day, where nothing is said"
    );
}

/// The actions on that webhook in the audit log, all of them by that key.
async fn audited(gateway: &TestGateway, key: &str, id: &str) -> Vec<String> {
    gateway
        .store
        .list_audit(&newest(99))
        .await
        .unwrap()
        .into_iter()
        .filter(|entry| entry.action.starts_with("webhook."))
        .map(|entry| {
            assert_eq!(
                (entry.subject, &*entry.actor),
                (format!("webhook:{id}"), &*format!("key:{}", &key[4..16]))
            );
            // The path of the address may contain a secret of the receiver's.
            assert!(
                entry.detail.starts_with("http://127.0.0.1:") && !entry.detail.contains("hook"),
                "{}",
                entry.detail
            );
            entry.action
        })
        .collect()
}

async fn a_webhook_is_added_listed_tested_rotated_and_removed(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, key) = (Receiver::start().await, gateway.new_admin_key().await);
    let added = send(&gateway, &key, "POST", "", json!({ "url": receiver.url })).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let added = added.json();
    let (id, secret) = (added["id"].as_str().unwrap(), added["secret"].as_str().unwrap());
    assert_eq!((id.len(), secret.len(), &secret[..6]), (12, 50, "whsec_"));
    assert_eq!((&added["url"], &added["app"]), (&json!(receiver.url), &json!(null)));

    gateway.connect(&["alice"]).await;
    let listed = gateway.admin(&key, "GET", "/admin/v1/webhooks").send().await;
    assert!(!listed.text().contains("whsec_"), "{}", listed.text());
    let listed = listed.json();
    assert_eq!(listed["webhooks"][0]["id"], id);
    assert_eq!(
        (&listed["webhooks"][0]["waiting"], &listed["webhooks"][0]["failure"]),
        (&json!(1), &json!(null))
    );
    assert_eq!(listed["webhooks"][0]["waiting_since"], "2026-03-10T21:15:30Z");

    receiver.next(&[500]);
    gateway.deliver().await;
    let listed = gateway.admin(&key, "GET", "/admin/v1/webhooks").send().await.json();
    assert_eq!(listed["webhooks"][0]["failure"], "it answered with status 500");

    let tested = send(&gateway, &key, "POST", &format!("/{id}/test"), json!({})).await;
    assert_eq!(tested.json(), json!({ "received": true, "status": 204, "failure": null }));
    gateway.deliver().await;
    let path = format!("/admin/v1/webhooks/{id}/deliveries");
    let deliveries = gateway.admin(&key, "GET", &path).send().await.json();
    let first = &deliveries["deliveries"][0];
    assert_eq!(
        (&first["state"], &first["attempts"], &first["event"]),
        (&json!("delivered"), &json!(2), &json!("account.connected"))
    );
    assert_eq!(first["id"], receiver.arrived()[0].id());
    assert_eq!(deliveries["next"], json!(null));

    rotate_twice(&gateway, &key, id, secret).await;

    let path = format!("/admin/v1/webhooks/{id}");
    assert_eq!(gateway.admin(&key, "DELETE", &path).send().await.json()["id"], id);
    gateway.admin(&key, "DELETE", &path).send().await.is_own(404, "not_found");
    gateway.connect(&["alice"]).await;
    assert_eq!(gateway.deliver().await, 0);
    assert_eq!(
        audited(&gateway, &key, id).await,
        [
            "webhook.removed",
            "webhook.rotated",
            "webhook.rotated",
            "webhook.tested",
            "webhook.added"
        ]
    );
}

async fn deliveries_come_in_pages(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, key) = (Receiver::start().await, gateway.new_admin_key().await);
    let (id, _) = gateway.hook(&receiver).await;
    for _ in 0..5 {
        gateway.connect(&["alice"]).await;
    }
    let path = format!("/admin/v1/webhooks/{id}/deliveries");
    let (mut seen, mut next) = (Vec::new(), Value::Null);
    loop {
        let before = if next.is_null() { String::new() } else { format!("&before={next}") };
        let page =
            gateway.admin(&key, "GET", &format!("{path}?limit=2{before}")).send().await.json();
        seen.extend(
            page["deliveries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|delivery| delivery["number"].as_i64().unwrap()),
        );
        next = page["next"].clone();
        if next.is_null() {
            break;
        }
    }
    assert!(seen.len() == 5 && seen.is_sorted_by(|one, two| one > two), "{seen:?}");
}

const INVALID: &[&str] = &[
    "",
    " ",
    "hooks.example.com",
    "//hooks.example.com/",
    "ftp://a/",
    "file:///etc/passwd",
    "https://",
    "https:///x",
    "https:a",
    "https:/a",
    "https:\\\\a\\x",
    "https://a\\@b/",
    "https://user@a/",
    "https://user:pass@a/",
    "https://a/#part",
    "https://a b/",
    "https://a/\n",
    " https://a/",
    "https://a:99999/",
    "javascript:alert(1)",
    "https://[::1",
    "https://\u{202e}a/",
];

async fn what_is_no_address_is_refused_and_says_what_would_be_right(database: Database) {
    let gateway = start_gateway(&database).await;
    let key = gateway.new_admin_key().await;
    for wrong in INVALID {
        let refused = send(&gateway, &key, "POST", "", json!({ "url": wrong })).await;
        refused.is_own(400, "invalid_request");
        assert_eq!(
            refused.json()["problems"][0]["pointer"],
            "/url",
            "{wrong:?}: {}",
            refused.text()
        );
        assert!(
            refused.json()["detail"].as_str().unwrap().contains("must be https://"),
            "{}",
            refused.text()
        );
    }
    let long = format!("https://a/{}", "x".repeat(2000));
    send(&gateway, &key, "POST", "", json!({ "url": long })).await.is_own(400, "invalid_request");
    let both = send(&gateway, &key, "POST", "", json!({ "url": "x", "app": "nope" })).await;
    both.is_own(400, "invalid_request");
    assert_eq!(both.json()["problems"].as_array().unwrap().len(), 2);
    for body in [json!({}), json!({ "url": 1 }), json!({ "url": "https://a/", "more": 1 })] {
        send(&gateway, &key, "POST", "", body).await.is_own(400, "invalid_request");
    }
    let url = json!({ "url": "https://hooks.example.com/x" });
    assert_eq!(send(&gateway, &key, "POST", "", url.clone()).await.status, 201);
    send(&gateway, &key, "POST", "", url).await.is_own(409, "already_exists");
    for (path, body) in [("/nobody/test", json!({})), ("/nobody/rotate", json!({}))] {
        send(&gateway, &key, "POST", path, body).await.is_own(404, "not_found");
    }
    let listed = gateway.admin(&key, "GET", "/admin/v1/webhooks").send().await.json();
    let id = listed["webhooks"][0]["id"].as_str().unwrap();
    for overlap in ["x", "31d", "-1s", "1h1"] {
        let wrong =
            send(&gateway, &key, "POST", &format!("/{id}/rotate"), json!({ "overlap": overlap }))
                .await;
        wrong.is_own(400, "invalid_request");
    }
}

async fn a_receiver_over_https_needs_nobody_s_leave(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let plain =
        send(&gateway, &key, "POST", "", json!({ "url": "http://hooks.example.com/" })).await;
    plain.is_own(400, "invalid_request");
    assert!(plain.text().contains("webhooks.allow_http"), "{}", plain.text());
    let secure =
        send(&gateway, &key, "POST", "", json!({ "url": "HTTPS://Hooks.Example.com:443" })).await;
    assert_eq!(secure.json()["url"], "https://hooks.example.com/", "as it will be called");
}

on_both!(
    a_webhook_is_added_listed_tested_rotated_and_removed,
    deliveries_come_in_pages,
    what_is_no_address_is_refused_and_says_what_would_be_right,
    a_receiver_over_https_needs_nobody_s_leave
);
