//! Slow clients: with the head, with the body, with reading the answer, and between two requests.

use std::time::Duration;

use countersign::config::Config;
use countersign::model::Endpoint;
use serde_json::json;

use crate::edge::places::served;
use crate::edge::raw::Raw;
use crate::edge::{Own, own};
use crate::upstream::{TOTALS, body};

const LIVE: &str = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
const HALF: &str = "POST /insights/engagement/totals HTTP/1.1\r\nHost: a\r\nX-Half: ";
const SOON: Duration = Duration::from_millis(300);
const NEVER: Duration = Duration::from_mins(10);

async fn start_gateway(change: impl FnOnce(&mut Config)) -> Own {
    own(change).await
}

#[tokio::test]
async fn half_open_requests_end_and_live_calls_go_on() {
    let gateway = start_gateway(|config| config.limits.header_timeout = SOON).await;
    let body = body(&gateway.sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let mut half = Vec::new();
    for number in 0..300 {
        let mut raw = Raw::connect(&gateway.url).await;
        // Some send nothing at all.
        raw.send(&HALF[..number % HALF.len()]).await;
        half.push(raw);
    }
    let calls = async {
        for _ in 0..10 {
            gateway.call(Endpoint::Totals, &body).send().await.is_relayed(200);
        }
    };
    let ends = async {
        for raw in &mut half {
            assert_eq!(raw.rest().await, "");
        }
    };
    tokio::join!(calls, ends);
    gateway.call(Endpoint::Totals, &body).send().await.is_relayed(200);
}

#[tokio::test]
async fn a_second_head_has_no_more_time_than_the_first() {
    let gateway = start_gateway(|config| {
        config.limits.header_timeout = SOON;
        config.limits.keep_alive = NEVER;
    })
    .await;
    let mut raw = Raw::connect(&gateway.url).await;
    raw.send(LIVE).await;
    assert!(raw.answer().await.starts_with("HTTP/1.1 200"));
    raw.send(HALF).await;
    assert_eq!(raw.rest().await, "");
}

#[tokio::test]
async fn an_idle_connection_outlives_the_time_for_a_head() {
    let gateway = start_gateway(|config| {
        config.limits.header_timeout = SOON;
        config.limits.keep_alive = NEVER;
    })
    .await;
    let mut idle = Raw::connect(&gateway.url).await;
    idle.send(LIVE).await;
    idle.answer().await;
    let mut late = Raw::connect(&gateway.url).await;
    assert_eq!(late.rest().await, "", "the time for a head is over");
    idle.send(LIVE).await;
    assert!(idle.answer().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_idle_connection_ends() {
    let gateway = start_gateway(|config| {
        config.limits.header_timeout = NEVER;
        config.limits.keep_alive = SOON;
    })
    .await;
    let mut raw = Raw::connect(&gateway.url).await;
    raw.send(LIVE).await;
    raw.answer().await;
    assert_eq!(raw.rest().await, "");
}

/// Idle time was once counted from the first answer on, however busy the connection had been since.
#[tokio::test]
async fn a_request_begins_the_idle_time_anew() {
    let gateway = start_gateway(|config| config.limits.keep_alive = Duration::from_secs(1)).await;
    let (mut busy, mut idle) = (Raw::connect(&gateway.url).await, Raw::connect(&gateway.url).await);
    for raw in [&mut busy, &mut idle] {
        raw.send(LIVE).await;
        raw.answer().await;
    }
    let head = format!(
        "POST {TOTALS} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {}\r\nContent-Length: 2\r\n\r\n",
        gateway.key
    );
    busy.send(head).await;
    assert_eq!(idle.rest().await, "", "the idle time since the first answer is over");
    busy.send("{}").await;
    assert!(busy.answer().await.starts_with("HTTP/1.1 400"));
    busy.send(LIVE).await;
    assert!(busy.answer().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_stalls_is_answered_with_408() {
    let gateway = start_gateway(|config| config.limits.body_idle = SOON).await;
    let head = format!(
        "POST {TOTALS} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {}\r\nContent-Length: 10\r\n\r\n{{",
        gateway.key
    );
    let mut raw = Raw::connect(&gateway.url).await;
    raw.send(head).await;
    let answer = raw.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("countersign-error: request_timeout"), "{answer}");
    assert!(gateway.arrived("/insights/").await.is_empty());
}

#[tokio::test]
async fn a_strangers_body_is_not_waited_for() {
    let gateway = start_gateway(|config| config.limits.body_idle = NEVER).await;
    let head =
        format!("POST {TOTALS} HTTP/1.1\r\nHost: a\r\nX-Api-Key: k\r\nContent-Length: 9\r\n\r\n{{");
    let mut raw = Raw::connect(&gateway.url).await;
    raw.send(head).await;
    let answer = raw.rest().await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("countersign-error: unknown_key"), "{answer}");
}

#[tokio::test]
async fn a_body_that_trickles_for_ever_is_answered_with_408() {
    let gateway = start_gateway(|config| config.limits.request_deadline = SOON).await;
    let head = format!(
        "POST {TOTALS} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        gateway.key
    );
    let mut raw = Raw::connect(&gateway.url).await;
    raw.send(head).await;
    raw.send("1\r\n \r\n").await;
    let answer = raw.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_slow_body_and_a_slow_upstream_share_one_deadline() {
    let gateway =
        start_gateway(|config| config.limits.request_deadline = Duration::from_secs(2)).await;
    gateway.order(json!([{ "kind": "hang", "path": "/insights/" }])).await;
    let body = body(&gateway.sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let text = body.to_string();
    let head = format!(
        "POST {TOTALS} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {}\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        gateway.key,
        text.len()
    );
    let mut slow = Raw::connect(&gateway.url).await;
    slow.send(head).await;
    slow.until("100 Continue\r\n\r\n").await;
    let prompt = gateway.call(Endpoint::Totals, &body);
    let late = async {
        while gateway.fired().await != [1] {}
        slow.send(&text).await;
        slow.until("\r\n\r\n").await
    };
    // The slow client came first, so its time is over first, although its call began last.
    tokio::select! {
        biased;
        answer = late => assert!(answer.starts_with("HTTP/1.1 504"), "{answer}"),
        answer = prompt.send() => panic!("answered first: {}", answer.status),
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_loses_its_place() {
    let gateway = start_gateway(|config| {
        config.limits.connections = 1;
        config.limits.write_idle = SOON;
        config.limits.header_timeout = NEVER;
        config.limits.keep_alive = NEVER;
    })
    .await;
    let mut deaf = Raw::connect_narrow(&gateway.admin_url).await;
    let many = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3000);
    deaf.try_send(many).await;
    // Only one connection is allowed, so another is served once the first client has lost it.
    served(&gateway.admin_url, "127.0.0.1").await;
}
