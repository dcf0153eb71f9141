//! Keys that make tokens: their origins, and withdrawing what they have made by the operators' API and the command line.

use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::gateway::ORIGIN;
use crate::pages::{Pages, places};
use crate::program::deployment::Deployment;

const KEYS: &str = "/admin/v1/keys";

async fn origins_are_told_and_checked(database: Database) {
    let pages = Pages::start(&database).await;
    let admin = pages.gateway.new_admin_key().await;
    let create = async |new: Value| {
        let ask = pages.gateway.admin(&admin, "POST", KEYS);
        ask.header("content-type", "application/json").body(new.to_string()).send().await
    };
    let many: Vec<String> = (0..21).map(|number| format!("https://a{number}.example")).collect();
    let pages_of = |origins: Value| json!({ "name": "x", "browser": true, "origins": origins });
    for (new, at) in [
        (pages_of(json!([ORIGIN, "http://app.example.com"])), "/origins/1"),
        (pages_of(json!(["*"])), "/origins/0"),
        (pages_of(json!([])), "/origins"),
        (pages_of(json!(null)), "/origins"),
        (pages_of(json!(many)), "/origins"),
        (json!({ "name": "x", "origins": [ORIGIN] }), "/origins"),
        (json!({ "name": "x", "role": "owner", "browser": true, "origins": [ORIGIN] }), ""),
    ] {
        let refused = create(new.clone()).await;
        refused.is_own(400, "invalid_request");
        assert_eq!(places(&refused), [at], "{new}: {}", refused.text());
    }
    let made = create(pages_of(json!(["https://b.example", ORIGIN, "https://b.example"]))).await;
    let made = made.json();
    assert_eq!(made["origins"], json!([ORIGIN, "https://b.example"]), "each once, in order");
    assert_eq!((&made["browser"], &made["in_browsers"]), (&json!(true), &json!(false)));
}

async fn tokens_are_withdrawn_by_the_operators_api(database: Database) {
    let pages = Pages::start(&database).await;
    let (admin, auditor) = (pages.gateway.new_admin_key().await, pages.gateway.auditor_key().await);
    let token = pages.token(&json!({ "question": pages.question(), "subject": "ann" })).await;
    let path = |key: &str| format!("{KEYS}/{key}/withdraw-tokens");
    let id = pages.key[4..16].to_owned();
    let withdraw = |key: &str, body: &str| {
        let ask = pages.gateway.admin(key, "POST", &path(&id));
        ask.header("content-type", "application/json").body(body)
    };
    withdraw(&auditor, "").send().await.is_own(403, "not_allowed");
    withdraw(&admin, r#"{"subjects": "ann"}"#).send().await.is_own(400, "invalid_request");
    let others = withdraw(&admin, r#"{"subject": "ben"}"#).send().await;
    assert_eq!(others.json()["subject"], "ben");
    assert_eq!(pages.ask(&token, &json!({})).send().await.status, 200);
    let all = withdraw(&admin, "").send().await.json();
    let told = (&all["key"], &all["subject"], &all["tokens_after"]);
    assert_eq!(told, (&json!(id), &Value::Null, &json!("2026-03-10T21:15:30Z")));
    pages.ask(&token, &json!({})).send().await.is_own(401, "token_withdrawn");
    let nobody = pages.gateway.admin(&admin, "POST", &path("nobody")).send().await;
    nobody.is_own(404, "not_found");
}

async fn tokens_are_withdrawn_by_the_command_line(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    deployment.key("charts", &["--browser", "--origins", ORIGIN]).await;
    let of_ann = ["key", "tokens", "charts", "--withdraw", "--subject", "ann", "--json"];
    let done = deployment.run(&of_ann).await;
    assert!(done.err.contains("no question of ann is on record"), "{}", done.err);
    let withdrawn = serde_json::from_str::<Value>(&done.out).unwrap();
    assert_eq!((&withdrawn["name"], &withdrawn["subject"]), (&json!("charts"), &json!("ann")));
    let all = deployment.run(&["key", "tokens", "charts", "--withdraw"]).await;
    assert!(all.code == 0 && all.err.contains("withdrew the tokens that "), "{}", all.err);
    deployment.key("plain", &[]).await;
    for (command, said) in [
        (&["key", "tokens", "charts"][..], "--withdraw"),
        (&["key", "tokens", "plain", "--withdraw"], "the key makes no tokens"),
        (&["key", "tokens", "nobody", "--withdraw"], "there is no such key"),
        (&["key", "create", "a", "--browser"], "name the origins"),
        (&["key", "create", "a", "--browser", "--origins", "null"], "wildcards and null"),
        (&["key", "create", "a", "--origins", ORIGIN], "add that right"),
    ] {
        let failed = deployment.run(command).await;
        assert!(failed.code != 0 && failed.err.contains(said), "{command:?}: {}", failed.err);
    }
}

on_both!(
    origins_are_told_and_checked,
    tokens_are_withdrawn_by_the_operators_api,
    tokens_are_withdrawn_by_the_command_line,
);
