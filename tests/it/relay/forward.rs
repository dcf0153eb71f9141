//! Which credentials sign a call: by endpoint, engagement types and account, never by what failed before.

use countersign::config::Config;
use countersign::model::{AppOnly, Endpoint, Secret};
use serde_json::json;

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::relay::{private, public};
use crate::upstream::{TestSandbox, body};

const TOTALS: Endpoint = Endpoint::Totals;
const HOURS: Endpoint = Endpoint::TwentyEightHours;
const HISTORICAL: Endpoint = Endpoint::Historical;

async fn public_totals_go_out_with_the_bearer(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let body = public(&gateway);
    let answer = gateway.call(TOTALS, &body).send().await;
    answer.is_relayed(200);
    assert_eq!(answer.header("countersign-auth"), "app-only");
    assert_eq!(answer.json(), gateway.sandbox.public(&body).await.json());
    let arrived = gateway.arrived("/insights/").await;
    assert_eq!(arrived[0]["auth_kind"], "bearer");
    assert_eq!(arrived[0]["body"], body.to_string());
}

async fn private_totals_are_signed_with_the_authors_token(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let body = private(&gateway, "alice");
    let answer = gateway.call_as("alice", TOTALS, &body).send().await;
    answer.is_relayed(200);
    assert_eq!(answer.header("countersign-auth"), "user-context");
    assert_eq!(answer.json(), gateway.sandbox.own("alice", TOTALS.path(), &body).await.json());
    let arrived = gateway.arrived("/insights/").await;
    assert_eq!(arrived[0]["auth_kind"], "user");
    assert_eq!(arrived[0]["token"], gateway.sandbox.user("alice").access_token);
}

on_both!(public_totals_go_out_with_the_bearer, private_totals_are_signed_with_the_authors_token);

/// Endpoint, engagement types, whether alice is named, `Countersign-Auth`; then what signs, or the header at fault.
type Case = (Endpoint, &'static [&'static str], bool, &'static str, Result<&'static str, Wrong>);

type Wrong = (&'static str, &'static str);

const CASES: [Case; 26] = {
    const AUTH: &str = "Countersign-Auth";
    const NO_ACCOUNT: Result<&str, Wrong> = Err(("Countersign-Account", "name the account"));
    const PUBLIC: &[&str] = &["favorites", "retweets", "replies", "quote_tweets", "video_views"];
    const PRIVATE: &[&str] = &["impressions"];
    const MIXED: &[&str] = &["favorites", "engagements"];
    const BOTH: &[&str] = &["favorites"];
    [
        (TOTALS, PUBLIC, false, "", Ok("bearer")),
        (TOTALS, PUBLIC, true, "", Ok("bearer")),
        (TOTALS, PUBLIC, true, "app", Ok("bearer")),
        (TOTALS, PUBLIC, false, "app", Ok("bearer")),
        (TOTALS, PUBLIC, true, "user", Ok("user")),
        (TOTALS, PUBLIC, false, "user", NO_ACCOUNT),
        (TOTALS, PRIVATE, true, "", Ok("user")),
        (TOTALS, PRIVATE, true, "user", Ok("user")),
        (TOTALS, PRIVATE, false, "", NO_ACCOUNT),
        (TOTALS, PRIVATE, true, "app", Err((AUTH, "impressions is for a post's author only"))),
        (TOTALS, MIXED, true, "", Ok("user")),
        (TOTALS, MIXED, true, "app", Err((AUTH, "engagements is for a post's author only"))),
        (HOURS, BOTH, true, "", Ok("user")),
        (HOURS, BOTH, true, "user", Ok("user")),
        (HOURS, BOTH, false, "", NO_ACCOUNT),
        (HOURS, BOTH, true, "app", Err((AUTH, "28hr is for a post's author only"))),
        (HISTORICAL, BOTH, true, "", Ok("user")),
        (HISTORICAL, BOTH, true, "user", Ok("user")),
        (HISTORICAL, BOTH, false, "", NO_ACCOUNT),
        (HISTORICAL, BOTH, true, "app", Err((AUTH, "historical is for a post's author only"))),
        (TOTALS, PUBLIC, true, "app-only", Ok("bearer")),
        (TOTALS, PUBLIC, true, "user-context", Ok("user")),
        (TOTALS, PRIVATE, true, "app-only", Err((AUTH, "impressions is for a post's author only"))),
        (HOURS, BOTH, false, "user-context", NO_ACCOUNT),
        (TOTALS, PUBLIC, true, "bearer", Err((AUTH, "must be app or user"))),
        (TOTALS, PUBLIC, true, "APP", Err((AUTH, "must be app or user"))),
    ]
};

