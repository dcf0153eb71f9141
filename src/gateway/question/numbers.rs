//! The numbers of an answer one by one, each with its keys, or row by row; and the numbers of selected posts.

use std::collections::BTreeSet;

use crate::gateway::question::merge::Merge;
use crate::gateway::question::number_key::KeyText;
use crate::gateway::question::tree::leaf::Leaf;
use crate::gateway::question::tree::{Nested, Rows};
use crate::model::{GroupBy, Metric};

/// A sum beyond 64 bits: its grouping, and its post and engagement type if the grouping tells these apart.
pub type Overflow = (String, Option<u64>, Option<Metric>);

impl Merge {
    /// Passes every number to `visit`, grouping by grouping, in the order of the keys.
    pub fn each_leaf(&self, mut visit: impl FnMut(&Leaf)) {
        for (grouping, nested) in self.groupings.iter().zip(&self.nested) {
            self.walk(nested, &grouping.group_by, Leaf::of(&grouping.name, 0), &mut visit);
        }
    }

    /// Takes out sums beyond 64 bits.
    pub fn take_overflows(&mut self) -> Vec<Overflow> {
        let mut overflows = Vec::new();
        for (grouping, nested) in self.groupings.iter().zip(&mut self.nested) {
            let names = &self.names;
            nested.take_overflows(&mut Vec::new(), &mut |keys| {
                let (mut levels, mut post, mut metric) = (&*grouping.group_by, None, None);
                for key in keys {
                    let text = KeyText { key: *key, level: levels.first().copied(), names };
                    match text.is_of() {
                        Some(GroupBy::TweetId) => post = Some(*key),
                        Some(GroupBy::EngagementType) => metric = text.with(Metric::from_name),
                        _ => (),
                    }
                    levels = text.below(levels);
                }
                overflows.push((grouping.name.clone(), post, metric));
            });
        }
        overflows
    }

    /// The kinds of keys that its numbers have, in [`GroupBy`]'s order.
    pub fn columns(&self) -> Vec<GroupBy> {
        let has = |level: &GroupBy| {
            let by_day = *level == GroupBy::EngagementDay
                && self.forms.iter().any(|form| form.hours_by_day == Some(true));
            by_day || self.groupings.iter().any(|grouping| grouping.group_by.contains(level))
        };
        GroupBy::ALL.into_iter().filter(has).collect()
    }

    /// The engagement types of its numbers, and `others`: their keys, in order, with their names.
    pub fn types(&self, others: impl IntoIterator<Item = Metric>) -> Vec<(u64, String)> {
        let mut found: BTreeSet<u64> = others.into_iter().map(|metric| metric as u64).collect();
        for (grouping, nested) in self.groupings.iter().zip(&self.nested) {
            nested.keys_of(GroupBy::EngagementType, &grouping.group_by, &mut found);
        }
        let level = Some(GroupBy::EngagementType);
        let name = |key| KeyText { key, level, names: &self.names }.with(str::to_owned);
        found.into_iter().map(|key| (key, name(key))).collect()
    }

    /// Whether some grouping adds the numbers of all engagement types up.
    pub fn adds_types_up(&self) -> bool {
        let has_types = |group_by: &[GroupBy]| group_by.contains(&GroupBy::EngagementType);
        self.groupings.iter().any(|grouping| !has_types(&grouping.group_by))
    }

    /// Its numbers row by row. Sums beyond 64 bits must have been taken out before.
    pub fn into_rows(self) -> Rows {
        let count = self.nested.iter().map(Nested::count).sum();
        Rows::new(self.groupings.into_iter().zip(self.nested).collect(), self.names, count)
    }

    pub fn grouping_count(&self) -> usize {
        self.groupings.len()
    }

    /// Takes out these posts' numbers, from the groupings that begin with the post.
    pub fn take_posts(&mut self, posts: &[u64]) -> Merge {
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
        self.nested.iter().any(|nested| !nested.is_empty())
    }

    fn walk<'a>(
        &'a self,
        nested: &'a Nested,
        levels: &'a [GroupBy],
        leaf: Leaf<'a>,
        visit: &mut impl FnMut(&Leaf),
    ) {
        let level = levels.first().copied();
        let text = |key: &u64| KeyText { key: *key, level, names: &self.names };
        match nested {
            Nested::Inner(entries) => {
                for (key, nested) in entries {
                    let key = text(key);
                    self.walk(nested, key.below(levels), leaf.under(key), visit);
                }
            }
            Nested::Leaves(leaves) => {
                for (key, sum) in leaves {
                    visit(&Leaf { value: *sum, ..leaf.under(text(key)) });
                }
            }
            Nested::Wide(leaves) => {
                for (key, sum) in leaves {
                    let value = i64::try_from(*sum).unwrap_or_default();
                    visit(&Leaf { value, ..leaf.under(text(key)) });
                }
            }
        }
    }
}
