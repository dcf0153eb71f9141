//! What is refused here instead of being spent upstream, with what is wrong, where, and what would be right.

use countersign::model::Endpoint;
use serde_json::{Value, json};

use crate::database::{Kind, fresh, on_both};
use crate::house::House;

/// A call of alice's that would be good but for its body.
async fn answer(
    house: &House,
    endpoint: Endpoint,
    body: impl Into<Vec<u8>>,
) -> crate::bench::Answer {
    house.call_as("alice", endpoint, &json!({})).body(body).send().await
}

fn plain() -> Value {
    json!({
        "tweet_ids": ["1"],
        "engagement_types": ["favorites"],
        "groupings": { "g": { "group_by": ["tweet.id"] } },
    })
}

/// The good body with one member replaced.
fn with(member: &str, value: Value) -> Value {
    let mut body = plain();
    body[member] = value;
    body
}

/// The good body grouped otherwise.
fn grouped(groupings: Value) -> Value {
    with("groupings", groupings)
}

#[tokio::test]
async fn every_mistake_is_told_with_its_place_and_never_reaches_the_upstream() {
    use Endpoint::{Historical, Totals, TwentyEightHours};
    let house = House::start(&fresh(Kind::Sqlite).await).await;
    let ids = |count: usize| json!(vec!["1"; count]);
    let levels = |levels: &[&str]| grouped(json!({ "g": { "group_by": levels } }));
    let all = ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"];
    let four = json!({ "group_by": all });
    let g = json!({ "group_by": ["tweet.id"] });
    for (endpoint, body, pointer, words) in [
        (
            Totals,
            with("tweet_ids", json!(["1", "x1"])),
            "/tweet_ids/1",
            "a post id of 1 to 19 digits, as a string or a whole number, not \"x1\"",
        ),
        (
            Totals,
            with("tweet_ids", json!(["12345678901234567890"])),
            "/tweet_ids/0",
            "1 to 19 digits",
        ),
        (
            Totals,
            with("tweet_ids", json!([1.5])),
            "/tweet_ids/0",
            "not a number with a sign, a fraction, an exponent or more digits",
        ),
        (Totals, with("tweet_ids", json!([-1])), "/tweet_ids/0", "not a number with a sign"),
        (
            Totals,
            with("tweet_ids", ids(251)),
            "/tweet_ids",
            "has 251 ids; totals takes at most 250 a request",
        ),
        (
            TwentyEightHours,
            with("tweet_ids", ids(26)),
            "/tweet_ids",
            "has 26 ids; 28hr takes at most 25 a request",
        ),
        (
            Historical,
            with("tweet_ids", ids(26)),
            "/tweet_ids",
            "has 26 ids; historical takes at most 25 a request",
        ),
        (
            Totals,
            with("tweet_ids", json!([])),
            "/tweet_ids",
            "is empty; give at least one of post ids",
        ),
        (
            Totals,
            with("tweet_ids", json!("1")),
            "/tweet_ids",
            "must be an array of post ids, not a string",
        ),
        (
            Totals,
            with("engagement_types", json!(["likes"])),
            "/engagement_types/0",
            "is not an engagement type, not \"likes\"; totals serves impressions",
        ),
        (
            Totals,
            with("engagement_types", json!(["url_clicks"])),
            "/engagement_types/0",
            "url_clicks is not served by totals, only by 28hr and historical",
        ),
        (
            Historical,
            with("engagement_types", json!(["quote_tweets"])),
            "/engagement_types/0",
            "quote_tweets is not served by historical, only by totals",
        ),
        (
            Totals,
            grouped(json!({ "a": g, "b": g, "c": g, "d": g })),
            "/groupings",
            "has 4 groupings; a request takes at most 3",
        ),
        (
            Totals,
            levels(&["tweet.id", "engagement.day"]),
            "/groupings/g/group_by/1",
            "totals has no time series, so it cannot group by engagement.day; 28hr and historical can",
        ),
        (
            Totals,
            levels(&["Tweet.id"]),
            "/groupings/g/group_by/0",
            "these are tweet.id, engagement.type",
        ),
        (
            Historical,
            levels(&[all[0], all[1], all[3], all[2]]),
            "/groupings/g/group_by",
            "four values must stand as tweet.id, engagement.type, engagement.day, engagement.hour",
        ),
        (
            Historical,
            grouped(json!({ "a": four, "b": four })),
            "/groupings",
            "more than one grouping of four values",
        ),
        (
            Totals,
            grouped(json!({ "unavailable_tweet_ids": g })),
            "/groupings/unavailable_tweet_ids",
            "takes the name of a key of the answer; choose another name",
        ),
        (
            Totals,
            grouped(json!({ "a/b~": { "group_by": [] } })),
            "/groupings/a~1b~0/group_by",
            "is empty",
        ),
        (
            Historical,
            with("start", json!("20260301")),
            "/start",
            "must be a time like 2026-01-31 or 2026-01-31T13:00:00Z, not \"20260301\"",
        ),
        (
            Historical,
            with("end", json!("2026-04-01")),
            "/end",
            "is in the future; it is 2026-03-10T21:15:30Z now",
        ),
        (
            Historical,
            with("start", json!("2026-04-01")),
            "/start",
            "is in the future; it is 2026-03-10T21:15:30Z now",
        ),
        (
            Historical,
            json!({ "start": "2026-02-01", "end": "2026-03-02" }),
            "/end",
            "is more than 28 days after start; the latest end is 2026-03-01T00:00:00Z",
        ),
        (
            Historical,
            json!({ "start": "2026-02-02", "end": "2026-02-02" }),
            "/end",
            "must be after start",
        ),
    ] {
        let mut whole = plain();
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let answer = answer(&house, endpoint, whole.to_string()).await;
        answer.is_own(400, "invalid_request");
        let problems = answer.json()["problems"].clone();
        assert_eq!(problems.as_array().unwrap().len(), 1, "{body}: {problems}");
        assert_eq!(problems[0]["pointer"], pointer, "{body}: {problems}");
        let detail = problems[0]["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{body}: {detail}");
        assert_eq!(answer.json()["detail"], format!("{pointer}: {detail}"));
    }
    assert!(house.arrived("/").await.is_empty());
}

