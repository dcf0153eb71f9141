//! Zeros for a time when posts did not exist, in the form of an answer's other numbers.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use crate::gateway::question::Span;
use crate::gateway::question::number_key::day_of;
use crate::gateway::question::tree::{Form, Nested};
use crate::model::{GroupBy, Metric};

/// A zero for each of these posts, engagement types and hours.
pub struct Zeros {
    posts: Vec<u64>,
    metrics: Vec<u64>,
    /// Each hour by its keys: its day, and its place in that day.
    hours: Vec<(u64, u64)>,
}

impl Zeros {
    pub fn new(posts: &[u64], metrics: &[Metric], span: Span) -> Zeros {
        let (mut posts, mut metrics) =
            (posts.to_vec(), metrics.iter().map(|metric| *metric as u64).collect::<Vec<_>>());
        posts.sort_unstable();
        metrics.sort_unstable();
        let Span { start, end } = span.widened();
        let hours = std::iter::successors(Some(start), |hour| Some(*hour + Duration::HOUR));
        let key = |hour: OffsetDateTime| (day_of(hour), u64::from(hour.hour()));
        let hours = hours.take_while(|hour| *hour < end).map(key).collect();
        Zeros { posts, metrics, hours }
    }

    /// The zeros under these levels.
    pub fn nested(&self, levels: &[GroupBy], form: &Form) -> Nested {
        let mut levels = levels.to_vec();
        let is_day = |level: &GroupBy| *level == GroupBy::EngagementDay;
        if form.hours_by_day == Some(true) && !levels.iter().any(is_day) {
            let hour = levels.iter().position(|level| *level == GroupBy::EngagementHour);
            levels.insert(hour.unwrap_or(levels.len()), GroupBy::EngagementDay);
        }
        self.level(&levels, &self.hours)
    }

    fn level(&self, levels: &[GroupBy], hours: &[(u64, u64)]) -> Nested {
        let Some((level, below)) = levels.split_first() else { return Nested::default() };
        let mut by_key: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
        let keys: Vec<(u64, &[(u64, u64)])> = match level {
            GroupBy::TweetId => self.posts.iter().map(|post| (*post, hours)).collect(),
            GroupBy::EngagementType => self.metrics.iter().map(|metric| (*metric, hours)).collect(),
            GroupBy::EngagementDay | GroupBy::EngagementHour => {
                let is_day = *level == GroupBy::EngagementDay;
                for (day, hour) in hours {
                    let key = if is_day { *day } else { *hour };
                    by_key.entry(key).or_default().push((*day, *hour));
                }
                by_key.iter().map(|(key, hours)| (*key, &**hours)).collect()
            }
        };
        if below.is_empty() {
            return Nested::Leaves(keys.into_iter().map(|(key, _)| (key, 0)).collect());
        }
        let under = |(key, hours)| (key, self.level(below, hours));
        Nested::Inner(keys.into_iter().map(under).collect())
    }
}
