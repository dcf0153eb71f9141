//! One endpoint for any question: what it answers, what it reports as missing, and how few calls it takes.

mod answers;
mod examples;
mod fewest;
mod forms;
mod hours;
mod kept;
mod learning;
mod least;
mod lookups;
mod memory;
mod oddities;
mod oracle;
mod plans;
mod posts_of;
mod slips;
mod spreadsheets;
mod trouble;

use std::collections::BTreeMap;

use countersign::config::Config;
use countersign::model::quota::Mode;
use countersign::sandbox::Settings;
use serde_json::{Value, json};

use crate::database::Database;
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::upstream::{TestSandbox, small};

const PATH: &str = "/v1/engagement";
pub const PLAN: &str = "/v1/engagement/plan";

/// A gateway with alice and bob connected, and carol and dave not.
pub async fn start_gateway(database: &Database) -> TestGateway {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    TestGateway::build(sandbox, &database.settings(), |_| ()).await
}

/// The same, which relays X's word on quotas at once instead of waiting for them.
async fn start_observing(database: &Database) -> TestGateway {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    TestGateway::build(sandbox, &database.settings(), observing).await
}

/// Waits for no quota: X's clock stands still in tests.
pub fn observing(config: &mut Config) {
    config.apps.values_mut().for_each(|app| app.quota.mode = Mode::Observe);
}

pub async fn ask_with(gateway: &TestGateway, key: &str, path: &str, question: &Value) -> Answer {
    let ask = gateway.ask("POST", path).header("authorization", &format!("Bearer {key}"));
    ask.header("content-type", "application/json").body(question.to_string()).send().await
}

pub async fn ask(gateway: &TestGateway, question: &Value) -> Answer {
    ask_with(gateway, &gateway.key, PATH, question).await
}

/// The missing parts of an answer: the reason and the number of posts of each.
fn missing(answer: &Value) -> Vec<(String, usize)> {
    let parts = answer["countersign"]["missing"].as_array().unwrap().iter();
    let part = |value: &Value| {
        (value["reason"].as_str().unwrap().to_owned(), value["tweet_ids"].as_array().unwrap().len())
    };
    parts.map(part).collect()
}

/// How many calls each account made, and the app alone.
fn calls(answer: &Value) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in answer["countersign"]["calls"].as_array().unwrap() {
        let who = call["account"].as_str().unwrap_or("app");
        *counts.entry(who.to_owned()).or_default() += 1;
    }
    counts
}

pub fn question(ids: &[String], metrics: &[&str]) -> Value {
    json!({ "tweet_ids": ids, "engagement_types": metrics })
}
