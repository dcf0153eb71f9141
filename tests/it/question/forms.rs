//! The forms of an answer: as a table, and as lines that are sent as soon as they are known.

use serde_json::{Map, Value, json};

use crate::database::{Database, on_both};
use crate::edge::raw::Raw;
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::question::{PATH, ask, question, start_gateway};

const CSV: &str = "text/csv";
const NDJSON: &str = "application/x-ndjson";

async fn ask_as(gateway: &TestGateway, accept: &str, question: &Value) -> Answer {
    let ask = gateway.ask("POST", PATH).header("accept", accept);
    ask.header("content-type", "application/json").body(question.to_string()).send().await
}

/// A line's number and the keys above it, in the order of the levels.
fn rows_of(answer: &Value, grouping: &str, depth: usize) -> Vec<Vec<String>> {
    fn walk(value: &Value, depth: usize, path: &mut Vec<String>, rows: &mut Vec<Vec<String>>) {
        if depth == 0 {
            let mut row = path.clone();
            row.push(value.as_str().unwrap().to_owned());
            return rows.push(row);
        }
        for (key, below) in value.as_object().unwrap() {
            path.push(key.clone());
            walk(below, depth - 1, path, rows);
            path.pop();
        }
    }
    let mut rows = Vec::new();
    walk(&answer[grouping], depth, &mut Vec::new(), &mut rows);
    rows.sort();
    rows
}

fn cells(table: &str) -> Vec<Vec<String>> {
    let rows = table.lines().map(|line| line.split(',').map(str::to_owned).collect());
    let mut rows: Vec<Vec<String>> = rows.collect();
    rows[1..].sort();
    rows
}

fn lines(answer: &str) -> (Vec<Map<String, Value>>, Value) {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let mut lines: Vec<Value> = answer.lines().map(read).collect();
    let last = lines.pop().unwrap();
    (lines.into_iter().map(|line| line.as_object().unwrap().clone()).collect(), last)
}

fn owned(gateway: &TestGateway, names: &[&str], each: usize, metrics: &[&str]) -> Value {
    let posts = names.iter().map(|name| (*name, gateway.sandbox.ids(name, each)));
    owning(gateway, posts, metrics)
}

/// A question on these authors' posts.
fn owning<'a>(
    gateway: &TestGateway,
    posts: impl Iterator<Item = (&'a str, Vec<String>)>,
    metrics: &[&str],
) -> Value {
    let mut owners = Map::new();
    for (name, ids) in posts {
        let owner = gateway.id(name).to_string();
        owners.extend(ids.into_iter().map(|id| (id, json!(owner))));
    }
    let mut wanted = question(&owners.keys().cloned().collect::<Vec<_>>(), metrics);
    wanted["owners"] = owners.into();
    wanted
}

async fn a_table_has_the_numbers_of_the_answer(database: Database) {
    let gateway = start_gateway(&database).await;
    let mut wanted = owned(&gateway, &["alice", "bob"], 3, &["favorites", "impressions"]);
    let whole = ask(&gateway, &wanted).await;
    assert_eq!(
        (whole.header("countersign-complete"), whole.header("countersign-missing")),
        ("true", "")
    );
    let table = ask_as(&gateway, CSV, &wanted).await;
    assert_eq!((table.status.as_u16(), table.header("content-type")), (200, "text/csv"));
    assert_eq!(
        (table.header("countersign-complete"), table.header("vary")),
        ("true", "accept, accept-encoding, origin")
    );
    let rows = cells(&table.text());
    assert_eq!(rows[0], ["tweet_id", "engagement_type", "value"]);
    assert_eq!(rows[1..], rows_of(&whole.json(), "by_tweet", 2));
    assert_eq!(rows.len(), 1 + 6 * 2);

    wanted["window"] = json!({ "start": "2026-03-01", "end": "2026-03-03" });
    wanted["groupings"] = json!({
        "days": { "group_by": ["engagement.day", "engagement.type"] },
        "hours": { "group_by": ["tweet.id", "engagement.day", "engagement.hour"] },
    });
    let whole = ask(&gateway, &wanted).await.json();
    let rows = cells(&ask_as(&gateway, CSV, &wanted).await.text());
    assert_eq!(rows[0], ["grouping", "tweet_id", "engagement_type", "day", "hour", "value"]);
    let days = rows_of(&whole, "days", 2).into_iter().map(|row| {
        vec![
            "days".to_owned(),
            String::new(),
            row[1].clone(),
            row[0].clone(),
            String::new(),
            row[2].clone(),
        ]
    });
    let hours = rows_of(&whole, "hours", 3).into_iter().map(|row| {
        vec![
            "hours".to_owned(),
            row[0].clone(),
            String::new(),
            row[1].clone(),
            row[2].clone(),
            row[3].clone(),
        ]
    });
    let mut expected: Vec<Vec<String>> = days.chain(hours).collect();
    expected.sort();
    assert_eq!(rows[1..], expected);
    assert_eq!(rows.len(), 1 + 2 * 2 + 6 * 48);
}

