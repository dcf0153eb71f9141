//! How access ends and comes back: by the user, by the app, and by a new handshake.

use serde_json::{Value, json};

use crate::bench::{Answer, Bench, Signer, TOTALS, VERIFY, body};
use crate::sandbox::handshake::{CALLBACK, Token, allowed, begun, connect, exchange};

const CONNECTED_APPS: &str = "/settings/connected_apps";
const INVALIDATE: &str = "/1.1/oauth/invalidate_token";
const EXPIRED: &str = "Invalid or expired token.";

async fn revoke(bench: &Bench, name: &str, app: &str) -> Answer {
    bench.form(CONNECTED_APPS, &format!("screen_name={name}&app={app}")).send().await
}

fn signer(bench: &Bench, token: &Token) -> Signer {
    Signer { token: Some(token.clone()), ..bench.two_legged() }
}

async fn verified(bench: &Bench, token: &Token) -> Answer {
    bench.ask("GET", VERIFY).signed(&signer(bench, token)).send().await
}

fn token(bench: &Bench, name: &str) -> Token {
    bench.signer(name).token.unwrap()
}

async fn listed(bench: &Bench, name: &str) -> Value {
    let world = bench.get("/sandbox/world").await;
    let users = world["users"].as_array().unwrap();
    users.iter().find(|it| it["screen_name"] == name).unwrap().clone()
}

#[tokio::test]
async fn connecting_again_gives_the_same_token() {
    let bench = Bench::start().await;
    assert_eq!(connect(&bench, "alice").await, token(&bench, "alice"));
    assert_eq!(connect(&bench, "alice").await, token(&bench, "alice"));
}

#[tokio::test]
async fn a_user_revokes_an_app_and_no_other() {
    let bench = Bench::start().await;
    let answer = revoke(&bench, "alice", "demo").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, CONNECTED_APPS));
    verified(&bench, &token(&bench, "alice")).await.has_code(401, 89, EXPIRED);
    assert_eq!(verified(&bench, &token(&bench, "bob")).await.status, 200);

    let (other, alice) = (bench.app("other"), bench.user("alice"));
    let of_other = Signer {
        consumer: (other.consumer_key.clone(), other.consumer_secret.clone()),
        token: Some((alice.other_access_token.clone(), alice.other_access_token_secret.clone())),
        ..bench.two_legged()
    };
    assert_eq!(bench.ask("GET", VERIFY).signed(&of_other).send().await.status, 200);
    assert_eq!(listed(&bench, "alice").await["connected_apps"], json!(["other"]));
    assert_eq!(listed(&bench, "alice").await["state"], "active");
    revoke(&bench, "alice", "other").await;
    assert_eq!(listed(&bench, "alice").await["state"], "revoked");
}

#[tokio::test]
async fn the_settings_show_who_let_in_what() {
    let bench = Bench::start().await;
    let button = r#"<button class="danger" aria-label="Revoke demo for @alice">"#;
    let page = async || bench.ask("GET", CONNECTED_APPS).send().await.text();
    assert!(page().await.contains(button));
    assert_eq!(page().await.matches("not connected").count(), 0);
    revoke(&bench, "alice", "demo").await;
    assert!(!page().await.contains(button));
    assert_eq!(page().await.matches("not connected").count(), 1);
    let gone = format!("/sandbox/users/{}", bench.user("bob").user_id);
    bench.put(&gone, json!({ "state": "revoked" })).await;
    assert_eq!(page().await.matches("not connected").count(), 3, "the control's way is the same");
}

#[tokio::test]
async fn nobody_revokes_what_does_not_exist() {
    let bench = Bench::start().await;
    for (name, app) in [("nobody", "demo"), ("alice", "none"), ("", "")] {
        revoke(&bench, name, app).await.refuses(400, &["SIM: no such user or app"]);
    }
    let deleted = bench.ask("DELETE", CONNECTED_APPS).send().await;
    assert_eq!((deleted.status.as_u16(), &*deleted.text()), (404, ""));
}

