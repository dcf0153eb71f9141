//! The numbers of an answer one by one, each with the keys that it stands under; and those of some posts alone.

use crate::gateway::question::key::KeyText;
use crate::gateway::question::merge::{Merge, Overflow};
use crate::gateway::question::nested::Nested;
use crate::model::GroupBy;

/// A number of one grouping. A key is `None` where the grouping has no such level.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'a> {
    pub grouping: &'a str,
    pub post: Option<KeyText<'a>>,
    pub metric: Option<KeyText<'a>>,
    pub day: Option<KeyText<'a>>,
    pub hour: Option<KeyText<'a>>,
    pub value: i64,
}

impl Merge {
    /// Gives every number to `take`, grouping by grouping in the order of the keys.
    pub fn each_leaf(&self, mut take: impl FnMut(&Leaf)) -> Result<(), Overflow> {
        for (grouping, nested) in self.groupings.iter().zip(&self.nested) {
            self.walk(nested, &grouping.group_by, Leaf::of(&grouping.name, 0), &mut take)?;
        }
        Ok(())
    }

    /// The kinds of keys that its numbers stand under, in [`GroupBy`]'s order.
    pub fn columns(&self) -> Vec<GroupBy> {
        let has = |level: &GroupBy| {
            let by_day = *level == GroupBy::EngagementDay
                && self.forms.iter().any(|it| it.hours_by_day == Some(true));
            by_day || self.groupings.iter().any(|it| it.group_by.contains(level))
        };
        GroupBy::ALL.into_iter().filter(has).collect()
    }

    pub fn grouping_count(&self) -> usize {
        self.groupings.len()
    }

    /// Takes out these posts' numbers, of the groupings that begin with the post.
    pub fn take(&mut self, posts: &[u64]) -> Merge {
        let mut taken = Merge::new(self.groupings.clone());
        taken.names.clone_from(&self.names);
        taken.forms.clone_from(&self.forms);
        let places = self.groupings.iter().zip(&mut self.nested).zip(&mut taken.nested);
        for ((grouping, mine), taken) in places {
            if grouping.group_by.first() == Some(&GroupBy::TweetId) {
                *taken = mine.take(posts);
            }
        }
        taken
    }

    pub fn has_numbers(&self) -> bool {
        self.nested.iter().any(|it| !it.is_empty())
    }

    fn walk<'a>(
        &'a self,
        nested: &'a Nested,
        levels: &'a [GroupBy],
        leaf: Leaf<'a>,
        take: &mut impl FnMut(&Leaf),
    ) -> Result<(), Overflow> {
        let level = levels.first().copied();
        let key = |key: &u64| KeyText { key: *key, level, names: &self.names };
        match nested {
            Nested::Inner(entries) => entries.iter().try_for_each(|(it, nested)| {
                let key = key(it);
                self.walk(nested, key.below(levels), leaf.under(key), take)
            }),
            Nested::Leaves(leaves) => {
                for (it, sum) in leaves {
                    take(&Leaf { value: *sum, ..leaf.under(key(it)) });
                }
                Ok(())
            }
            Nested::Wide(leaves) => leaves.iter().try_for_each(|(it, sum)| {
                let value = i64::try_from(*sum).map_err(|_| Overflow)?;
                take(&Leaf { value, ..leaf.under(key(it)) });
                Ok(())
            }),
        }
    }
}

impl<'a> Leaf<'a> {
    /// A number without keys.
    pub(super) fn of(grouping: &'a str, value: i64) -> Leaf<'a> {
        Leaf { grouping, post: None, metric: None, day: None, hour: None, value }
    }

    pub(super) fn under(self, key: KeyText<'a>) -> Leaf<'a> {
        let at = Some(key);
        match key.is_of() {
            Some(GroupBy::TweetId) => Leaf { post: at, ..self },
            Some(GroupBy::EngagementType) => Leaf { metric: at, ..self },
            Some(GroupBy::EngagementDay) => Leaf { day: at, ..self },
            Some(GroupBy::EngagementHour) => Leaf { hour: at, ..self },
            None => self,
        }
    }

    /// The key of that kind.
    pub fn key(&self, kind: GroupBy) -> Option<KeyText<'a>> {
        match kind {
            GroupBy::TweetId => self.post,
            GroupBy::EngagementType => self.metric,
            GroupBy::EngagementDay => self.day,
            GroupBy::EngagementHour => self.hour,
        }
    }
}
