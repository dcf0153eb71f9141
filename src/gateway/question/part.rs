//! The contents of one answer: its numbers as they come, or as rows that say everything about a number.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use crate::gateway::question::number_key::day_of;
use crate::gateway::question::remarks::{ARE_UNAVAILABLE, LISTS, Moment};
use crate::gateway::question::tree::{Form, Nested};
use crate::gateway::question::{Grouping, Span};
use crate::model::{GroupBy, Metric};

/// The contents of one answer.
#[derive(Debug)]
pub struct Part {
    pub(super) forms: Vec<Form>,
    pub(super) nested: Vec<Option<Nested>>,
    pub(super) start: Option<Moment>,
    pub(super) end: Option<Moment>,
    pub(super) lists: [Vec<u64>; LISTS.len()],
    pub(super) errors: Vec<String>,
}

/// A number of a post's, with its engagement type and time as [`crate::gateway::question::number_key`] has them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cell {
    pub metric: u64,
    /// 0 if days are not told apart.
    pub day: u64,
    /// 0 if hours are not told apart.
    pub hour: u64,
    pub value: i64,
}

/// How finely numbers tell times apart.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Grain {
    Whole,
    Day,
    Hour,
}

impl Part {
    /// The hours that it counts, if it says so.
    pub fn hours(&self) -> Option<Span> {
        let (start, end) = (self.start.as_ref()?.at, self.end.as_ref()?.at);
        Some(Span { start, end }.widened())
    }

    pub(super) fn bytes(&self) -> usize {
        self.nested.iter().flatten().map(Nested::bytes).sum()
    }

    /// An answer with these numbers of posts.
    pub(super) fn of(
        groupings: &[Grouping],
        forms: &[Form],
        cells: &[(u64, Cell)],
        (start, end): (Option<Moment>, Option<Moment>),
    ) -> Part {
        let nested = groupings.iter().map(|grouping| Some(nested(&grouping.group_by, cells)));
        let (lists, errors) = (Default::default(), Vec::new());
        Part { forms: forms.to_vec(), nested: nested.collect(), start, end, lists, errors }
    }

    /// The same, which calls some posts unavailable, and maybe counts them in an error.
    pub(super) fn without(mut self, (posts, is_counted): (Vec<u64>, bool)) -> Part {
        if is_counted {
            self.errors.push(format!("{}{ARE_UNAVAILABLE}", posts.len()));
        }
        let [unavailable, ..] = &mut self.lists;
        *unavailable = posts;
        self
    }

    /// Whether an error counts the unavailable posts.
    pub(super) fn counts_unavailable(&self) -> bool {
        self.errors.iter().any(|text| text.ends_with(ARE_UNAVAILABLE))
    }

    /// Each post's numbers in the grouping that tells most apart, with that grouping's grain; `None` if none tells posts
    /// and engagement types apart.
    pub(super) fn cells(
        &self,
        groupings: &[Grouping],
    ) -> Option<(Grain, BTreeMap<u64, Vec<Cell>>)> {
        let finest = groupings.iter().zip(&self.nested).filter_map(|(grouping, nested)| {
            Some((grouping.grain_of_posts()?, grouping, nested.as_ref()?))
        });
        let (grain, grouping, nested) = finest.max_by_key(|(grain, _, _)| *grain)?;
        let mut cells: BTreeMap<u64, Vec<Cell>> = BTreeMap::new();
        visit(nested, &grouping.group_by, (0, Cell::default()), &mut |post, cell| {
            cells.entry(post).or_default().push(cell);
        });
        Some((grain, cells))
    }
}

impl Grouping {
    /// How finely it tells times apart; `None` for hours of unknown days.
    pub(super) fn grain(&self) -> Option<Grain> {
        let has = |level| self.group_by.contains(&level);
        match (has(GroupBy::EngagementDay), has(GroupBy::EngagementHour)) {
            (false, false) => Some(Grain::Whole),
            (true, false) => Some(Grain::Day),
            (true, true) => Some(Grain::Hour),
            (false, true) => None,
        }
    }

