//! Requests that two parsers may end at different places. Whatever a proxy in front takes for the body of one
//! request must not be run as another.

use std::time::Duration;

use serde_json::Value;

use crate::edge::raw::Raw;
use crate::edge::{Own, own};
use crate::gateway::TestGateway;
use crate::upstream::{TOTALS, body};

const SOON: Duration = Duration::from_millis(500);

/// Idle connections end soon: a client that shuts down its sending half early would hide the gateway's last answer.
async fn start_gateway() -> Own {
    own(|config| {
        config.limits.header_timeout = SOON;
        config.limits.keep_alive = SOON;
        config.limits.body_idle = SOON;
    })
    .await
}

/// A valid request, which other requests carry in their bodies.
fn inner(gateway: &TestGateway, mark: &str) -> String {
    let ids = gateway.sandbox.ids("alice", 1);
    let body = body(&ids, &["favorites"], &["tweet.id"])
        .to_string()
        .replace("\"g\"", &format!("{mark:?}"));
    request(&gateway.key, "", &body)
}

fn request(key: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {TOTALS} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\n{more}Content-Length: {length}\r\n\r\n{body}"
    )
}

async fn arrived(gateway: &TestGateway) -> Vec<String> {
    let calls = gateway.arrived("/insights/").await;
    calls.iter().map(|call: &Value| call["body"].as_str().unwrap().to_owned()).collect()
}

