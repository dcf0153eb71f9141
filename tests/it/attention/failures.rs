//! Failures of every kind, played one by one: each is named on the overview, and gone after its mend.

use std::time::Duration as StdDuration;

use countersign::model::AuthKind;
use serde_json::{Value, json};
use time::Duration;

use crate::database::{Database, Kind, PrivatePostgres, fresh, on_both};
use crate::gateway::TestGateway;
use crate::trouble::away::warm;
use crate::trouble::vault_keys::pair;
use crate::trouble::{eventually, private, public};
use crate::webhooks::receiver::Receiver;
use crate::webhooks::start_gateway;

const ASKED: usize = 3;

/// A failure of X's, ordered from the sandbox, and the cause by which calls with these credentials are then named.
struct Case {
    about: &'static str,
    faults: Value,
    switches: Value,
    auth: AuthKind,
    cause: &'static str,
}

fn fault(status: u16, body: &Value) -> Value {
    json!([{ "kind": "status", "path": "/insights/", "status": status, "body": body }])
}

fn cases() -> Vec<Case> {
    let (user, app) = (AuthKind::UserContext, AuthKind::AppOnly);
    let coded = |code: u16| json!({ "errors": [{ "code": code, "message": "x" }] });
    let none = || json!([]);
    let case =
        |about, faults, auth, cause| Case { about, faults, switches: json!({}), auth, cause };
    vec![
        Case {
            switches: json!({ "suspended_apps": ["demo"] }),
            ..case("the app's keys are wrong, or it is suspended", none(), user, "app_rejected")
        },
        Case {
            switches: json!({ "clock_offset_s": 600 }),
            ..case("this machine's clock is off by ten minutes", none(), user, "clock_off")
        },
        case(
            "the app is not enabled",
            fault(403, &json!({ "errors": ["your application id is not authorized."] })),
            app,
            "app_not_enabled",
        ),
        case(
            "X is away",
            json!([{ "kind": "reset", "path": "/insights/" }]),
            user,
            "x_unreachable",
        ),
        case("X is slow", json!([{ "kind": "hang", "path": "/insights/" }]), user, "x_slow"),
        case("X is failing", fault(500, &json!({})), app, "x_failing"),
        case("X answers 429", fault(429, &coded(88)), app, "quota_exhausted"),
        case(
            "something else answers",
            json!([{ "kind": "html", "status": 200, "path": "/insights/" }]),
            app,
            "x_odd",
        ),
    ]
}

async fn failures_of_x_are_named_and_gone_after_their_mend(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        config.limits.upstream_first_byte = StdDuration::from_millis(200);
        config.limits.quota_wait = StdDuration::ZERO;
    })
    .await;
    let admin = gateway.new_admin_key().await;
    for Case { about, faults, switches, auth, cause } in cases() {
        let ask = || match auth {
            AuthKind::AppOnly => public(&gateway),
            AuthKind::UserContext => private(&gateway, "alice"),
        };
        assert_eq!(gateway.causes(&admin).await, [""; 0], "before: {about}");
        gateway.order(faults).await;
        gateway.sandbox.put("/sandbox/switches", switches).await;
        for _ in 0..ASKED {
            ask().send().await;
        }
        let causes = gateway.causes(&admin).await;
        assert!(causes.iter().any(|named| named == cause), "{about}: {causes:?}");
        gateway.order(json!([])).await;
        let mended = json!({ "suspended_apps": [], "clock_offset_s": 0 });
        gateway.sandbox.put("/sandbox/switches", mended).await;
        // A pause that X's failure caused may have to pass first.
        gateway.later(Duration::seconds(61)).await;
        ask().send().await.is_relayed(200);
        assert_eq!(gateway.causes(&admin).await, [""; 0], "after: {about}");
        // So that the next case's minutes are its own.
        gateway.later(Duration::minutes(20)).await;
    }
}

async fn a_bearer_token_that_x_forgot_is_renewed_unnoticed(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    public(&gateway).send().await.is_relayed(200);
    crate::trouble::rotate_bearer(&gateway).await;
    public(&gateway).send().await.is_relayed(200);
    assert_eq!(gateway.causes(&admin).await, [""; 0]);
}

async fn a_receiver_that_is_away_is_named_until_it_is_back(database: Database) {
    let gateway = start_gateway(&database).await;
    let admin = gateway.new_admin_key().await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    receiver.answers(503);
    gateway.connect(&["alice"]).await;
    gateway.deliver().await;
    let item = gateway.attention(&admin).await.remove(0);
    assert_eq!(
        (&item["cause"], &item["figures"]),
        (&json!("webhook_failing"), &json!({ "waiting": 1 }))
    );
    receiver.answers(204);
    gateway.later(Duration::seconds(5)).await;
    gateway.deliver().await;
    assert_eq!(gateway.causes(&admin).await, [""; 0]);
}

async fn a_vault_key_that_is_missing_is_named(database: Database) {
    let (old, _new) = pair(&database).await;
    let admin = old.new_admin_key().await;
    private(&old, "alice").send().await.is_own(503, "vault_key_unavailable");
    let items = old.attention(&admin).await;
    let item = items.iter().find(|item| item["cause"] == "vault_key_missing").unwrap();
    assert!(item["text"].as_str().unwrap().contains("newerkey"), "{item}");
}

on_both!(
    failures_of_x_are_named_and_gone_after_their_mend,
    a_bearer_token_that_x_forgot_is_renewed_unnoticed,
    a_receiver_that_is_away_is_named_until_it_is_back,
    a_vault_key_that_is_missing_is_named
);

#[tokio::test]
async fn a_database_that_is_away_is_named_until_it_is_back() {
    let server = PrivatePostgres::start_new();
    let gateway = warm(&server).await;
    let admin = gateway.new_admin_key().await;
    assert_eq!(gateway.causes(&admin).await, [""; 0]);
    gateway.inner.catch_up_once().await.unwrap();
    assert_eq!(gateway.causes(&admin).await, [""; 0]);
    server.stop();
    gateway.sandbox.clock.forward(Duration::seconds(2));
    let item = gateway.attention(&admin).await.remove(0);
    assert_eq!(item["cause"], "database_away", "{item}");
    server.start();
    let overview = gateway.admin(&admin, "GET", "/admin/v1/overview");
    eventually(&overview, |answer| answer.status == 200 && answer.json()["attention"] == json!([]))
        .await;
}

#[tokio::test]
async fn a_configured_bearer_token_that_x_rejects_is_named() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start_with(&database, |config| {
        config.apps.values_mut().next().unwrap().bearer_token = Some("AAAAold".into());
    })
    .await;
    let admin = gateway.new_admin_key().await;
    public(&gateway).send().await.is_relayed(401);
    assert_eq!(gateway.causes(&admin).await, ["bearer_rejected"]);
}
