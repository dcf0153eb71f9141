//! Idle connections to the upstream: one that closes as a request is sent costs its caller nothing, and one that is
//! about to expire is not used.

use std::sync::{Arc, Mutex};

use countersign::config::Config;
use countersign::model::Endpoint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::trouble::private;
use crate::upstream::body;

pub const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}";
/// A connection that ends instead of answering.
const NOTHING: &str = "";
const PARTIAL: &str = "HTTP/1.1 200 OK\r\ncontent-le";

/// An upstream with scripted answers for the requests of each connection, which closes the connection after an
/// incomplete answer. A connection without a script is left open.
pub struct Scripted {
    pub url: String,
    /// Each request with the number of its connection.
    requests: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Scripted {
    pub async fn start(connections: &[&[&'static str]]) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::default();
        let scripted = Scripted { url, requests: Arc::clone(&requests) };
        let connections: Vec<Vec<&str>> =
            connections.iter().map(|connection| connection.to_vec()).collect();
        tokio::spawn(async move {
            for (number, answers) in connections.into_iter().enumerate() {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, number, answers, Arc::clone(&requests)));
            }
        });
        scripted
    }

    /// The connection of each request.
    pub fn connections(&self) -> Vec<usize> {
        self.requests.lock().unwrap().iter().map(|request| request.0).collect()
    }

    fn nonces(&self) -> Vec<String> {
        let nonce = |request: &(usize, String)| {
            let rest = request.1.split_once("oauth_nonce=\"").unwrap().1;
            rest.split_once('"').unwrap().0.to_owned()
        };
        self.requests.lock().unwrap().iter().map(nonce).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    number: usize,
    answers: Vec<&str>,
    requests: Arc<Mutex<Vec<(usize, String)>>>,
) {
    for answer in answers {
        let Some(request) = read(&mut stream).await else { return };
        requests.lock().unwrap().push((number, request));
        stream.write_all(answer.as_bytes()).await.unwrap();
        if answer == NOTHING || answer == PARTIAL {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// One request with its body, or `None` if the connection ends.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => text.push_str(std::str::from_utf8(&part[..count]).unwrap()),
        }
    }
}

/// Without a budget for retries.
async fn start_gateway(database: &Database, upstream: &Scripted) -> TestGateway {
    start_gateway_with(database, upstream, |_| ()).await
}

async fn start_gateway_with(
    database: &Database,
    upstream: &Scripted,
    change: impl FnOnce(&mut Config),
) -> TestGateway {
    TestGateway::start_with(database, |config| {
        config.upstream.data_url.clone_from(&upstream.url);
        (config.limits.retry_share, config.limits.retry_floor) = (0.0, 0.0);
        change(config);
    })
    .await
}

/// How many attempts each call took, oldest first.
async fn attempts(gateway: &TestGateway) -> Vec<u64> {
    let key = gateway.new_admin_key().await;
    let listed: Answer = gateway.admin(&key, "GET", "/admin/v1/calls").send().await;
    let calls = listed.json()["calls"].as_array().unwrap().clone();
    calls.iter().rev().map(|call| call["attempts"].as_u64().unwrap()).collect()
}

/// How many connections were lost on an endpoint, in all tests of this process.
async fn lost(gateway: &TestGateway, endpoint: Endpoint) -> u64 {
    let metrics = gateway.http.get(format!("{}/metrics", gateway.admin_url)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let name = "countersign_upstream_lost_connections_total";
    let line = format!("{name}{{endpoint=\"{}\"}} ", endpoint.name());
    metrics
        .lines()
        .find_map(|text| text.strip_prefix(&line))
        .map_or(0, |count| count.parse().unwrap())
}

async fn a_kept_connection_that_ends_unanswered_is_replaced_without_the_retry_budget(
    database: Database,
) {
    let upstream = Scripted::start(&[&[WHOLE, NOTHING], &[WHOLE]]).await;
    let gateway = start_gateway(&database, &upstream).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    private(&gateway, "alice").send().await.is_relayed(200);
    assert_eq!(upstream.connections(), [0, 0, 1]);
    let nonces = upstream.nonces();
    assert_ne!(nonces[1], nonces[2], "each attempt is signed anew");
    assert_eq!(attempts(&gateway).await, [1, 2]);
}

on_both!(a_kept_connection_that_ends_unanswered_is_replaced_without_the_retry_budget);

#[tokio::test]
async fn lost_connections_are_counted() {
    // A gateway registers its counters when it is created.
    countersign::telemetry::start_metrics();
    let upstream = Scripted::start(&[&[WHOLE, NOTHING], &[WHOLE]]).await;
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database, &upstream).await;
    let body = body(&gateway.sandbox.ids("alice", 1), &["impressions"], &["tweet.id"]);
    let call = gateway.call_as("alice", Endpoint::TwentyEightHours, &body);
    call.clone().send().await.is_relayed(200);
    let before = lost(&gateway, Endpoint::TwentyEightHours).await;
    call.send().await.is_relayed(200);
    assert!(lost(&gateway, Endpoint::TwentyEightHours).await > before);
}

#[tokio::test]
async fn a_lost_connection_is_replaced_once_a_call() {
    let upstream = Scripted::start(&[&[WHOLE, NOTHING], &[NOTHING], &[WHOLE]]).await;
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database, &upstream).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    private(&gateway, "alice").send().await.is_own(502, "upstream_unreachable");
    assert_eq!(upstream.connections(), [0, 0, 1]);
    assert_eq!(attempts(&gateway).await, [1, 2]);
}

#[tokio::test]
async fn a_new_connection_that_ends_unanswered_draws_on_the_retry_budget() {
    let upstream = Scripted::start(&[&[NOTHING], &[WHOLE]]).await;
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database, &upstream).await;
    private(&gateway, "alice").send().await.is_own(502, "upstream_unreachable");
    assert_eq!(upstream.connections(), [0]);
}