async fn a_table_says_in_its_head_what_is_missing(database: Database) {
    let gateway = start_gateway(&database).await;
    let wanted = owned(&gateway, &["alice", "carol"], 2, &["impressions"]);
    let table = ask_as(&gateway, CSV, &wanted).await;
    assert_eq!(
        (table.header("countersign-complete"), table.header("countersign-missing")),
        ("false", "not_connected=2")
    );
    assert_eq!(table.text().lines().count(), 1 + 2);
    let nothing = ask_as(&gateway, CSV, &owned(&gateway, &["carol"], 2, &["impressions"])).await;
    nothing.is_own(404, "nothing_answered");
}

async fn lines_have_the_numbers_of_the_answer_and_then_what_it_took(database: Database) {
    let gateway = start_gateway(&database).await;
    let posts =
        ["alice", "bob", "carol"].into_iter().map(|name| (name, gateway.sandbox.old_ids(name, 3)));
    let mut wanted = owning(&gateway, posts, &["favorites", "impressions"]);
    wanted["window"] = json!({ "start": "2026-01-01", "end": "2026-03-03" });
    wanted["groupings"] = json!({
        "days": { "group_by": ["engagement.day", "engagement.type"] },
        "posts": { "group_by": ["tweet.id", "engagement.day"] },
    });
    let whole = ask(&gateway, &wanted).await.json();
    for encoding in ["identity", "gzip"] {
        let asked =
            gateway.ask("POST", PATH).header("accept", NDJSON).header("accept-encoding", encoding);
        let answer =
            asked.header("content-type", "application/json").body(wanted.to_string()).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, NDJSON));
        let (lines, last) = lines(&answer.text());
        for (grouping, keys) in
            [("days", ["day", "engagement_type"]), ("posts", ["tweet_id", "day"])]
        {
            let mut rows: Vec<Vec<String>> = lines
                .iter()
                .filter(|line| line["grouping"] == grouping)
                .map(|line| {
                    assert_eq!(line.len(), 4, "{line:?}");
                    vec![
                        line[keys[0]].as_str().unwrap().to_owned(),
                        line[keys[1]].as_str().unwrap().to_owned(),
                        line["value"].as_i64().unwrap().to_string(),
                    ]
                })
                .collect();
            rows.sort();
            assert_eq!(rows, rows_of(&whole, grouping, 2));
        }
        assert_eq!((&last["start"], &last["end"]), (&whole["start"], &whole["end"]));
        assert_eq!(last["countersign"]["missing"], whole["countersign"]["missing"]);
        assert_eq!(last["countersign"]["calls"].as_array().unwrap().len(), 6);
        assert_eq!(last.as_object().unwrap().len(), 3, "{last}");
    }
}

