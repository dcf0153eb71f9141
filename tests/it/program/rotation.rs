//! The vault's keys: made, brought in, rotated to and taken out, while keys and calls go on working.

use countersign::vault;
use rustix::process::Signal;
use serde_json::Value;

use crate::bench::{Ask, TOTALS, body};
use crate::connect::browser::Browser;
use crate::database::{Kind, fresh, on_both};
use crate::house::RING;
use crate::program::deployment::Deployment;

/// Where its pages are said to be.
const PUBLIC_URL: &str = "https://countersign.example.com";

/// One call as alice, which takes a key, a token and a row of each.
async fn call(it: &Deployment, key: &str) {
    let running = it.serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for metric in ["impressions", "favorites"] {
        let body = body(&it.bench.ids("alice", 1), &[metric], &["tweet.id"]);
        let call = Ask::new(&http, &running.url, "POST", TOTALS)
            .header("x-api-key", key)
            .header("countersign-account", "@alice");
        let auth = if metric == "favorites" { "app" } else { "user" };
        call.header("countersign-auth", auth).body(body.to_string()).send().await.is_relayed(200);
    }
    // So that nobody takes it for one that goes on with its ring.
    running.signal(Signal::TERM);
    running.end().await;
}

on_both! {
    async fn a_key_is_replaced_without_losing_anything(database: Database) {
        let mut it = Deployment::new(&database).await;
        it.set("SERVER__PUBLIC_URL", PUBLIC_URL);
        it.prepare().await;
        let key = it.key("reports", &[]).await;
        let link = it.must(&["account", "connect"]).await;
        it.must(&["webhook", "add", "https://hooks.example.com/"]).await;
        call(&it, &key).await;
        let new = it.must(&["vault", "generate-key"]).await;
        let (id, text) = new.trim_end().split_once('=').unwrap();
        assert!(id.len() == 8 && text.len() == 44 && new.lines().count() == 1, "{new}");
        let status = it.must(&["vault", "status"]).await;
        assert!(status.lines().any(|it| it.split_whitespace().collect::<Vec<_>>() == ["testkey1", "8", "active"]), "{status}");

        it.set("VAULT__KEYS", &format!("{RING},{}", new.trim_end()));
        it.set("VAULT__ACTIVE", id);
        call(&it, &key).await;
        let rotated: Value = serde_json::from_str(&it.must(&["vault", "rotate", "--json"]).await).unwrap();
        assert_eq!((&rotated["active"], &rotated["resealed"]), (&id.into(), &8.into()), "{rotated}");
        let again: Value = serde_json::from_str(&it.must(&["vault", "rotate", "--json"]).await).unwrap();
        assert_eq!(again["resealed"], 0);

        it.set("VAULT__KEYS", new.trim_end());
        it.set("VAULT__ACTIVE", "");
        let status: Value = serde_json::from_str(&it.must(&["vault", "status", "--json"]).await).unwrap();
        assert_eq!((&status["records"][id], status["unopened"].as_array().map(Vec::len)), (&8.into(), Some(0)), "{status}");
        call(&it, &key).await;
        let running = it.serve().await;
        let page = Browser::new().open(&link.trim().replace(PUBLIC_URL, &running.url)).await;
        assert_eq!(page.status, 200, "{}", page.text());
    }

    async fn an_altered_key_that_was_revoked_is_in_no_rotations_way(database: Database) {
        let mut it = Deployment::new(&database).await;
        it.must(&["migrate"]).await;
        let keys = [it.key("altered", &[]).await, it.key("unreadable", &[]).await];
        it.key("sound", &[]).await;
        database.run("update key set name = 'another' where name = 'altered'").await;
        database.run("update key set endpoints = 'everything' where name = 'unreadable'").await;
        let new = it.must(&["vault", "generate-key"]).await;
        let (id, _) = new.trim_end().split_once('=').unwrap();
        it.set("VAULT__KEYS", &format!("{RING},{}", new.trim_end()));
        it.set("VAULT__ACTIVE", id);
        let stuck = it.run(&["vault", "rotate"]).await;
        assert_eq!(stuck.code, 1, "{stuck:?}");
        assert!(stuck.err.contains("keys revoked") && !stuck.err.contains("can be removed from vault.keys"), "{stuck:?}");

        it.set("VAULT__KEYS", RING);
        it.set("VAULT__ACTIVE", "");
        for key in &keys {
            it.must(&["key", "revoke", &key[4..16]]).await;
        }
        it.set("VAULT__KEYS", &format!("{RING},{}", new.trim_end()));
        it.set("VAULT__ACTIVE", id);
        let done = it.run(&["vault", "rotate"]).await;
        assert_eq!((done.code, done.out.starts_with("resealed 0 records with ")), (0, true), "{done:?}");
        assert!(done.err.contains("the other keys can be removed"), "{done:?}");

        it.set("VAULT__KEYS", new.trim_end());
        it.set("VAULT__ACTIVE", "");
        it.must(&["vault", "status"]).await;
        it.serve().await;
    }

    async fn a_ring_that_cannot_open_the_database_does_not_serve(database: Database) {
        let mut it = Deployment::new(&database).await;
        it.prepare().await;
        it.set("VAULT__KEYS", vault::generate_key().expose());
        let done = it.run(&["serve"]).await;
        assert_eq!(done.code, 78, "{done:?}");
        assert!(done.err.contains("testkey1"), "{done:?}");
        let status = it.run(&["vault", "status"]).await;
        assert_eq!(status.code, 1, "{status:?}");
        // The same id with other bytes.
        let (_, other) = vault::generate_key().expose().split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        it.set("VAULT__KEYS", &format!("testkey1={other}"));
        let done = it.run(&["serve"]).await;
        assert_eq!(done.code, 78, "{done:?}");
    }
}

#[tokio::test]
async fn there_is_no_serving_without_a_ring() {
    let database = fresh(Kind::Sqlite).await;
    let mut it = Deployment::new(&database).await;
    it.set("VAULT__KEYS", "");
    let done = it.run(&["serve"]).await;
    assert_eq!(done.code, 78, "{done:?}");
    assert!(done.err.contains("vault.keys") && done.err.contains("generate-key"), "{done:?}");
}
