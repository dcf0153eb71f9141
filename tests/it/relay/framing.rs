//! HTTP around a call: paths and methods, the body's type, size and framing, and the request id.

use std::fmt::Write as _;

use countersign::model::Endpoint;
use serde_json::Value;

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::relay::{head, public, raw};
use crate::upstream::TOTALS;

/// The largest body that the default settings allow.
const MOST: usize = 65_536;

/// A valid body of that size: JSON may end in white space.
fn padded(gateway: &TestGateway, size: usize) -> String {
    let body = public(gateway).to_string();
    format!("{body}{}", " ".repeat(size - body.len()))
}

#[tokio::test]
async fn other_methods_are_refused_with_the_one_that_is_allowed() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for endpoint in Endpoint::ALL {
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "post"] {
            let answer = gateway.ask(method, endpoint.path()).send().await;
            answer.is_own(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), "POST");
            let detail =
                format!("{} does not accept {method}; see the header Allow", endpoint.path());
            assert_eq!(answer.json()["errors"], serde_json::json!([detail]));
        }
        let answer = gateway.ask("HEAD", endpoint.path()).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
        assert_eq!(answer.header("countersign-error"), "method_not_allowed");
    }
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn other_paths_are_not_found_and_the_answer_names_those_that_are() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for path in [
        "/",
        "/insights/engagement",
        "/insights/engagement/totals/",
        "//insights/engagement/totals",
        "/insights/engagement/TOTALS",
        "/insights/engagement/%74otals",
        "/insights/engagement/28hr/../totals%2f",
        "/sandbox/world",
        "/oauth2/token",
        "/metrics",
        "/admin/v1/keys",
        "/1.1/account/verify_credentials.json",
    ] {
        let answer = gateway.ask("POST", path).body(public(&gateway).to_string()).send().await;
        answer.is_own(404, "not_found");
        assert!(
            answer.text().contains("the engagement endpoints are POST /insights/engagement/totals")
        );
    }
    for first in ["CONNECT x:443", "OPTIONS *"] {
        let (head, _) = raw(&gateway, head(first, &["host: x"]).as_bytes()).await;
        assert!(head.starts_with("http/1.1 404 "), "{first}: {head}");
    }
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn the_body_has_to_be_declared_as_json_or_not_at_all() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for right in [
        "",
        "application/json",
        "application/json;charset=utf-8",
        "Application/JSON ; charset=UTF-8",
    ] {
        let ask = gateway.call(Endpoint::Totals, &public(&gateway)).header("content-type", right);
        ask.send().await.is_relayed(200);
    }
    let relayed = gateway.arrived("/insights/").await.len();
    for wrong in [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "text/plain",
        "text/json",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/xml, application/json",
        "json",
        ";",
    ] {
        let ask = gateway.call(Endpoint::Totals, &public(&gateway)).header("content-type", wrong);
        let answer = ask.send().await;
        answer.is_own(415, "not_json");
        let detail = "the Content-Type is not JSON; send the body as application/json";
        assert_eq!(answer.json()["detail"], detail);
    }
    for encoding in ["gzip", "deflate", "br", "identity, gzip"] {
        let ask =
            gateway.call(Endpoint::Totals, &public(&gateway)).header("content-encoding", encoding);
        let answer = ask.send().await;
        answer.is_own(415, "not_json");
        let detail = "the body is compressed; send it uncompressed, without Content-Encoding";
        assert_eq!(answer.json()["detail"], detail);
    }
    assert_eq!(gateway.arrived("/insights/").await.len(), relayed);
    let ask =
        gateway.call(Endpoint::Totals, &public(&gateway)).header("content-encoding", "Identity");
    ask.send().await.is_relayed(200);
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_and_not_one_byte_larger() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let full = padded(&gateway, MOST);
    gateway.call(Endpoint::Totals, &Value::Null).body(&*full).send().await.is_relayed(200);
    let answer =
        gateway.call(Endpoint::Totals, &Value::Null).body(padded(&gateway, MOST + 1)).send().await;
    answer.is_own(413, "body_too_large");
    assert_eq!(
        answer.json()["detail"],
        "the body is larger than 65536 bytes, the most that is accepted; split the request"
    );

    let key = format!("authorization: Bearer {}", gateway.key);
    let head = head(&format!("POST {TOTALS}"), &["host: x", &key, "transfer-encoding: chunked"]);
    for (size, pieces, status) in
        [(MOST, 1, 200), (MOST, 7, 200), (MOST + 1, 1, 413), (MOST + 1, 7, 413)]
    {
        let body = padded(&gateway, size);
        let mut request = head.clone();
        for piece in body.as_bytes().chunks(size.div_ceil(pieces)) {
            let piece = std::str::from_utf8(piece).unwrap();
            write!(request, "{:x}\r\n{piece}\r\n", piece.len()).unwrap();
        }
        request += "0\r\n\r\n";
        let (head, _) = raw(&gateway, request.as_bytes()).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{size} in {pieces}: {head}");
    }
    let arrived = gateway.arrived("/insights/").await;
    assert_eq!(arrived.len(), 3);
    assert!(arrived.iter().all(|call| call["body"] == full), "chunks are put together");
    assert!(arrived.iter().all(|call| call["header_values"]["content-length"] == "65536"));
}

#[tokio::test]
async fn a_body_that_is_not_framed_as_promised_is_refused() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let key = format!("authorization: Bearer {}", gateway.key);
    let head = head(&format!("POST {TOTALS}"), &["host: x", &key, "transfer-encoding: chunked"]);
    let (head, body) = raw(&gateway, format!("{head}zz\r\n{{}}\r\n0\r\n\r\n").as_bytes()).await;
    assert!(
        head.starts_with("http/1.1 400 ") && head.contains("countersign-error: invalid_request"),
        "{head}"
    );
    assert!(body.contains("the body: ended early"), "{body}");
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn a_plain_request_id_is_kept_and_an_odd_one_replaced() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let longest = "a".repeat(64);
    for plain in ["1", "a.B-c_9", "550e8400-e29b-41d4-a716-446655440000", &longest] {
        for ask in
            [gateway.call(Endpoint::Totals, &public(&gateway)), gateway.ask("GET", "/nowhere")]
        {
            let answer = ask.header("x-request-id", plain).send().await;
            assert_eq!(answer.header("x-request-id"), plain);
        }
    }
    let answer = gateway.ask("GET", "/nowhere").header("x-request-id", "mine").send().await;
    assert_eq!(answer.json()["request_id"], "mine");
    let mut made = std::collections::BTreeSet::new();
    let odd = ["", "a b", "<script>", "a\"b", "ä", "a;b", "a/b", &format!("{longest}a")];
    for odd in odd {
        for ask in
            [gateway.call(Endpoint::Totals, &public(&gateway)), gateway.ask("GET", "/nowhere")]
        {
            let answer = ask.header("x-request-id", odd).send().await;
            let id = answer.header("x-request-id").to_owned();
            assert!(
                id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{odd}: {id}"
            );
            made.insert(id);
        }
    }
    assert_eq!(made.len(), 2 * odd.len(), "no two are the same");
}
