//! The posts of an answer with the highest numbers: all others are left out.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::gateway::question::Top;
use crate::gateway::question::merge::Merge;
use crate::model::GroupBy;

/// A post with the number by which it was chosen.
pub type Ranked = (u64, i64);

impl Merge {
    /// Keeps the numbers of the posts that lead by one engagement type, over all times of the answer. They come in this
    /// order where a grouping begins with them; the newer post comes first if two have the same number. Posts without
    /// that number are left out, too.
    pub(super) fn keep_top(&mut self, Top { by, count }: Top) -> Vec<Ranked> {
        let mut sums: HashMap<u64, i64> = HashMap::new();
        let ranks = |levels: &[GroupBy]| {
            levels.contains(&GroupBy::TweetId) && levels.contains(&GroupBy::EngagementType)
        };
        let ranking = self.groupings.iter().find(|grouping| ranks(&grouping.group_by));
        let ranking = ranking.map(|grouping| grouping.name.clone()).unwrap_or_default();
        self.each_leaf(|leaf| {
            if let (Some(post), Some(metric)) = (leaf.post, leaf.metric)
                && leaf.grouping == ranking
                && metric.key == by as u64
            {
                let sum = sums.entry(post.key).or_default();
                *sum = sum.saturating_add(leaf.value);
            }
        });
        let mut ranked: Vec<Ranked> = sums.into_iter().collect();
        ranked.sort_unstable_by_key(|(post, value)| Reverse((*value, *post)));
        ranked.truncate(count);
        let posts: Vec<u64> = ranked.iter().map(|(post, _)| *post).collect();
        for (grouping, nested) in self.groupings.iter().zip(&mut self.nested) {
            nested.keep_posts(&posts, &grouping.group_by);
        }
        ranked
    }
}
