//! Each fault does what it is named after, counts its occurrences, and ends.

use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::Answer;
use crate::sandbox::handshake::{
    ACCESS_TOKEN, AUTHORIZE, CALLBACK, REQUEST_TOKEN, allowed, begin, begun, decide, exchange,
    fields,
};
use crate::upstream::{TOTALS, TestSandbox, body};

async fn order(sandbox: &TestSandbox, faults: Value) {
    let answer = sandbox.put("/sandbox/faults", faults).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn fired(sandbox: &TestSandbox) -> Vec<u64> {
    let list = sandbox.get("/sandbox/faults").await;
    list.as_array().unwrap().iter().map(|fault| fault["fired"].as_u64().unwrap()).collect()
}

async fn ask(sandbox: &TestSandbox) -> Answer {
    sandbox.public(&favorites(sandbox)).await
}

fn favorites(sandbox: &TestSandbox) -> Value {
    body(&sandbox.ids("alice", 3), &["favorites"], &["tweet.id"])
}

/// Everything that the server writes on a connection until it closes it.
async fn raw(sandbox: &TestSandbox) -> Vec<u8> {
    let mut stream = TcpStream::connect(&sandbox.address).await.unwrap();
    let body = favorites(sandbox).to_string();
    let head = format!(
        "POST {TOTALS} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nContent-Type: application/json\r\n\
         Authorization: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        sandbox.bearer(),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let _ = stream.read_to_end(&mut read).await;
    read
}

/// The `Content-Length` and the actual body of a raw answer.
fn framed(raw: &[u8]) -> (usize, &[u8]) {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head") + 4;
    let head = String::from_utf8_lossy(&raw[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    (length.parse().unwrap(), &raw[end..])
}

#[tokio::test]
async fn a_status_comes_so_often_and_counts() {
    let sandbox = TestSandbox::start().await;
    order(&sandbox, json!([{ "kind": "status", "status": 503, "times": 2, "path": "/insights/" }]))
        .await;
    let elsewhere = sandbox.form("/oauth2/token", "").send().await;
    assert_eq!(elsewhere.status, 403);
    for _ in 0..2 {
        ask(&sandbox).await.has_code(503, 130, "Over capacity.");
    }
    assert_eq!(ask(&sandbox).await.status, 200);
    let list = sandbox.get("/sandbox/faults").await;
    assert_eq!(
        list,
        json!([{ "kind": "status", "status": 503, "times": 2, "path": "/insights/", "fired": 2 }])
    );
}

#[tokio::test]
async fn faults_without_a_path_leave_the_own_interface_alone() {
    let sandbox = TestSandbox::start().await;
    order(&sandbox, json!([{ "kind": "status", "status": 500 }])).await;
    ask(&sandbox).await.refuses(500, &["internal server error"]);
    assert_eq!(sandbox.ask("GET", "/").send().await.status, 500);
    assert_eq!(sandbox.ask("GET", "/sandbox/counts").send().await.status, 200);
    assert_eq!(fired(&sandbox).await, [2]);
}

#[tokio::test]
async fn a_status_can_carry_a_code_a_body_or_headers() {
    let sandbox = TestSandbox::start().await;
    order(
        &sandbox,
        json!([
            { "kind": "status", "code": 32, "times": 1 },
            { "kind": "status", "code": 64, "times": 1 },
            { "kind": "status", "code": 416, "times": 1 },
            { "kind": "status", "code": 99, "times": 1 },
            { "kind": "status", "status": 418, "code": 1, "message": "I see.", "times": 1 },
            { "kind": "status", "status": 400, "body": { "any": ["thing"] }, "times": 1 },
            { "kind": "status", "status": 403, "message": "Words.", "times": 1 },
            { "kind": "status", "status": 429, "headers": { "retry-after": "3" }, "times": 1 },
        ]),
    )
    .await;
    ask(&sandbox).await.has_code(401, 32, "Could not authenticate you.");
    let suspended = "Your account is suspended and is not permitted to access this feature.";
    ask(&sandbox).await.has_code(403, 64, suspended);
    ask(&sandbox).await.has_code(401, 416, "Invalid / suspended App.");
    assert_eq!(ask(&sandbox).await.json()["errors"][0]["label"], "authenticity_token_error");
    ask(&sandbox).await.has_code(418, 1, "I see.");
    assert_eq!(ask(&sandbox).await.json(), json!({ "any": ["thing"] }));
    ask(&sandbox).await.refuses(403, &["Words."]);
    let limited = ask(&sandbox).await;
    assert_eq!((limited.status.as_u16(), limited.header("retry-after")), (429, "3"));
    assert_eq!(limited.header("content-encoding"), "gzip");
    assert_eq!(ask(&sandbox).await.status, 200);
    assert_eq!(fired(&sandbox).await, [1; 8]);
}

#[tokio::test]
async fn a_delay_goes_before_other_faults() {
    let sandbox = TestSandbox::start().await;
    order(
        &sandbox,
        json!([
            { "kind": "delay", "ms": 1 },
            { "kind": "status", "status": 500, "times": 1 },
            { "kind": "delay", "ms": 1, "path": "/oauth2" },
        ]),
    )
    .await;
    assert_eq!(ask(&sandbox).await.status, 500);
    assert_eq!(ask(&sandbox).await.status, 200);
    assert_eq!(fired(&sandbox).await, [2, 1, 0]);
}

#[tokio::test]
async fn a_hanging_call_gets_nothing_and_is_listed() {
    let sandbox = TestSandbox::start().await;
    order(&sandbox, json!([{ "kind": "hang", "times": 1 }])).await;
    let counted = async {
        while fired(&sandbox).await != [1] {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        answer = ask(&sandbox) => panic!("{answer:?}"),
        () = counted => (),
    }
    assert_eq!(sandbox.get("/sandbox/calls").await[0]["status"], Value::Null);
}

#[tokio::test]
async fn a_reset_writes_nothing() {
    let sandbox = TestSandbox::start().await;
    order(&sandbox, json!([{ "kind": "reset", "times": 2 }])).await;
    assert_eq!(raw(&sandbox).await, b"");
    let ask = sandbox.post(TOTALS, &favorites(&sandbox)).header("authorization", &sandbox.bearer());
    assert!(ask.try_send().await.unwrap_err().is_request());
    assert_eq!(fired(&sandbox).await, [2]);
    assert_eq!(sandbox.get("/sandbox/calls").await[0]["status"], Value::Null);
    assert!(raw(&sandbox).await.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_cut_body_is_half_of_what_was_promised() {
    let sandbox = TestSandbox::start().await;
    order(&sandbox, json!([{ "kind": "cut_body", "times": 1 }])).await;
    let cut = raw(&sandbox).await;
    let (promised, got) = framed(&cut);
    assert_eq!(got.len(), promised / 2);
    let whole = raw(&sandbox).await;
    assert_eq!(framed(&whole).0, promised);
    assert!(framed(&whole).1.starts_with(got));
    assert_eq!(fired(&sandbox).await, [1]);
}

#[tokio::test]
async fn a_wrong_length_promises_more_than_comes() {
    let sandbox = TestSandbox::start().await;
    order(&sandbox, json!([{ "kind": "wrong_content_length", "times": 1 }])).await;
    let wrong = raw(&sandbox).await;
    let (promised, got) = framed(&wrong);
    assert_eq!(got.len() + 64, promised);
    assert_eq!(framed(&raw(&sandbox).await).1, got);
    assert_eq!(fired(&sandbox).await, [1]);
}

#[tokio::test]
async fn a_truncated_gzip_is_well_framed() {
    let sandbox = TestSandbox::start().await;
    order(&sandbox, json!([{ "kind": "truncated_gzip" }])).await;
    let answer = ask(&sandbox).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (200, "gzip"));
    assert!(GzDecoder::new(&*answer.raw).read_to_end(&mut Vec::new()).is_err());
    assert_eq!(fired(&sandbox).await, [1]);
}

#[tokio::test]
async fn html_comes_with_any_status() {
    let sandbox = TestSandbox::start().await;
    order(&sandbox, json!([{ "kind": "html", "times": 1 }, { "kind": "html", "status": 502 }]))
        .await;
    for status in [200, 502] {
        let answer = ask(&sandbox).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (status, "text/html"));
        assert!(answer.text().starts_with("<html>"));
    }
    assert_eq!(fired(&sandbox).await, [1, 1]);
}

#[tokio::test]
async fn a_text_is_sent_as_it_is() {
    let sandbox = TestSandbox::start().await;
    let text = "<hash><error>Invalid / expired Token</error></hash>";
    let xml = json!({ "content-type": "application/xml" });
    let once = json!({ "kind": "status", "status": 401, "text": text, "times": 1 });
    let typed = json!({ "kind": "status", "status": 401, "text": text, "headers": xml });
    order(&sandbox, json!([once, typed])).await;
    for declared in ["text/html; charset=utf-8", "application/xml"] {
        let answer = ask(&sandbox).await;
        assert_eq!((answer.status.as_u16(), &*answer.text()), (401, text));
        assert_eq!(answer.header("content-type"), declared);
    }
    assert_eq!(fired(&sandbox).await, [1, 1]);
}

#[tokio::test]
async fn fields_of_the_handshake_are_changed_added_and_taken_away() {
    let sandbox = TestSandbox::start().await;
    let fault =
        |path: &str, fields: Value| json!([{ "kind": "fields", "path": path, "fields": fields }]);
    let whole = begin(&sandbox, CALLBACK).await.text();
    order(&sandbox, fault(REQUEST_TOKEN, json!({ "oauth_callback_confirmed": "false" }))).await;
    let unconfirmed = begin(&sandbox, CALLBACK).await.text();
    assert!(unconfirmed.ends_with("&oauth_callback_confirmed=false"), "{unconfirmed}");
    assert_eq!(unconfirmed.len(), whole.len() + "false".len() - "true".len());
    order(&sandbox, fault(REQUEST_TOKEN, json!({ "oauth_token": null, "more": "a b" }))).await;
    let names: Vec<String> = fields(&begin(&sandbox, CALLBACK).await.text()).into_keys().collect();
    assert_eq!(names, ["more", "oauth_callback_confirmed", "oauth_token_secret"]);

    order(&sandbox, fault(AUTHORIZE, json!({ "oauth_token": "another" }))).await;
    let token = begun(&sandbox, CALLBACK).await;
    let page = sandbox.ask("GET", &format!("{AUTHORIZE}?oauth_token={}", token.0)).send().await;
    assert!(page.text().contains(&token.0), "a page stays as it is");
    let answer = decide(&sandbox, &token.0, "allow", "alice").await;
    let back = answer.header("location");
    assert!(
        back.starts_with("http://127.0.0.1:9/back?state=a%20b&oauth_token=another&oauth_verifier="),
        "{back}"
    );
    let verifier = fields(back)["oauth_verifier"].clone();
    assert_eq!(fields(back)["oauth_token"], "another");

    let changes = json!({ "oauth_token": "1-x", "user_id": "2", "screen_name": null });
    order(&sandbox, fault(ACCESS_TOKEN, changes)).await;
    let given = fields(&exchange(&sandbox, &token, &verifier).await.text());
    assert_eq!((&*given["oauth_token"], &*given["user_id"]), ("1-x", "2"));
    assert_eq!(given["oauth_token_secret"], sandbox.user("alice").access_token_secret);
    assert!(!given.contains_key("screen_name"));
    assert_eq!(fired(&sandbox).await, [1]);
}

#[tokio::test]
async fn fields_leave_other_answers_alone() {
    let sandbox = TestSandbox::start().await;
    let expected = ask(&sandbox).await.json();
    order(&sandbox, json!([{ "kind": "fields", "fields": { "oauth_token": "x" } }])).await;
    assert_eq!(ask(&sandbox).await.json(), expected);
}

#[tokio::test]
async fn bad_json_is_a_200() {
    let sandbox = TestSandbox::start().await;
    order(&sandbox, json!([{ "kind": "bad_json" }])).await;
    let answer = ask(&sandbox).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().starts_with("{\"g\""));
    assert!(serde_json::from_str::<Value>(&answer.text()).is_err());
    assert_eq!(fired(&sandbox).await, [1]);
}

#[tokio::test]
async fn a_slow_body_comes_whole() {
    let sandbox = TestSandbox::start().await;
    let expected = ask(&sandbox).await.json();
    order(&sandbox, json!([{ "kind": "slow_body", "ms": 1 }])).await;
    assert_eq!(ask(&sandbox).await.json(), expected);
    assert_eq!(fired(&sandbox).await, [1]);
}

#[tokio::test]
async fn a_gzip_bomb_is_small_until_opened() {
    let sandbox = TestSandbox::start().await;
    order(&sandbox, json!([{ "kind": "gzip_bomb", "mb": 3 }])).await;
    let answer = ask(&sandbox).await;
    assert!(answer.raw.len() < 20_000, "{}", answer.raw.len());
    assert_eq!(answer.text().len(), 3 << 20, "and the checksum is right");
    assert_eq!(fired(&sandbox).await, [1]);
}

#[tokio::test]
async fn unknown_and_incomplete_faults_are_refused() {
    let sandbox = TestSandbox::start().await;
    for wrong in [
        json!([{ "kind": "earthquake" }]),
        json!([{ "kind": "hang", "size": 1 }]),
        json!([{ "kind": "status" }]),
        json!([{ "kind": "status", "status": 99 }]),
        json!([{ "kind": "status", "status": 500, "headers": { "a b": "c" } }]),
        json!([{ "kind": "delay" }]),
        json!([{ "kind": "gzip_bomb" }]),
        json!([{ "kind": "fields" }]),
        json!([{ "kind": "fields", "fields": { "user_id": 7 } }]),
        json!({ "kind": "hang" }),
    ] {
        let answer = sandbox.put("/sandbox/faults", wrong.clone()).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.json()["error"].is_string());
    }
}

#[tokio::test]
async fn revoked_tokens_rotated_bearers_and_a_wrong_clock_count_what_they_refused() {
    let sandbox = TestSandbox::start().await;
    let counted = async |name: &str| sandbox.get("/sandbox/counts").await[name].as_u64();
    let alice = format!("/sandbox/users/{}", sandbox.user("alice").user_id);
    sandbox.put(&alice, json!({ "state": "revoked" })).await;
    for _ in 0..2 {
        assert_eq!(sandbox.own("alice", TOTALS, &favorites(&sandbox)).await.status, 401);
    }
    assert_eq!(counted("revoked_token").await, Some(2));

    assert_eq!(ask(&sandbox).await.status, 200);
    sandbox.ask("POST", "/sandbox/apps/demo/rotate_bearer").send().await;
    assert_eq!(ask(&sandbox).await.status, 401);
    let nobodys = sandbox.post(TOTALS, &favorites(&sandbox)).header("authorization", "Bearer x");
    assert_eq!(nobodys.send().await.status, 401);
    assert_eq!(counted("rotated_bearer").await, Some(1), "an unknown token was never the app's");

    sandbox.put("/sandbox/switches", json!({ "clock_offset_s": 3600 })).await;
    assert_eq!(sandbox.own("bob", TOTALS, &favorites(&sandbox)).await.status, 401);
    let mut late = sandbox.signer("bob");
    late.timestamp = "1".to_owned();
    assert_eq!(sandbox.post(TOTALS, &favorites(&sandbox)).signed(&late).send().await.status, 401);
    assert_eq!(counted("clock_offset").await, Some(1), "what is late by any clock is not counted");

    sandbox.ask("POST", "/sandbox/reset").send().await;
    assert_eq!(sandbox.get("/sandbox/counts").await, json!({}));
}

#[tokio::test]
async fn an_answer_that_is_held_is_made_and_waits_until_the_faults_are_replaced() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await;
    let verifier = allowed(&sandbox, &token.0, "alice").await;
    order(&sandbox, json!([{ "kind": "hold", "path": "/oauth/access_token", "times": 1 }])).await;
    let sandbox = std::sync::Arc::new(sandbox);
    let held = tokio::spawn({
        let (sandbox, token, verifier) = (sandbox.clone(), token.clone(), verifier.clone());
        async move { exchange(&sandbox, &token, &verifier).await }
    });
    while fired(&sandbox).await != [1] {
        tokio::task::yield_now().await;
    }
    // The exchange took place: the verifier is spent, though the call has no answer yet.
    let again = exchange(&sandbox, &token, &verifier).await;
    assert_eq!(again.status, 401, "{}", again.text());
    assert!(!held.is_finished());
    assert_eq!(sandbox.get("/sandbox/calls?path=/oauth/access").await[0]["status"], Value::Null);
    order(&sandbox, json!([])).await;
    let answer = held.await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(sandbox.get("/sandbox/calls?path=/oauth/access").await[0]["status"], 200);
}
