//! An endpoint's answer without limits equals its answers within the limits, combined.

use countersign::sandbox::Settings;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use crate::dice::Dice;
use crate::http::Answer;
use crate::upstream::{HISTORICAL, LAST_28H, NOW, TOTALS, TestSandbox, body, keys, small, with};

const T: &str = "tweet.id";
const E: &str = "engagement.type";
const D: &str = "engagement.day";
const H: &str = "engagement.hour";
const PUBLIC: [&str; 5] = ["favorites", "retweets", "replies", "quote_tweets", "video_views"];
const EITHER: [&str; 7] = [
    "impressions",
    "engagements",
    "favorites",
    "retweets",
    "replies",
    "quote_tweets",
    "video_views",
];
const HOURLY: [&str; 8] = [
    "impressions",
    "engagements",
    "favorites",
    "video_views",
    "media_clicks",
    "url_clicks",
    "app_opens",
    "user_follows",
];
const LISTS: [&str; 3] = [
    "unavailable_tweet_ids",
    "unsupported_for_impressions_engagements_tweet_ids",
    "unsupported_for_video_views_tweet_ids",
];

async fn start_sandbox() -> TestSandbox {
    let settings = Settings { users: 4, posts_per_user: 40, ..Settings::default() };
    TestSandbox::start_with(Settings { ancient_authors: 3, ..settings }).await
}

async fn lifted(sandbox: &TestSandbox, path: &str, body: &Value) -> Answer {
    let name = path.rsplit('/').next().unwrap();
    sandbox.post(&format!("/sandbox/answer/{name}"), body).send().await
}

/// The ids of all of a user's posts, including those that are gone.
fn every(sandbox: &TestSandbox, name: &str) -> Vec<String> {
    sandbox.user(name).posts.iter().map(|post| post.id.clone()).collect()
}

/// Printed with a test that fails, or with `--nocapture`.
#[expect(clippy::print_stdout, reason = "from which seed a test went wrong")]
fn say(text: &str) {
    println!("{text}");
}

/// Random groupings that the endpoint accepts.
fn groupings(dice: &mut Dice, has_time: bool) -> Value {
    let mut groupings = Map::new();
    for name in ["one", "two", "three"].iter().take(1 + dice.below(3)) {
        let levels = if has_time { vec![T, E, D, H] } else { vec![T, E] };
        let mut levels = dice.some(&levels, 4);
        if levels.len() == 4 {
            let is_first = groupings
                .values()
                .all(|grouping| grouping["group_by"].as_array().unwrap().len() < 4);
            levels =
                if is_first { dice.pick(&[[T, E, D, H], [E, T, D, H]]).to_vec() } else { vec![H] };
        }
        groupings.insert((*name).to_owned(), json!({ "group_by": levels }));
    }
    Value::Object(groupings)
}

fn written(at: OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}

/// A random window that the historical endpoint accepts, or a part of one.
fn window(dice: &mut Dice) -> Value {
    let back =
        |dice: &mut Dice| Duration::minutes(i64::try_from(dice.below(364 * 24 * 60)).unwrap());
    let start = NOW - back(dice) - Duration::HOUR;
    let length = Duration::minutes(i64::try_from(1 + dice.below(28 * 24 * 60)).unwrap());
    let end = (start + length).min(NOW);
    match dice.below(6) {
        0 => json!({}),
        1 => json!({ "start": written(start) }),
        2 => json!({ "end": written((NOW - Duration::days(300)).max(end)) }),
        _ => json!({ "start": written(start), "end": written(end) }),
    }
}

