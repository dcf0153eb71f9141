//! Requests that are refused before they cost a call upstream, with what is wrong, where, and what would be right.

use countersign::model::Endpoint;
use serde_json::{Value, json};

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::upstream::with;

const TOTALS: Endpoint = Endpoint::Totals;
const HOURS: Endpoint = Endpoint::TwentyEightHours;
const HISTORICAL: Endpoint = Endpoint::Historical;

/// A call as alice that would succeed but for its body.
pub(super) async fn answer(
    gateway: &TestGateway,
    endpoint: Endpoint,
    body: impl Into<Vec<u8>>,
) -> Answer {
    gateway.call_as("alice", endpoint, &json!({})).body(body).send().await
}

pub(super) fn plain() -> Value {
    json!({
        "tweet_ids": ["1"],
        "engagement_types": ["favorites"],
        "groupings": { "g": { "group_by": ["tweet.id"] } },
    })
}

/// Each change of the valid body is refused for that one problem, and never reaches the upstream.
async fn are_refused(cases: &[(Endpoint, Value, &str, &str)]) {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for (endpoint, change, pointer, words) in cases {
        let body = with(plain(), change);
        let answer = answer(&gateway, *endpoint, body.to_string()).await;
        answer.is_own(400, "invalid_request");
        let problems = answer.json()["problems"].clone();
        assert_eq!(problems.as_array().unwrap().len(), 1, "{change}: {problems}");
        assert_eq!(problems[0]["pointer"], *pointer, "{change}: {problems}");
        let detail = problems[0]["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{change}: {detail}");
        assert_eq!(answer.json()["detail"], format!("{pointer}: {detail}"));
    }
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn wrong_ids_are_told_with_their_place() {
    let ids = |value: Value| json!({ "tweet_ids": value });
    let many = |count: usize| ids(json!(vec!["1"; count]));
    are_refused(&[
        (
            TOTALS,
            ids(json!(["1", "x1"])),
            "/tweet_ids/1",
            "must be a post id of 1 to 19 digits, as a string or a whole number, not \"x1\"",
        ),
        (TOTALS, ids(json!(["12345678901234567890"])), "/tweet_ids/0", "1 to 19 digits"),
        (
            TOTALS,
            ids(json!([1.5])),
            "/tweet_ids/0",
            "not a number with a sign, a fraction, an exponent or more digits",
        ),
        (TOTALS, ids(json!([-1])), "/tweet_ids/0", "not a number with a sign"),
        (TOTALS, ids(json!([[1]])), "/tweet_ids/0", "not an array"),
        (TOTALS, ids(json!([])), "/tweet_ids", "is empty; give one or more post ids"),
        (TOTALS, ids(json!("1")), "/tweet_ids", "must be an array of post ids, not a string"),
        (TOTALS, many(251), "/tweet_ids", "has 251 ids; totals takes at most 250 per request"),
        (HOURS, many(26), "/tweet_ids", "has 26 ids; 28hr takes at most 25 per request"),
        (HISTORICAL, many(26), "/tweet_ids", "has 26 ids; historical takes at most 25 per request"),
    ])
    .await;
}

#[tokio::test]
async fn wrong_engagement_types_are_told_with_those_that_are_served() {
    let types = |value: Value| json!({ "engagement_types": value });
    let at = "/engagement_types/0";
    are_refused(&[
        (
            TOTALS,
            types(json!(["likes"])),
            at,
            "\"likes\" is not an engagement type; did you mean favorites? totals serves impressions",
        ),
        (TOTALS, types(json!([7])), at, "7 is not an engagement type"),
        (
            TOTALS,
            types(json!(["url_clicks"])),
            at,
            "url_clicks is not served by totals, only by 28hr and historical",
        ),
        (
            HISTORICAL,
            types(json!(["quote_tweets"])),
            at,
            "quote_tweets is not served by historical, only by totals",
        ),
    ])
    .await;
}

#[tokio::test]
async fn wrong_groupings_are_told_with_what_is_allowed() {
    let grouped = |groupings: Value| json!({ "groupings": groupings });
    let levels = |levels: &[&str]| grouped(json!({ "g": { "group_by": levels } }));
    let all = ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"];
    let (one, four) = (json!({ "group_by": ["tweet.id"] }), json!({ "group_by": all }));
    are_refused(&[
        (
            TOTALS,
            grouped(json!({ "a": one, "b": one, "c": one, "d": one })),
            "/groupings",
            "has 4 groupings; a request takes at most 3",
        ),
        (
            TOTALS,
            grouped(json!({})),
            "/groupings",
            "is empty; give at least one, like {\"by_tweet\"",
        ),
        (
            TOTALS,
            levels(&all[..3]),
            "/groupings/g/group_by/2",
            "totals has no time series, so it cannot group by engagement.day; 28hr and historical can",
        ),
        (
            TOTALS,
            levels(&["Tweet.id"]),
            "/groupings/g/group_by/0",
            "\"Tweet.id\" is not a grouping value; totals can group by tweet.id, engagement.type",
        ),
        (
            TOTALS,
            levels(&["tweet.id", "tweet.id"]),
            "/groupings/g/group_by/1",
            "tweet.id occurs twice; give it once",
        ),
        (
            HISTORICAL,
            levels(&[all[0], all[1], all[3], all[2]]),
            "/groupings/g/group_by",
            "four values must be in the order tweet.id, engagement.type, engagement.day, engagement.hour",
        ),
        (
            HOURS,
            grouped(json!({ "a": four, "b": four })),
            "/groupings",
            "more than one grouping of four values",
        ),
        (
            TOTALS,
            grouped(json!({ "unavailable_tweet_ids": one })),
            "/groupings/unavailable_tweet_ids",
            "is the name of a key in the answer; choose another name",
        ),
        (
            TOTALS,
            grouped(json!({ "a/b~": { "group_by": [] } })),
            "/groupings/a~1b~0/group_by",
            "is empty; give one or more grouping values (tweet.id, engagement.type)",
        ),
    ])
    .await;
}

#[tokio::test]
async fn wrong_windows_are_told_with_the_nearest_that_is_right() {
    let window = |start: &str, end: &str| json!({ "start": start, "end": end });
    are_refused(&[
        (
            HISTORICAL,
            json!({ "start": "20260301" }),
            "/start",
            "must be a time like 2026-01-31 or 2026-01-31T13:00:00Z, not \"20260301\"",
        ),
        (HISTORICAL, json!({ "end": 7 }), "/end", "must be a time like 2026-01-31"),
        (
            HISTORICAL,
            json!({ "end": "2026-04-01" }),
            "/end",
            "is in the future; it is now 2026-03-10T21:15:30Z",
        ),
        (
            HISTORICAL,
            json!({ "start": "2026-04-01" }),
            "/start",
            "is in the future; it is now 2026-03-10T21:15:30Z",
        ),
        (
            HISTORICAL,
            window("2026-02-01", "2026-03-02"),
            "/end",
            "is more than 28 days after start; the latest end is 2026-03-01T00:00:00Z",
        ),
        (HISTORICAL, window("2026-02-02", "2026-02-02"), "/end", "must be after start"),
    ])
    .await;
}

async fn all_problems_of_a_body_are_reported_at_once(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let body = json!({
        "tweet_ids": ["1", "x", null],
        "engagement_types": ["likes", "url_clicks"],
        "groupings": { "start": { "group_by": ["engagement.day"] }, "b": 7 },
    });
    let answer = answer(&gateway, Endpoint::Totals, body.to_string()).await;
    answer.is_own(400, "invalid_request");
    let problems = answer.json()["problems"].clone();
    let mut at: Vec<&str> = problems
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["pointer"].as_str().unwrap())
        .collect();
    at.sort_unstable();
    let expected = [
        "/engagement_types/0",
        "/engagement_types/1",
        "/groupings/b",
        "/groupings/start",
        "/groupings/start/group_by/0",
        "/tweet_ids/1",
        "/tweet_ids/2",
    ];
    assert_eq!(at, expected);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("/tweet_ids/1: ") && detail.ends_with("; and 2 more"), "{detail}");
    assert!(gateway.arrived("/").await.is_empty());
}

