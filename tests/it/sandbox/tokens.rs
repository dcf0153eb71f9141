//! Bearer tokens are minted and invalidated.

use serde_json::json;

use crate::http::Answer;
use crate::upstream::{Signer, TOTALS, TestSandbox, basic, body, small};

const MINT: &str = "/oauth2/token";
const INVALIDATE: &str = "/oauth2/invalidate_token";
const GRANT: &str = "grant_type=client_credentials";

#[track_caller]
fn is_99(answer: &Answer) {
    let error = json!({
        "code": 99, "label": "authenticity_token_error", "message": "Unable to verify your credentials",
    });
    assert_eq!((answer.status.as_u16(), answer.json()), (403, json!({ "errors": [error] })));
}

async fn mint(sandbox: &TestSandbox) -> String {
    let answer = sandbox.form(MINT, GRANT).header("authorization", &sandbox.basic()).send().await;
    assert_eq!((answer.status.as_u16(), &answer.json()["token_type"]), (200, &json!("bearer")));
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

async fn status_with(sandbox: &TestSandbox, token: &str) -> u16 {
    let body = body(&sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let ask = sandbox.post(TOTALS, &body).header("authorization", &format!("Bearer {token}"));
    ask.send().await.status.as_u16()
}

#[tokio::test]
async fn minting_gives_the_same_token_again() {
    let sandbox = TestSandbox::start().await;
    let token = mint(&sandbox).await;
    assert_eq!(token, sandbox.app("demo").bearer_token);
    assert_eq!(token, mint(&sandbox).await);
    assert_eq!(status_with(&sandbox, &token).await, 200);
    assert_eq!(sandbox.get("/sandbox/counts").await[MINT], 2);
}

#[tokio::test]
async fn the_token_endpoints_declare_json_with_a_space() {
    let sandbox = TestSandbox::start().await;
    let token = mint(&sandbox).await;
    let named = format!("access_token={token}");
    for (path, form, header, status) in [
        (MINT, GRANT, sandbox.basic(), 200),
        (MINT, "", sandbox.basic(), 403),
        (MINT, GRANT, basic("x", "y"), 403),
        (INVALIDATE, &*named, basic("x", "y"), 403),
        (INVALIDATE, &*named, sandbox.basic(), 200),
    ] {
        let answer = sandbox.form(path, form).header("authorization", &header).send().await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (status, "application/json; charset=utf-8"),
            "{path} {form}"
        );
    }
}

#[tokio::test]
async fn minting_checks_credentials_and_the_grant() {
    let sandbox = TestSandbox::start().await;
    let wrong = basic(&sandbox.app("demo").consumer_key, "wrong");
    for header in ["", &*wrong, &basic("x", "y"), "Basic ?", &sandbox.bearer()] {
        is_99(&sandbox.form(MINT, GRANT).header("authorization", header).send().await);
    }
    let other = sandbox.form(MINT, "grant_type=password").header("authorization", &sandbox.basic());
    is_99(&other.send().await);
    let none = sandbox.form(MINT, "").header("authorization", &sandbox.basic()).send().await;
    none.has_code(403, 170, "Missing required parameter: grant_type");
    assert_eq!(sandbox.ask("GET", MINT).send().await.json()["errors"][0]["code"], 34);
}

#[tokio::test]
async fn minting_too_often_is_refused() {
    let mut settings = small();
    settings.switches.mints_per_minute = 2;
    let sandbox = TestSandbox::start_with(settings).await;
    mint(&sandbox).await;
    mint(&sandbox).await;
    is_99(&sandbox.form(MINT, GRANT).header("authorization", &sandbox.basic()).send().await);
    sandbox.clock.forward(time::Duration::MINUTE);
    mint(&sandbox).await;
}

#[tokio::test]
async fn an_invalidated_token_is_followed_by_another() {
    let sandbox = TestSandbox::start().await;
    let first = mint(&sandbox).await;
    // Proper form encoding escapes the token's own escapes again.
    let encoded = format!("access_token={}", first.replace('%', "%25"));
    let ask = || sandbox.form(INVALIDATE, &encoded).header("authorization", &sandbox.basic());
    let answer = ask().send().await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "access_token": first })));
    is_99(&ask().send().await);
    assert_eq!(status_with(&sandbox, &first).await, 401);

    let second = mint(&sandbox).await;
    assert_ne!(first, second);
    assert_eq!(status_with(&sandbox, &second).await, 200);
    let verbatim = format!("access_token={second}");
    let ask = sandbox.form(INVALIDATE, &verbatim).header("authorization", &sandbox.basic());
    assert_eq!(ask.send().await.status, 200, "some clients escape nothing");
}

#[tokio::test]
async fn a_signature_of_the_apps_owner_invalidates_too() {
    let sandbox = TestSandbox::start().await;
    let token = mint(&sandbox).await;
    let path = format!("{INVALIDATE}?access_token={}", token.replace('%', "%25"));
    let query = [("access_token", &*token)];
    let header = sandbox.signer("alice").header("POST", INVALIDATE, &query);
    let answer = sandbox.ask("POST", &path).header("authorization", &header).send().await;
    assert_eq!(answer.json(), json!({ "access_token": token }));

    let wrong = Signer { consumer: ("x".into(), "y".into()), ..sandbox.signer("alice") };
    let header = wrong.header("POST", INVALIDATE, &query);
    let answer = sandbox.ask("POST", &path).header("authorization", &header).send().await;
    answer.has_code(401, 32, "Could not authenticate you.");
}

#[tokio::test]
async fn a_rotated_token_is_void_until_the_next_mint() {
    let sandbox = TestSandbox::start().await;
    let first = mint(&sandbox).await;
    let answer = sandbox.ask("POST", "/sandbox/apps/demo/rotate_bearer").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(status_with(&sandbox, &first).await, 401);
    let second = mint(&sandbox).await;
    assert_eq!(status_with(&sandbox, &second).await, 200);
    assert_eq!(sandbox.inner.world().apps[0].bearer_token, second);
    let nobody = sandbox.ask("POST", "/sandbox/apps/nobody/rotate_bearer").send().await;
    assert_eq!(nobody.status, 404);
}
