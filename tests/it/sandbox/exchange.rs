//! Request tokens and access tokens: how apps get them, and every way in which they do not.

use std::collections::BTreeSet;

use serde_json::json;
use time::Duration;

use crate::http::Answer;
use crate::sandbox::handshake::{
    ACCESS_TOKEN, CALLBACK, REQUEST_TOKEN, allowed, begin, begun, connect, decide, exchange,
    fields, signer_with, token_of,
};
use crate::upstream::{Signer, TOTALS, TestSandbox, VERIFY, body};

const NOT_AUTHENTICATED: &str = "Could not authenticate you.";
const NOT_APPROVED: &str = "Callback URL not approved for this client application. Approved callback URLs \
                            can be adjusted in your application settings";
const UNAVAILABLE: &str = "This feature is temporarily unavailable";

#[track_caller]
fn is_text(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status.as_u16(), &*answer.text()), (status, text));
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
}

/// This refusal is in XML, whereas the others are in JSON.
#[track_caller]
fn is_not_approved(answer: &Answer) {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><errors><error code=\"415\">{NOT_APPROVED}</error></errors>"
    );
    assert_eq!((answer.status.as_u16(), answer.text()), (403, xml));
    assert_eq!(answer.header("content-type"), "application/xml; charset=utf-8");
}

async fn set(sandbox: &TestSandbox, switches: serde_json::Value) {
    assert_eq!(sandbox.put("/sandbox/switches", switches).await.status, 200);
}

/// The first field of a form as it is sent: escaped once.
fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace(':', "%3A")
        .replace('/', "%2F")
        .replace('?', "%3F")
        .replace('=', "%3D")
}

#[tokio::test]
async fn a_request_token_comes_as_a_form_in_a_fixed_order() {
    let sandbox = TestSandbox::start().await;
    let answer = begin(&sandbox, CALLBACK).await;
    let (token, secret) = token_of(&answer);
    let expected =
        format!("oauth_token={token}&oauth_token_secret={secret}&oauth_callback_confirmed=true");
    is_text(&answer, 200, &expected);
    assert_eq!((token.len(), secret.len()), (27, 32));
}

#[tokio::test]
async fn request_tokens_follow_from_the_seed_and_never_come_twice() {
    let (one, two) = (TestSandbox::start().await, TestSandbox::start().await);
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        let token = begun(&one, CALLBACK).await;
        assert_eq!(token, begun(&two, CALLBACK).await);
        assert!(seen.insert(token));
    }
}

#[tokio::test]
async fn the_callback_is_taken_from_header_query_or_form() {
    let sandbox = TestSandbox::start().await;
    assert_eq!(begin(&sandbox, CALLBACK).await.status, 200);
    let form = format!("oauth_callback={}", escaped(CALLBACK));
    let signed =
        || sandbox.two_legged().header("POST", REQUEST_TOKEN, &[("oauth_callback", CALLBACK)]);
    let path = format!("{REQUEST_TOKEN}?{form}");
    let by_query = sandbox.ask("POST", &path).header("authorization", &signed()).send().await;
    let by_form =
        sandbox.form(REQUEST_TOKEN, &form).header("authorization", &signed()).send().await;
    for answer in [by_query, by_form] {
        let location = decide(&sandbox, &token_of(&answer).0, "allow", "alice").await;
        assert!(location.header("location").starts_with(&format!("{CALLBACK}&")));
    }
}

#[tokio::test]
async fn a_form_that_is_not_signed_is_code_32() {
    let sandbox = TestSandbox::start().await;
    let header = sandbox.two_legged().header("POST", REQUEST_TOKEN, &[]);
    let form = format!("oauth_callback={}", escaped(CALLBACK));
    let answer = sandbox.form(REQUEST_TOKEN, &form).header("authorization", &header).send().await;
    answer.has_code(401, 32, NOT_AUTHENTICATED);
}

