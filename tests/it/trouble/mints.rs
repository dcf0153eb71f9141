//! Mints that are refused, hang, break, or are abandoned by the caller who began them.

use std::time::Duration;

use serde_json::json;

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::trouble::{at_once, attempts, mints, public, rotate_bearer};

fn refused() -> serde_json::Value {
    json!([{ "kind": "status", "status": 403, "code": 99, "path": "/oauth2/token" }])
}

async fn a_refused_mint_is_the_apps_fault_and_is_not_repeated_by_each_caller(database: Database) {
    let gateway = TestGateway::start(&database).await;
    gateway.order(refused()).await;
    for answer in at_once(&public(&gateway), 20).await {
        answer.is_own(503, "app_credentials_rejected");
        assert_eq!(answer.header("retry-after"), "10");
        assert!(answer.json()["detail"].as_str().unwrap().contains("countersign check"));
    }
    assert_eq!(gateway.fired().await, [1]);
    assert_eq!(attempts(&gateway).await, 0);

    gateway.sandbox.clock.forward(time::Duration::seconds(4));
    assert_eq!(public(&gateway).send().await.header("retry-after"), "6");
    assert_eq!(gateway.fired().await, [1]);
    gateway.sandbox.clock.forward(time::Duration::seconds(6));
    gateway.order(json!([])).await;
    public(&gateway).send().await.is_relayed(200);
}

async fn a_bearer_rejected_again_and_again_is_not_minted_again_and_again(database: Database) {
    let gateway = TestGateway::start(&database).await;
    public(&gateway).send().await.is_relayed(200);
    gateway
        .order(json!([{ "kind": "status", "status": 401, "code": 89, "path": "/insights/" }]))
        .await;
    public(&gateway).send().await.is_relayed(401);
    assert_eq!((gateway.fired().await, mints(&gateway).await), (vec![2], 2));
    for answer in at_once(&public(&gateway), 10).await {
        answer.is_own(503, "app_credentials_rejected");
        assert_eq!(answer.header("retry-after"), "10");
    }
    assert_eq!(mints(&gateway).await, 2);
    gateway.sandbox.clock.forward(time::Duration::seconds(10));
    public(&gateway).send().await.is_relayed(401);
    assert_eq!(mints(&gateway).await, 3);
    gateway.order(json!([])).await;
    public(&gateway).send().await.is_relayed(200);
}

on_both!(
    a_refused_mint_is_the_apps_fault_and_is_not_repeated_by_each_caller,
    a_bearer_rejected_again_and_again_is_not_minted_again_and_again
);

/// With its database, which is removed when dropped.
async fn start_gateway() -> (Database, TestGateway) {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    (database, gateway)
}

#[tokio::test]
async fn callers_who_wait_share_a_mint_that_hangs() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start_with(&database, |config| {
        config.limits.upstream_first_byte = Duration::from_secs(2);
    })
    .await;
    gateway.order(json!([{ "kind": "hang", "path": "/oauth2/token" }])).await;
    for answer in at_once(&public(&gateway), 20).await {
        answer.is_own(504, "upstream_timeout");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(gateway.fired().await, [1], "nobody waits for a second one");
    gateway.order(json!([])).await;
    public(&gateway).send().await.is_relayed(200);
}

#[tokio::test]
async fn a_mint_that_breaks_is_the_upstreams_fault() {
    for (fault, code) in [
        (json!({ "kind": "status", "status": 503 }), "upstream_odd"),
        (json!({ "kind": "html" }), "upstream_odd"),
        (
            json!({ "kind": "status", "status": 200, "headers": { "content-encoding": "br" } }),
            "upstream_odd",
        ),
        (
            json!({ "kind": "status", "status": 302, "headers": { "location": "/oauth2/token" } }),
            "upstream_odd",
        ),
        (
            json!({ "kind": "status", "status": 200, "body": { "token_type": "mac", "access_token": "x" } }),
            "upstream_odd",
        ),
        (json!({ "kind": "reset" }), "upstream_unreachable"),
        (json!({ "kind": "cut_body" }), "upstream_cut_short"),
    ] {
        let (_database, gateway) = start_gateway().await;
        let mut fault = fault;
        fault["path"] = json!("/oauth2/token");
        gateway.order(json!([fault])).await;
        let answer = public(&gateway).send().await;
        answer.is_own(502, code);
        assert_eq!(answer.header("retry-after"), "1", "{fault}");
        assert!(gateway.fired().await[0] >= 1, "{fault}");
        gateway.order(json!([])).await;
        public(&gateway).send().await.is_relayed(200);
    }
}

#[tokio::test]
async fn a_mint_that_x_puts_off_says_until_when() {
    for status in [429, 503] {
        let (_database, gateway) = start_gateway().await;
        let headers = json!({ "retry-after": "7" });
        gateway
            .order(json!([
                { "kind": "status", "status": status, "headers": headers, "path": "/oauth2/token" },
            ]))
            .await;
        let answer = public(&gateway).send().await;
        answer.is_own(502, "upstream_odd");
        assert_eq!(answer.header("retry-after"), "7");
    }
}

#[tokio::test]
async fn an_answer_that_is_gzipped_unasked_is_read() {
    let (_database, gateway) = start_gateway().await;
    gateway
        .order(json!([{ "kind": "gzip", "path": "/oauth2/" }, { "kind": "gzip", "path": "/1.1/" }]))
        .await;
    public(&gateway).send().await.is_relayed(200);
    let key = gateway.new_admin_key().await;
    let path = format!("/admin/v1/accounts/{}/verify", gateway.id("alice"));
    let verified = gateway.admin(&key, "POST", &path).send().await;
    assert_eq!(verified.json()["works"], true, "{}", verified.text());
    assert_eq!(gateway.fired().await, [1, 1]);
}

#[tokio::test]
async fn a_token_that_decompresses_without_end_is_too_large() {
    let (_database, gateway) = start_gateway().await;
    gateway.order(json!([{ "kind": "gzip_bomb", "mb": 1, "path": "/oauth2/token" }])).await;
    public(&gateway).send().await.is_own(502, "upstream_too_large");
    assert_eq!(gateway.fired().await, [1]);
}

#[tokio::test]
async fn a_renewal_that_breaks_may_be_tried_again_at_once() {
    let (_database, gateway) = start_gateway().await;
    public(&gateway).send().await.is_relayed(200);
    rotate_bearer(&gateway).await;
    gateway
        .order(json!([{ "kind": "status", "status": 503, "times": 1, "path": "/oauth2/token" }]))
        .await;
    public(&gateway).send().await.is_own(502, "upstream_odd");
    assert_eq!(gateway.fired().await, [1]);
    public(&gateway).send().await.is_relayed(200);
}

#[tokio::test]
async fn a_mint_outlives_the_caller_who_began_it() {
    let (_database, gateway) = start_gateway().await;
    public(&gateway).send().await.is_relayed(200);
    rotate_bearer(&gateway).await;
    gateway.order(json!([{ "kind": "hold", "path": "/oauth2/token" }])).await;
    let caller = tokio::spawn(public(&gateway).send());
    while gateway.fired().await != [1] {
        tokio::task::yield_now().await;
    }
    caller.abort();
    gateway.order(json!([])).await;
    for answer in at_once(&public(&gateway), 10).await {
        answer.is_relayed(200);
    }
    assert_eq!(mints(&gateway).await, 2, "the first and the one that was begun");
}