#[tokio::test]
async fn within_the_limits_it_is_what_the_endpoint_answers() {
    let sandbox = start_sandbox().await;
    let names = ["alice", "bob", "carol", "dave"];
    let mut everybody: Vec<String> = names.iter().flat_map(|name| every(&sandbox, name)).collect();
    everybody.extend(every(&sandbox, "protected_pat"));
    everybody.extend(["20".to_owned(), "1".to_owned()]);
    let mut answered = 0;
    for seed in 0..400 {
        say(&format!("seed {seed}"));
        let mut dice = Dice(seed);
        let name = *dice.pick(&names);
        let own = [every(&sandbox, name), vec!["20".to_owned()]].concat();
        let (path, ids, types) = match dice.below(4) {
            0 => ("", dice.some(&everybody, 180), dice.some(&PUBLIC, 5)),
            1 => (TOTALS, dice.some(&own, 250), dice.some(&EITHER, 7)),
            2 => (LAST_28H, dice.some(&own, 25), dice.some(&HOURLY, 8)),
            _ => (HISTORICAL, dice.some(&own, 25), dice.some(&HOURLY, 8)),
        };
        let has_time = [LAST_28H, HISTORICAL].contains(&path);
        let groupings = json!({ "groupings": groupings(&mut dice, has_time) });
        let mut asked = with(body(&ids, &types, &[T]), &groupings);
        if path == HISTORICAL {
            asked = with(asked, &window(&mut dice));
        }
        let (answer, whole) = if path.is_empty() {
            (sandbox.public(&asked).await, lifted(&sandbox, TOTALS, &asked).await)
        } else {
            (sandbox.own(name, path, &asked).await, lifted(&sandbox, path, &asked).await)
        };
        assert_eq!((whole.status, whole.json()), (answer.status, answer.json()), "{asked}");
        answered += usize::from(answer.status == 200);
    }
    assert!(answered > 350, "{answered}");
}

/// Adds a grouping's leaves to another's of the same nesting.
fn add(sum: &mut Value, part: &Value) {
    match (sum, part) {
        (Value::Object(sum), Value::Object(part)) => {
            for (name, part) in part {
                match sum.get_mut(name) {
                    Some(sum) => add(sum, part),
                    None => _ = sum.insert(name.clone(), part.clone()),
                }
            }
        }
        (Value::String(sum), Value::String(part)) => {
            let (one, other): (u64, u64) = (sum.parse().unwrap(), part.parse().unwrap());
            *sum = (one + other).to_string();
        }
        (sum, part) => panic!("{sum} and {part}"),
    }
}

/// Combines the answers for parts of a request; the lists of ids are sorted.
fn merged(parts: &[Answer]) -> Value {
    let mut whole = json!({ "g": {} });
    for part in parts {
        let part = part.json();
        if let Some(g) = part.get("g") {
            add(&mut whole["g"], g);
        }
        for list in LISTS {
            let ids = part.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
            let known = whole.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
            let mut ids: Vec<String> =
                ids.iter().chain(&known).map(|id| id.as_str().unwrap().to_owned()).collect();
            ids.sort();
            ids.dedup();
            whole[list] = json!(ids);
        }
    }
    whole
}

#[tokio::test]
async fn a_year_is_the_sum_of_what_historical_answers() {
    let sandbox = TestSandbox::start_with(Settings { posts_per_user: 5, ..small() }).await;
    let (first, last) = (NOW - Duration::days(364), NOW);
    let names = ["alice", "bob"];
    let ids: Vec<String> = names.iter().flat_map(|name| every(&sandbox, name)).collect();
    for (seed, levels) in
        (1..).zip([&[E][..], &[T, E], &[D, T], &[E, H], &[E, D, H], &[T, E, D, H]])
    {
        say(&format!("seed {seed}"));
        let mut dice = Dice(seed);
        let types = dice.some(&HOURLY, 2);
        let mut parts = Vec::new();
        let mut start = first;
        while start < last {
            let hours = i64::try_from(24 * 20 + dice.below(24 * 8)).unwrap();
            // Windows are widened to whole hours, so they must meet on the hour.
            let end = (start + Duration::hours(hours)).replace_time(time::Time::MIDNIGHT).min(last);
            let window = json!({ "start": written(start), "end": written(end) });
            for name in names {
                let most = 1 + dice.below(6);
                for some in every(&sandbox, name).chunks(most) {
                    let asked = with(body(some, &types, levels), &window);
                    parts.push(sandbox.own(name, HISTORICAL, &asked).await);
                }
            }
            start = end;
        }
        let window = json!({ "start": written(first), "end": written(last) });
        let whole = lifted(&sandbox, HISTORICAL, &with(body(&ids, &types, levels), &window)).await;
        assert_eq!(whole.status, 200, "{}", whole.text());
        assert_eq!(merged(std::slice::from_ref(&whole)), merged(&parts), "{levels:?}");
        assert_eq!(whole.json()["end"], "2026-03-10T22:00:00Z");
    }
}

