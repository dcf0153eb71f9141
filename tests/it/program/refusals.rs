//! Refused requests in the log, and in the audit log as operators read it from the command line.

use rustix::process::{Signal, getuid};
use rustix::system::uname;
use serde_json::Value;

use crate::database::{Database, Kind, fresh, on_both};
use crate::http::Ask;
use crate::program::deployment::Deployment;
use crate::upstream::TOTALS;

fn lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn a_refused_key_is_logged_by_its_id_and_address_and_many_are_summed() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let (good, revoked) = (deployment.key("good", &[]).await, deployment.key("revoked", &[]).await);
    let admin = deployment.key("admin", &["--admin"]).await;
    deployment.must(&["key", "revoke", &revoked]).await;
    let running = deployment.serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |url: &str, path: &str, key: &str| {
        Ask::new(&http, url, "POST", path).header("x-api-key", key).body("{}")
    };
    for _ in 0..300 {
        assert_eq!(ask(&running.url, TOTALS, &revoked).send().await.status, 401);
    }
    for (url, path) in [(&running.url, "/v1/engagement"), (&running.admin_url, "/admin/v1/keys")] {
        let key = if path.starts_with("/admin") { &admin[..65] } else { &*revoked };
        assert_eq!(ask(url, path, key).send().await.status, 401);
    }
    assert_eq!(ask(&running.url, TOTALS, &good).send().await.status, 400);
    running.signal(Signal::TERM);
    let done = running.end().await;
    let lines = lines(&done.err);
    let of =
        |message: &str| lines.iter().filter(|line| line["message"] == message).collect::<Vec<_>>();
    let (id, calls) = (&revoked[4..16], of("call"));
    assert_eq!(calls.len(), 301);
    assert!(
        calls[..300].iter().all(|call| call["key_id"] == id && call["peer"] == "127.0.0.1"),
        "{}",
        calls[0]
    );
    assert!(
        calls[300]["peer"].is_null()
            && calls[300]["key_id"].is_null()
            && calls[300]["key"] == "good",
        "{}",
        calls[300]
    );
    let requests = of("request");
    assert_eq!(
        (&requests[0]["key_id"], &requests[0]["peer"]),
        (&Value::from(id), &Value::from("127.0.0.1"))
    );
    assert!(requests[1]["key_id"].is_null(), "no id without its checksum: {}", requests[1]);
    let told: Vec<_> = of("refused").into_iter().filter(|call| call["key_id"] == id).collect();
    assert!((1..=3).contains(&told.len()), "{told:?}");
    assert_eq!(
        (&told[0]["why"], &told[0]["peer"]),
        (&Value::from("the key has been revoked"), &Value::from("127.0.0.1"))
    );
    for secret in [&good, &revoked, &admin] {
        assert!(!done.err.contains(&secret[17..50]));
    }
    // None of it is lost at shutdown.
    let audit = deployment.must(&["audit", "--json", "--action", "key.refused"]).await;
    assert!(
        audit.contains("the key has been revoked: 301 times since")
            && audit.contains(&format!("key:{id}")),
        "{audit}"
    );
}

async fn the_audit_log_says_who_typed_a_command_and_where(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.must(&["migrate"]).await;
    deployment.key("reports", &[]).await;
    let entry: Value =
        serde_json::from_str(deployment.must(&["audit", "--json"]).await.lines().next().unwrap())
            .unwrap();
    let (actor, machine) = (entry["actor"].as_str().unwrap(), entry["address"].as_str().unwrap());
    let named = std::process::Command::new("id").arg("-un").output().unwrap();
    let named = String::from_utf8(named.stdout).unwrap();
    let user = actor.strip_prefix("cli:").unwrap();
    assert!(user == named.trim() || user == getuid().as_raw().to_string(), "{actor}");
    assert_eq!(machine.chars().next(), uname().nodename().to_string_lossy().chars().next());
    assert!(!machine.is_empty() && machine.len() <= 64, "{machine}");
}

on_both!(the_audit_log_says_who_typed_a_command_and_where);
