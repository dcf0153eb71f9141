//! How access ends and returns: by the user, by the app, and by a new handshake.

use serde_json::{Value, json};

use crate::http::Answer;
use crate::sandbox::handshake::{CALLBACK, Token, allowed, begun, connect, exchange};
use crate::upstream::{Signer, TOTALS, TestSandbox, VERIFY, body};

const CONNECTED_APPS: &str = "/settings/connected_apps";
const INVALIDATE: &str = "/1.1/oauth/invalidate_token";
const EXPIRED: &str = "Invalid or expired token.";

async fn revoke(sandbox: &TestSandbox, name: &str, app: &str) -> Answer {
    sandbox.form(CONNECTED_APPS, &format!("screen_name={name}&app={app}")).send().await
}

fn signer(sandbox: &TestSandbox, token: &Token) -> Signer {
    Signer { token: Some(token.clone()), ..sandbox.two_legged() }
}

async fn verified(sandbox: &TestSandbox, token: &Token) -> Answer {
    sandbox.ask("GET", VERIFY).signed(&signer(sandbox, token)).send().await
}

fn token(sandbox: &TestSandbox, name: &str) -> Token {
    sandbox.signer(name).token.unwrap()
}

async fn listed(sandbox: &TestSandbox, name: &str) -> Value {
    let world = sandbox.get("/sandbox/world").await;
    let users = world["users"].as_array().unwrap();
    users.iter().find(|user| user["screen_name"] == name).unwrap().clone()
}

#[tokio::test]
async fn connecting_again_gives_the_same_token() {
    let sandbox = TestSandbox::start().await;
    assert_eq!(connect(&sandbox, "alice").await, token(&sandbox, "alice"));
    assert_eq!(connect(&sandbox, "alice").await, token(&sandbox, "alice"));
}

#[tokio::test]
async fn a_user_revokes_an_app_and_no_other() {
    let sandbox = TestSandbox::start().await;
    let answer = revoke(&sandbox, "alice", "demo").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, CONNECTED_APPS));
    verified(&sandbox, &token(&sandbox, "alice")).await.has_code(401, 89, EXPIRED);
    assert_eq!(verified(&sandbox, &token(&sandbox, "bob")).await.status, 200);

    let (other, alice) = (sandbox.app("other"), sandbox.user("alice"));
    let of_other = Signer {
        consumer: (other.consumer_key.clone(), other.consumer_secret.clone()),
        token: Some((alice.other_access_token.clone(), alice.other_access_token_secret.clone())),
        ..sandbox.two_legged()
    };
    assert_eq!(sandbox.ask("GET", VERIFY).signed(&of_other).send().await.status, 200);
    assert_eq!(listed(&sandbox, "alice").await["connected_apps"], json!(["other"]));
    assert_eq!(listed(&sandbox, "alice").await["state"], "active");
    revoke(&sandbox, "alice", "other").await;
    assert_eq!(listed(&sandbox, "alice").await["state"], "revoked");
}

#[tokio::test]
async fn the_settings_show_who_let_in_what() {
    let sandbox = TestSandbox::start().await;
    let button = r#"<button class="danger" aria-label="Revoke demo for @alice">"#;
    let page = async || sandbox.ask("GET", CONNECTED_APPS).send().await.text();
    assert!(page().await.contains(button));
    assert_eq!(page().await.matches("not connected").count(), 0);
    revoke(&sandbox, "alice", "demo").await;
    assert!(!page().await.contains(button));
    assert_eq!(page().await.matches("not connected").count(), 1);
    let gone = format!("/sandbox/users/{}", sandbox.user("bob").user_id);
    sandbox.put(&gone, json!({ "state": "revoked" })).await;
    assert_eq!(page().await.matches("not connected").count(), 3, "the control's way is the same");
}

#[tokio::test]
async fn nobody_revokes_what_does_not_exist() {
    let sandbox = TestSandbox::start().await;
    for (name, app) in [("nobody", "demo"), ("alice", "none"), ("", "")] {
        revoke(&sandbox, name, app).await.refuses(400, &["SIM: no such user or app"]);
    }
    let deleted = sandbox.ask("DELETE", CONNECTED_APPS).send().await;
    assert_eq!((deleted.status.as_u16(), &*deleted.text()), (404, ""));
}