#[tokio::test]
async fn a_request_token_needs_a_signature_with_the_consumer_secret_alone() {
    let sandbox = TestSandbox::start().await;
    let good = || signer_with(&sandbox, None, "oauth_callback", CALLBACK);
    let (key, secret) = good().consumer;
    for wrong in [
        Signer { consumer: (key, "wrong".into()), ..good() },
        Signer { consumer: ("nobody".into(), secret), ..good() },
        Signer { token: sandbox.signer("alice").token, ..good() },
    ] {
        let answer = sandbox.ask("POST", REQUEST_TOKEN).signed(&wrong).send().await;
        answer.has_code(401, 32, NOT_AUTHENTICATED);
    }
    for header in ["", &*sandbox.bearer(), &*sandbox.basic()] {
        let answer =
            sandbox.ask("POST", REQUEST_TOKEN).header("authorization", header).send().await;
        answer.has_code(400, 215, "Bad Authentication data.");
    }
    set(&sandbox, json!({ "two_legged_ok": false })).await;
    assert_eq!(begin(&sandbox, CALLBACK).await.status, 200, "that switch is another matter");
}

#[tokio::test]
async fn a_nonce_begins_one_handshake() {
    let sandbox = TestSandbox::start().await;
    let signer = signer_with(&sandbox, None, "oauth_callback", CALLBACK);
    let ask = async || sandbox.ask("POST", REQUEST_TOKEN).signed(&signer).send().await;
    assert_eq!(ask().await.status, 200);
    ask().await.has_code(401, 32, NOT_AUTHENTICATED);
}

#[tokio::test]
async fn a_wrong_clock_is_code_135_at_both_ends() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await;
    let verifier = allowed(&sandbox, &token.0, "alice").await;
    set(&sandbox, json!({ "clock_offset_s": 301 })).await;
    for answer in [begin(&sandbox, CALLBACK).await, exchange(&sandbox, &token, &verifier).await] {
        answer.has_code(401, 135, "Timestamp out of bounds.");
    }
}

#[tokio::test]
async fn a_suspended_app_is_code_416_wherever_it_signs() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await;
    let verifier = allowed(&sandbox, &token.0, "alice").await;
    set(&sandbox, json!({ "suspended_apps": ["demo"] })).await;
    let body = body(&sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    for answer in [
        begin(&sandbox, CALLBACK).await,
        exchange(&sandbox, &token, &verifier).await,
        sandbox.own("alice", TOTALS, &body).await,
        sandbox.ask("GET", VERIFY).signed(&sandbox.signer("alice")).send().await,
    ] {
        answer.has_code(401, 416, "Invalid / suspended App.");
    }
    set(&sandbox, json!({ "suspended_apps": ["other"] })).await;
    assert_eq!(exchange(&sandbox, &token, &verifier).await.status, 200);
}

#[tokio::test]
async fn a_missing_callback_is_told() {
    let sandbox = TestSandbox::start().await;
    let bare = sandbox.ask("POST", REQUEST_TOKEN).signed(&sandbox.two_legged()).send().await;
    for answer in [bare, begin(&sandbox, "").await] {
        answer.has_code(400, 38, "SIM: oauth_callback parameter is missing.");
    }
}

#[tokio::test]
async fn any_web_address_is_a_callback_until_there_is_a_list() {
    let sandbox = TestSandbox::start().await;
    for good in ["https://a.example/", "http://127.0.0.1:8080/x?y=z", "HTTPS://a.example", "oob"] {
        assert_eq!(begin(&sandbox, good).await.status, 200, "{good}");
    }
    for wrong in [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://a.example/",
        "mailto:a@example.com",
        "telnet://a.example",
        "myapp://back",
        "/back",
        "https://",
        "OOB",
        "http://a.example/\r\nx: y",
        "http://a.example/ x",
        "http://a.example/#\r\nx: y",
        "http://a.example/é",
        "//a.example/",
    ] {
        is_not_approved(&begin(&sandbox, wrong).await);
    }
}

#[tokio::test]
async fn a_list_of_callbacks_is_matched_exactly() {
    let sandbox = TestSandbox::start().await;
    let list = json!(["https://a.example/back", "myapp://back", "javascript:alert(1)"]);
    set(&sandbox, json!({ "callbacks": list })).await;
    for good in ["https://a.example/back", "myapp://back", "oob"] {
        assert_eq!(begin(&sandbox, good).await.status, 200, "{good}");
    }
    for wrong in [
        "https://a.example/back/",
        "https://a.example/back?x=y",
        "http://a.example/back",
        "https://A.example/back",
        "https://a.example",
        "javascript:alert(1)",
    ] {
        is_not_approved(&begin(&sandbox, wrong).await);
    }
    set(&sandbox, json!({ "callbacks": null })).await;
    assert_eq!(begin(&sandbox, "https://a.example").await.status, 200);
}

