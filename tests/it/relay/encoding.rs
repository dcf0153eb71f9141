//! Answers: the upstream's bytes in an encoding that the caller accepts, with headers from an allow-list.

use std::collections::BTreeSet;
use std::io::Write as _;

use countersign::model::Endpoint;
use flate2::{Compression, GzBuilder};
use reqwest::header::HeaderName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::question::observing;
use crate::relay::{private, public};
use crate::upstream::TOTALS;

/// A valid call with that `Accept-Encoding`, or without one if it is empty.
async fn asked(gateway: &TestGateway, accepted: &str) -> Answer {
    gateway
        .call(Endpoint::Totals, &public(gateway))
        .header("accept-encoding", accepted)
        .send()
        .await
}

#[tokio::test]
async fn a_gzipped_answer_comes_as_the_caller_takes_it() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let direct = gateway.sandbox.public(&public(&gateway)).await;
    assert_eq!(direct.header("content-encoding"), "gzip");
    for accepted in
        ["gzip", "gzip, deflate", "GZIP;q=0.5, identity;q=0", "br, *", "x-gzip", "*;q=0.1"]
    {
        let answer = asked(&gateway, accepted).await;
        answer.is_relayed(200);
        assert_eq!(answer.header("content-encoding"), "gzip", "{accepted}");
        assert_eq!(answer.raw, direct.raw, "{accepted}");
    }
    for accepted in ["", "identity", "gzip;q=0", "br", "deflate, gzip;q=0.000", "*;q=0, identity"] {
        let answer = asked(&gateway, accepted).await;
        answer.is_relayed(200);
        assert_eq!(answer.header("content-encoding"), "", "{accepted}");
        assert_eq!(answer.raw, direct.text().into_bytes(), "{accepted}");
        assert_eq!(answer.header("content-length"), direct.text().len().to_string());
    }
    assert_eq!(asked(&gateway, "").await.header("vary"), "accept-encoding");
    let arrived = gateway.arrived("/insights/").await;
    assert!(arrived.iter().all(|call| call["header_values"]["accept-encoding"] == "gzip"));
}

/// An upstream that answers every request with these bytes, one connection each.
async fn canned(answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "no body came");
            }
            stream.write_all(&answer).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn a_gzip_stream_of_any_form_passes_through_untouched() {
    let mut stream = Vec::new();
    for part in ["{\"a\":", "[1, 2]}"] {
        let builder = GzBuilder::new().comment("as the upstream made it").mtime(7);
        let mut member = builder.write(&mut stream, Compression::none());
        member.write_all(part.as_bytes()).unwrap();
        member.finish().unwrap();
    }
    let answer = |status: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-encoding: gzip\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let (good, empty) = (answer("200 OK", &stream), answer("404 Not Found", b""));
    let url = canned(vec![good.clone(), good, empty.clone(), empty]).await;
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start_with(&database, |config| config.upstream.data_url = url).await;
    for (accepted, status, body) in
        [("gzip", 200, &*stream), ("", 200, b"{\"a\":[1, 2]}"), ("gzip", 404, b""), ("", 404, b"")]
    {
        let answer = asked(&gateway, accepted).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("countersign-error"), "");
        assert_eq!(answer.raw, body, "{accepted}");
        let encoding = if accepted == "gzip" { "gzip" } else { "" };
        assert_eq!(answer.header("content-encoding"), encoding);
    }
}

#[tokio::test]
async fn a_plain_answer_is_gzipped_only_for_who_takes_nothing_else() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    gateway.order(json!([{ "kind": "html", "status": 502, "path": "/insights/" }])).await;
    for (accepted, encoding) in [
        ("gzip", ""),
        ("", ""),
        ("identity", ""),
        ("gzip, identity;q=0", "gzip"),
        ("gzip, *;q=0", "gzip"),
    ] {
        let answer = asked(&gateway, accepted).await;
        answer.is_relayed(502);
        assert_eq!(answer.header("content-encoding"), encoding, "{accepted}");
        assert!(answer.text().starts_with("<html>") && answer.text().ends_with("</html>\n"));
        assert_eq!(answer.header("content-type"), "text/html");
    }
}

