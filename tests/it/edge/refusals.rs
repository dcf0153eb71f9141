//! Requests that are refused before their body has arrived: the answer announces the close, and gets through.

use std::time::Duration;

use crate::edge::own;
use crate::edge::raw::Raw;
use crate::upstream::TOTALS;

const SOON: Duration = Duration::from_millis(300);
const NEVER: Duration = Duration::from_mins(10);
/// More than the buffers of two sockets hold, and less than the gateway discards.
const LARGE: usize = 3 << 20;

/// Heads that are refused whatever follows, with the status of each. `key` stands for a valid one.
fn refused(key: &str) -> Vec<(u16, String)> {
    let post = |path: &str, more: String| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n{more}\r\n")
    };
    let known = format!("X-Api-Key: {key}\r\n");
    vec![
        (401, post(TOTALS, String::new())),
        (401, post(TOTALS, "X-Api-Key: cs_unknown\r\n".to_owned())),
        (401, post("/v1/engagement", String::new())),
        (404, post("/nowhere", known.clone())),
        (405, post("/livez", known.clone())),
        (413, post(TOTALS, known.clone())),
        (400, post(TOTALS, format!("{known}Content-Type: text/csv\r\n"))),
        (406, post(TOTALS, format!("{known}Accept-Encoding: identity;q=0\r\n"))),
    ]
}

#[tokio::test]
async fn a_refusal_closes_only_once_the_client_has_sent_its_body() {
    let gateway = own(|config| config.limits.body_idle = NEVER).await;
    for (status, head) in refused(&gateway.key) {
        let mut raw = Raw::connect_slow(&gateway.url).await;
        raw.send(&head).await;
        let answer = raw.answer().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}{answer}");
        assert!(answer.contains("connection: close"), "{head}{answer}");
        raw.send(vec![b' '; LARGE]).await;
        raw.ends().await;
    }
}

#[tokio::test]
async fn a_body_without_a_length_is_read_on_as_well() {
    let gateway = own(|config| config.limits.body_idle = NEVER).await;
    let mut raw = Raw::connect_slow(&gateway.url).await;
    raw.send(format!("POST {TOTALS} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"))
        .await;
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{answer}");
    raw.send(format!("{LARGE:x}\r\n{}\r\n0\r\n\r\n", " ".repeat(LARGE))).await;
    raw.ends().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_told_so_whatever_follows() {
    let gateway = own(|config| config.limits.body_idle = NEVER).await;
    let mut raw = Raw::connect_slow(&gateway.url).await;
    raw.send(format!("GET /livez HTTP/1.1\r\nHost: a\r\nX-Long: {}", "x".repeat(LARGE))).await;
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 431") && answer.contains("connection: close"), "{answer}");
    raw.ends().await;
}

#[tokio::test]
async fn a_refused_body_that_has_come_already_costs_no_connection() {
    let gateway = own(|_| ()).await;
    let mut raw = Raw::connect(&gateway.url).await;
    for framing in
        ["Content-Length: 2\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"]
    {
        raw.send(format!("POST {TOTALS} HTTP/1.1\r\nHost: a\r\n{framing}")).await;
        let answer = raw.answer().await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    raw.send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(raw.answer().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_is_not_told_to_send_what_is_refused() {
    let gateway = own(|_| ()).await;
    let mut raw = Raw::connect(&gateway.url).await;
    let head = format!(
        "POST {TOTALS} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    );
    raw.send(head).await;
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{answer}");
    assert_eq!(raw.rest().await, "");
}

#[tokio::test]
async fn a_refused_client_that_never_stops_is_cut_off() {
    let gateway = own(|config| config.limits.body_idle = NEVER).await;
    let mut endless = Raw::connect_slow(&gateway.url).await;
    endless.send(&refused("")[0].1).await;
    endless.answer().await;
    endless.send_until_cut(&[b' '; 4096]).await;
}

#[tokio::test]
async fn a_refused_client_that_trickles_is_cut_off() {
    let gateway = own(|config| config.limits.body_idle = SOON).await;
    let mut slow = Raw::connect(&gateway.url).await;
    slow.send(&refused("")[0].1).await;
    slow.answer().await;
    slow.send_until_cut(b" ").await;
}