#[tokio::test]
async fn an_app_without_callbacks_is_refused_in_xml() {
    let sandbox = TestSandbox::start().await;
    set(&sandbox, json!({ "callbacks": [] })).await;
    let answer = begin(&sandbox, CALLBACK).await;
    let xml = "<hash><error>Desktop applications only support the oauth_callback value \
               'oob'</error><request>/oauth/request_token</request></hash>";
    assert_eq!((answer.status.as_u16(), &*answer.text()), (401, xml));
    assert_eq!(answer.header("content-type"), "application/xml; charset=utf-8");
    is_not_approved(&begin(&sandbox, "oob").await);
}

#[tokio::test]
async fn an_exchange_gives_the_users_token_and_name() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await;
    let verifier = allowed(&sandbox, &token.0, "bob").await;
    let bob = sandbox.user("bob");
    let expected = format!(
        "oauth_token={}&oauth_token_secret={}&user_id={}&screen_name=bob",
        bob.access_token, bob.access_token_secret, bob.user_id
    );
    is_text(&exchange(&sandbox, &token, &verifier).await, 200, &expected);
}

#[tokio::test]
async fn every_user_can_be_let_in_as_whatever_their_state() {
    let sandbox = TestSandbox::start().await;
    for name in ["alice", "protected_pat", "suspended_sam"] {
        assert_eq!(connect(&sandbox, name).await.0, sandbox.user(name).access_token);
    }
}

#[tokio::test]
async fn the_verifier_is_taken_from_header_query_or_form() {
    let sandbox = TestSandbox::start().await;
    for place in ["header", "query", "form"] {
        let token = begun(&sandbox, CALLBACK).await;
        let verifier = allowed(&sandbox, &token.0, "alice").await;
        let form = format!("oauth_verifier={verifier}");
        let signer = Signer { token: Some(token.clone()), ..sandbox.two_legged() };
        let header = signer.header("POST", ACCESS_TOKEN, &[("oauth_verifier", &verifier)]);
        let answer = match place {
            "header" => exchange(&sandbox, &token, &verifier).await,
            "query" => {
                let ask = sandbox.ask("POST", &format!("{ACCESS_TOKEN}?{form}"));
                ask.header("authorization", &header).send().await
            }
            _ => sandbox.form(ACCESS_TOKEN, &form).header("authorization", &header).send().await,
        };
        assert_eq!(answer.status, 200, "{place}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_exchange_without_a_token_has_invalid_reverse_auth() {
    let sandbox = TestSandbox::start().await;
    let signer = signer_with(&sandbox, None, "oauth_verifier", "x");
    let answer = sandbox.ask("POST", ACCESS_TOKEN).signed(&signer).send().await;
    is_text(&answer, 401, "Reverse auth credentials are invalid");
}

#[tokio::test]
async fn an_unknown_request_token_is_missing() {
    let sandbox = TestSandbox::start().await;
    let alice = sandbox.signer("alice").token.unwrap();
    for token in [("nobody".to_owned(), "x".to_owned()), alice] {
        is_text(&exchange(&sandbox, &token, "x").await, 401, "Request token missing");
    }
}

#[tokio::test]
async fn another_apps_request_token_is_missing() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await;
    let verifier = allowed(&sandbox, &token.0, "alice").await;
    let other = sandbox.app("other");
    let consumer = (other.consumer_key.clone(), other.consumer_secret.clone());
    let own = signer_with(&sandbox, Some(token.clone()), "oauth_verifier", &verifier);
    let answer = sandbox.ask("POST", ACCESS_TOKEN).signed(&Signer { consumer, ..own }).send().await;
    is_text(&answer, 401, "Request token missing");
    assert_eq!(exchange(&sandbox, &token, &verifier).await.status, 200);
}

#[tokio::test]
async fn an_exchange_needs_the_request_tokens_secret() {
    let sandbox = TestSandbox::start().await;
    let (token, secret) = begun(&sandbox, CALLBACK).await;
    let verifier = allowed(&sandbox, &token, "alice").await;
    let forged = exchange(&sandbox, &(token.clone(), "guess".to_owned()), &verifier).await;
    forged.has_code(401, 32, NOT_AUTHENTICATED);
    assert_eq!(exchange(&sandbox, &(token, secret), &verifier).await.status, 200);
}

#[tokio::test]
async fn an_exchange_happens_once() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await;
    let verifier = allowed(&sandbox, &token.0, "alice").await;
    assert_eq!(exchange(&sandbox, &token, &verifier).await.status, 200);
    is_text(&exchange(&sandbox, &token, &verifier).await, 401, UNAVAILABLE);
}