#[tokio::test]
async fn connecting_after_a_revocation_gives_another_token() {
    let sandbox = TestSandbox::start().await;
    let mut tokens = vec![token(&sandbox, "alice")];
    for _ in 0..3 {
        revoke(&sandbox, "alice", "demo").await;
        let next = connect(&sandbox, "alice").await;
        assert!(!tokens.contains(&next) && !tokens.iter().any(|token| token.1 == next.1));
        assert_eq!(next.0.split_once('-').unwrap().0, sandbox.user("alice").user_id);
        for old in &tokens {
            verified(&sandbox, old).await.has_code(401, 89, EXPIRED);
        }
        assert_eq!(verified(&sandbox, &next).await.json()["screen_name"], "alice");
        let world = listed(&sandbox, "alice").await;
        assert_eq!(
            (&world["access_token"], &world["access_token_secret"]),
            (&json!(next.0), &json!(next.1))
        );
        tokens.push(next);
    }
    let again = TestSandbox::start().await;
    revoke(&again, "alice", "demo").await;
    assert_eq!(connect(&again, "alice").await, tokens[1], "tokens follow from the seed");
}

#[tokio::test]
async fn a_revocation_before_the_exchange_counts() {
    let sandbox = TestSandbox::start().await;
    let handshake = begun(&sandbox, CALLBACK).await;
    let verifier = allowed(&sandbox, &handshake.0, "alice").await;
    revoke(&sandbox, "alice", "demo").await;
    let answer = exchange(&sandbox, &handshake, &verifier).await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.text()),
        (401, "This feature is temporarily unavailable")
    );
}

#[tokio::test]
async fn a_users_state_survives_revocation_and_a_new_handshake() {
    let sandbox = TestSandbox::start().await;
    revoke(&sandbox, "suspended_sam", "demo").await;
    let old = token(&sandbox, "suspended_sam");
    verified(&sandbox, &old).await.has_code(401, 89, EXPIRED);
    let next = connect(&sandbox, "suspended_sam").await;
    assert_eq!(verified(&sandbox, &next).await.json()["errors"][0]["code"], 64);
    assert_eq!(listed(&sandbox, "suspended_sam").await["state"], "suspended");
}

#[tokio::test]
async fn the_control_gives_the_latest_token_back() {
    let sandbox = TestSandbox::start().await;
    let path = format!("/sandbox/users/{}", sandbox.user("alice").user_id);
    revoke(&sandbox, "alice", "demo").await;
    let next = connect(&sandbox, "alice").await;
    sandbox.put(&path, json!({ "state": "revoked" })).await;
    verified(&sandbox, &next).await.has_code(401, 89, EXPIRED);
    sandbox.put(&path, json!({ "state": "active" })).await;
    assert_eq!(verified(&sandbox, &next).await.status, 200);
    verified(&sandbox, &token(&sandbox, "alice")).await.has_code(401, 89, EXPIRED);
}

#[tokio::test]
async fn an_app_gives_a_token_back() {
    for path in [INVALIDATE, "/1.1/oauth/invalidate_token.json"] {
        let sandbox = TestSandbox::start().await;
        let alice = token(&sandbox, "alice");
        let invalidate =
            async || sandbox.ask("POST", path).signed(&signer(&sandbox, &alice)).send().await;
        let answer = invalidate().await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (200, json!({ "access_token": alice.0 }))
        );
        invalidate().await.has_code(401, 89, EXPIRED);
        verified(&sandbox, &alice).await.has_code(401, 89, EXPIRED);
        let body = body(&sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
        assert_eq!(sandbox.own("alice", TOTALS, &body).await.status, 401);
        assert_eq!(verified(&sandbox, &token(&sandbox, "bob")).await.status, 200);
        assert_ne!(connect(&sandbox, "alice").await, alice);
    }
}

#[tokio::test]
async fn only_a_users_signature_gives_a_token_back() {
    let sandbox = TestSandbox::start().await;
    let bare = sandbox.ask("POST", INVALIDATE).send().await;
    bare.has_code(400, 215, "Bad Authentication data.");
    let app_only = sandbox.ask("POST", INVALIDATE).signed(&sandbox.two_legged()).send().await;
    app_only.has_code(403, 220, "Your credentials do not allow access to this resource");
    let forged = (token(&sandbox, "alice").0, "guess".to_owned());
    let forged = sandbox.ask("POST", INVALIDATE).signed(&signer(&sandbox, &forged)).send().await;
    forged.has_code(401, 32, "Could not authenticate you.");
    assert_eq!(verified(&sandbox, &token(&sandbox, "alice")).await.status, 200);
}

#[tokio::test]
async fn a_reset_gives_the_first_tokens_back() {
    let sandbox = TestSandbox::start().await;
    let handshake = begun(&sandbox, CALLBACK).await;
    revoke(&sandbox, "alice", "demo").await;
    connect(&sandbox, "alice").await;
    sandbox.ask("POST", "/sandbox/reset").send().await;
    assert_eq!(verified(&sandbox, &token(&sandbox, "alice")).await.status, 200);
    let answer = exchange(&sandbox, &handshake, "x").await;
    assert_eq!(answer.text(), "Request token missing");
    assert_eq!(begun(&sandbox, CALLBACK).await, handshake, "and begins to count anew");
}
