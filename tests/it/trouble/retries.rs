//! What is tried a second time, what never is, and what gets no answer.

use std::collections::BTreeSet;

use serde_json::json;

use crate::database::{Database, Kind, fresh};
use crate::gateway::TestGateway;
use crate::trouble::{at_once, attempts, mints, private, public};
use crate::upstream::TestSandbox;

/// With its database, which is removed when dropped.
async fn start_gateway() -> (Database, TestGateway) {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    (database, gateway)
}

#[tokio::test]
async fn an_overloaded_upstream_is_asked_once_more_and_signed_anew() {
    for status in [502, 503, 504] {
        let (_database, gateway) = start_gateway().await;
        gateway.order(json!([{ "kind": "status", "status": status, "times": 1 }])).await;
        private(&gateway, "alice").send().await.is_relayed(200);
        assert_eq!(gateway.fired().await, [1]);
        let arrived = gateway.arrived("/insights/").await;
        assert_eq!(arrived.len(), 2);
        assert_eq!(arrived[0]["body"], arrived[1]["body"]);
        for part in ["nonce", "header_values"] {
            assert_ne!(arrived[0][part], arrived[1][part], "{part} was used twice");
        }
        assert_eq!(arrived[1]["status"], 200, "and the second signature holds");
    }
}

#[tokio::test]
async fn an_upstream_that_stays_overloaded_is_asked_twice_and_relayed() {
    let (_database, gateway) = start_gateway().await;
    gateway.order(json!([{ "kind": "status", "status": 503 }])).await;
    let answer = private(&gateway, "alice").send().await;
    answer.is_relayed(503);
    assert_eq!(answer.json()["errors"][0]["code"], 130);
    assert_eq!(gateway.fired().await, [2]);
}

#[tokio::test]
async fn second_attempts_stay_within_their_budget() {
    let (_database, gateway) = start_gateway().await;
    // Another key fares better, so that calls go on.
    let other = format!("Bearer {}", gateway.new_key(|_| ()).await);
    private(&gateway, "alice").header("authorization", &other).send().await.is_relayed(200);
    gateway.order(json!([{ "kind": "status", "status": 503 }])).await;
    let answers = at_once(&private(&gateway, "alice"), 200).await;
    assert!(answers.iter().all(|answer| answer.status == 503));
    // A tenth of the calls and, as the clock stands still, the three that every second allows.
    let fired = gateway.fired().await[0];
    assert!((221..=223).contains(&fired), "{fired} attempts");

    gateway.sandbox.clock.forward(time::Duration::seconds(1));
    at_once(&private(&gateway, "alice"), 10).await;
    let more = gateway.fired().await[0] - fired;
    assert!((14..=15).contains(&more), "{more} attempts of 10 calls a second later");
}

#[tokio::test]
async fn nonces_never_come_again() {
    let (_database, gateway) = start_gateway().await;
    gateway.order(json!([{ "kind": "status", "status": 503, "times": 10 }])).await;
    at_once(&private(&gateway, "alice"), 100).await;
    assert_eq!(gateway.fired().await, [10]);
    let arrived = gateway.arrived("/insights/").await;
    let nonces: BTreeSet<&str> =
        arrived.iter().map(|call| call["nonce"].as_str().unwrap()).collect();
    assert!(arrived.len() > 100);
    assert_eq!(nonces.len(), arrived.len());
    assert!(nonces.iter().all(|nonce| nonce.len() == 43));
}

#[tokio::test]
async fn what_the_upstream_means_is_never_asked_twice() {
    for status in [400, 401, 403, 404, 500, 501, 302, 204] {
        let (_database, gateway) = start_gateway().await;
        let body = json!({ "errors": [format!("meant {status}")] });
        let fault =
            json!({ "kind": "status", "status": status, "body": body, "path": "/insights/" });
        gateway.order(json!([fault])).await;
        let answer = private(&gateway, "alice").send().await;
        answer.is_relayed(status);
        if status != 204 {
            assert_eq!(answer.json(), body);
        }
        assert_eq!(gateway.fired().await, [1], "{status}");
    }
}

#[tokio::test]
async fn a_connection_reset_before_any_header_is_asked_once_more() {
    let (_database, gateway) = start_gateway().await;
    gateway.order(json!([{ "kind": "reset", "times": 1, "path": "/insights/" }])).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    assert_eq!(gateway.fired().await, [1]);
    assert_eq!(attempts(&gateway).await, 2);
}

#[tokio::test]
async fn an_upstream_that_always_resets_is_unreachable() {
    let (_database, gateway) = start_gateway().await;
    gateway.order(json!([{ "kind": "reset", "path": "/insights/" }])).await;
    let answer = private(&gateway, "alice").send().await;
    answer.is_own(502, "upstream_unreachable");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(gateway.fired().await, [2]);
}

#[tokio::test]
async fn an_upstream_that_does_not_listen_is_unreachable() {
    let sandbox = TestSandbox::start().await;
    let database = fresh(Kind::Sqlite).await;
    // Nothing listens on a port that was released.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.upstream.data_url = format!("http://{free}");
        config.upstream.api_url = format!("http://{free}");
    })
    .await;
    for ask in [private(&gateway, "alice"), public(&gateway)] {
        let answer = ask.send().await;
        answer.is_own(502, "upstream_unreachable");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!((attempts(&gateway).await, mints(&gateway).await), (0, 0));
    let state = gateway.inner.health();
    assert!(state.ready, "the upstream's trouble is not the gateway's");
}

#[tokio::test]
async fn a_redirect_is_relayed_without_its_location_and_not_followed() {
    let (_database, gateway) = start_gateway().await;
    let target = format!("http://{}/insights/engagement/28hr", gateway.sandbox.address);
    gateway
        .order(json!([{ "kind": "status", "status": 302, "headers": { "location": target, "set-cookie": "a=b" } }]))
        .await;
    let answer = private(&gateway, "alice").send().await;
    answer.is_relayed(302);
    assert_eq!((answer.header("location"), answer.header("set-cookie")), ("", ""));
    assert_eq!(gateway.fired().await, [1]);
    assert_eq!(attempts(&gateway).await, 1);
}
