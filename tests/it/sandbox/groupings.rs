//! Every nesting of reference 3.2; each split sums to the whole.

use serde_json::{Value, json};

use crate::http::Answer;
use crate::upstream::{HISTORICAL, LAST_28H, TOTALS, TestSandbox, body, keys, leaves, with};

const T: &str = "tweet.id";
const E: &str = "engagement.type";
const D: &str = "engagement.day";
const H: &str = "engagement.hour";
const TYPES: [&str; 3] = ["impressions", "favorites", "url_clicks"];

/// A grouped request for a bit more than two days, up to now.
async fn ask(sandbox: &TestSandbox, levels: &[&str]) -> Answer {
    let ids = sandbox.ids("alice", 4);
    let window = json!({ "start": "2026-03-08T20:00:00Z", "end": "2026-03-10T22:00:00Z" });
    sandbox.own("alice", HISTORICAL, &with(body(&ids, &TYPES, levels), &window)).await
}

/// The keys at each level of the first branch, and whether the leaf is a string.
fn shape(value: &Value) -> Vec<Vec<String>> {
    match value {
        Value::Object(fields) => {
            let names = fields.keys().cloned().collect();
            let below = fields.values().next().map(shape).unwrap_or_default();
            [vec![names], below].concat()
        }
        Value::String(_) => Vec::new(),
        other => panic!("{other} is no leaf"),
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn hours(from: u8, to: u8) -> Vec<String> {
    (from..to).map(|number| format!("{number:02}")).collect()
}

#[tokio::test]
async fn levels_nest_in_the_order_given_and_sum_to_the_whole() {
    let sandbox = TestSandbox::start().await;
    let mut ids = sandbox.ids("alice", 4);
    ids.sort();
    let types = owned(&["favorites", "impressions", "url_clicks"]);
    let days = owned(&["2026-03-08", "2026-03-09", "2026-03-10"]);
    let (first, any) = (hours(20, 24), hours(0, 24));
    let whole = leaves(&ask(&sandbox, &[E]).await.g());
    assert!(whole > 1_000);
    for (levels, expected) in [
        (&[E][..], vec![&types]),
        (&[T], vec![&ids]),
        (&[D], vec![&days]),
        (&[H], vec![&any]),
        (&[T, E], vec![&ids, &types]),
        (&[E, T], vec![&types, &ids]),
        (&[D, H], vec![&days, &first]),
        (&[T, E, D], vec![&ids, &types, &days]),
        (&[T, D, E], vec![&ids, &days, &types]),
        (&[D, E, T], vec![&days, &types, &ids]),
        (&[E, D, H], vec![&types, &days, &first]),
        (&[T, E, H], vec![&ids, &types, &any]),
        (&[E, T, H], vec![&types, &ids, &any]),
        (&[T, E, D, H], vec![&ids, &types, &days, &first]),
        (&[E, T, D, H], vec![&types, &ids, &days, &first]),
    ] {
        let g = ask(&sandbox, levels).await.g();
        let got = shape(&g);
        assert_eq!(got.iter().collect::<Vec<_>>(), expected, "{levels:?}");
        assert_eq!(leaves(&g), whole, "{levels:?}");
    }
}

#[tokio::test]
async fn an_hour_without_its_day_can_nest_the_day() {
    let sandbox = TestSandbox::start().await;
    let hour_of_day = ask(&sandbox, &[T, E, H]).await.g();
    sandbox.put("/sandbox/switches", json!({ "hour_without_day": "nested_day" })).await;
    let nested = ask(&sandbox, &[T, E, H]).await.g();
    assert_eq!(nested, ask(&sandbox, &[T, E, D, H]).await.g());
    assert_eq!(leaves(&nested), leaves(&hour_of_day));
    assert_eq!(shape(&ask(&sandbox, &[H, E]).await.g()).len(), 3);
}

#[tokio::test]
async fn every_grouping_of_a_request_is_answered() {
    let sandbox = TestSandbox::start().await;
    let ids = sandbox.ids("alice", 3);
    let groupings = json!({
        "Grand Totals": { "group_by": [E] },
        "by-tweet": { "group_by": [T, E] },
        "hourly": { "group_by": [E, T, D, H] },
    });
    let body = with(body(&ids, &TYPES, &[T]), &json!({ "groupings": groupings }));
    let answer = sandbox.own("alice", LAST_28H, &body).await.json();
    assert_eq!(keys(&answer), ["Grand Totals", "by-tweet", "end", "hourly", "start"]);
    for name in ["by-tweet", "hourly"] {
        assert_eq!(leaves(&answer[name]), leaves(&answer["Grand Totals"]), "{name}");
    }
}

#[tokio::test]
async fn totals_have_neither_start_nor_end_and_leaves_are_strings() {
    let sandbox = TestSandbox::start().await;
    let ids = sandbox.ids("alice", 2);
    let body = body(&ids, &["favorites", "replies"], &[E]);
    let answer = sandbox.public(&body).await.json();
    let sum = |name: &str| -> String {
        sandbox.posts("alice")[..2].iter().map(|post| post.totals[name]).sum::<u64>().to_string()
    };
    let expected = json!({ "g": { "favorites": sum("favorites"), "replies": sum("replies") } });
    assert_eq!(answer, expected);

    sandbox.put("/sandbox/switches", json!({ "totals_echo_window": true })).await;
    let answer = sandbox.own("alice", TOTALS, &body).await.json();
    assert_eq!(answer["start"], "2026-03-09T17:00:00Z");
}
