//! Bearer tokens come and go.

use serde_json::json;

use crate::bench::{Answer, Bench, Signer, TOTALS, basic, body, small};

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

async fn mint(bench: &Bench) -> String {
    let answer = bench.form(MINT, GRANT).header("authorization", &bench.basic()).send().await;
    assert_eq!((answer.status.as_u16(), &answer.json()["token_type"]), (200, &json!("bearer")));
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

async fn status_with(bench: &Bench, token: &str) -> u16 {
    let body = body(&bench.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let ask = bench.post(TOTALS, &body).header("authorization", &format!("Bearer {token}"));
    ask.send().await.status.as_u16()
}

#[tokio::test]
async fn minting_gives_the_same_token_again() {
    let bench = Bench::start().await;
    let token = mint(&bench).await;
    assert_eq!(token, bench.app("demo").bearer_token);
    assert_eq!(token, mint(&bench).await);
    assert_eq!(status_with(&bench, &token).await, 200);
    assert_eq!(bench.get("/sandbox/counts").await[MINT], 2);
}

#[tokio::test]
async fn minting_checks_credentials_and_the_grant() {
    let bench = Bench::start().await;
    let wrong = basic(&bench.app("demo").consumer_key, "wrong");
    for header in ["", &*wrong, &basic("x", "y"), "Basic ?", &bench.bearer()] {
        is_99(&bench.form(MINT, GRANT).header("authorization", header).send().await);
    }
    let other = bench.form(MINT, "grant_type=password").header("authorization", &bench.basic());
    is_99(&other.send().await);
    let none = bench.form(MINT, "").header("authorization", &bench.basic()).send().await;
    none.has_code(403, 170, "Missing required parameter: grant_type");
    assert_eq!(bench.ask("GET", MINT).send().await.json()["errors"][0]["code"], 34);
}

#[tokio::test]
async fn minting_too_often_is_refused() {
    let mut settings = small();
    settings.switches.mints_per_minute = 2;
    let bench = Bench::start_with(settings).await;
    mint(&bench).await;
    mint(&bench).await;
    is_99(&bench.form(MINT, GRANT).header("authorization", &bench.basic()).send().await);
    bench.clock.forward(time::Duration::MINUTE);
    mint(&bench).await;
}

#[tokio::test]
async fn an_invalidated_token_is_followed_by_another() {
    let bench = Bench::start().await;
    let first = mint(&bench).await;
    // Form-encoded properly, its own escapes are escaped again.
    let encoded = format!("access_token={}", first.replace('%', "%25"));
    let ask = || bench.form(INVALIDATE, &encoded).header("authorization", &bench.basic());
    let answer = ask().send().await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "access_token": first })));
    is_99(&ask().send().await);
    assert_eq!(status_with(&bench, &first).await, 401);

    let second = mint(&bench).await;
    assert_ne!(first, second);
    assert_eq!(status_with(&bench, &second).await, 200);
    let verbatim = format!("access_token={second}");
    let ask = bench.form(INVALIDATE, &verbatim).header("authorization", &bench.basic());
    assert_eq!(ask.send().await.status, 200, "some clients escape nothing");
}

#[tokio::test]
async fn a_signature_of_the_apps_owner_invalidates_too() {
    let bench = Bench::start().await;
    let token = mint(&bench).await;
    let path = format!("{INVALIDATE}?access_token={}", token.replace('%', "%25"));
    let query = [("access_token", &*token)];
    let header = bench.signer("alice").header("POST", INVALIDATE, &query);
    let answer = bench.ask("POST", &path).header("authorization", &header).send().await;
    assert_eq!(answer.json(), json!({ "access_token": token }));

    let wrong = Signer { consumer: ("x".into(), "y".into()), ..bench.signer("alice") };
    let header = wrong.header("POST", INVALIDATE, &query);
    let answer = bench.ask("POST", &path).header("authorization", &header).send().await;
    answer.has_code(401, 32, "Could not authenticate you.");
}

#[tokio::test]
async fn a_rotated_token_is_void_until_the_next_mint() {
    let bench = Bench::start().await;
    let first = mint(&bench).await;
    let answer = bench.ask("POST", "/sandbox/apps/demo/rotate_bearer").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(status_with(&bench, &first).await, 401);
    let second = mint(&bench).await;
    assert_eq!(status_with(&bench, &second).await, 200);
    assert_eq!(bench.sandbox.world().apps[0].bearer_token, second);
    let nobody = bench.ask("POST", "/sandbox/apps/nobody/rotate_bearer").send().await;
    assert_eq!(nobody.status, 404);
}