#[tokio::test]
async fn what_is_no_json_object_is_refused() {
    let house = House::start(&fresh(Kind::Sqlite).await).await;
    let deep = "[".repeat(60_000);
    for (body, words) in [
        (
            "",
            "the body: is empty; send a JSON object with tweet_ids, engagement_types and groupings",
        ),
        (" \n", "is empty; send a JSON object"),
        ("{", "not JSON: EOF while parsing an object at line 1 column 1"),
        ("tweet_ids=1&groupings=2", "not JSON: expected"),
        ("{'tweet_ids':[]}", "not JSON: key must be a string"),
        ("{} {}", "not JSON: trailing characters"),
        ("\u{feff}{}", "not JSON"),
        ("[]", "must be an object, not an array"),
        ("null", "must be an object, not null"),
        (&deep, "not JSON: recursion limit exceeded"),
        (&"{\"a\":".repeat(10_000), "not JSON: recursion limit exceeded"),
    ] {
        let answer = answer(&house, Endpoint::Totals, body).await;
        answer.is_own(400, "invalid_request");
        assert_eq!(answer.json()["problems"][0]["pointer"], "");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains(words), "{detail}");
    }
    for body in [&b"\xff\xfe{}"[..], b"{\"a\":\"\xff\"}", b"{\"a\":\"\0\"}", b"\x1f\x8b\x08\0"] {
        answer(&house, Endpoint::Totals, body).await.is_own(400, "invalid_request");
    }
    assert!(house.arrived("/").await.is_empty());
}

