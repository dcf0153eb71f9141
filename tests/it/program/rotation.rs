//! The vault's keys: generated, added, made active and removed, while API keys and calls go on working.

use countersign::vault;
use rustix::process::Signal;
use serde_json::Value;

use crate::connect::browser::Browser;
use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::RING;
use crate::http::Ask;
use crate::program::deployment::Deployment;
use crate::upstream::{TOTALS, body};

/// Where its pages are said to be.
const PUBLIC_URL: &str = "https://countersign.example.com";

/// A call as alice, for which the rows of a key and a token must be opened.
async fn call(deployment: &Deployment, key: &str) {
    let running = deployment.serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for metric in ["impressions", "favorites"] {
        let body = body(&deployment.sandbox.ids("alice", 1), &[metric], &["tweet.id"]);
        let call = Ask::new(&http, &running.url, "POST", TOTALS)
            .header("x-api-key", key)
            .header("countersign-account", "@alice");
        let auth = if metric == "favorites" { "app" } else { "user" };
        call.header("countersign-auth", auth).body(body.to_string()).send().await.is_relayed(200);
    }
    // Otherwise it would be taken for a replica that goes on with its ring.
    running.signal(Signal::TERM);
    running.end().await;
}

async fn a_key_is_replaced_without_losing_anything(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.set("SERVER__PUBLIC_URL", PUBLIC_URL);
    deployment.prepare().await;
    let key = deployment.key("reports", &[]).await;
    let link = deployment.must(&["account", "connect"]).await;
    deployment.must(&["webhook", "add", "https://hooks.example.com/"]).await;
    call(&deployment, &key).await;
    let new = deployment.must(&["vault", "generate-key"]).await;
    let (id, text) = new.trim_end().split_once('=').unwrap();
    assert!(id.len() == 8 && text.len() == 44 && new.lines().count() == 1, "{new}");
    let status = deployment.must(&["vault", "status"]).await;
    assert!(
        status
            .lines()
            .any(|line| line.split_whitespace().collect::<Vec<_>>() == ["testkey1", "8", "active"]),
        "{status}"
    );

    deployment.set("VAULT__KEYS", &format!("{RING},{}", new.trim_end()));
    deployment.set("VAULT__ACTIVE", id);
    call(&deployment, &key).await;
    let rotated: Value =
        serde_json::from_str(&deployment.must(&["vault", "rotate", "--json"]).await).unwrap();
    assert_eq!((&rotated["active"], &rotated["resealed"]), (&id.into(), &8.into()), "{rotated}");
    let again: Value =
        serde_json::from_str(&deployment.must(&["vault", "rotate", "--json"]).await).unwrap();
    assert_eq!(again["resealed"], 0);

    deployment.set("VAULT__KEYS", new.trim_end());
    deployment.set("VAULT__ACTIVE", "");
    let status: Value =
        serde_json::from_str(&deployment.must(&["vault", "status", "--json"]).await).unwrap();
    assert_eq!(
        (&status["records"][id], status["unopened"].as_array().map(Vec::len)),
        (&8.into(), Some(0)),
        "{status}"
    );
    call(&deployment, &key).await;
    let running = deployment.serve().await;
    let page = Browser::new().open(&link.trim().replace(PUBLIC_URL, &running.url)).await;
    assert_eq!(page.status, 200, "{}", page.text());
}

async fn an_altered_key_that_was_revoked_is_in_no_rotations_way(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.must(&["migrate"]).await;
    let keys = [deployment.key("altered", &[]).await, deployment.key("unreadable", &[]).await];
    deployment.key("sound", &[]).await;
    database.run("update key set name = 'another' where name = 'altered'").await;
    database.run("update key set endpoints = 'everything' where name = 'unreadable'").await;
    let new = deployment.must(&["vault", "generate-key"]).await;
    let (id, _) = new.trim_end().split_once('=').unwrap();
    deployment.set("VAULT__KEYS", &format!("{RING},{}", new.trim_end()));
    deployment.set("VAULT__ACTIVE", id);
    let stuck = deployment.run(&["vault", "rotate"]).await;
    assert_eq!(stuck.code, 1, "{stuck:?}");
    assert!(
        stuck.err.contains("keys revoked") && !stuck.err.contains("can be removed from vault.keys"),
        "{stuck:?}"
    );

    deployment.set("VAULT__KEYS", RING);
    deployment.set("VAULT__ACTIVE", "");
    for key in &keys {
        deployment.must(&["key", "revoke", &key[4..16]]).await;
    }
    deployment.set("VAULT__KEYS", &format!("{RING},{}", new.trim_end()));
    deployment.set("VAULT__ACTIVE", id);
    let done = deployment.run(&["vault", "rotate"]).await;
    assert_eq!(
        (done.code, done.out.starts_with("resealed 0 records with ")),
        (0, true),
        "{done:?}"
    );
    assert!(done.err.contains("the other keys can be removed"), "{done:?}");

    deployment.set("VAULT__KEYS", new.trim_end());
    deployment.set("VAULT__ACTIVE", "");
    deployment.must(&["vault", "status"]).await;
    deployment.serve().await;
}

async fn a_ring_that_cannot_open_the_database_does_not_serve(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    deployment.set("VAULT__KEYS", vault::generate_key().expose());
    let done = deployment.run(&["serve"]).await;
    assert_eq!(done.code, 78, "{done:?}");
    assert!(done.err.contains("testkey1"), "{done:?}");
    let status = deployment.run(&["vault", "status"]).await;
    assert_eq!(status.code, 1, "{status:?}");
    // The same id with another key.
    let (_, other) = vault::generate_key()
        .expose()
        .split_once('=')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    deployment.set("VAULT__KEYS", &format!("testkey1={other}"));
    let done = deployment.run(&["serve"]).await;
    assert_eq!(done.code, 78, "{done:?}");
}

on_both!(
    a_key_is_replaced_without_losing_anything,
    an_altered_key_that_was_revoked_is_in_no_rotations_way,
    a_ring_that_cannot_open_the_database_does_not_serve
);

#[tokio::test]
async fn there_is_no_serving_without_a_ring() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.set("VAULT__KEYS", "");
    let done = deployment.run(&["serve"]).await;
    assert_eq!(done.code, 78, "{done:?}");
    assert!(done.err.contains("vault.keys") && done.err.contains("generate-key"), "{done:?}");
}
