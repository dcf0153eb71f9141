//! Requests whose end is ambiguous: a proxy in front must never lend one caller's key to another's call.

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::relay::{head, public, raw};
use crate::upstream::TOTALS;

/// A request with that framing and no body, followed by a valid call that closes the connection.
async fn answers(gateway: &TestGateway, framing: &str) -> (String, usize) {
    let body = public(gateway).to_string();
    let key = format!("authorization: Bearer {}", gateway.key);
    let length = format!("content-length: {}", body.len());
    let hidden = head(&format!("POST {TOTALS}"), &["host: x", &key, &length]) + &body;
    let framing = framing.replace("LENGTH", &hidden.len().to_string());
    let request = format!("POST {TOTALS} HTTP/1.1\r\nhost: x\r\n{key}\r\n{framing}\r\n\r\n");
    let (first, rest) = raw(gateway, format!("{request}0\r\n\r\n{hidden}").as_bytes()).await;
    (first, rest.matches("HTTP/1.1 ").count())
}

#[tokio::test]
async fn a_request_that_may_end_in_two_places_ends_the_connection() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for framing in [
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Content-Length: LENGTH\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: LENGTH",
        "Content-Length: 0\r\nContent-Length: LENGTH",
        "Content-Length: LENGTH\r\nContent-Length: 0",
        "Content-Length: 0, LENGTH",
        "Content-Length: +LENGTH",
        "Content-Length: -1",
        "Content-Length : LENGTH",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding:\r\n chunked",
        "X: 1\r\n Content-Length: LENGTH",
        "X: 1\rContent-Length: LENGTH",
        "X: 1\0\r\nContent-Length: LENGTH",
    ] {
        let (first, more) = answers(&gateway, framing).await;
        assert!(first.starts_with("http/1.1 400 "), "{framing:?}: {first}");
        assert_eq!(more, 0, "{framing:?}: what followed was answered as well");
    }
    assert!(gateway.arrived("/").await.is_empty());
    let (first, more) = answers(&gateway, "Transfer-Encoding: chunked").await;
    assert!(first.contains("countersign-error: invalid_request"), "{first}");
    assert_eq!(
        (more, gateway.arrived("/insights/").await.len()),
        (1, 1),
        "a good pair is told apart"
    );
}

#[tokio::test]
async fn a_body_that_is_compressed_for_the_transfer_is_refused() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let (first, more) = answers(&gateway, "Transfer-Encoding: gzip, chunked").await;
    assert!(first.contains("countersign-error: not_json"), "{first}");
    assert_eq!(more, 1, "its end is not in doubt");
}
