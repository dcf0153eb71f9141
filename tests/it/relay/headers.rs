//! None of a caller's headers reaches the upstream, and none of them sends the call elsewhere.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::TcpListener;

use countersign::model::Endpoint;
use serde_json::Value;

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::relay::{head, private, public, raw};
use crate::upstream::TOTALS;

/// Every header that the gateway sends.
const SENT: [&str; 7] = [
    "accept",
    "accept-encoding",
    "authorization",
    "content-length",
    "content-type",
    "host",
    "user-agent",
];

/// Asserts that the call's headers are the gateway's own, whatever the caller sent.
#[track_caller]
fn is_the_gateways_own(gateway: &TestGateway, call: &Value) {
    let names: BTreeSet<&str> =
        call["headers"].as_array().unwrap().iter().map(|header| header.as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(SENT));
    let values = &call["header_values"];
    assert_eq!(values["accept"], "application/json");
    assert_eq!(values["accept-encoding"], "gzip");
    assert_eq!(values["content-type"], "application/json");
    assert_eq!(values["host"], *gateway.sandbox.address);
    assert_eq!(values["user-agent"], concat!("countersign/", env!("CARGO_PKG_VERSION")));
    assert_eq!(call["query"], Value::Null);
    assert!(!call.to_string().contains(&gateway.key[4..]), "the caller's key stays here");
}

/// Headers of six requests, none of which may have an effect upstream.
const SETS: [&[(&str, &str)]; 6] = [
    &[
        ("cookie", "session=1"),
        ("set-cookie", "a=b"),
        ("referer", "http://internal/"),
        ("origin", "http://x"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "for=1;host=evil.example;proto=https"),
        ("x-real-ip", "10.0.0.1"),
        ("via", "1.1 x"),
        ("proxy-authorization", "Basic YTpi"),
        ("proxy-connection", "keep-alive"),
        ("x-original-url", "/admin"),
    ],
    &[("connection", "authorization, x-foo"), ("x-foo", "1")],
    &[
        ("connection", "content-type, accept-encoding, host, content-length"),
        ("keep-alive", "timeout=9"),
    ],
    &[
        ("x_api_key", "csk_x"),
        ("x_forwarded_for", "1"),
        ("content_length", "5"),
        ("authorization_", "x"),
        ("countersign_account", "@bob"),
        ("x-http-method-override", "DELETE"),
    ],
    &[
        ("accept", "text/html"),
        ("accept-encoding", "br, identity"),
        ("accept-language", "de"),
        ("user-agent", "evil"),
        ("te", "trailers"),
        ("expect", "100-continue"),
        ("range", "bytes=0-1"),
        ("if-none-match", "*"),
    ],
    &[
        ("x-b3-traceid", "1"),
        ("traceparent", "00-1-2-01"),
        ("x-request-id", "mine"),
        ("countersign-auth", "user"),
    ],
];

#[tokio::test]
async fn what_callers_send_in_headers_stays_here() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for set in SETS {
        let mut ask = gateway.call_as("alice", Endpoint::Totals, &private(&gateway, "alice"));
        for (name, value) in set {
            ask = ask.header(name, value);
        }
        ask.send().await.is_relayed(200);
    }
    let by_api_key = gateway.call(Endpoint::Totals, &public(&gateway)).header("authorization", "");
    by_api_key.header("x-api-key", &gateway.key).send().await.is_relayed(200);
    let ask = gateway
        .ask("POST", &format!("{TOTALS}?a=1&oauth_token=x"))
        .header("content-type", "application/json; charset=utf-8");
    ask.body(public(&gateway).to_string()).send().await.is_relayed(200);

    let arrived = gateway.arrived("/insights/").await;
    assert_eq!(arrived.len(), SETS.len() + 2);
    for call in &arrived {
        is_the_gateways_own(&gateway, call);
    }
    let alices = gateway.sandbox.user("alice").access_token.clone();
    assert!(arrived[..SETS.len()].iter().all(|call| call["token"] == alices));
}

#[tokio::test]
async fn a_flood_of_headers_is_refused_before_anything_is_done() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let key = format!("authorization: Bearer {}", gateway.key);
    let body = public(&gateway).to_string();
    let length = format!("content-length: {}", body.len());
    // The default limit is 64, of which `Connection: close` is one.
    for (more, status) in [(60, 200), (61, 431)] {
        let lines = [&["host: x", &*key, &*length][..], &vec!["x-more: 1"; more]].concat();
        let request = head(&format!("POST {TOTALS}"), &lines) + &body;
        let (head, _) = raw(&gateway, request.as_bytes()).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{more}: {head}");
    }
    assert_eq!(gateway.arrived("/insights/").await.len(), 1);
}

#[tokio::test]
async fn no_request_says_where_its_call_goes_or_what_is_signed() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let evil = TcpListener::bind("127.0.0.1:0").unwrap();
    evil.set_nonblocking(true).unwrap();
    let there = evil.local_addr().unwrap();
    let body = private(&gateway, "alice").to_string();
    let length = format!("content-length: {}", body.len());
    let key = format!("authorization: Bearer {}", gateway.key);
    let host = format!("host: {there}");
    let forwarded = format!("forwarded: host={there};proto=https");
    let x_forwarded = format!("x-forwarded-host: {there}");
    for (target, lines) in [
        (TOTALS.to_owned(), vec![&*host]),
        (format!("http://{there}{TOTALS}"), vec![&*host]),
        (format!("https://user:password@{there}{TOTALS}"), vec!["host: x"]),
        (format!("http://{there}{TOTALS}?x=1"), vec![]),
        (TOTALS.to_owned(), vec!["host: data-api.twitter.com", &*forwarded, &*x_forwarded]),
        (TOTALS.to_owned(), vec![&*host, "x-forwarded-proto: https", "x-forwarded-port: 443"]),
    ] {
        let lines = [&lines[..], &[&*key, &*length, "countersign-account: @alice"]].concat();
        let request = head(&format!("POST {target}"), &lines) + &body;
        let (head, _) = raw(&gateway, request.as_bytes()).await;
        assert!(head.starts_with("http/1.1 200 "), "{target} {lines:?}: {head}");
    }
    let arrived = gateway.arrived("/insights/").await;
    assert_eq!(arrived.len(), 6);
    // The sandbox checked each signature against the host that it was called by.
    for call in &arrived {
        is_the_gateways_own(&gateway, call);
    }
    assert!(arrived.iter().all(|call| call["path"] == TOTALS && call["auth_kind"] == "user"));
    assert_eq!(evil.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody came elsewhere");
}