#[tokio::test]
async fn totals_of_everybody_are_the_sum_of_what_totals_answer() {
    let sandbox = start_sandbox().await;
    let names = ["alice", "bob", "carol", "dave"];
    let mut ids: Vec<String> = names.iter().flat_map(|name| every(&sandbox, name)).collect();
    ids.extend(every(&sandbox, "suspended_sam"));
    let unknown = (1..=200).map(|number: u32| number.to_string());
    ids.extend(unknown);
    for levels in [&[E][..], &[T], &[T, E], &[E, T]] {
        let mut parts = Vec::new();
        for name in names {
            let private = body(&every(&sandbox, name), &EITHER[..2], levels);
            parts.push(sandbox.own(name, TOTALS, &private).await);
        }
        for some in ids.chunks(250) {
            parts.push(sandbox.public(&body(some, &PUBLIC, levels)).await);
        }
        let whole = lifted(&sandbox, TOTALS, &body(&ids, &EITHER, levels)).await;
        assert_eq!(whole.status, 200, "{}", whole.text());
        assert_eq!(merged(std::slice::from_ref(&whole)), merged(&parts), "{levels:?}");
    }
}

#[tokio::test]
async fn what_is_excepted_counts_as_though_it_had_not_been_asked_for() {
    let sandbox = start_sandbox().await;
    let (alice, bob) = (every(&sandbox, "alice"), every(&sandbox, "bob"));
    let both = [alice.clone(), bob.clone()].concat();
    let all = ["impressions", "engagements", "favorites", "video_views"];
    for levels in [&[E][..], &[T], &[T, E], &[E, T]] {
        let except = json!({ "except": [
            { "tweet_ids": bob, "engagement_types": ["impressions"] },
            { "tweet_ids": bob, "engagement_types": ["engagements"] },
            { "tweet_ids": alice[..5], "engagement_types": all },
        ] });
        let whole = lifted(&sandbox, TOTALS, &with(body(&both, &all, levels), &except)).await;
        let parts = [
            lifted(&sandbox, TOTALS, &body(&alice[5..], &all, levels)).await,
            lifted(&sandbox, TOTALS, &body(&bob, &all[2..], levels)).await,
        ];
        assert_eq!(merged(std::slice::from_ref(&whole)), merged(&parts), "{levels:?}");
    }
    let except = json!({ "except": [{ "tweet_ids": both, "engagement_types": all }] });
    let nothing = lifted(&sandbox, TOTALS, &with(body(&both, &all, &[E]), &except)).await;
    assert_eq!((nothing.status.as_u16(), nothing.json()), (200, json!({ "g": {} })));
}

#[tokio::test]
async fn everything_but_the_limits_is_as_ever() {
    let sandbox = start_sandbox().await;
    let ids = sandbox.ids("alice", 2);
    let ask = async |path: &str, more: Value| {
        lifted(&sandbox, path, &with(body(&ids, &["favorites"], &[E]), &more)).await
    };
    let span = |start: &str, end: &str| json!({ "start": start, "end": end });
    for (window, text) in [
        (span("2026-03-02", "2026-03-10T22:00:01Z"), "SIM: end must not be in the future"),
        (span("2026-03-02", "2026-03-02"), "SIM: start must be before end"),
        (
            span("2025-03-10T20:00:00Z", "2026-01-01"),
            "SIM: start must not be before 2025-03-10T21:00:00Z",
        ),
    ] {
        ask(HISTORICAL, window).await.refuses(400, &[text]);
    }
    let year = ask(HISTORICAL, span("2025-03-10T21:30:00Z", "2026-03-10T21:30:00Z")).await.json();
    assert_eq!(year["start"], "2025-03-10T21:00:00Z");
    assert_eq!(year["end"], "2026-03-10T22:00:00Z");
    let types = json!({ "engagement_types": ["url_clicks"] });
    ask(TOTALS, types).await.refuses(403, &["Forbidden to access metrics: url_clicks"]);
    assert_eq!(ask("/nowhere", json!({})).await.status, 404);
    let gone = lifted(&sandbox, TOTALS, &body(&["20".to_owned()], &["favorites"], &[E])).await;
    assert_eq!(gone.status, 400);
    assert_eq!(keys(&gone.json()), ["errors", "unavailable_tweet_ids"]);
    for wrong in [
        json!(5),
        json!([{ "tweet_ids": ids }]),
        json!([{ "tweet_ids": ["x"], "engagement_types": ["favorites"] }]),
        json!([{ "tweet_ids": ids, "engagement_types": ["likes"] }]),
    ] {
        let answer = ask(TOTALS, json!({ "except": wrong })).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("SIM: except: "), "{}", answer.text());
    }
    assert_eq!(sandbox.get("/sandbox/calls").await, json!([]), "none of it is a call");
}
