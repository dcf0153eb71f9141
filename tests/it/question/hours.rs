//! Time by X's clock: an hour that ends while X is asked about the last 28, ranges relative to now, and what an answer
//! says about its time.

use serde_json::{Map, Value, json};

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::question::{PATH, PLAN, ask, ask_with, missing, observing, question};
use crate::upstream::{TestSandbox, small};

const NDJSON: &str = "application/x-ndjson";

/// A gateway that makes one call after the other.
async fn one_by_one(database: &Database) -> TestGateway {
    TestGateway::build(TestSandbox::start_with(small()).await, &database.settings(), |config| {
        config.limits.question_calls = 1;
        observing(config);
    })
    .await
}

/// One post of alice and one of bob, over the last 28 hours: a call for each, alice's first.
fn last_28_hours(gateway: &TestGateway) -> (Value, [String; 2]) {
    let ids = ["alice", "bob"].map(|name| gateway.sandbox.ids(name, 1).remove(0));
    let mut wanted = question(&ids, &["impressions"]);
    wanted["window"] = json!("28hr");
    let owners = ["alice", "bob"].map(|name| json!(gateway.id(name).to_string()));
    wanted["owners"] = ids.iter().cloned().zip(owners).collect::<Map<_, _>>().into();
    wanted["groupings"] = json!({
        "hours": { "group_by": ["tweet.id", "engagement.day", "engagement.hour"] },
        "all": { "group_by": ["engagement.type"] },
    });
    (wanted, ids)
}

/// X's answer for the first call of the next question, from an hour ago.
fn an_hour_ago(id: &str) -> Value {
    let hours = |day: &str, hours: std::ops::Range<u8>| {
        let numbers = hours.map(|hour| (format!("{hour:02}"), json!("1")));
        json!({ day: numbers.collect::<Map<_, _>>() })
    };
    let mut days = hours("2026-03-09", 16..24);
    days["2026-03-10"] = hours("2026-03-10", 0..21)["2026-03-10"].clone();
    json!({
        "hours": { id: days }, "all": { "impressions": "29" },
        "start": "2026-03-09T16:00:00Z", "end": "2026-03-10T21:00:00Z",
    })
}

async fn answers_first(gateway: &TestGateway, body: &Value, more: Vec<Value>) {
    let first =
        json!({ "kind": "status", "status": 200, "body": body, "path": "/insights/", "times": 1 });
    gateway.order([vec![first], more].concat().into()).await;
}

async fn all_parts_of_the_last_28_hours_are_about_the_same_hours(database: Database) {
    let gateway = one_by_one(&database).await;
    let (wanted, ids) = last_28_hours(&gateway);
    let whole = ask(&gateway, &wanted).await.json();
    answers_first(&gateway, &an_hour_ago(&ids[0]), Vec::new()).await;
    let answer = ask(&gateway, &wanted).await.json();
    for part in ["hours", "all", "start", "end"] {
        assert_eq!(answer[part], whole[part], "{part}");
    }
    assert_eq!(answer["countersign"]["complete"], true);
    assert_eq!(answer["countersign"]["calls"].as_array().unwrap().len(), 3);
}

async fn hours_that_differ_are_missing_if_there_is_no_quota_to_ask_again(database: Database) {
    let gateway = one_by_one(&database).await;
    let (wanted, ids) = last_28_hours(&gateway);
    let whole = ask(&gateway, &wanted).await.json();
    let bobs = json!({
        "hours": { &ids[1]: whole["hours"][&ids[1]] }, "all": { "impressions": "7" },
        "start": whole["start"], "end": whole["end"],
    });
    let good =
        json!({ "kind": "status", "status": 200, "body": bobs, "path": "/insights/", "times": 1 });
    let no_quota = json!({ "kind": "status", "status": 429, "path": "/insights/" });
    answers_first(&gateway, &an_hour_ago(&ids[0]), vec![good, no_quota]).await;
    let answer = ask(&gateway, &wanted).await.json();
    // Both posts keep the numbers that they have.
    assert_eq!(answer["hours"][&ids[0]]["2026-03-09"]["16"], "1");
    assert_eq!(answer["hours"][&ids[1]], whole["hours"][&ids[1]]);
    assert_eq!((&answer["start"], &answer["end"]), (&json!("2026-03-09T16:00:00Z"), &whole["end"]));
    let lacks = |id: &str, start: &str, end: &str| {
        json!({
            "tweet_ids": [id], "engagement_types": ["impressions"], "reason": "hour_changed",
            "windows": [{ "start": start, "end": end }], "account": null,
            "detail": "X counted other hours for these posts, since a new hour had begun",
        })
    };
    let expected = json!([
        lacks(&ids[0], "2026-03-10T21:00:00Z", "2026-03-10T22:00:00Z"),
        lacks(&ids[1], "2026-03-09T16:00:00Z", "2026-03-09T17:00:00Z"),
    ]);
    assert_eq!(answer["countersign"]["missing"], expected, "{answer}");
}

