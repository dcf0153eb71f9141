//! The upstream behind TLS: certificates that are valid, and certificates that nobody may trust.

use rcgen::date_time_ymd;
use serde_json::{Value, json};

use crate::database::{Kind, fresh};
use crate::http::{Answer, Ask};
use crate::program::deployment::{Deployment, Running};
use crate::program::front::{Authority, Front};
use crate::upstream::{TOTALS, VERIFY, body};

/// A call for a private or a public metric.
async fn call(
    deployment: &Deployment,
    running: &Running,
    key: &str,
    metric: &str,
) -> (Value, Answer) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = body(&deployment.sandbox.ids("alice", 1), &[metric], &["tweet.id"]);
    let call = Ask::new(&http, &running.url, "POST", TOTALS)
        .header("x-api-key", key)
        .body(body.to_string());
    let call =
        if metric == "impressions" { call.header("countersign-account", "@alice") } else { call };
    (body, call.send().await)
}

#[tokio::test]
async fn an_upstream_whose_certificate_is_good_is_called() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    let authority = Authority::new("ours");
    let front = Front::before(&deployment.sandbox.address, &authority, "localhost", |_| ()).await;
    deployment.trust(&front, &authority);
    deployment.prepare().await;
    let key = deployment.key("reports", &[]).await;
    deployment.must(&["check"]).await;
    deployment.must(&["account", "verify", "@alice"]).await;
    let running = deployment.serve().await;
    for metric in ["impressions", "favorites"] {
        // Signatures are over `https` where TLS ends in front of the sandbox.
        let behind = async |is_so: bool| {
            let switches = serde_json::json!({ "tls_in_front": is_so });
            assert_eq!(deployment.sandbox.put("/sandbox/switches", switches).await.status, 200);
        };
        behind(true).await;
        let (body, answer) = call(&deployment, &running, &key, metric).await;
        answer.is_relayed(200);
        behind(false).await;
        let direct = match metric {
            "impressions" => deployment.sandbox.own("alice", TOTALS, &body).await,
            _ => deployment.sandbox.public(&body).await,
        };
        assert_eq!(answer.json(), direct.json());
    }
    for path in ["/oauth2/token", VERIFY, TOTALS] {
        let arrived = deployment.sandbox.get(&format!("/sandbox/calls?path={path}")).await;
        assert!(!arrived.as_array().unwrap().is_empty(), "{path}");
    }
    // The two of `check`, `verify`, the two calls on one connection, and the mint for the second.
    assert_eq!(front.handshakes().await, [None, None, None, None, None]);
}

/// Every kind of call fails at the certificate, once and before anything is sent, and `told` is the reason.
async fn is_refused(deployment: &mut Deployment, front: &Front, trusted: &Authority, told: &str) {
    deployment.trust(front, trusted);
    deployment.prepare().await;
    let key = deployment.key("reports", &[]).await;
    for command in [&["check"][..], &["account", "verify", "@alice"]] {
        let done = deployment.run(command).await;
        assert_eq!(done.code, 1, "{done:?}");
        let said = done.out + &done.err;
        let lines: Vec<&str> =
            said.lines().filter(|line| line.contains("is not accepted")).collect();
        assert!(lines.len() == 1 && lines[0].matches(told).count() == 1, "{said}");
        refused_once(front).await;
    }
    let running = deployment.serve().await;
    for metric in ["impressions", "favorites"] {
        let (_, answer) = call(deployment, &running, &key, metric).await;
        answer.is_own(502, "upstream_unreachable");
        assert!(!answer.text().contains(told), "a caller needs no more: {}", answer.text());
        refused_once(front).await;
        let line = running.err.wait_for("answered with an error").await;
        let line: Value = serde_json::from_str(&line).unwrap();
        let cause = line["cause"].as_str().unwrap();
        assert_eq!(cause.matches(told).count(), 1, "{cause}");
    }
    let boss = deployment.key("boss", &["--admin"]).await;
    let overview = Ask::new(
        &reqwest::Client::builder().no_proxy().build().unwrap(),
        &running.admin_url,
        "GET",
        "/admin/v1/overview",
    );
    let told = overview.header("x-api-key", &boss).send().await.json();
    let causes: Vec<&Value> =
        told["attention"].as_array().unwrap().iter().map(|item| &item["cause"]).collect();
    assert!(causes.contains(&&json!("x_untrusted")), "{told}");
    let calls: Vec<Value> = running
        .err
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["message"] == "call")
        .collect();
    // The second call was not attempted, since no token could be minted for it.
    let attempts: Vec<&Value> = calls.iter().map(|call| &call["attempts"]).collect();
    assert_eq!(attempts, [1, 0], "{calls:?}");
    let user = deployment.sandbox.user("alice");
    for secret in [
        &user.access_token,
        &user.access_token_secret,
        &deployment.sandbox.app("demo").consumer_secret,
        &key,
    ] {
        assert!(!running.err.text().contains(secret.as_str()));
    }
    assert_eq!(deployment.sandbox.get("/sandbox/calls").await, Value::Array(Vec::new()));
}

async fn refused_once(front: &Front) {
    let handshakes = front.handshakes().await;
    assert!(matches!(&handshakes[..], [Some(alert)] if alert.contains("alert")), "{handshakes:?}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    let authority = Authority::new("ours");
    let front =
        Front::before(&deployment.sandbox.address, &authority, "localhost", |certificate| {
            certificate.not_after = date_time_ymd(2026, 1, 2);
        })
        .await;
    is_refused(&mut deployment, &front, &authority, "certificate expired").await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    let authority = Authority::new("ours");
    let front =
        Front::before(&deployment.sandbox.address, &authority, "data-api.x.com", |_| ()).await;
    is_refused(&mut deployment, &front, &authority, "certificate not valid for name \"localhost\"")
        .await;
}

#[tokio::test]
async fn a_certificate_by_an_unknown_authority_is_refused() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    let (trusted, other) = (Authority::new("ours"), Authority::new("theirs"));
    let front = Front::before(&deployment.sandbox.address, &other, "localhost", |_| ()).await;
    is_refused(&mut deployment, &front, &trusted, "UnknownIssuer").await;
}
