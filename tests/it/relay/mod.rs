//! The main task: a call arrives with a key, is signed and sent on, and its answer is returned.

mod accounts;
mod bytes;
mod checks;
mod encoding;
mod forward;
mod framing;
mod headers;
mod json;
mod keys;
mod old_clients;
mod scopes;
mod shared;
mod smuggling;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::gateway::TestGateway;
use crate::upstream::body;

/// A body that anybody may send about alice's posts.
pub fn public(gateway: &TestGateway) -> Value {
    body(
        &gateway.sandbox.ids("alice", 2),
        &["favorites", "replies"],
        &["tweet.id", "engagement.type"],
    )
}

/// A body that only the author may send.
fn private(gateway: &TestGateway, author: &str) -> Value {
    body(&gateway.sandbox.ids(author, 2), &["impressions"], &["tweet.id", "engagement.type"])
}

/// Sends raw bytes over a connection of their own; gives the answer's head in lower case, and its body.
async fn raw(gateway: &TestGateway, request: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(gateway.url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_ascii_lowercase(), body.to_owned())
}

/// A request's head with correct line ends, which closes the connection after the answer.
fn head(first: &str, lines: &[&str]) -> String {
    let lines = [lines, &[""]].concat().join("\r\n");
    format!("{first} HTTP/1.1\r\n{lines}connection: close\r\n\r\n")
}