async fn lines_that_are_sent_already_name_the_hours_that_differ(database: Database) {
    let gateway = one_by_one(&database).await;
    let (wanted, ids) = last_28_hours(&gateway);
    answers_first(&gateway, &an_hour_ago(&ids[0]), Vec::new()).await;
    let answer = ask_as(&gateway, NDJSON, &wanted).await;
    let last: Value = serde_json::from_str(answer.text().lines().last().unwrap()).unwrap();
    assert_eq!(missing(&last), [("hour_changed".to_owned(), 1), ("hour_changed".to_owned(), 1)]);
}

async fn ask_as(gateway: &TestGateway, accept: &str, question: &Value) -> Answer {
    let ask = gateway.ask("POST", PATH).header("accept", accept);
    ask.header("content-type", "application/json").body(question.to_string()).send().await
}

async fn start_and_end_are_the_questions_even_if_the_last_part_failed(database: Database) {
    let gateway = one_by_one(&database).await;
    let ids = gateway.sandbox.ids("alice", 16);
    let oldest = ids.last().unwrap().clone();
    let mut wanted = question(std::slice::from_ref(&oldest), &["impressions"]);
    wanted["owners"] = json!({ &oldest: gateway.id("alice").to_string() });
    wanted["window"] = json!({ "start": "2026-01-10T10:20:00Z", "end": "2026-03-01T08:37:00Z" });
    let first = json!({
        "by_tweet": { &oldest: { "impressions": "5" } },
        "start": "2026-01-10T10:00:00Z", "end": "2026-02-01T09:00:00Z",
    });
    let fails = json!({ "kind": "status", "status": 500, "path": "/insights/" });
    answers_first(&gateway, &first, vec![fails]).await;
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(missing(&answer), [("upstream_error".to_owned(), 1)], "{answer}");
    assert_eq!(
        (&answer["start"], &answer["end"]),
        (&json!("2026-01-10T10:00:00Z"), &json!("2026-03-01T09:00:00Z"))
    );
}

async fn the_last_days_and_hours_are_whole_hours_of_xs_time(database: Database) {
    let gateway = one_by_one(&database).await;
    let id = gateway.sandbox.ids("alice", 1).remove(0);
    let mut wanted = question(std::slice::from_ref(&id), &["impressions"]);
    wanted["owners"] = json!({ &id: gateway.id("alice").to_string() });
    for (last, start) in [("28d", "2026-02-10T21:00:00Z"), ("36h", "2026-03-09T09:00:00Z")] {
        wanted["window"] = json!({ "last": last });
        let plan = ask_with(&gateway, &gateway.key, PLAN, &wanted).await;
        assert_eq!(plan.status, 200, "{}", plan.text());
        let call = &plan.json()["calls"][0];
        assert_eq!(
            (call["start"].as_str(), call["end"].as_str()),
            (Some(start), Some("2026-03-10T21:00:00Z"))
        );
    }
    for (window, detail) in [
        (json!({ "last": "28 days" }), "must be a number of days or hours"),
        (json!({ "last": "0d" }), "must be a number of days or hours"),
        (json!({ "last": 28 }), "must be a number of days or hours"),
        (json!({ "last": "366d" }), "is longer than 365 days"),
        (json!({ "last": "99999999999999999999d" }), "must be a number of days or hours"),
        (json!({ "last": "1d", "start": "2026-03-01" }), "is given beside last"),
    ] {
        wanted["window"] = window;
        let refused = ask(&gateway, &wanted).await;
        refused.is_own(400, "invalid_request");
        assert!(refused.text().contains(detail), "{}", refused.text());
    }
}

async fn an_end_in_the_future_is_cut_at_now_and_said(database: Database) {
    let gateway = one_by_one(&database).await;
    let id = gateway.sandbox.ids("alice", 1).remove(0);
    let mut wanted = question(std::slice::from_ref(&id), &["impressions"]);
    wanted["owners"] = json!({ &id: gateway.id("alice").to_string() });
    wanted["window"] = json!({ "start": "2026-03-01", "end": "2026-04-01" });
    let note = "window.end, 2026-04-01T00:00:00Z, is in the future; counted until now, 2026-03-10T21:15:30Z";
    let answer = ask(&gateway, &wanted).await;
    assert_eq!(answer.json()["countersign"]["notes"], json!([note]));
    assert_eq!(answer.json()["countersign"]["complete"], true);
    assert_eq!(answer.json()["end"], "2026-03-10T22:00:00Z");
    assert_eq!(answer.header("countersign-note"), note);
    let plan = ask_with(&gateway, &gateway.key, PLAN, &wanted).await.json();
    assert_eq!(plan["notes"], json!([note]));
    wanted["window"] = json!({ "start": "2026-03-11", "end": "2026-04-01" });
    ask(&gateway, &wanted).await.is_own(400, "invalid_request");
    // Given beside the window instead of in it.
    let mut wanted = question(&[id], &["impressions"]);
    wanted["start"] = json!("2026-03-01");
    let refused = ask(&gateway, &wanted).await;
    assert!(refused.text().contains("a range is given as window"), "{}", refused.text());
}

on_both!(
    all_parts_of_the_last_28_hours_are_about_the_same_hours,
    hours_that_differ_are_missing_if_there_is_no_quota_to_ask_again,
    lines_that_are_sent_already_name_the_hours_that_differ,
    start_and_end_are_the_questions_even_if_the_last_part_failed,
    the_last_days_and_hours_are_whole_hours_of_xs_time,
    an_end_in_the_future_is_cut_at_now_and_said
);
