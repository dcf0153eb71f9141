//! The memory for answers: reserved before any call, waited for, refused with a reason, and released.

use std::sync::Arc;
use std::time::Duration;

use countersign::config::Config;
use countersign::gateway::{Deadline, Held, KnownKey};
use countersign::model::Endpoint;
use countersign::model::key::Kind;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::database::{self, Database, on_both};
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::upstream::{TestSandbox, body, small};

/// The least that the settings allow, of which seven eighths are for large answers.
const LEAST: usize = 32 << 20;

/// A question that reserves more than the share for small ones.
fn large(gateway: &TestGateway) -> Value {
    json!({
        "tweet_ids": gateway.sandbox.ids("alice", 2), "engagement_types": ["impressions", "url_clicks"],
        "window": {"start": "2025-10-01", "end": "2026-02-18"},
        "groupings": {"all": {"group_by": ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"]}},
    })
}

fn question(gateway: &TestGateway, body: &Value) -> Ask {
    gateway
        .ask("POST", "/v1/engagement")
        .header("content-type", "application/json")
        // Equal questions would share their calls.
        .header("cache-control", "no-cache")
        .body(body.to_string())
}

async fn key(gateway: &TestGateway) -> Arc<KnownKey> {
    let text = gateway.new_key(|_| ()).await;
    gateway.inner.check_key(&text, Kind::Caller, [127, 0, 0, 1].into()).await.unwrap()
}

/// Reserves all that is left for large answers, in another key's name.
async fn occupy(gateway: &TestGateway) -> Held {
    let key = key(gateway).await;
    let most = LEAST / 8 * 7;
    gateway.inner.begin_call(&key, most, Deadline::within(Duration::from_secs(10))).await.unwrap().1
}

/// Waits until nothing is held any more.
async fn freed(gateway: &TestGateway) {
    held_until(gateway, |held| held == 0).await;
}

/// Waits until the amount that is held is as wanted; gives the amount.
async fn held_until(gateway: &TestGateway, wanted: impl Fn(usize) -> bool) -> usize {
    let waiting = async {
        loop {
            let held = gateway.inner.memory_held();
            if wanted(held) {
                return held;
            }
            tokio::task::yield_now().await;
        }
    };
    let held = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    held.unwrap_or_else(|_| panic!("{} bytes are held", gateway.inner.memory_held()))
}

async fn a_question_waits_for_memory_and_is_answered(database: Database) {
    let gateway =
        TestGateway::start_with(&database, |config| config.limits.answer_memory = LEAST).await;
    let held = occupy(&gateway).await;
    let body = large(&gateway);
    let refused = question(&gateway, &body).header("countersign-deadline", "50ms").send().await;
    refused.is_own(503, "busy");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(refused.text().contains("limits.answer_memory"), "{}", refused.text());
    assert!(gateway.arrived("/insights").await.is_empty(), "nothing was asked of X");
    // Small questions and relayed calls are answered meanwhile.
    let ids = gateway.sandbox.ids("alice", 1);
    let one = json!({"tweet_ids": ids, "engagement_types": ["favorites", "impressions"]});
    assert_eq!(question(&gateway, &one).send().await.status, 200);
    let call = self::body(&ids, &["favorites"], &["tweet.id"]);
    assert_eq!(gateway.call(Endpoint::Totals, &call).send().await.status, 200);
    let waits = tokio::spawn(question(&gateway, &body).send());
    drop(held);
    let answered = waits.await.unwrap();
    assert_eq!((answered.status.as_u16(), answered.header("countersign-complete")), (200, "true"));
    freed(&gateway).await;
}

async fn a_question_that_never_fits_is_refused_with_what_would(database: Database) {
    let gateway =
        TestGateway::start_with(&database, |config| config.limits.answer_memory = LEAST).await;
    let mut body = large(&gateway);
    body["tweet_ids"] = json!((1..=250).map(|number: u64| number.to_string()).collect::<Vec<_>>());
    let refused = question(&gateway, &body).send().await;
    refused.is_own(400, "invalid_request");
    for words in ["limits.answer_memory", "application/x-ndjson", "fewer tweet_ids"] {
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    assert!(gateway.arrived("/insights").await.is_empty());
    assert_eq!(gateway.inner.memory_held(), 0);
}

async fn lines_of_posts_have_no_limit_of_numbers(database: Database) {
    let gateway =
        TestGateway::start_with(&database, |config| config.limits.question_numbers = 3).await;
    let ids = gateway.sandbox.ids("alice", 2);
    let body = json!({"tweet_ids": ids, "engagement_types": ["favorites", "impressions"]});
    let refused = question(&gateway, &body).send().await;
    refused.is_own(400, "invalid_request");
    assert!(refused.text().contains("asks for up to 4 numbers"), "{}", refused.text());
    let lines = question(&gateway, &body).header("accept", "application/x-ndjson").send().await;
    assert_eq!(lines.text().lines().count(), 5, "{}", lines.text());
    let mut together = body;
    together["groupings"] = json!({"all": {"group_by": ["engagement.type", "tweet.id"]}});
    let refused =
        question(&gateway, &together).header("accept", "application/x-ndjson").send().await;
    refused.is_own(400, "invalid_request");
}

on_both!(
    a_question_waits_for_memory_and_is_answered,
    a_question_that_never_fits_is_refused_with_what_would,
    lines_of_posts_have_no_limit_of_numbers
);

/// A raw request whose answer is read as slowly as the test likes.
async fn opened(gateway: &TestGateway, path: &str, headers: &str, body: &Value) -> TcpStream {
    let address = gateway.url.strip_prefix("http://").unwrap();
    // With a tiny receive buffer.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let (key, body) = (&gateway.key, body.to_string());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: \
         application/json\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(std::str::from_utf8(&first).unwrap(), "HTTP/1.1 200");
    stream
}

async fn read_to_end(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    rest
}

fn hourly(gateway: &TestGateway) -> Value {
    let types = [
        "impressions",
        "engagements",
        "url_clicks",
        "favorites",
        "replies",
        "retweets",
        "media_views",
        "detail_expands",
        "permalink_clicks",
        "user_follows",
        "hashtag_clicks",
    ];
    let all = ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"];
    json!({
        "tweet_ids": gateway.sandbox.ids("alice", 16), "engagement_types": types,
        "start": "2026-02-01", "end": "2026-02-28",
        "groupings": {"a": {"group_by": all}, "b": {"group_by": ["engagement.day"]}},
    })
}

#[tokio::test]
async fn an_answer_holds_memory_until_its_caller_has_read_it() {
    let database = database::fresh(database::Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let body = hourly(&gateway);
    let path = Endpoint::Historical.path();
    let account = format!("Countersign-Account: {}\r\n", gateway.sandbox.user("alice").user_id);
    for encoding in ["identity", "gzip"] {
        let headers = format!("{account}Accept-Encoding: {encoding}\r\nConnection: close\r\n");
        let slow = opened(&gateway, path, &headers, &body).await;
        let held = gateway.inner.memory_held();
        let text = read_to_end(slow).await;
        // A plain answer waits in compressed form, so it occupies less than its size.
        assert!(
            encoding == "gzip" || (0 < held && held < text.len() / 2),
            "{held} of {}",
            text.len()
        );
        freed(&gateway).await;
    }
    // A client that goes away releases what was held.
    let headers = format!("{account}Accept-Encoding: identity\r\n");
    drop(opened(&gateway, path, &headers, &body).await);
    freed(&gateway).await;
}

#[tokio::test]
async fn a_merged_answer_is_written_as_it_is_read() {
    let database = database::fresh(database::Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let mut body = large(&gateway);
    body["tweet_ids"] = json!(gateway.sandbox.ids("alice", 16));
    body["engagement_types"] =
        json!(["impressions", "url_clicks", "detail_expands", "media_views", "app_opens"]);
    let whole = question(&gateway, &body).send().await.json();
    for (path, accept, encoding) in [
        ("/v1/engagement", "application/json", "identity"),
        ("/v1/engagement", "application/json", "gzip"),
        ("/v1/engagement", "text/csv", "identity"),
        ("/v1/engagement", "application/x-ndjson", "identity"),
        ("/v1/engagement?format=spreadsheet", "*/*", "identity"),
    ] {
        let headers =
            format!("Accept: {accept}\r\nAccept-Encoding: {encoding}\r\nConnection: close\r\n");
        let slow = opened(&gateway, path, &headers, &body).await;
        let held = gateway.inner.memory_held();
        let text = read_to_end(slow).await;
        // The kernel may have taken the whole compressed answer.
        assert!(held > 0 || encoding == "gzip", "{accept}: {} bytes", text.len());
        freed(&gateway).await;
        if (accept, encoding) == ("application/json", "identity") {
            let answer: Value = serde_json::from_slice(&unchunked(&text)).unwrap();
            assert_eq!(answer["all"], whole["all"]);
        }
    }
    drop(opened(&gateway, "/v1/engagement", "", &body).await);
    freed(&gateway).await;
}

/// The body of a chunked answer.
fn unchunked(answer: &[u8]) -> Vec<u8> {
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (mut rest, mut body) = (&answer[at..], Vec::new());
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n").unwrap();
        let length =
            usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + length]);
        rest = &rest[line + 4 + length..];
    }
}

#[tokio::test]
async fn a_key_with_many_questions_holds_no_other_up() {
    let database = database::fresh(database::Kind::Sqlite).await;
    let sandbox = TestSandbox::start_with(small()).await;
    let change =
        |config: &mut Config| (config.limits.question_calls, config.limits.key_questions) = (1, 16);
    let gateway = TestGateway::build(sandbox, &database.settings(), change).await;
    let other = gateway.new_key(|_| ()).await;
    let one = |name: &str| {
        let post = &gateway.sandbox.ids(name, 1)[0];
        json!({
            "tweet_ids": [post],
            "engagement_types": ["impressions"],
            "owners": {post: gateway.id(name).to_string()},
        })
    };
    // The first call is held until all questions wait.
    gateway.order(json!([{"kind": "hold", "times": 1}])).await;
    let mut greedy = vec![tokio::spawn(question(&gateway, &one("alice")).send())];
    while gateway.fired().await != [1] {
        tokio::task::yield_now().await;
    }
    let each = gateway.inner.memory_held();
    for count in 2..=16 {
        greedy.push(tokio::spawn(question(&gateway, &one("alice")).send()));
        held_until(&gateway, |held| held == count * each).await;
    }
    let asked = question(&gateway, &one("bob")).header("authorization", &format!("Bearer {other}"));
    let asked = tokio::spawn(asked.send());
    // His id has a digit more.
    held_until(&gateway, |held| held > 16 * each).await;
    gateway.order(json!([])).await;
    assert_eq!(asked.await.unwrap().status, 200);
    for question in greedy {
        assert_eq!(question.await.unwrap().status, 200);
    }
    let bob = &gateway.sandbox.ids("bob", 1)[0];
    let arrived = gateway.arrived("/insights").await;
    let place = arrived.iter().position(|call| call["body"].to_string().contains(bob)).unwrap();
    assert!(arrived.len() == 17 && place <= 3, "{place} of {}", arrived.len());
}

#[tokio::test]
async fn questions_of_a_key_beyond_its_limit_wait() {
    let database = database::fresh(database::Kind::Sqlite).await;
    let gateway =
        TestGateway::start_with(&database, |config| config.limits.key_questions = 1).await;
    let other = gateway.new_key(|_| ()).await;
    gateway.order(json!([{"kind": "hold", "times": 1}])).await;
    let one =
        json!({"tweet_ids": gateway.sandbox.ids("alice", 1), "engagement_types": ["impressions"]});
    let first = tokio::spawn(question(&gateway, &one).send());
    held_until(&gateway, |held| held > 0).await;
    let refused = question(&gateway, &one).header("countersign-deadline", "50ms").send().await;
    refused.is_own(503, "busy");
    assert!(refused.text().contains("limits.key_questions"), "{}", refused.text());
    let others = question(&gateway, &one).header("authorization", &format!("Bearer {other}"));
    assert_eq!(others.send().await.status, 200);
    let waits = tokio::spawn(question(&gateway, &one).send());
    gateway.order(json!([])).await;
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(waits.await.unwrap().status, 200);
}
