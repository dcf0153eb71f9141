//! Posts that are too old for an endpoint or a metric.

use serde_json::json;

use crate::upstream::{HISTORICAL, NOW, TOTALS, TestSandbox, body, keys};
use time::{Duration, OffsetDateTime};

const OLD_IMPRESSIONS: &str = "unsupported_for_impressions_engagements_tweet_ids";
const OLD_VIDEO: &str = "unsupported_for_video_views_tweet_ids";

/// The ids of alice's posts older than that.
fn older(sandbox: &TestSandbox, days: i64) -> Vec<String> {
    let cutoff = NOW - Duration::days(days);
    let format = &time::format_description::well_known::Rfc3339;
    let is_old = |at: &str| OffsetDateTime::parse(at, format).unwrap() < cutoff;
    let posts = sandbox.posts("alice");
    posts.iter().filter(|post| is_old(&post.created_at)).map(|post| post.id.clone()).collect()
}

#[tokio::test]
async fn impressions_end_at_90_days() {
    let sandbox = TestSandbox::start().await;
    let old = older(&sandbox, 90);
    let all = sandbox.ids("alice", 50);
    assert!(!old.is_empty() && old.len() < all.len());
    let types = ["impressions", "favorites"];
    let answer =
        sandbox.own("alice", TOTALS, &body(&all, &types, &["tweet.id", "engagement.type"])).await;
    let g = answer.g();
    assert_eq!(answer.json()[OLD_IMPRESSIONS], json!(old));
    assert_eq!(
        answer.json()["errors"],
        json!([
            "Impressions & engagements for tweets older than 90 days (2025-12-10T21:15:30Z) are not supported"
        ])
    );
    for id in &all {
        let expected =
            if old.contains(id) { vec!["favorites"] } else { vec!["favorites", "impressions"] };
        assert_eq!(keys(&g[id]), expected, "{id}");
    }

    let answer =
        sandbox.own("alice", TOTALS, &body(&all, &types, &["engagement.type", "tweet.id"])).await;
    assert_eq!(keys(&answer.g()["impressions"]).len(), all.len() - old.len());
    let only = sandbox.own("alice", TOTALS, &body(&old, &["engagements"], &["tweet.id"])).await;
    assert_eq!(only.g(), json!({}));
    let public =
        sandbox.own("alice", TOTALS, &body(&old, &["favorites"], &["tweet.id"])).await.json();
    assert!(public.get("errors").is_none() && public.get(OLD_IMPRESSIONS).is_none());
}

#[tokio::test]
async fn the_90_days_are_for_totals_alone() {
    let sandbox = TestSandbox::start().await;
    let old = older(&sandbox, 90);
    let answer =
        sandbox.own("alice", HISTORICAL, &body(&old, &["impressions"], &["tweet.id"])).await;
    assert_eq!(keys(&answer.g()).len(), old.len());
    assert!(answer.json().get(OLD_IMPRESSIONS).is_none());
}

#[tokio::test]
async fn video_views_end_at_1800_days() {
    let sandbox = TestSandbox::start().await;
    let ancient = older(&sandbox, 1800);
    assert_eq!(ancient.len(), 1);
    let ids = [ancient.clone(), sandbox.ids("alice", 1)].concat();
    let types = ["video_views", "favorites"];
    let answer = sandbox.public(&body(&ids, &types, &["tweet.id", "engagement.type"])).await;
    assert_eq!(answer.g()[&ancient[0]]["video_views"], "0");
    assert_ne!(answer.g()[&ancient[0]]["favorites"], "0");
    assert_eq!(answer.json()[OLD_VIDEO], json!(ancient));
    assert!(answer.json().get("errors").is_none());
    let without = sandbox.public(&body(&ids, &["favorites"], &["tweet.id"])).await.json();
    assert!(without.get(OLD_VIDEO).is_none());
}
