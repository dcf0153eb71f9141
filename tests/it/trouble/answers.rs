//! Answers that do not come, come slowly, end too early, or are too large: a reason, and never a partial body.

use std::time::Duration;

use countersign::config::Config;
use serde_json::json;

use crate::database::{Database, Kind, fresh};
use crate::gateway::TestGateway;
use crate::trouble::{attempts, private, public};

/// With its database, which is removed when dropped.
async fn start_gateway(change: impl FnOnce(&mut Config)) -> (Database, TestGateway) {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start_with(&database, change).await;
    (database, gateway)
}

fn impatient(config: &mut Config) {
    config.limits.upstream_first_byte = Duration::from_millis(200);
    config.limits.upstream_total = Duration::from_millis(400);
}

#[tokio::test]
async fn an_upstream_that_hangs_is_a_timeout_and_is_asked_once() {
    let (_database, gateway) = start_gateway(impatient).await;
    gateway.order(json!([{ "kind": "hang" }])).await;
    let answer = private(&gateway, "alice").send().await;
    answer.is_own(504, "upstream_timeout");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(gateway.fired().await, [1]);
    gateway.order(json!([])).await;
    private(&gateway, "alice").send().await.is_relayed(200);
}

#[tokio::test]
async fn no_caller_waits_beyond_the_requests_deadline() {
    let (_database, gateway) =
        start_gateway(|config| config.limits.request_deadline = Duration::from_millis(200)).await;
    for (ask, path) in [(private(&gateway, "alice"), "/insights/"), (public(&gateway), "/oauth2/")]
    {
        gateway.order(json!([{ "kind": "hang", "path": path }])).await;
        let answer = ask.send().await;
        answer.is_own(504, "upstream_timeout");
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(gateway.fired().await, [1]);
    }
}

#[tokio::test]
async fn a_body_that_does_not_end_in_time_is_a_timeout() {
    let (_database, gateway) = start_gateway(impatient).await;
    gateway.order(json!([{ "kind": "slow_body", "ms": 60_000 }])).await;
    private(&gateway, "alice").send().await.is_own(504, "upstream_timeout");
    assert_eq!(gateway.fired().await, [1]);
}

#[tokio::test]
async fn a_body_that_only_takes_its_time_is_relayed_whole() {
    let (_database, gateway) = start_gateway(|_| ()).await;
    let expected = private(&gateway, "alice").send().await.json();
    gateway.order(json!([{ "kind": "slow_body", "ms": 5 }, { "kind": "delay", "ms": 5 }])).await;
    let answer = private(&gateway, "alice").send().await;
    answer.is_relayed(200);
    assert_eq!(answer.json(), expected);
    assert_eq!(gateway.fired().await, [1, 1]);
}

#[tokio::test]
async fn an_answer_that_ends_too_early_is_never_relayed() {
    for kind in ["cut_body", "wrong_content_length", "truncated_gzip", "bad_json"] {
        let (_database, gateway) = start_gateway(|_| ()).await;
        gateway.order(json!([{ "kind": kind, "path": "/insights/" }])).await;
        for ask in [private(&gateway, "alice"), public(&gateway)] {
            let answer = ask.send().await;
            answer.is_own(502, "upstream_cut_short");
            assert_eq!(answer.header("retry-after"), "1", "{kind}");
        }
        assert_eq!(gateway.fired().await, [2], "{kind} is asked once each");
    }
}

#[tokio::test]
async fn an_empty_success_is_cut_short_too() {
    let (_database, gateway) = start_gateway(|_| ()).await;
    // An empty body does not have the announced encoding.
    gateway.order(json!([{ "kind": "gzip_bomb", "mb": 0 }])).await;
    private(&gateway, "alice").send().await.is_own(502, "upstream_cut_short");
    assert_eq!(gateway.fired().await, [1]);
}

#[tokio::test]
async fn an_answer_that_decompresses_without_end_is_too_large() {
    // 64 MiB exceed upstream_body_bytes; 3 MiB out of a few kilobytes exceed upstream_ratio.
    for mb in [64, 3] {
        let (_database, gateway) = start_gateway(|_| ()).await;
        gateway.order(json!([{ "kind": "gzip_bomb", "mb": mb }])).await;
        let answer = private(&gateway, "alice").send().await;
        answer.is_own(502, "upstream_too_large");
        assert_eq!(answer.header("retry-after"), "", "waiting does not help");
        assert_eq!(gateway.fired().await, [1], "{mb} MiB");
        gateway.order(json!([])).await;
        private(&gateway, "alice").send().await.is_relayed(200);
    }
}

#[tokio::test]
async fn an_answer_beyond_the_limits_is_too_large() {
    let limits: [fn(&mut Config); 2] = [
        |config| config.limits.upstream_compressed_bytes = 100,
        |config| config.limits.upstream_body_bytes = 100,
    ];
    for change in limits {
        let (_database, gateway) = start_gateway(change).await;
        let long = "x".repeat(10_000);
        gateway.order(json!([{ "kind": "status", "status": 200, "body": { "long": long } }])).await;
        private(&gateway, "alice").send().await.is_own(502, "upstream_too_large");
        assert_eq!(gateway.fired().await, [1]);
        assert_eq!(attempts(&gateway).await, 1, "it is not asked again");
    }
}

#[tokio::test]
async fn a_page_that_claims_success_is_odd_and_never_relayed() {
    let pages = [
        json!({ "kind": "html" }),
        json!({ "kind": "html", "status": 203 }),
        json!({ "kind": "status", "status": 200, "text": "Proxy Error" }),
        json!({ "kind": "status", "status": 200, "body": ["Proxy Error"] }),
    ];
    for mut page in pages {
        let (_database, gateway) = start_gateway(|_| ()).await;
        page["path"] = json!("/insights/");
        gateway.order(json!([page])).await;
        for ask in [private(&gateway, "alice"), public(&gateway)] {
            let answer = ask.send().await;
            answer.is_own(502, "upstream_odd");
            assert_eq!(answer.header("retry-after"), "1");
            assert!(!answer.text().contains("Proxy Error"), "{page}: {}", answer.text());
        }
        assert_eq!(gateway.fired().await, [2], "{page} is asked for once each");
    }
}

#[tokio::test]
async fn pages_in_html_with_an_error_are_relayed_as_they_are() {
    for status in [403, 500] {
        let (_database, gateway) = start_gateway(|_| ()).await;
        gateway.order(json!([{ "kind": "html", "status": status }])).await;
        let answer = private(&gateway, "alice").send().await;
        answer.is_relayed(status);
        assert_eq!(answer.header("content-type"), "text/html");
        assert!(answer.text().starts_with("<html>"), "{}", answer.text());
        assert_eq!(gateway.fired().await, [1]);
    }
}