async fn a_posts_lines_come_while_other_calls_are_still_out(database: Database) {
    let gateway = start_gateway(&database).await;
    let wanted = owned(&gateway, &["alice", "bob"], 2, &["impressions"]);
    gateway.order(json!([{ "kind": "hold", "path": "/insights/", "times": 1 }])).await;
    let body = wanted.to_string();
    let mut client = Raw::connect(&gateway.url).await;
    client.send(format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\naccept: {NDJSON}\r\ncontent-type: \
         application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        gateway.key, body.len()
    )).await;
    let early = client.until("\"value\"").await;
    assert!(
        early.starts_with("HTTP/1.1 200 OK\r\n") && !early.contains("\"countersign\""),
        "{early}"
    );
    gateway.order(json!([])).await;
    let text = early + &client.rest().await;
    let ids: Vec<&String> = wanted["owners"].as_object().unwrap().keys().collect();
    assert!(ids.iter().all(|id| text.contains(&format!("\"tweet_id\":\"{id}\""))), "{text}");
    assert!(
        text.contains("\"countersign\":{\"complete\":true") && text.ends_with("\r\n0\r\n\r\n"),
        "{text}"
    );
}

async fn lines_have_an_errors_status_where_nothing_can_be_had(database: Database) {
    let gateway = start_gateway(&database).await;
    ask_as(&gateway, NDJSON, &owned(&gateway, &["carol"], 1, &["impressions"]))
        .await
        .is_own(404, "nothing_answered");
    ask_as(&gateway, NDJSON, &json!({})).await.is_own(400, "invalid_request");
    gateway.order(json!([{ "kind": "status", "status": 500, "path": "/insights/" }])).await;
    ask_as(&gateway, NDJSON, &owned(&gateway, &["alice"], 1, &["impressions"]))
        .await
        .is_own(502, "nothing_answered");
}

async fn who_hangs_up_on_lines_ends_what_still_runs(database: Database) {
    let gateway = start_gateway(&database).await;
    let old = gateway.sandbox.old_ids("alice", 1).remove(0);
    let mut wanted = question(std::slice::from_ref(&old), &["impressions"]);
    wanted["owners"] = json!({ &old: gateway.id("alice").to_string() });
    wanted["window"] = json!({ "start": "2025-06-01", "end": "2026-03-01" });
    gateway.order(json!([{ "kind": "hold", "path": "/insights/" }])).await;
    let mut asked = Box::pin(ask_as(&gateway, NDJSON, &wanted));
    let mut held = false;
    while !held {
        tokio::select! {
            _ = &mut asked => panic!("answered, though all calls are held"),
            fired = gateway.fired() => held = fired == [8],
        }
    }
    drop(asked);
    gateway.order(json!([])).await;
    // The slot is free again; two of the ten calls were never made.
    assert_eq!(ask(&gateway, &owned(&gateway, &["bob"], 1, &["impressions"])).await.status, 200);
    assert_eq!(gateway.arrived("/insights/engagement/historical").await.len(), 8);
}

async fn a_form_that_is_not_offered_is_refused_before_anything_is_asked(database: Database) {
    let gateway = start_gateway(&database).await;
    let refused =
        ask_as(&gateway, "text/html", &owned(&gateway, &["alice"], 1, &["impressions"])).await;
    refused.is_own(406, "not_acceptable");
    assert!(refused.text().contains("text/csv or application/x-ndjson"), "{}", refused.text());
    assert!(gateway.arrived("/insights/").await.is_empty());
}

on_both!(
    a_table_has_the_numbers_of_the_answer,
    a_table_says_in_its_head_what_is_missing,
    lines_have_the_numbers_of_the_answer_and_then_what_it_took,
    a_posts_lines_come_while_other_calls_are_still_out,
    lines_have_an_errors_status_where_nothing_can_be_had,
    who_hangs_up_on_lines_ends_what_still_runs,
    a_form_that_is_not_offered_is_refused_before_anything_is_asked
);
