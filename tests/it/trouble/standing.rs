//! X refuses an app: relayed to callers unchanged, and reported to operators until it works again.

use countersign::model::{AppOnly, Secret};
use serde_json::{Value, json};

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::trouble::{private, public};

const KEYS: &str = "app demo: X rejects its consumer key and secret, or has suspended it";
const TIME: &str = "app demo: X rejects the timestamps of its signatures";
const BEARER: &str = "app demo: X rejects its bearer token, or issues none";

/// What readiness says about the app.
async fn reasons(gateway: &TestGateway) -> Vec<String> {
    let answer = gateway.ask("GET", "/readyz").send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let reasons: Vec<String> = serde_json::from_value(answer.json()["reasons"].take()).unwrap();
    reasons.into_iter().filter(|reason| reason.starts_with("app ")).collect()
}

/// A refusal of the app that X gives on every engagement call.
fn refusal(code: i64) -> Value {
    json!({ "kind": "status", "status": 401, "path": "/insights/", "code": code })
}

#[tokio::test]
async fn an_app_that_x_refuses_is_told_until_it_is_let_in_again() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    for (code, reason) in [(32, KEYS), (416, KEYS), (135, TIME)] {
        gateway.order(json!([refusal(code)])).await;
        private(&gateway, "alice").send().await.is_relayed(401);
        assert_eq!(reasons(&gateway).await, [reason]);
        gateway.order(json!([])).await;
        public(&gateway).send().await.is_relayed(200);
        assert_eq!(reasons(&gateway).await, [reason], "a bearer token says nothing of signatures");
        private(&gateway, "alice").send().await.is_relayed(200);
        assert!(reasons(&gateway).await.is_empty());
    }
    let metrics = gateway.http.get(format!("{}/metrics", gateway.admin_url)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for fault in ["keys", "time"] {
        let series = format!("countersign_app_faults_total{{app=\"demo\",fault=\"{fault}\"}}");
        assert!(metrics.contains(&series), "{metrics}");
    }
}

#[tokio::test]
async fn an_app_that_x_has_not_enabled_is_told_with_whom_to_ask() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for call in [public(&gateway), private(&gateway, "alice")] {
        gateway.sandbox.put("/sandbox/switches", json!({ "unlisted_apps": ["demo"] })).await;
        call.clone().send().await.is_relayed(403);
        let told = reasons(&gateway).await;
        assert!(told.len() == 1 && told[0].contains("ask your account manager"), "{told:?}");
        gateway.sandbox.put("/sandbox/switches", json!({ "unlisted_apps": [] })).await;
        call.send().await.is_relayed(200);
        assert!(reasons(&gateway).await.is_empty());
    }
}

#[tokio::test]
async fn a_configured_bearer_that_x_refuses_is_told() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start_with(&database, |config| {
        config.apps.get_mut("demo").unwrap().bearer_token = Some(Secret::from("bogus"));
    })
    .await;
    public(&gateway).send().await.is_relayed(401);
    assert_eq!(reasons(&gateway).await, [BEARER]);
    private(&gateway, "alice").send().await.is_relayed(200);
    assert_eq!(reasons(&gateway).await, [BEARER], "a signature says nothing of bearer tokens");
}

#[tokio::test]
async fn an_app_that_gets_no_bearer_is_told_until_it_gets_one() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let refused = json!({ "kind": "status", "status": 403, "path": "/oauth2/token", "code": 99 });
    gateway.order(json!([refused])).await;
    public(&gateway).send().await.is_own(503, "app_credentials_rejected");
    assert_eq!(reasons(&gateway).await, [BEARER]);
    gateway.order(json!([])).await;
    gateway.sandbox.clock.forward(time::Duration::seconds(10));
    public(&gateway).send().await.is_relayed(200);
    assert!(reasons(&gateway).await.is_empty());
}

#[tokio::test]
async fn an_answer_about_a_user_is_not_held_against_the_app() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for (name, status, code) in [("alice", 403, 220), ("alice", 403, 64), ("bob", 401, 89)] {
        let fault =
            json!({ "kind": "status", "status": status, "path": "/insights/", "code": code });
        gateway.order(json!([fault])).await;
        private(&gateway, name).send().await.is_relayed(status);
        assert!(reasons(&gateway).await.is_empty(), "{code}");
    }
}

#[tokio::test]
async fn two_legged_signatures_count_as_signatures() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start_with(&database, |config| {
        config.apps.get_mut("demo").unwrap().app_only = AppOnly::TwoLegged;
    })
    .await;
    gateway.order(json!([refusal(32)])).await;
    public(&gateway).send().await.is_relayed(401);
    assert_eq!(reasons(&gateway).await, [KEYS]);
    gateway.order(json!([])).await;
    public(&gateway).send().await.is_relayed(200);
    assert!(reasons(&gateway).await.is_empty());
}
