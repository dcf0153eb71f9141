//! How many connections a listener accepts, how many one address may hold, and who is answered when it is full.

use std::time::Duration;

use crate::edge::own;
use crate::edge::raw::Raw;
use crate::gateway::trusting;

const READY: &str = "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n";
const STYLE: &str = "GET /docs/style.css HTTP/1.1\r\nHost: a\r\n\r\n";
const HALF: &str = "GET /docs/style.css HTTP/1.1\r\nHost: a\r\nX-Half: ";
const NEVER: Duration = Duration::from_mins(10);

/// Returns once the gateway serves a request from that address which is no probe.
pub async fn served(url: &str, from: &str) {
    loop {
        let mut raw = Raw::connect_from(from, url).await;
        raw.send(STYLE).await;
        if raw.answer().await.starts_with("HTTP/1.1 200") {
            return;
        }
    }
}

/// A connection from that address that is served and kept open.
async fn keep(url: &str, from: &str) -> Raw {
    let mut raw = Raw::connect_from(from, url).await;
    raw.send(STYLE).await;
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    raw
}

/// Asserts that a connection from that address is refused with an error, while probes on it are answered.
async fn is_refused(url: &str, from: &str, words: &str) {
    let mut probe = Raw::connect_from(from, url).await;
    probe.send(READY).await;
    let answer = probe.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    let mut other = Raw::connect_from(from, url).await;
    other.send(STYLE).await;
    let answer = other.rest().await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("connection: close"), "{answer}");
    assert!(answer.contains("countersign-error: too_many_connections"), "{answer}");
    assert!(answer.contains("retry-after: 1") && answer.contains(words), "{answer}");
}

/// The count of refused connections in `/metrics`.
async fn counted(url: &str, listener: &str, reason: &str) -> u64 {
    let mut raw = Raw::connect_from("127.0.0.9", url).await;
    raw.send("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let text = raw.rest().await;
    let line = format!(
        "countersign_connections_refused_total{{listener=\"{listener}\",reason=\"{reason}\"}} "
    );
    let found = text.lines().find_map(|text| text.strip_prefix(&line));
    found.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn half_open_heads_from_one_address_leave_room_for_others() {
    let gateway = own(|config| {
        config.limits.connections = 8;
        config.limits.header_timeout = NEVER;
    })
    .await;
    for url in [&gateway.url, &gateway.admin_url] {
        let mut half = Vec::new();
        for _ in 0..40 {
            let mut raw = Raw::connect_from("127.0.0.2", url).await;
            raw.try_send(HALF).await;
            half.push(raw);
        }
        let mut others = [keep(url, "127.0.0.1").await, keep(url, "127.0.0.1").await];
        for raw in &mut half[6..] {
            assert_eq!(raw.rest().await, "", "it has a place beyond its share");
        }
        assert!(half[..6].iter().all(Raw::is_silent), "its share was taken away");
        for raw in &mut others {
            raw.send(READY).await;
            assert!(raw.answer().await.starts_with("HTTP/1.1 200"));
        }
    }
    for listener in ["callers", "operators"] {
        assert!(counted(&gateway.admin_url, listener, "address").await > 0, "{listener}");
    }
}

#[tokio::test]
async fn a_full_listener_answers_probes_and_tells_others() {
    let gateway = own(|config| config.limits.connections = 2).await;
    let mut kept = keep(&gateway.url, "127.0.0.1").await;
    let leaving = keep(&gateway.url, "127.0.0.2").await;
    let before = counted(&gateway.admin_url, "callers", "limit").await;
    is_refused(&gateway.url, "127.0.0.3", "has reached limits.connections").await;
    assert!(counted(&gateway.admin_url, "callers", "limit").await > before);
    // Operators have connections of their own.
    keep(&gateway.admin_url, "127.0.0.3").await;
    kept.send(STYLE).await;
    assert!(kept.answer().await.starts_with("HTTP/1.1 200"));
    drop(leaving);
    served(&gateway.url, "127.0.0.3").await;
}

#[tokio::test]
async fn one_address_has_three_quarters_of_the_places() {
    let gateway = own(|config| config.limits.connections = 4).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(keep(&gateway.url, "127.0.0.2").await);
    }
    is_refused(&gateway.url, "127.0.0.2", "three quarters").await;
    keep(&gateway.url, "127.0.0.1").await;
    kept.pop();
    served(&gateway.url, "127.0.0.2").await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_address_counts_that_it_names() {
    let gateway = own(|config| {
        config.limits.connections = 4;
        config.server.trusted_proxies = trusting("127.0.0.1");
    })
    .await;
    let asks = |client: &str| {
        format!("GET /docs/style.css HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n")
    };
    let mut kept = Vec::new();
    for _ in 0..4 {
        kept.push(Raw::connect(&gateway.url).await);
    }
    for raw in &mut kept[..3] {
        raw.send(asks("203.0.113.9")).await;
        assert!(raw.answer().await.starts_with("HTTP/1.1 200"));
    }
    let last = &mut kept[3];
    last.send(asks("203.0.113.9")).await;
    let answer = last.answer().await;
    assert!(answer.contains("countersign-error: too_many_connections"), "{answer}");
    assert!(!answer.contains("connection: close"), "the proxy may use it for others: {answer}");
    last.send(asks("198.51.100.1")).await;
    assert!(last.answer().await.starts_with("HTTP/1.1 200"));
    kept[0].send(asks("198.51.100.1")).await;
    assert!(kept[0].answer().await.starts_with("HTTP/1.1 200"));
    kept[3].send(asks("203.0.113.9")).await;
    assert!(kept[3].answer().await.starts_with("HTTP/1.1 200"), "one less counts for it now");
}
