//! What operators learn of pages: from the log, the metrics, the audit log and the vault's status.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::gateway::ORIGIN;
use crate::http::Ask;
use crate::program::deployment::Deployment;

const FOREIGN: &str = "https://third.example.com";

async fn operators_learn_who_asked_and_which_origins_were_refused(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let key = deployment.key("charts", &["--browser", "--origins", ORIGIN]).await;
    let running = deployment.serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |path: &str, key: &str, id: &str, body: &Value| {
        Ask::new(&http, &running.url, "POST", path)
            .header("authorization", &format!("Bearer {key}"))
            .header("content-type", "application/json")
            .header("x-request-id", id)
            .body(body.to_string())
    };
    let posts = deployment.sandbox.ids("alice", 1);
    let question = json!({ "tweet_ids": posts, "engagement_types": ["favorites"] });
    let new = json!({ "subject": "viewer-42", "question": question });
    let made = ask("/v1/browser-tokens", &key, "made", &new).send().await.json();
    let token = made["token"].as_str().unwrap();
    let page = |id: &str, origin: &str, body: Value| {
        ask("/v1/engagement", token, id, &body).header("origin", origin)
    };
    assert_eq!(page("good", ORIGIN, json!({})).send().await.status, 200);
    page("wide", ORIGIN, json!({ "tweet_ids": ["20"] })).send().await.is_own(403, "not_allowed");
    page("other", FOREIGN, json!({})).send().await.is_own(403, "origin_not_allowed");
    page("type", ORIGIN, json!({}))
        .header("content-type", "text/plain")
        .send()
        .await
        .is_own(415, "not_json");
    // Strangers choose what they name.
    for number in 0..60 {
        let origin = format!("https://a{number}.example");
        page("many", &origin, json!({})).send().await.is_own(403, "origin_not_allowed");
    }
    let metrics = Ask::new(&http, &running.admin_url, "GET", "/metrics").send().await.text();
    let of = |origin: &str| {
        let line = format!("countersign_origins_refused_total{{origin=\"{origin}\"}} ");
        metrics.lines().find_map(|all| all.strip_prefix(&line)?.parse::<u32>().ok())
    };
    assert_eq!((of(FOREIGN), of("https://a0.example"), of("other")), (Some(1), Some(1), Some(11)));
    for line in [
        "countersign_browser_tokens_total 1",
        "countersign_refusals_total{code=\"origin_not_allowed\"} 61",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }

    let status = deployment.run(&["vault", "status", "--json"]).await;
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert!(status["tokens_until"]["testkey1"].is_string(), "{status}");

    running.signal(Signal::TERM);
    let done = running.end().await;
    let lines: Vec<Value> =
        done.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let logged = |id: &str| lines.iter().find(|line| line["request_id"] == id).unwrap();
    for id in ["good", "wide", "other", "type"] {
        let line = logged(id);
        assert_eq!(line["subject"], "viewer-42", "{line}");
        assert_eq!((&line["token"], &line["key_id"]), (&made["id"], &json!(&key[4..16])), "{line}");
    }
    assert_eq!(logged("made")["subject"], Value::Null);
    let refused = lines.iter().find(|line| line["origin"] == FOREIGN).unwrap();
    assert_eq!(
        (&refused["message"], &refused["action"]),
        (&json!("refused"), &json!("page.refused"))
    );
    let audit = deployment.must(&["audit", "--action", "page.refused", "--json"]).await;
    assert!(audit.lines().any(|line| line.contains(&format!(", from {FOREIGN}: once"))), "{audit}");
}

on_both!(operators_learn_who_asked_and_which_origins_were_refused);
