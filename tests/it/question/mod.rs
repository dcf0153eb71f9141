//! One endpoint for any question: what it answers, what it says is missing, and how few calls it takes.

mod answers;
mod examples;
mod forms;
mod learning;
mod lookups;
mod memory;
mod oddities;
mod oracle;
mod plans;
mod trouble;

use std::collections::BTreeMap;

use countersign::sandbox::Settings;
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, small};
use crate::database::Database;
use crate::house::House;

const PATH: &str = "/v1/engagement";
pub const PLAN: &str = "/v1/engagement/plan";

/// A house with alice and bob connected, and carol and dave not.
pub async fn open_house(database: &Database) -> House {
    let bench = Bench::start_with(Settings { users: 4, ..small() }).await;
    House::build(bench, &database.settings(), |_| ()).await
}

pub async fn ask_with(house: &House, key: &str, path: &str, question: &Value) -> Answer {
    let ask = house.ask("POST", path).header("authorization", &format!("Bearer {key}"));
    ask.header("content-type", "application/json").body(question.to_string()).send().await
}

pub async fn ask(house: &House, question: &Value) -> Answer {
    ask_with(house, &house.key, PATH, question).await
}

/// What the gateway says of an answer: reason and how many posts, for each part that is missing.
fn missing(answer: &Value) -> Vec<(String, usize)> {
    let parts = answer["countersign"]["missing"].as_array().unwrap().iter();
    let part = |it: &Value| {
        (it["reason"].as_str().unwrap().to_owned(), it["tweet_ids"].as_array().unwrap().len())
    };
    parts.map(part).collect()
}

/// How many calls were made by kind of credentials and account.
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