on_both!(all_problems_of_a_body_are_reported_at_once);

#[tokio::test]
async fn each_part_of_a_body_has_its_say_and_the_count_is_true() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let change = json!({ "tweet_ids": vec!["x"; 250], "groupings": { "g": 7 } });
    let answer = answer(&gateway, TOTALS, with(plain(), &change).to_string()).await;
    answer.is_own(400, "invalid_request");
    let body = answer.json();
    let problems = body["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 102);
    let rest =
        json!({ "pointer": "/tweet_ids", "detail": "has 150 more problems, which are not listed" });
    assert_eq!(problems[100], rest);
    assert_eq!(problems[101]["pointer"], "/groupings/g");
    assert!(body["detail"].as_str().unwrap().ends_with("; and 246 more"), "{}", body["detail"]);
}

#[tokio::test]
async fn mistakes_of_headers_and_body_are_told_together() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let (ids, types) = (json!({ "tweet_ids": [] }), json!({ "engagement_types": ["likes"] }));
    let mixed = json!({ "engagement_types": ["impressions", "likes"] });
    for (endpoint, change, account, auth, expected) in [
        (HOURS, &ids, "", "", &["/tweet_ids", "Countersign-Account"][..]),
        (HOURS, &ids, "alice", "", &["Countersign-Account", "/tweet_ids"]),
        (HOURS, &ids, "@alice", "both", &["Countersign-Auth", "/tweet_ids"]),
        (HOURS, &types, "@alice", "app", &["/engagement_types/0", "Countersign-Auth"]),
        (TOTALS, &mixed, "", "", &["/engagement_types/1", "Countersign-Account"]),
        (TOTALS, &mixed, "@alice", "app", &["/engagement_types/1", "Countersign-Auth"]),
        // It cannot be known whether a private metric was meant.
        (TOTALS, &types, "", "", &["/engagement_types/0"]),
        (TOTALS, &types, "@alice", "app", &["/engagement_types/0"]),
    ] {
        let mut ask = gateway.call(endpoint, &with(plain(), change));
        for (name, value) in [("countersign-account", account), ("countersign-auth", auth)] {
            ask = if value.is_empty() { ask } else { ask.header(name, value) };
        }
        let answer = ask.send().await;
        answer.is_own(400, "invalid_request");
        let body = answer.json();
        let problems = body["problems"].as_array().unwrap().iter();
        let told: Vec<&str> = problems
            .map(|problem| problem["pointer"].as_str().or(problem["header"].as_str()).unwrap())
            .collect();
        assert_eq!(told, expected, "{endpoint} {change} {account} {auth}: {body}");
    }
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn a_window_of_exactly_28_days_up_to_now_is_relayed() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let alice = json!(gateway.sandbox.ids("alice", 1));
    for (start, end) in [
        ("2026-02-10T21:15:30Z", "2026-03-10T21:15:30Z"),
        ("2026-02-01", "2026-03-01"),
        ("2026-03-01T12:00:00", "2026-03-02T00:00:00+00:00"),
    ] {
        let mut body = with(plain(), &json!({ "tweet_ids": alice }));
        body["start"] = json!(start);
        body["end"] = json!(end);
        answer(&gateway, Endpoint::Historical, body.to_string()).await.is_relayed(200);
    }
}