#[tokio::test]
async fn a_kept_connection_that_ends_within_an_answer_draws_on_the_retry_budget() {
    let upstream = Scripted::start(&[&[WHOLE, PARTIAL], &[WHOLE]]).await;
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database, &upstream).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    private(&gateway, "alice").send().await.is_own(502, "upstream_unreachable");
    assert_eq!(upstream.connections(), [0, 0]);
}

#[tokio::test]
async fn an_overloaded_upstream_is_asked_once_more_after_a_lost_connection_too() {
    let upstream = Scripted::start(&[&[WHOLE, NOTHING], &[BUSY, WHOLE]]).await;
    let database = fresh(Kind::Sqlite).await;
    let gateway =
        start_gateway_with(&database, &upstream, |config| config.limits.retry_floor = 1.0).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    private(&gateway, "alice").send().await.is_relayed(200);
    assert_eq!(upstream.connections(), [0, 0, 1, 1]);
    assert_eq!(attempts(&gateway).await, [1, 3]);
}

#[tokio::test]
async fn a_connection_that_the_upstream_is_about_to_close_is_not_used() {
    const BRIEF: &str =
        "HTTP/1.1 200 OK\r\nkeep-alive: timeout=5, max=100\r\ncontent-length: 2\r\n\r\n{}";
    let upstream = Scripted::start(&[&[BRIEF, BRIEF], &[WHOLE, WHOLE], &[WHOLE]]).await;
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database, &upstream).await;
    for milliseconds in [0, 3900, 4100, 49_900, 50_100] {
        gateway.sandbox.clock.forward(time::Duration::milliseconds(milliseconds));
        private(&gateway, "alice").send().await.is_relayed(200);
    }
    assert_eq!(upstream.connections(), [0, 0, 1, 1, 2]);
}

#[tokio::test]
async fn what_cannot_be_sent_twice_goes_over_a_connection_of_its_own() {
    const MINTED: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: \
                          42\r\n\r\n{\"token_type\":\"bearer\",\"access_token\":\"A\"}";
    let upstream = Scripted::start(&[&[MINTED, NOTHING], &[MINTED]]).await;
    let database = fresh(Kind::Sqlite).await;
    let gateway =
        TestGateway::start_with(&database, |config| config.upstream.api_url = upstream.url.clone())
            .await;
    for _ in 0..2 {
        // What was minted here is good for nothing.
        assert!(gateway.inner.verify_app("demo").await.is_err());
    }
    assert_eq!(upstream.connections(), [0, 1]);
}
