//! Shutdown: the gateway announces it, then accepts nothing more, then waits for requests in flight.

use std::io::{Read, Write};
use std::time::Duration;

use countersign::model::Endpoint;
use serde_json::json;
use tokio::net::TcpStream;

use crate::edge::raw::Raw;
use crate::edge::{Own, own};
use crate::gateway::TestGateway;
use crate::upstream::body;

const LIVE: &str = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";

async fn start_gateway() -> Own {
    own(|config| {
        config.limits.drain = Duration::from_millis(200);
        config.limits.request_deadline = Duration::from_secs(30);
        config.limits.upstream_first_byte = Duration::from_secs(25);
    })
    .await
}

/// Returns once the upstream has received a call.
async fn until_in_flight(gateway: &TestGateway) {
    while gateway.arrived("/insights/").await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_closing_gateway_is_not_ready_and_still_answers() {
    let gateway = start_gateway().await;
    for url in [&gateway.url, &gateway.admin_url] {
        let ready = gateway.http.get(format!("{url}/readyz")).send().await.unwrap();
        assert_eq!(ready.status(), 200);
    }
    let mut kept = Raw::connect(&gateway.url).await;
    kept.send(LIVE).await;
    assert!(!kept.answer().await.contains("connection: close"));
    gateway.life.close();
    for url in [&gateway.url, &gateway.admin_url] {
        let ready = gateway.http.get(format!("{url}/readyz")).send().await.unwrap();
        assert_eq!(ready.status(), 503);
        let said: serde_json::Value =
            serde_json::from_slice(&ready.bytes().await.unwrap()).unwrap();
        assert_eq!(said, json!({ "status": "not ready", "reasons": ["the gateway is stopping"] }));
        let live = gateway.http.get(format!("{url}/livez")).send().await.unwrap();
        assert_eq!(live.status(), 200);
        assert_eq!(live.headers()["connection"], "close");
    }
    let body = body(&gateway.sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let answer = gateway.call(Endpoint::Totals, &body).send().await;
    answer.is_relayed(200);
    assert_eq!(answer.header("connection"), "close");
    kept.send(LIVE).await;
    let last = kept.rest().await;
    assert!(last.starts_with("HTTP/1.1 200") && last.contains("connection: close"), "{last}");
}

#[tokio::test]
async fn a_draining_gateway_finishes_what_is_in_flight_and_takes_nothing_more() {
    let mut gateway = own(|_| ()).await;
    let mut idle = Raw::connect(&gateway.url).await;
    idle.send(LIVE).await;
    idle.answer().await;
    gateway.order(json!([{ "kind": "hold", "path": "/insights/" }])).await;
    let body = body(&gateway.sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let call = tokio::spawn(gateway.call(Endpoint::Totals, &body).send());
    until_in_flight(&gateway).await;
    gateway.life.close();
    gateway.life.drain();
    assert_eq!(idle.rest().await, "", "an idle connection is closed");
    for url in [&gateway.url, &gateway.admin_url] {
        let address = url.strip_prefix("http://").unwrap();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(gateway.fired().await, [1]);
    gateway.order(json!([])).await;
    gateway.stopped().await;
    let arrived = gateway.arrived("/insights/").await;
    assert_eq!(arrived[0]["status"], 200, "the gateway ended before the call");
    let answer = call.await.unwrap();
    answer.is_relayed(200);
    assert_eq!(answer.header("connection"), "close");
}

/// A client may use a kept connection at the very moment in which it is closed.
#[tokio::test]
async fn a_request_that_has_come_before_the_drain_is_answered() {
    let mut gateway = own(|_| ()).await;
    let mut kept = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::connect(&gateway.url).await;
        raw.send(LIVE).await;
        raw.answer().await;
        kept.push(raw);
    }
    let mut fresh = Vec::new();
    for _ in 0..20 {
        fresh.push(Raw::connect(&gateway.url).await);
    }
    // None of these writes has to wait, so the server does not run in between.
    for raw in kept.iter_mut().chain(&mut fresh) {
        raw.send(LIVE).await;
    }
    gateway.life.drain();
    for raw in kept.iter_mut().chain(&mut fresh) {
        let last = raw.rest().await;
        assert!(last.starts_with("HTTP/1.1 200") && last.contains("connection: close"), "{last}");
    }
    gateway.stopped().await;
}

#[tokio::test]
async fn whoever_has_connected_before_the_drain_is_answered() {
    let mut gateway = own(|_| ()).await;
    let connect = || {
        let stream = std::net::TcpStream::connect(gateway.url.strip_prefix("http://").unwrap());
        let mut stream = stream.unwrap();
        stream.write_all(LIVE.as_bytes()).unwrap();
        stream
    };
    // The server shares this thread, so all of them wait to be accepted.
    let waiting: Vec<std::net::TcpStream> = (0..20).map(|_| connect()).collect();
    gateway.life.close();
    gateway.life.drain();
    gateway.stopped().await;
    for mut stream in waiting {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_is_being_sent_ends_before_the_gateway_does() {
    let mut gateway = own(|config| config.limits.write_idle = Duration::from_mins(10)).await;
    let mut slow = Raw::connect_narrow(&gateway.url).await;
    slow.send("GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut answer = slow.until("HTTP/1.1 200").await;
    let mut idle = Raw::connect(&gateway.url).await;
    gateway.life.drain();
    assert_eq!(idle.rest().await, "", "the time for a last request is over");
    answer.push_str(&slow.rest().await);
    let (_, document) = answer.split_once("\r\n\r\n").unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(document).is_ok(), "{document}");
    gateway.stopped().await;
}

#[tokio::test]
async fn what_hangs_longer_than_the_time_to_drain_does_not_hold_the_gateway() {
    let mut gateway = start_gateway().await;
    gateway.order(json!([{ "kind": "hang", "path": "/insights/" }])).await;
    let body = body(&gateway.sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let call = tokio::spawn(gateway.call(Endpoint::Totals, &body).try_send());
    until_in_flight(&gateway).await;
    gateway.life.drain();
    gateway.stopped().await;
    call.abort();
    assert_eq!(gateway.fired().await, [1]);
}
