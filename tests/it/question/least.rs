//! The least number of calls for a question, computed apart from the plan.

use countersign::model::Metric;
use serde_json::Value;

use crate::gateway::TestGateway;
use crate::upstream::NOW;

/// When a post was created, by its id.
pub fn created(id: &str) -> time::OffsetDateTime {
    let ms = (id.parse::<i64>().unwrap() >> 22) + 1_288_834_974_657;
    time::OffsetDateTime::from_unix_timestamp(ms / 1000).unwrap()
}

pub fn is_too_old(id: &str) -> bool {
    NOW - created(id) > time::Duration::days(91)
}

/// The least number of calls if all authors are known. Of hours that lie 28 days apart, each needs a call for every 25
/// posts of an author that existed then.
pub fn least_calls(gateway: &TestGateway, question: &Value, endpoint: &str) -> usize {
    let ids = question["tweet_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap());
    let metrics = question["engagement_types"].as_array().unwrap().iter();
    let metrics: Vec<Metric> =
        metrics.map(|name| Metric::from_name(name.as_str().unwrap()).unwrap()).collect();
    let is_private = |metric: &Metric| endpoint != "totals" || !metric.is_public();
    let authors = ["alice", "bob"].map(|name| {
        let posts = &gateway.sandbox.user(name).posts;
        let own = ids.clone().filter(|id| posts.iter().any(|post| post.id == *id));
        own.filter(|id| endpoint != "totals" || !is_too_old(id)).collect::<Vec<_>>()
    });
    if endpoint == "totals" {
        let with_authors =
            if metrics.iter().any(is_private) { authors } else { Default::default() };
        let with_private: usize = with_authors.iter().map(Vec::len).sum();
        let is_public = metrics.iter().any(|metric| !is_private(metric));
        let alone = if is_public { ids.count() - with_private } else { 0 };
        let calls = with_authors.iter().map(|posts| posts.len().div_ceil(250)).sum::<usize>();
        return calls + alone.div_ceil(250);
    }
    let time = |name: &str| {
        let text = question["window"][name].as_str()?;
        let form = &time::format_description::well_known::Rfc3339;
        Some(time::OffsetDateTime::parse(text, form).unwrap().unix_timestamp())
    };
    let (Some(start), Some(end)) = (time("start"), time("end")) else {
        return authors.iter().map(|posts| posts.len().div_ceil(25)).sum();
    };
    let hours = (start.div_euclid(3600)..(end + 3599).div_euclid(3600)).rev().step_by(28 * 24);
    let existing = |posts: &[&str], hour: i64| {
        posts.iter().filter(|id| created(id).unix_timestamp() < (hour + 1) * 3600).count()
    };
    let calls =
        |hour| authors.iter().map(|posts| existing(posts, hour).div_ceil(25)).sum::<usize>();
    hours.map(calls).sum()
}
