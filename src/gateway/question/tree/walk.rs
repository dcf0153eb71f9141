//! An answer's numbers in the order in which they are written, freed as they are returned.

use std::vec;

use crate::gateway::question::Grouping;
use crate::gateway::question::number_key::{KeyText, TypeNames};
use crate::gateway::question::tree::Nested;
use crate::gateway::question::tree::leaf::Leaf;
use crate::model::GroupBy;

/// The next piece of an answer.
pub enum Step<'a> {
    /// A grouping begins.
    Grouping(&'a str),
    /// What follows is nested under this key.
    Open(KeyText<'a>),
    Number(KeyText<'a>, i64),
    /// The innermost open key or grouping ends.
    Close,
}

/// Returns each number once. Sums that do not fit 64 bits must have been refused before.
pub struct Walk {
    groupings: vec::IntoIter<(Grouping, Nested)>,
    names: TypeNames,
    /// The current grouping.
    grouping: Grouping,
    /// The open levels, from the grouping down to the current one.
    open: Vec<Frame>,
    /// How many numbers have not been returned yet.
    left: usize,
}

struct Frame {
    /// The key above it; `None` for the grouping's own level.
    key: Option<(u64, Option<GroupBy>)>,
    /// How many levels of the grouping are above it.
    depth: usize,
    remainder: Remainder,
}

/// The entries of a list that have not been returned yet.
pub(in crate::gateway::question::tree) enum Remainder {
    Inner(vec::IntoIter<(u64, Nested)>),
    Leaves(vec::IntoIter<(u64, i64)>),
    Wide(vec::IntoIter<(u64, i128)>),
}

impl Walk {
    pub fn new(groupings: Vec<(Grouping, Nested)>, names: TypeNames, numbers: usize) -> Walk {
        let grouping = Grouping { name: String::new(), group_by: Vec::new() };
        Walk { groupings: groupings.into_iter(), names, grouping, open: Vec::new(), left: numbers }
    }

    /// How many numbers have not been returned yet.
    pub fn left(&self) -> usize {
        self.left
    }

    pub fn step(&mut self) -> Option<Step<'_>> {
        let Some(frame) = self.open.last_mut() else {
            let (grouping, nested) = self.groupings.next()?;
            self.grouping = grouping;
            self.open.push(Frame { key: None, depth: 0, remainder: nested.into() });
            return Some(Step::Grouping(&self.grouping.name));
        };
        let (depth, levels) = (frame.depth, &self.grouping.group_by);
        let level = levels.get(depth).copied();
        let number = match &mut frame.remainder {
            Remainder::Leaves(leaves) => leaves.next(),
            Remainder::Wide(leaves) => {
                leaves.next().map(|(key, sum)| (key, i64::try_from(sum).unwrap_or_default()))
            }
            Remainder::Inner(entries) => match entries.next() {
                Some((key, below)) => {
                    let text = KeyText { key, level, names: &self.names };
                    let depth =
                        levels.len() - text.below(levels.get(depth..).unwrap_or_default()).len();
                    let key = Some((key, level));
                    self.open.push(Frame { key, depth, remainder: below.into() });
                    return Some(Step::Open(text));
                }
                None => None,
            },
        };
        let Some((key, sum)) = number else {
            self.open.pop();
            return Some(Step::Close);
        };
        self.left = self.left.saturating_sub(1);
        Some(Step::Number(KeyText { key, level, names: &self.names }, sum))
    }

    /// The next number with all its keys.
    pub fn leaf(&mut self) -> Option<Leaf<'_>> {
        let (key, level, value) = loop {
            match self.step()? {
                Step::Number(KeyText { key, level, .. }, value) => break (key, level, value),
                Step::Grouping(_) | Step::Open(_) | Step::Close => (),
            }
        };
        let above = self.open.iter().filter_map(|frame| frame.key);
        let keys = above.chain([(key, level)]);
        let leaf = Leaf::of(&self.grouping.name, value);
        Some(keys.fold(leaf, |leaf, (key, level)| {
            leaf.under(KeyText { key, level, names: &self.names })
        }))
    }
}

impl From<Nested> for Remainder {
    fn from(nested: Nested) -> Remainder {
        match nested {
            Nested::Inner(entries) => Remainder::Inner(entries.into_iter()),
            Nested::Leaves(leaves) => Remainder::Leaves(leaves.into_iter()),
            Nested::Wide(leaves) => Remainder::Wide(leaves.into_iter()),
        }
    }
}