#[tokio::test]
async fn endpoint_types_and_account_decide_and_a_wish_that_cannot_work_is_refused() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let mut expected = Vec::new();
    for (endpoint, types, named, wish, outcome) in CASES {
        let body = body(&gateway.sandbox.ids("alice", 1), types, &["tweet.id", "engagement.type"]);
        let ask = if named {
            gateway.call_as("alice", endpoint, &body)
        } else {
            gateway.call(endpoint, &body)
        };
        let answer = ask.header("countersign-auth", wish).send().await;
        match outcome {
            Ok(kind) => {
                answer.is_relayed(200);
                let told = if kind == "user" { "user-context" } else { "app-only" };
                assert_eq!(answer.header("countersign-auth"), told);
                expected.push(kind);
            }
            Err((header, words)) => {
                answer.is_own(400, "invalid_request");
                let problem = &answer.json()["problems"][0];
                assert_eq!(problem["header"], header, "{endpoint} {types:?} {wish}");
                assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
                assert_eq!(answer.header("countersign-auth"), "");
            }
        }
    }
    let arrived = gateway.arrived("/insights/").await;
    let kinds: Vec<&str> = arrived.iter().map(|call| call["auth_kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn a_refusal_by_the_upstream_is_never_tried_again_with_the_other_kind() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let foreign = body(&gateway.sandbox.ids("bob", 1), &["favorites"], &["tweet.id"]);
    let ask = gateway.call_as("alice", TOTALS, &foreign).header("countersign-auth", "user");
    let answer = ask.send().await;
    answer.is_relayed(403);
    assert_eq!(answer.header("countersign-auth"), "user-context");
    for status in [401, 403] {
        let errors = json!({ "errors": ["no"] });
        let fault =
            json!({ "kind": "status", "status": status, "body": errors, "path": "/insights/" });
        gateway.order(json!([fault])).await;
        let answer = gateway.call_as("alice", TOTALS, &private(&gateway, "alice")).send().await;
        answer.is_relayed(status);
        assert_eq!(
            (answer.header("countersign-auth"), answer.json()),
            ("user-context", errors.clone())
        );
        let answer = gateway.call_as("alice", TOTALS, &public(&gateway)).send().await;
        assert_eq!(answer.header("countersign-auth"), "app-only");
    }
    let arrived = gateway.arrived("/insights/").await;
    let kinds: Vec<&str> = arrived.iter().map(|call| call["auth_kind"].as_str().unwrap()).collect();
    // A rejected bearer token is minted anew and tried once more; the kind of credentials stays the same.
    assert_eq!(kinds, ["user", "user", "bearer", "bearer", "user", "bearer"]);
}

#[tokio::test]
async fn an_app_may_be_app_only_by_a_signature_without_a_token() {
    let change = |config: &mut Config| {
        config.apps.get_mut("demo").unwrap().app_only = AppOnly::TwoLegged;
    };
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start_with(&database, change).await;
    let answer = gateway.call(TOTALS, &public(&gateway)).send().await;
    answer.is_relayed(200);
    assert_eq!(answer.header("countersign-auth"), "app-only");
    let arrived = gateway.arrived("/").await;
    assert_eq!(arrived.len(), 1, "no token was minted");
    assert_eq!(arrived[0]["auth_kind"], "two_legged");
    assert_eq!(arrived[0]["consumer_key"], gateway.sandbox.app("demo").consumer_key);
    assert_eq!(arrived[0]["token"], json!(null));
}

#[tokio::test]
async fn a_bearer_of_the_config_is_used_and_never_minted() {
    let sandbox = TestSandbox::start().await;
    let token = sandbox.app("demo").bearer_token.clone();
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.apps.get_mut("demo").unwrap().bearer_token = Some(Secret::from(&*token));
    })
    .await;
    gateway.call(TOTALS, &public(&gateway)).send().await.is_relayed(200);
    let refusal = json!({ "kind": "status", "status": 401, "times": 1 });
    gateway.order(json!([refusal])).await;
    gateway.call(TOTALS, &public(&gateway)).send().await.is_relayed(401);
    let arrived = gateway.arrived("/").await;
    assert!(arrived.iter().all(|call| call["path"] == TOTALS.path()), "{arrived:?}");
    assert!(arrived.iter().all(|call| call["token"] == *token), "{arrived:?}");
    assert_eq!(arrived.len(), 2);
}
