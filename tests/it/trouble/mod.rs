//! Failures around a gateway: of the upstream, the credentials and the database, and changes by other replicas.

mod answers;
pub mod away;
mod bearers;
mod breaker;
mod checks;
mod clocks;
mod commits;
mod connections;
mod key_rows;
mod marks;
mod mints;
mod patience;
mod poolers;
mod promotion;
mod replicas;
mod retries;
mod seals;
mod standing;
mod strangers;
pub mod vault_keys;
mod warmth;

use std::time::Duration;

use countersign::model::Endpoint;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};
use crate::upstream::body;

const LEVELS: [&str; 2] = ["tweet.id", "engagement.type"];

/// A call for bob's public totals, which goes out with the app's credentials.
pub fn public(gateway: &TestGateway) -> Ask {
    gateway.call(Endpoint::Totals, &body(&gateway.sandbox.ids("bob", 2), &["favorites"], &LEVELS))
}

/// A call for a user's private totals, which goes out with the user's token.
pub fn private(gateway: &TestGateway, name: &str) -> Ask {
    let body = body(&gateway.sandbox.ids(name, 2), &["impressions"], &LEVELS);
    gateway.call_as(name, Endpoint::Totals, &body)
}

/// The same call with another key.
fn with_key(ask: Ask, key: &str) -> Ask {
    ask.header("authorization", &format!("Bearer {key}"))
}

/// The public part of a key.
pub fn id_of(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

async fn attempts(gateway: &TestGateway) -> usize {
    gateway.arrived("/insights/").await.len()
}

/// How often a bearer token was minted.
async fn mints(gateway: &TestGateway) -> u64 {
    gateway.sandbox.get("/sandbox/counts").await["/oauth2/token"].as_u64().unwrap_or(0)
}

pub async fn rotate_bearer(gateway: &TestGateway) {
    let answer = gateway.sandbox.ask("POST", "/sandbox/apps/demo/rotate_bearer").send().await;
    assert_eq!(answer.status, 200);
}

/// Sets the state of a user at X.
pub async fn user_becomes(gateway: &TestGateway, name: &str, state: &str) {
    let path = format!("/sandbox/users/{}", gateway.id(name));
    let answer = gateway.sandbox.put(&path, serde_json::json!({ "state": state })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn switch(gateway: &TestGateway, switches: Value) {
    let answer = gateway.sandbox.put("/sandbox/switches", switches).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The same request that many times at once.
async fn at_once(ask: &Ask, times: usize) -> Vec<Answer> {
    let mut asked = JoinSet::new();
    for _ in 0..times {
        // Each makes a call of its own.
        asked.spawn(ask.clone().header("cache-control", "no-cache").send());
    }
    asked.join_all().await
}

/// How long something that runs beside a test may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Repeats the request until the answer is as wanted, which something beside the test brings about.
pub async fn eventually(ask: &Ask, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let mut last = None;
    let waiting = async {
        loop {
            let answer = ask.clone().send().await;
            if wanted(&answer) {
                return answer;
            }
            last = Some(answer);
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, waiting).await;
    found.unwrap_or_else(|_| panic!("never as wanted: {}", last.unwrap().text()))
}

async fn eventually_status(ask: &Ask, status: u16) -> Answer {
    eventually(ask, |answer| answer.status == status).await
}