    /// The same, if it tells posts and engagement types apart.
    pub(super) fn grain_of_posts(&self) -> Option<Grain> {
        let has = |level| self.group_by.contains(&level);
        self.grain().filter(|_| has(GroupBy::TweetId) && has(GroupBy::EngagementType))
    }
}

impl Cell {
    /// The engagement type, if it is a known one.
    pub fn metric(&self) -> Option<Metric> {
        Metric::ALL.get(usize::try_from(self.metric).ok()?).copied()
    }

    /// The same without what `grain` does not tell apart.
    pub fn at(self, grain: Grain) -> Cell {
        let day = if grain >= Grain::Day { self.day } else { 0 };
        let hour = if grain >= Grain::Hour { self.hour } else { 0 };
        Cell { day, hour, ..self }
    }

    /// Whether it counts nothing outside of `span`, which is in whole hours.
    pub fn is_within(&self, span: Span, grain: Grain) -> bool {
        let last = span.end - Duration::HOUR;
        let (first, last) = (place_of(span.start), place_of(last));
        match grain {
            Grain::Whole => true,
            Grain::Day => (first.0..=last.0).contains(&self.day),
            Grain::Hour => (first..=last).contains(&(self.day, self.hour)),
        }
    }
}

/// The day and hour of a time.
fn place_of(at: OffsetDateTime) -> (u64, u64) {
    (day_of(at), u64::from(at.hour()))
}

/// The sums of numbers under these levels.
fn nested(levels: &[GroupBy], cells: &[(u64, Cell)]) -> Nested {
    let Some((level, below)) = levels.split_first() else { return Nested::default() };
    let mut by_key: BTreeMap<u64, Vec<(u64, Cell)>> = BTreeMap::new();
    for (post, cell) in cells {
        let key = match level {
            GroupBy::TweetId => *post,
            GroupBy::EngagementType => cell.metric,
            GroupBy::EngagementDay => cell.day,
            GroupBy::EngagementHour => cell.hour,
        };
        by_key.entry(key).or_default().push((*post, *cell));
    }
    if !below.is_empty() {
        let inner = by_key.into_iter().map(|(key, cells)| (key, nested(below, &cells)));
        return Nested::Inner(inner.collect());
    }
    let sum = |cells: Vec<(u64, Cell)>| cells.iter().map(|(_, cell)| i128::from(cell.value)).sum();
    let sums: Vec<(u64, i128)> = by_key.into_iter().map(|(key, cells)| (key, sum(cells))).collect();
    // Collected into a `Result`, the list would have room for more than it needs.
    let mut leaves = Vec::with_capacity(sums.len());
    leaves.extend(sums.iter().map_while(|(key, sum)| Some((*key, i64::try_from(*sum).ok()?))));
    if leaves.len() == sums.len() { Nested::Leaves(leaves) } else { Nested::Wide(sums) }
}

/// Passes each number to `found`, with its post.
fn visit(
    nested: &Nested,
    levels: &[GroupBy],
    above: (u64, Cell),
    found: &mut impl FnMut(u64, Cell),
) {
    let Some((level, below)) = levels.split_first() else { return };
    let under = |key: u64| {
        let (post, cell) = above;
        match level {
            GroupBy::TweetId => (key, cell),
            GroupBy::EngagementType => (post, Cell { metric: key, ..cell }),
            GroupBy::EngagementDay => (post, Cell { day: key, ..cell }),
            GroupBy::EngagementHour => (post, Cell { hour: key, ..cell }),
        }
    };
    match nested {
        Nested::Inner(entries) => {
            for (key, nested) in entries {
                visit(nested, below, under(*key), found);
            }
        }
        Nested::Leaves(leaves) => {
            for (key, value) in leaves {
                let (post, cell) = under(*key);
                found(post, Cell { value: *value, ..cell });
            }
        }
        // A single answer has no sums.
        Nested::Wide(_) => (),
    }
}