#[tokio::test]
async fn connecting_after_a_revocation_gives_another_token() {
    let bench = Bench::start().await;
    let mut tokens = vec![token(&bench, "alice")];
    for _ in 0..3 {
        revoke(&bench, "alice", "demo").await;
        let next = connect(&bench, "alice").await;
        assert!(!tokens.contains(&next) && !tokens.iter().any(|it| it.1 == next.1));
        assert_eq!(next.0.split_once('-').unwrap().0, bench.user("alice").user_id);
        for old in &tokens {
            verified(&bench, old).await.has_code(401, 89, EXPIRED);
        }
        assert_eq!(verified(&bench, &next).await.json()["screen_name"], "alice");
        let world = listed(&bench, "alice").await;
        assert_eq!(
            (&world["access_token"], &world["access_token_secret"]),
            (&json!(next.0), &json!(next.1))
        );
        tokens.push(next);
    }
    let again = Bench::start().await;
    revoke(&again, "alice", "demo").await;
    assert_eq!(connect(&again, "alice").await, tokens[1], "tokens follow from the seed");
}

#[tokio::test]
async fn a_revocation_before_the_exchange_counts() {
    let bench = Bench::start().await;
    let handshake = begun(&bench, CALLBACK).await;
    let verifier = allowed(&bench, &handshake.0, "alice").await;
    revoke(&bench, "alice", "demo").await;
    let answer = exchange(&bench, &handshake, &verifier).await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.text()),
        (401, "This feature is temporarily unavailable")
    );
}

#[tokio::test]
async fn a_users_state_survives_revocation_and_a_new_handshake() {
    let bench = Bench::start().await;
    revoke(&bench, "suspended_sam", "demo").await;
    let old = token(&bench, "suspended_sam");
    verified(&bench, &old).await.has_code(401, 89, EXPIRED);
    let next = connect(&bench, "suspended_sam").await;
    assert_eq!(verified(&bench, &next).await.json()["errors"][0]["code"], 64);
    assert_eq!(listed(&bench, "suspended_sam").await["state"], "suspended");
}

#[tokio::test]
async fn the_control_gives_the_latest_token_back() {
    let bench = Bench::start().await;
    let path = format!("/sandbox/users/{}", bench.user("alice").user_id);
    revoke(&bench, "alice", "demo").await;
    let next = connect(&bench, "alice").await;
    bench.put(&path, json!({ "state": "revoked" })).await;
    verified(&bench, &next).await.has_code(401, 89, EXPIRED);
    bench.put(&path, json!({ "state": "active" })).await;
    assert_eq!(verified(&bench, &next).await.status, 200);
    verified(&bench, &token(&bench, "alice")).await.has_code(401, 89, EXPIRED);
}

#[tokio::test]
async fn an_app_gives_a_token_back() {
    for path in [INVALIDATE, "/1.1/oauth/invalidate_token.json"] {
        let bench = Bench::start().await;
        let alice = token(&bench, "alice");
        let invalidate =
            async || bench.ask("POST", path).signed(&signer(&bench, &alice)).send().await;
        let answer = invalidate().await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (200, json!({ "access_token": alice.0 }))
        );
        invalidate().await.has_code(401, 89, EXPIRED);
        verified(&bench, &alice).await.has_code(401, 89, EXPIRED);
        let body = body(&bench.ids("alice", 1), &["favorites"], &["tweet.id"]);
        assert_eq!(bench.own("alice", TOTALS, &body).await.status, 401);
        assert_eq!(verified(&bench, &token(&bench, "bob")).await.status, 200);
        assert_ne!(connect(&bench, "alice").await, alice);
    }
}

#[tokio::test]
async fn only_a_users_signature_gives_a_token_back() {
    let bench = Bench::start().await;
    let bare = bench.ask("POST", INVALIDATE).send().await;
    bare.has_code(400, 215, "Bad Authentication data.");
    let app_only = bench.ask("POST", INVALIDATE).signed(&bench.two_legged()).send().await;
    app_only.has_code(403, 220, "Your credentials do not allow access to this resource");
    let forged = (token(&bench, "alice").0, "guess".to_owned());
    let forged = bench.ask("POST", INVALIDATE).signed(&signer(&bench, &forged)).send().await;
    forged.has_code(401, 32, "Could not authenticate you.");
    assert_eq!(verified(&bench, &token(&bench, "alice")).await.status, 200);
}

#[tokio::test]
async fn a_reset_gives_the_first_tokens_back() {
    let bench = Bench::start().await;
    let handshake = begun(&bench, CALLBACK).await;
    revoke(&bench, "alice", "demo").await;
    connect(&bench, "alice").await;
    bench.ask("POST", "/sandbox/reset").send().await;
    assert_eq!(verified(&bench, &token(&bench, "alice")).await.status, 200);
    let answer = exchange(&bench, &handshake, "x").await;
    assert_eq!(answer.text(), "Request token missing");
    assert_eq!(begun(&bench, CALLBACK).await, handshake, "and begins to count anew");
}
