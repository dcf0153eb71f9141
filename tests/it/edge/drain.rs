//! The end of a server: it says so first, then takes nothing more, then waits for what is in flight.

use std::io::{Read, Write};
use std::time::Duration;

use countersign::model::Endpoint;
use serde_json::json;
use tokio::net::TcpStream;

use crate::bench::body;
use crate::edge::raw::Raw;
use crate::edge::{Own, own};
use crate::house::House;

const LIVE: &str = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";

async fn house() -> Own {
    own(|it| {
        it.limits.drain = Duration::from_millis(200);
        it.limits.request_deadline = Duration::from_secs(30);
        it.limits.upstream_first_byte = Duration::from_secs(25);
    })
    .await
}

/// Returns once a call is with the upstream.
async fn until_in_flight(house: &House) {
    while house.arrived("/insights/").await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_closing_gateway_is_not_ready_and_still_answers() {
    let house = house().await;
    for url in [&house.url, &house.admin_url] {
        let ready = house.http.get(format!("{url}/readyz")).send().await.unwrap();
        assert_eq!(ready.status(), 200);
    }
    let mut kept = Raw::connect(&house.url).await;
    kept.send(LIVE).await;
    assert!(!kept.answer().await.contains("connection: close"));
    house.life.close();
    for url in [&house.url, &house.admin_url] {
        let ready = house.http.get(format!("{url}/readyz")).send().await.unwrap();
        assert_eq!(ready.status(), 503);
        let said: serde_json::Value =
            serde_json::from_slice(&ready.bytes().await.unwrap()).unwrap();
        assert_eq!(said, json!({ "status": "not ready", "reasons": ["the gateway is stopping"] }));
        let live = house.http.get(format!("{url}/livez")).send().await.unwrap();
        assert_eq!(live.status(), 200);
        assert_eq!(live.headers()["connection"], "close");
    }
    let body = body(&house.bench.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let answer = house.call(Endpoint::Totals, &body).send().await;
    answer.is_relayed(200);
    assert_eq!(answer.header("connection"), "close");
    kept.send(LIVE).await;
    let last = kept.rest().await;
    assert!(last.starts_with("HTTP/1.1 200") && last.contains("connection: close"), "{last}");
}

#[tokio::test]
async fn a_draining_gateway_finishes_what_is_in_flight_and_takes_nothing_more() {
    let mut house = own(|_| ()).await;
    let mut idle = Raw::connect(&house.url).await;
    idle.send(LIVE).await;
    idle.answer().await;
    house.order(json!([{ "kind": "hold", "path": "/insights/" }])).await;
    let body = body(&house.bench.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let call = tokio::spawn(house.call(Endpoint::Totals, &body).send());
    until_in_flight(&house).await;
    house.life.close();
    house.life.drain();
    assert_eq!(idle.rest().await, "", "an idle connection is closed");
    for url in [&house.url, &house.admin_url] {
        let address = url.strip_prefix("http://").unwrap();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(house.fired().await, [1]);
    house.order(json!([])).await;
    house.stopped().await;
    let arrived = house.arrived("/insights/").await;
    assert_eq!(arrived[0]["status"], 200, "the gateway ended before the call");
    let answer = call.await.unwrap();
    answer.is_relayed(200);
    assert_eq!(answer.header("connection"), "close");
}

/// Whoever keeps a connection may use it in the moment in which it is closed.
#[tokio::test]
async fn a_request_that_has_come_before_the_drain_is_answered() {
    let mut house = own(|_| ()).await;
    let mut kept = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::connect(&house.url).await;
        raw.send(LIVE).await;
        raw.answer().await;
        kept.push(raw);
    }
    let mut fresh = Vec::new();
    for _ in 0..20 {
        fresh.push(Raw::connect(&house.url).await);
    }
    // None of these lets the server run in between.
    for raw in kept.iter_mut().chain(&mut fresh) {
        raw.send(LIVE).await;
    }
    house.life.drain();
    for raw in kept.iter_mut().chain(&mut fresh) {
        let last = raw.rest().await;
        assert!(last.starts_with("HTTP/1.1 200") && last.contains("connection: close"), "{last}");
    }
    house.stopped().await;
}

#[tokio::test]
async fn whoever_has_connected_before_the_drain_is_answered() {
    let mut house = own(|_| ()).await;
    let connect = || {
        let stream = std::net::TcpStream::connect(house.url.strip_prefix("http://").unwrap());
        let mut stream = stream.unwrap();
        stream.write_all(LIVE.as_bytes()).unwrap();
        stream
    };
    // The server shares this thread, so all of them wait to be accepted.
    let waiting: Vec<std::net::TcpStream> = (0..20).map(|_| connect()).collect();
    house.life.close();
    house.life.drain();
    house.stopped().await;
    for mut stream in waiting {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_is_being_sent_ends_before_the_gateway_does() {
    let mut house = own(|it| it.limits.write_idle = Duration::from_mins(10)).await;
    let mut slow = Raw::connect_narrow(&house.url).await;
    slow.send("GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut answer = slow.until("HTTP/1.1 200").await;
    let mut idle = Raw::connect(&house.url).await;
    house.life.drain();
    assert_eq!(idle.rest().await, "", "the time for a last request is over");
    answer.push_str(&slow.rest().await);
    let (_, document) = answer.split_once("\r\n\r\n").unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(document).is_ok(), "{document}");
    house.stopped().await;
}

#[tokio::test]
async fn what_hangs_longer_than_the_time_to_drain_does_not_hold_the_gateway() {
    let mut house = house().await;
    house.order(json!([{ "kind": "hang", "path": "/insights/" }])).await;
    let body = body(&house.bench.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let call = tokio::spawn(house.call(Endpoint::Totals, &body).try_send());
    until_in_flight(&house).await;
    house.life.drain();
    house.stopped().await;
    call.abort();
    assert_eq!(house.fired().await, [1]);
}
