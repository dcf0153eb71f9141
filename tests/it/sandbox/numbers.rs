//! The numbers are consistent, whichever way they are requested.

use serde_json::{Value, json};
use time::{Date, Duration};

use crate::upstream::{HISTORICAL, LAST_28H, NOW, TOTALS, TestSandbox, body, leaves, with};

async fn historical(sandbox: &TestSandbox, ids: &[String], start: String, end: String) -> u64 {
    let body = body(ids, &["favorites", "replies"], &["engagement.type"]);
    let window = json!({ "start": start, "end": end });
    leaves(&sandbox.own("alice", HISTORICAL, &with(body, &window)).await.g())
}

fn date(days_ago: i64) -> Date {
    (NOW - Duration::days(days_ago)).date()
}

#[tokio::test]
async fn historical_windows_sum_to_totals() {
    let sandbox = TestSandbox::start().await;
    let ids = sandbox.ids("alice", 10);
    let totals = body(&ids, &["favorites", "replies"], &["engagement.type"]);
    let totals = leaves(&sandbox.own("alice", TOTALS, &totals).await.g());
    let mut sum = 0;
    for part in 0..13 {
        let (from, to) = (date(28 * (part + 1)), date(28 * part));
        sum += historical(&sandbox, &ids, from.to_string(), to.to_string()).await;
    }
    let today =
        historical(&sandbox, &ids, date(0).to_string(), "2026-03-10T22:00:00Z".into()).await;
    assert!(sum > 0 && today > 0);
    assert_eq!(sum + today, totals);
}

#[tokio::test]
async fn the_28_hours_agree_with_historical() {
    let sandbox = TestSandbox::start().await;
    let ids = sandbox.ids("alice", 10);
    let types = ["impressions", "engagements", "favorites", "video_views", "user_profile_clicks"];
    let levels = ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"];
    let body = body(&ids, &types, &levels);
    let recent = sandbox.own("alice", LAST_28H, &body).await;
    let window = json!({ "start": recent.json()["start"], "end": recent.json()["end"] });
    let same = sandbox.own("alice", HISTORICAL, &with(body, &window)).await;
    assert_eq!(recent.g(), same.g());
    assert!(leaves(&recent.g()) > 0);
}

#[tokio::test]
async fn a_split_by_posts_metrics_or_time_sums_to_the_whole() {
    let sandbox = TestSandbox::start().await;
    let ids = sandbox.ids("alice", 6);
    let ask = async |ids: &[String], types: &[&str], window: Value| {
        let body = with(body(ids, types, &["tweet.id", "engagement.type"]), &window);
        leaves(&sandbox.own("alice", HISTORICAL, &body).await.g())
    };
    let types = ["impressions", "engagements", "detail_expands"];
    let window = || json!({ "start": "2026-03-01", "end": "2026-03-10" });
    let whole = ask(&ids, &types, window()).await;
    assert!(whole > 0);

    let posts = ask(&ids[..2], &types, window()).await + ask(&ids[2..], &types, window()).await;
    assert_eq!(posts, whole);
    let metrics = ask(&ids, &types[..1], window()).await + ask(&ids, &types[1..], window()).await;
    assert_eq!(metrics, whole);
    let early = json!({ "start": "2026-03-01", "end": "2026-03-04T13:00:00Z" });
    let late = json!({ "start": "2026-03-04T13:00:00Z", "end": "2026-03-10" });
    assert_eq!(ask(&ids, &types, early).await + ask(&ids, &types, late).await, whole);
}

#[tokio::test]
async fn numbers_stand_still_within_an_hour_and_grow_after_it() {
    let sandbox = TestSandbox::start().await;
    let ids = sandbox.ids("alice", 3);
    let ask = async || {
        let body = body(&ids, &["impressions"], &["tweet.id"]);
        leaves(&sandbox.own("alice", TOTALS, &body).await.g())
    };
    let before = ask().await;
    sandbox.clock.forward(Duration::minutes(40));
    assert_eq!(ask().await, before);
    sandbox.clock.forward(Duration::minutes(60));
    assert!(ask().await > before);
}

#[tokio::test]
async fn the_world_shows_what_totals_answer() {
    let sandbox = TestSandbox::start().await;
    let post = sandbox.posts("alice")[1];
    let types: Vec<&str> = post.totals.keys().copied().collect();
    assert_eq!(types.len(), 7);
    let body = body(std::slice::from_ref(&post.id), &types, &["engagement.type"]);
    let answer = sandbox.own("alice", TOTALS, &body).await.g();
    for (name, number) in &post.totals {
        assert_eq!(answer[*name], number.to_string(), "{name}");
    }
    assert!(post.totals["engagements"] < post.totals["impressions"]);
}