#[tokio::test]
async fn who_takes_nothing_that_can_be_sent_is_told_before_quota_is_spent() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for accepted in ["br, identity;q=0", "identity;q=0", "*;q=0", "gzip;q=0, identity;q=0"] {
        let answer = asked(&gateway, accepted).await;
        answer.is_own(406, "not_acceptable");
        assert_eq!(answer.header("content-encoding"), "", "{accepted}");
    }
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn an_encoding_that_nobody_asked_for_is_passed_on_under_its_name() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for accepted in ["gzip", "", "gzip, identity;q=0"] {
        let headers = json!({ "content-encoding": "br" });
        gateway
            .order(json!([{ "kind": "status", "path": "/insights/", "status": 200, "headers": headers, "body": 7 }]))
            .await;
        let answer = asked(&gateway, accepted).await;
        answer.is_relayed(200);
        assert_eq!(
            (answer.header("content-encoding"), &*answer.raw),
            ("br", &b"7"[..]),
            "{accepted}"
        );
    }
    let headers = json!({ "content-encoding": "x-gzip" });
    gateway.order(json!([
        { "kind": "status", "path": "/insights/", "status": 200, "headers": headers, "body": 7 },
    ])).await;
    asked(&gateway, "gzip").await.is_own(502, "upstream_cut_short");
}

#[tokio::test]
async fn the_gateways_own_errors_are_gzipped_when_that_is_asked_for() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let asks = || {
        [
            gateway.call(Endpoint::Totals, &json!({})),
            gateway.call(Endpoint::Totals, &private(&gateway, "alice")),
            gateway.call(Endpoint::Totals, &public(&gateway)).header("authorization", ""),
            gateway.call(Endpoint::Totals, &public(&gateway)).header("content-type", "text/plain"),
            gateway.call_as("suspended_sam", Endpoint::Totals, &private(&gateway, "alice")),
            gateway.ask("GET", TOTALS),
            gateway.ask("GET", "/nowhere"),
        ]
    };
    for (zipped, plain) in asks().into_iter().zip(asks()) {
        let zipped = zipped
            .header("accept-encoding", "gzip, deflate")
            .header("x-request-id", "same")
            .send()
            .await;
        let plain = plain.header("accept-encoding", "").header("x-request-id", "same").send().await;
        assert_eq!(
            (zipped.header("content-encoding"), plain.header("content-encoding")),
            ("gzip", "")
        );
        assert_eq!(&zipped.raw[..2], b"\x1f\x8b");
        assert_eq!(zipped.json(), plain.json());
        assert_ne!(zipped.header("countersign-error"), "");
        assert!(zipped.header("vary").ends_with("accept-encoding"), "{}", zipped.header("vary"));
    }
}

/// The headers of quotas and pauses, which are passed on.
const PACES: [&str; 10] = [
    "retry-after",
    "x-per-minute-limit",
    "x-per-minute-remaining",
    "x-per-minute-reset",
    "x-per-second-limit",
    "x-per-second-remaining",
    "x-per-second-reset",
    "x-rate-limit-limit",
    "x-rate-limit-remaining",
    "x-rate-limit-reset",
];

/// Headers that are dropped.
const ODD: [&str; 19] = [
    "set-cookie",
    "server",
    "location",
    "x-connection-hash",
    "x-access-level",
    "x-response-time",
    "x-transaction",
    "strict-transport-security",
    "cache-control",
    "etag",
    "www-authenticate",
    "access-control-allow-origin",
    "countersign-error",
    "link",
    "refresh",
    "x-powered-by",
    "via",
    "alt-svc",
    "x-frame-options",
];

/// The headers that the gateway sets itself.
const OWN: [&str; 8] = [
    "content-type",
    "content-encoding",
    "content-length",
    "date",
    "vary",
    "x-request-id",
    "server-timing",
    "countersign-auth",
];

#[tokio::test]
async fn an_answers_headers_are_those_of_the_list_and_no_other() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start_with(&database, observing).await;
    let mut headers: serde_json::Map<String, Value> = PACES
        .iter()
        .chain(&ODD)
        .map(|name| ((*name).to_owned(), json!(format!("from-upstream {name}"))))
        .collect();
    for name in ["x-request-id", "server-timing", "countersign-auth", "vary"] {
        headers.insert(name.to_owned(), json!("from-upstream"));
    }
    for status in [200, 429, 503] {
        gateway
            .order(json!([
                {
                    "kind": "status",
                    "path": "/insights/",
                    "status": status,
                    "body": { "a": 1 },
                    "headers": headers,
                },
            ]))
            .await;
        let answer = asked(&gateway, "gzip").await;
        answer.is_relayed(status);
        let names: BTreeSet<&str> = answer.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, PACES.iter().chain(&OWN).copied().collect::<BTreeSet<&str>>());
        for name in PACES {
            assert_eq!(answer.header(name), format!("from-upstream {name}"));
        }
        assert_eq!(answer.header("server-timing"), "upstream;dur=0.000, gateway;dur=0.000");
        assert_eq!(answer.header("countersign-auth"), "app-only");
        assert_ne!(answer.header("x-request-id"), "from-upstream");
        assert!(names.iter().all(|name| answer.headers.get_all(*name).iter().count() == 1));
    }
}