/// Requests in which one parser finds `hidden` and another does not.
fn ambiguous(hidden: &str) -> Vec<String> {
    let (length, chunk) = (hidden.len() + 5, format!("{:x}", hidden.len()));
    let start = format!("POST {TOTALS} HTTP/1.1\r\nHost: a\r\nX-Api-Key: wrong\r\n");
    let chunked = "Transfer-Encoding: chunked\r\n";
    vec![
        // A length and chunks, in both orders: the hidden request follows the last chunk.
        format!("{start}Content-Length: {length}\r\n{chunked}\r\n0\r\n\r\n{hidden}"),
        format!("{start}{chunked}Content-Length: {length}\r\n\r\n0\r\n\r\n{hidden}"),
        // The other parser uses the shorter length.
        format!("{start}Content-Length: 4\r\n{chunked}\r\n{chunk}\r\n{hidden}\r\n0\r\n\r\n"),
        // Two lengths.
        format!("{start}Content-Length: {length}\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 0, {length}\r\n\r\n{hidden}"),
        // Lengths that not every parser takes for a number.
        format!("{start}Content-Length: +0\r\n\r\n{hidden}"),
        format!("{start}Content-Length: -1\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 0x0\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 0 0\r\n\r\n{hidden}"),
        format!("{start}Content-Length: 18446744073709551616\r\n\r\n{hidden}"),
        // Codings that some take for chunked and some do not.
        format!("{start}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start} Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}Transfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}Transfer-Encoding\u{0}: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        // A folded line, a bare carriage return, a name with a space.
        format!("{start}X: a\r\n b: c\r\n\r\n{hidden}"),
        format!("{start}X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{start}Content Length: 0\r\n\r\n{hidden}"),
        // Chunks with bare line feeds, odd sizes, and data beyond their size.
        format!("{start}{chunked}\r\n0x0\r\n\r\n{hidden}"),
        format!("{start}{chunked}\r\n-1\r\n\r\n{hidden}"),
        format!("{start}{chunked}\r\n1;a=\"\n\r\nx\r\n0\r\n\r\n{hidden}")
            .replace("0\r\n\r\n", "0\n\r\n"),
        format!("{start}{chunked}\r\n1\r\nxx\r\n0\r\n\r\n{hidden}"),
        format!("{start}{chunked}\r\nffffffffffffffff1\r\nx\r\n0\r\n\r\n{hidden}"),
        // HTTP/1.0 has no chunks.
        format!("{}{chunked}\r\n0\r\n\r\n{hidden}", start.replace("HTTP/1.1", "HTTP/1.0")),
        format!(
            "{}{chunked}Connection: keep-alive\r\n\r\n0\r\n\r\n{hidden}",
            start.replace("HTTP/1.1", "HTTP/1.0")
        ),
        // Other protocols.
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{hidden}"),
        format!("{}\r\n{hidden}", start.replace("HTTP/1.1", "HTTP/1.2")),
        format!("{}\r\n{hidden}", start.replace("HTTP/1.1", "HTTP/9.9")),
        format!("GET  /livez HTTP/1.1\r\n\r\n{hidden}"),
        format!("\u{0}GET /livez HTTP/1.1\r\n\r\n{hidden}"),
    ]
}

#[tokio::test]
async fn no_ambiguous_request_hides_another() {
    let gateway = start_gateway().await;
    let hidden = inner(&gateway, "hidden");
    let payloads = ambiguous(&hidden);
    let mut sent = Vec::new();
    for (number, payload) in payloads.iter().enumerate() {
        let mut raw = Raw::connect(&gateway.url).await;
        raw.try_send(payload.replace("hidden", &format!("h{number:05}"))).await;
        sent.push((payload, raw));
    }
    for (payload, mut raw) in sent {
        let answer = raw.rest().await;
        assert!(!answer.contains("HTTP/1.1 200"), "{payload}\n\n{answer}");
    }
    assert_eq!(arrived(&gateway).await, [""; 0]);
    let mut raw = Raw::connect(&gateway.url).await;
    raw.send(&hidden).await;
    assert!(raw.answer().await.starts_with("HTTP/1.1 200"), "what was hidden would have worked");
    assert_eq!(arrived(&gateway).await.len(), 1);
}

#[tokio::test]
async fn an_early_refusal_does_not_run_the_rest_of_the_body() {
    let gateway = start_gateway().await;
    let hidden = inner(&gateway, "hidden");
    let before = [
        format!("POST {TOTALS} HTTP/1.1\r\nHost: a\r\n"),
        format!(
            "POST {TOTALS} HTTP/1.1\r\nHost: a\r\nX-Api-Key: wrong\r\nContent-Type: text/plain\r\n"
        ),
        "POST /nowhere HTTP/1.1\r\nHost: a\r\n".to_owned(),
        "GET /livez HTTP/1.1\r\nHost: a\r\n".to_owned(),
        format!("POST {TOTALS} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"),
    ];
    for start in before {
        let mut raw = Raw::connect(&gateway.url).await;
        raw.try_send(format!("{start}Content-Length: {}\r\n\r\n{hidden}", hidden.len())).await;
        let answer = raw.rest().await;
        assert!(arrived(&gateway).await.is_empty(), "{start}\n\n{answer}");
    }
    // Too much to be skipped.
    let mut raw = Raw::connect(&gateway.url).await;
    let most = gateway.key.len() + 70_000;
    raw.try_send(format!(
        "{}{}{hidden}",
        request(&gateway.key, "", "")
            .replace("Length: 0", &format!("Length: {}", most + hidden.len())),
        "x".repeat(most)
    ))
    .await;
    raw.rest().await;
    assert!(arrived(&gateway).await.is_empty());
}

#[tokio::test]
async fn methods_that_open_tunnels_or_echo_are_refused() {
    let gateway = start_gateway().await;
    let key = &gateway.key;
    for start in [
        "CONNECT example.com:443",
        "TRACE /livez",
        "TRACE /insights/engagement/totals",
        "OPTIONS *",
        "PATCH /livez",
    ] {
        let mut raw = Raw::connect(&gateway.url).await;
        raw.send(format!("{start} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\n\r\n")).await;
        let answer = raw.rest().await;
        let refused = ["HTTP/1.1 400", "HTTP/1.1 404", "HTTP/1.1 405"];
        assert!(refused.iter().any(|status| answer.starts_with(status)), "{start}: {answer}");
        assert!(!answer.contains(key.as_str()), "{start}: {answer}");
    }
    for upgrade in ["h2c", "websocket"] {
        let mut raw = Raw::connect(&gateway.url).await;
        raw.send(format!(
            "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: {upgrade}\r\n\r\n"
        ))
        .await;
        let answer = raw.rest().await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{upgrade}: {answer}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_each_with_its_own_key() {
    let gateway = start_gateway().await;
    let (first, second) = (inner(&gateway, "first"), inner(&gateway, "second"));
    let between = request("wrong", "", "{}");
    let mut raw = Raw::connect(&gateway.url).await;
    raw.send(format!("{first}{between}{second}")).await;
    let answer = raw.rest().await;
    let order: Vec<&str> = answer
        .match_indices("HTTP/1.1 ")
        .map(|(at, found)| &answer[at + found.len()..][..3])
        .collect();
    assert_eq!(order, ["200", "401", "200"], "{answer}");
    let arrived = arrived(&gateway).await;
    assert!(arrived[0].contains("first") && arrived[1].contains("second"), "{arrived:?}");
    assert_eq!(arrived.len(), 2);
}

/// An absolute request target names a host, which must not decide where a call goes.
#[tokio::test]
async fn no_header_sends_a_call_elsewhere() {
    let gateway = start_gateway().await;
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = elsewhere.local_addr().unwrap();
    let headers = format!(
        "Host: {host}\r\nX-Forwarded-Host: {host}\r\nForwarded: host={host}\r\n\
         X-Original-URL: http://{host}/"
    );
    let call = inner(&gateway, "here").replace("POST /", &format!("POST http://{host}/"));
    let call = call.replace("Host: a", &headers);
    let mut raw = Raw::connect(&gateway.url).await;
    raw.send(call).await;
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let arrived = gateway.arrived("/insights/").await;
    assert_eq!(arrived.len(), 1);
    tokio::select! {
        biased;
        _ = elsewhere.accept() => panic!("a call went elsewhere"),
        () = std::future::ready(()) => (),
    }
}