#[tokio::test]
async fn keys_given_twice_are_refused_at_any_depth_and_however_they_are_spelt() {
    let house = House::start(&fresh(Kind::Sqlite).await).await;
    let good = plain().to_string();
    for (from, to, pointer) in [
        (r#"{"engagement_types""#, r#"{"tweet_ids":["2"],"engagement_types""#, "/tweet_ids"),
        (r#"{"engagement_types""#, r#"{"tweet\u005fids":["2"],"engagement_types""#, "/tweet_ids"),
        (
            r#"{"group_by""#,
            r#"{"group_by":["tweet.id"],"group_by":["tweet.id"],"group_by""#,
            "/groupings/g/group_by",
        ),
        (r#"{"engagement_types""#, r#"{"x":[{"y":1,"y":2}],"engagement_types""#, "/x/0/y"),
    ] {
        assert!(good.contains(from), "{good}");
        let answer = answer(&house, Endpoint::Totals, good.replacen(from, to, 1)).await;
        answer.is_own(400, "invalid_request");
        let detail = "this key stands here more than once; give it once";
        assert_eq!(answer.json()["problems"], json!([{ "pointer": pointer, "detail": detail }]));
    }
    assert!(house.arrived("/").await.is_empty());
}

#[tokio::test]
async fn what_is_nested_deeper_than_sixteen_levels_is_refused_and_sixteen_are_relayed() {
    let house = House::start(&fresh(Kind::Sqlite).await).await;
    let nested = |levels: usize| {
        let inner = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        plain().to_string().replacen('{', &format!(r#"{{"x":{inner},"#), 1)
    };
    let refused = answer(&house, Endpoint::Totals, nested(16)).await;
    refused.is_own(400, "invalid_request");
    assert_eq!(refused.json()["problems"][0]["detail"], "nested deeper than 16 levels");
    assert!(house.arrived("/insights/").await.is_empty());
    answer(&house, Endpoint::Totals, nested(15)).await;
    assert_eq!(house.arrived("/insights/").await[0]["body"], nested(15));
}

on_both! {
    async fn all_problems_of_a_body_are_reported_at_once(database: Database) {
        let house = House::start(&database).await;
        let body = json!({
            "tweet_ids": ["1", "x", null],
            "engagement_types": ["likes", "url_clicks"],
            "groupings": { "start": { "group_by": ["engagement.day"] }, "b": 7 },
        });
        let answer = answer(&house, Endpoint::Totals, body.to_string()).await;
        answer.is_own(400, "invalid_request");
        let problems = answer.json()["problems"].clone();
        let mut at: Vec<&str> =
            problems.as_array().unwrap().iter().map(|it| it["pointer"].as_str().unwrap()).collect();
        at.sort_unstable();
        let expected = [
            "/engagement_types/0", "/engagement_types/1", "/groupings/b", "/groupings/start",
            "/groupings/start/group_by/0", "/tweet_ids/1", "/tweet_ids/2",
        ];
        assert_eq!(at, expected);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("/tweet_ids/1: ") && detail.ends_with("; and 2 more"), "{detail}");
        assert!(house.arrived("/").await.is_empty());
    }
}

#[tokio::test]
async fn an_answer_does_not_grow_far_beyond_the_request_that_it_refuses() {
    let house = House::start(&fresh(Kind::Sqlite).await).await;
    let name = "n".repeat(30_000);
    let body = grouped(json!({ name: { "group_by": vec!["x"; 4_000] } })).to_string();
    let ask = house.call_as("alice", Endpoint::Totals, &json!({})).header("accept-encoding", "");
    let answer = ask.body(&*body).send().await;
    answer.is_own(400, "invalid_request");
    assert!(answer.raw.len() < 3 * body.len(), "{} for {}", answer.raw.len(), body.len());
}

#[tokio::test]
async fn a_window_of_exactly_28_days_up_to_now_is_relayed() {
    let house = House::start(&fresh(Kind::Sqlite).await).await;
    let alice = json!(house.bench.ids("alice", 1));
    for (start, end) in [
        ("2026-02-10T21:15:30Z", "2026-03-10T21:15:30Z"),
        ("2026-02-01", "2026-03-01"),
        ("2026-03-01T12:00:00", "2026-03-02T00:00:00+00:00"),
    ] {
        let mut body = with("tweet_ids", alice.clone());
        body["start"] = json!(start);
        body["end"] = json!(end);
        answer(&house, Endpoint::Historical, body.to_string()).await.is_relayed(200);
    }
}
