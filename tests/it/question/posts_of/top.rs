//! The posts that lead: which they are, in which order they come, and what remains of the answer.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::question::posts_of::{answered, gateway_with_lists, set};
use crate::question::{PATH, ask, question, start_gateway};
use crate::upstream::leaves;

/// The posts in the order of their numbers; of two with the same number, the newer one comes first.
fn ranked(numbers: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut ranked: Vec<(String, u64)> = numbers.into_iter().collect();
    ranked.sort_by_key(|(id, value)| Reverse((*value, id.parse::<u64>().unwrap())));
    ranked
}

/// The posts that an answer's report names, with their numbers.
fn top(answer: &Value) -> Vec<(String, u64)> {
    let top = answer["countersign"]["top"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let told = |post: &Value| {
        (post["tweet_id"].as_str().unwrap().to_owned(), post["value"].as_u64().unwrap())
    };
    top.iter().map(told).collect()
}

/// The ids in the order in which a text names them for the first time.
fn order(text: &str, ids: &[String]) -> Vec<String> {
    let mut places: Vec<(usize, &String)> =
        ids.iter().filter_map(|id| Some((text.find(&**id)?, id))).collect();
    places.sort_unstable();
    places.into_iter().map(|(_, id)| id.clone()).collect()
}

async fn ask_as(gateway: &TestGateway, path: &str, accept: &str, question: &Value) -> String {
    let ask = gateway.ask("POST", path).header("accept", accept);
    let ask = ask.header("content-type", "application/json").body(question.to_string());
    ask.send().await.text()
}

async fn the_posts_that_lead_are_kept_in_their_order(database: Database) {
    let gateway = start_gateway(&database).await;
    let posts = ["alice", "bob"].map(|name| gateway.sandbox.posts(name)).concat();
    let ids: Vec<String> = posts.iter().map(|post| post.id.clone()).collect();
    let number = |metric: &str| -> BTreeMap<String, u64> {
        posts.iter().map(|post| (post.id.clone(), post.totals[metric])).collect()
    };
    // Few quotes, so that many posts have the same number.
    let leading = ranked(number("quote_tweets"));
    let is_tie = |pair: &[(String, u64)]| pair[0].1 == pair[1].1;
    assert!(leading[..9].windows(2).any(is_tie), "{leading:?}");
    let first: Vec<String> = leading[..9].iter().map(|(id, _)| id.clone()).collect();

    let mut wanted = question(&ids, &["favorites", "quote_tweets"]);
    let whole = ask(&gateway, &wanted).await.json();
    assert_eq!(whole["countersign"]["top"], json!([]));
    wanted["top"] = json!({ "by": "quote_tweets", "count": 9 });
    let text = ask_as(&gateway, PATH, "application/json", &wanted).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(top(&answer), leading[..9]);
    assert_eq!(answered(&answer), set(&first));
    for id in &first {
        assert_eq!(answer["by_tweet"][id], whole["by_tweet"][id]);
    }
    assert_eq!(order(&text, &ids), first);
    for (path, accept) in [
        (PATH, "text/csv"),
        (PATH, "application/x-ndjson"),
        ("/v1/engagement?format=spreadsheet", "*/*"),
    ] {
        let text = ask_as(&gateway, path, accept, &wanted).await;
        assert_eq!(order(&text, &ids), first, "{accept}");
    }
    wanted["top"] = json!({ "by": "favorites", "count": 10_000 });
    let all = ask(&gateway, &wanted).await.json();
    assert_eq!((top(&all), &all["by_tweet"]), (ranked(number("favorites")), &whole["by_tweet"]));
}

async fn they_lead_over_the_whole_window_in_every_grouping(database: Database) {
    let gateway = gateway_with_lists(&database, 60).await;
    let mut wanted = json!({
        "posts_of": ["@alice", "@bob"],
        "last": 40,
        "engagement_types": ["impressions", "favorites"],
        "window": { "start": "2026-02-01", "end": "2026-03-08" },
        "groupings": {
            "daily": { "group_by": ["tweet.id", "engagement.day", "engagement.type"] },
            "by_type": { "group_by": ["engagement.type", "tweet.id"] },
            "posts": { "group_by": ["tweet.id"] },
        },
    });
    let whole = ask(&gateway, &wanted).await.json();
    let impressions = whole["by_type"]["impressions"].as_object().unwrap();
    let sums = impressions.iter().map(|(id, value)| (id.clone(), leaves(value))).collect();
    let leading = ranked(sums);
    wanted["top"] = json!({ "by": "impressions", "count": 5 });
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(top(&answer), leading[..5]);
    for (id, _) in &leading {
        let is_kept = leading[..5].iter().any(|(kept, _)| kept == id);
        let places = |answer: &Value| {
            [
                answer["daily"][id].clone(),
                answer["by_type"]["impressions"][id].clone(),
                answer["by_type"]["favorites"][id].clone(),
                answer["posts"][id].clone(),
            ]
        };
        let expected = if is_kept { places(&whole) } else { [const { Value::Null }; 4] };
        assert_eq!(places(&answer), expected, "{id}");
    }
    // A table has one row for each post all the same.
    let table = ask_as(&gateway, "/v1/engagement?format=spreadsheet", "*/*", &wanted).await;
    let rows = table.lines().filter(|line| line.starts_with("\"by_type\""));
    assert_eq!(rows.count(), 5);
    assert_eq!(
        answer["countersign"]["calls"].as_array().unwrap().len(),
        whole["countersign"]["calls"].as_array().unwrap().len()
    );
}

async fn posts_without_the_number_are_left_out(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = gateway.sandbox.ids("alice", usize::MAX);
    let mut wanted = question(&ids, &["impressions", "favorites"]);
    wanted["top"] = json!({ "by": "impressions", "count": 10_000 });
    let answer = ask(&gateway, &wanted).await.json();
    let missing = &answer["countersign"]["missing"][0];
    assert_eq!(missing["reason"], "unsupported_age", "{answer}");
    let old = missing["tweet_ids"].as_array().unwrap().len();
    assert!(old > 0 && old < ids.len());
    assert_eq!(answered(&answer).len(), ids.len() - old);
}

async fn what_is_wrong_with_it_is_said_where_it_is(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = gateway.sandbox.ids("alice", 2);
    let ten = json!({ "by": "favorites", "count": 10 });
    let by_type = json!({ "g": { "group_by": ["engagement.type"] } });
    let by_post = json!({ "g": { "group_by": ["tweet.id"] } });
    for (top, groupings, pointer, detail) in [
        (json!("favorites:10"), Value::Null, "/top", "must be an object like"),
        (json!({ "by": "favorites" }), Value::Null, "/top/count", "must be a whole number from 1"),
        (json!({ "by": "favorites", "count": 0 }), Value::Null, "/top/count", "from 1 to 10000"),
        (json!({ "count": 10 }), Value::Null, "/top/by", "must be one of engagement_types"),
        (
            json!({ "by": "retweets", "count": 1 }),
            Value::Null,
            "/top/by",
            "must be one of engagement_types, not \"retweets\"",
        ),
        (
            json!({ "by": "favorites", "count": 1, "of": 2 }),
            Value::Null,
            "/top/of",
            "unknown key (known: by, count)",
        ),
        (ten.clone(), by_type, "/top", "needs tweet.id in every grouping"),
        (ten, by_post, "/top", "engagement.type in one of them"),
    ] {
        let mut wanted = question(&ids, &["favorites"]);
        wanted["top"] = top.clone();
        wanted["groupings"] = groupings;
        let refused = ask(&gateway, &wanted).await;
        refused.is_own(400, "invalid_request");
        let refused = refused.json();
        let problems = refused["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 1, "{top}: {refused}");
        assert_eq!(problems[0]["pointer"], pointer, "{top}");
        assert!(problems[0]["detail"].as_str().unwrap().contains(detail), "{top}: {refused}");
    }
    assert_eq!(gateway.arrived("/").await.len(), 0);
}

on_both!(
    the_posts_that_lead_are_kept_in_their_order,
    they_lead_over_the_whole_window_in_every_grouping,
    posts_without_the_number_are_left_out,
    what_is_wrong_with_it_is_said_where_it_is
);