#[tokio::test]
async fn an_exchange_needs_the_verifier_of_its_own_token() {
    let sandbox = TestSandbox::start().await;
    let (one, two) = (begun(&sandbox, CALLBACK).await, begun(&sandbox, CALLBACK).await);
    let first = allowed(&sandbox, &one.0, "alice").await;
    let second = allowed(&sandbox, &two.0, "bob").await;
    assert_ne!(first, second);
    for wrong in [&*second, "", "guess"] {
        is_text(&exchange(&sandbox, &one, wrong).await, 401, UNAVAILABLE);
    }
    let bare = Signer { token: Some(one.clone()), ..sandbox.two_legged() };
    let bare = sandbox.ask("POST", ACCESS_TOKEN).signed(&bare).send().await;
    is_text(&bare, 401, UNAVAILABLE);
    let answer = exchange(&sandbox, &one, &first).await;
    assert_eq!(fields(&answer.text())["screen_name"], "alice", "a wrong one uses nothing up");
}

#[tokio::test]
async fn nothing_is_exchanged_before_the_user_allows_it() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await;
    is_text(&exchange(&sandbox, &token, "x").await, 401, UNAVAILABLE);
    is_text(&exchange(&sandbox, &token, "").await, 401, UNAVAILABLE);
    decide(&sandbox, &token.0, "cancel", "").await;
    is_text(&exchange(&sandbox, &token, "x").await, 401, UNAVAILABLE);
}

#[tokio::test]
async fn a_request_token_lives_for_15_minutes() {
    let sandbox = TestSandbox::start().await;
    let (one, two) = (begun(&sandbox, CALLBACK).await, begun(&sandbox, CALLBACK).await);
    let first = allowed(&sandbox, &one.0, "alice").await;
    let second = allowed(&sandbox, &two.0, "alice").await;
    sandbox.clock.forward(Duration::minutes(15) - Duration::SECOND);
    assert_eq!(exchange(&sandbox, &one, &first).await.status, 200);
    sandbox.clock.forward(Duration::SECOND);
    let late = exchange(&sandbox, &two, &second).await;
    late.has_code(401, 89, "Invalid or expired token.");
}

#[tokio::test]
async fn handshakes_are_posted() {
    let sandbox = TestSandbox::start().await;
    for path in [REQUEST_TOKEN, ACCESS_TOKEN, "/oauth/elsewhere"] {
        let answer = sandbox.ask("GET", path).send().await;
        answer.has_code(404, 34, "Sorry, that page does not exist.");
    }
}

#[tokio::test]
async fn the_list_of_calls_tells_whose_token_signed() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await;
    let verifier = allowed(&sandbox, &token.0, "alice").await;
    exchange(&sandbox, &token, &verifier).await;
    let calls = sandbox.get("/sandbox/calls?path=/oauth/").await;
    let told: Vec<_> = calls
        .as_array()
        .unwrap()
        .iter()
        .map(|call| {
            (
                call["path"].clone(),
                call["auth_kind"].clone(),
                call["token"].clone(),
                call["status"].clone(),
            )
        })
        .collect();
    let none = json!(null);
    let expected = [
        (json!(REQUEST_TOKEN), json!("two_legged"), none.clone(), json!(200)),
        (json!("/oauth/authorize"), json!("none"), none, json!(302)),
        (json!(ACCESS_TOKEN), json!("user"), json!(token.0), json!(200)),
    ];
    assert_eq!(told, expected);
}
