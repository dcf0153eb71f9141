//! An answer's numbers as rows of a wide table, freed as they are returned: numbers whose keys differ in their
//! engagement type alone stand in one row.

use std::vec;

use crate::gateway::question::Grouping;
use crate::gateway::question::number_key::{KeyText, TypeNames};
use crate::gateway::question::tree::Nested;
use crate::gateway::question::tree::leaf::Leaf;
use crate::gateway::question::tree::walk::Remainder;
use crate::model::GroupBy;

/// A row of one grouping.
pub struct Row<'a> {
    /// Its grouping and its keys, without an engagement type or a number.
    pub keys: Leaf<'a>,
    /// Its numbers in the order of their types' keys; `None` where the grouping adds all types up.
    pub numbers: &'a [(Option<u64>, i64)],
}

/// Returns each row once. Sums that do not fit 64 bits must have been refused before.
pub struct Rows {
    groupings: vec::IntoIter<(Grouping, Nested)>,
    names: TypeNames,
    /// The current grouping.
    grouping: Grouping,
    /// The open levels, from the grouping down to the current one.
    open: Vec<Frame>,
    /// The current row's key below those of the open levels, if there is one.
    own: Option<Key>,
    /// The numbers of the current row.
    numbers: Vec<(Option<u64>, i64)>,
    /// How many numbers have not been returned yet.
    left: usize,
}

/// A key and its level.
type Key = (u64, Option<GroupBy>);

struct Frame {
    /// The key above it; `None` for the grouping's own level.
    key: Option<Key>,
    /// How many levels of the grouping are above it.
    depth: usize,
    /// Its entries: a list for each engagement type if that level is above it, and otherwise one.
    lists: Vec<(Option<u64>, Remainder)>,
}

/// Lists with fewer entries are kept whole until they end.
const LONG: usize = 1024;

/// What stands under a key.
enum Entry {
    Below(Nested),
    Number(i64),
}

impl Rows {
    pub fn new(groupings: Vec<(Grouping, Nested)>, names: TypeNames, numbers: usize) -> Rows {
        Rows {
            groupings: groupings.into_iter(),
            names,
            grouping: Grouping { name: String::new(), group_by: Vec::new() },
            open: Vec::new(),
            own: None,
            numbers: Vec::new(),
            left: numbers,
        }
    }

    /// How many numbers have not been returned yet.
    pub fn left(&self) -> usize {
        self.left
    }

    pub fn row(&mut self) -> Option<Row<'_>> {
        if !self.advance() {
            return None;
        }
        self.left = self.left.saturating_sub(self.numbers.len());
        let keys = self.open.iter().filter_map(|frame| frame.key).chain(self.own);
        let bare = Leaf::of(&self.grouping.name, 0);
        let keys = keys.fold(bare, |leaf, (key, level)| {
            leaf.under(KeyText { key, level, names: &self.names })
        });
        Some(Row { keys, numbers: &self.numbers })
    }

    /// Collects the numbers of the next row; returns whether there is one.
    fn advance(&mut self) -> bool {
        self.numbers.clear();
        loop {
            let Some(mut frame) = self.open.pop() else {
                let Some((grouping, nested)) = self.groupings.next() else { return false };
                self.grouping = grouping;
                let lists = vec![(None, nested.into())];
                self.open.push(Frame { key: None, depth: 0, lists });
                continue;
            };
            let level = self.grouping.group_by.get(frame.depth).copied();
            if level == Some(GroupBy::EngagementType) {
                if frame.split_by_type(&mut self.numbers) {
                    self.open.push(frame);
                } else if !self.numbers.is_empty() {
                    self.own = frame.key;
                    return true;
                }
                continue;
            }
            let Some(key) = frame.lists.iter().filter_map(|(_, list)| first(list)).min() else {
                continue;
            };
            let below = self.take(&mut frame, key, level);
            self.open.push(frame);
            if let Some(below) = below {
                self.open.push(below);
            } else {
                self.own = Some((key, level));
                return true;
            }
        }
    }

    /// Takes what all lists of a frame have under their first key: numbers, or the frame below.
    fn take(&mut self, frame: &mut Frame, key: u64, level: Option<GroupBy>) -> Option<Frame> {
        let mut lists = Vec::new();
        for (kind, list) in &mut frame.lists {
            match (first(list) == Some(key)).then(|| next(list)).flatten() {
                Some(Entry::Below(nested)) => lists.push((*kind, nested.into())),
                Some(Entry::Number(value)) => self.numbers.push((*kind, value)),
                None => (),
            }
        }
        let levels = &self.grouping.group_by;
        let text = KeyText { key, level, names: &self.names };
        let depth = levels.len() - text.below(levels.get(frame.depth..).unwrap_or_default()).len();
        (!lists.is_empty()).then_some(Frame { key: Some((key, level)), depth, lists })
    }
}

impl Frame {
    /// Goes below the level of engagement types: the list under each becomes one of its own. If numbers stand there,
    /// they go to `numbers`, and nothing remains.
    fn split_by_type(&mut self, numbers: &mut Vec<(Option<u64>, i64)>) -> bool {
        let mut lists = Vec::new();
        for (_, mut list) in self.lists.drain(..) {
            while let Some(kind) = first(&list) {
                match next(&mut list) {
                    Some(Entry::Below(nested)) => lists.push((Some(kind), nested.into())),
                    Some(Entry::Number(value)) => numbers.push((Some(kind), value)),
                    None => break,
                }
            }
        }
        self.lists = lists;
        self.depth += 1;
        !self.lists.is_empty()
    }
}

/// The key of the next entry.
fn first(list: &Remainder) -> Option<u64> {
    match list {
        Remainder::Inner(entries) => entries.as_slice().first().map(|(key, _)| *key),
        Remainder::Leaves(leaves) => leaves.as_slice().first().map(|(key, _)| *key),
        Remainder::Wide(leaves) => leaves.as_slice().first().map(|(key, _)| *key),
    }
}

fn next(list: &mut Remainder) -> Option<Entry> {
    match list {
        Remainder::Inner(entries) => taken(entries).map(|(_, below)| Entry::Below(below)),
        Remainder::Leaves(leaves) => taken(leaves).map(|(_, value)| Entry::Number(value)),
        Remainder::Wide(leaves) => {
            taken(leaves).map(|(_, sum)| Entry::Number(i64::try_from(sum).unwrap_or_default()))
        }
    }
}

/// The next entry. The lists of all types are read side by side, so none ends before the others do; a long one gives
/// memory back each time that it has halved.
fn taken<T>(entries: &mut vec::IntoIter<T>) -> Option<T> {
    let entry = entries.next();
    let left = entries.len();
    if left >= LONG && left.is_power_of_two() {
        let mut kept = Vec::with_capacity(left);
        kept.extend(std::mem::take(entries));
        *entries = kept.into_iter();
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_gives_memory_back_as_it_is_read() {
        let mut list: vec::IntoIter<usize> = (0..10_000).collect::<Vec<_>>().into_iter();
        let (mut place, mut moves) = (list.as_slice().as_ptr(), Vec::new());
        for number in 0..10_000 {
            assert_eq!(taken(&mut list), Some(number));
            let next = list.as_slice().as_ptr();
            // An entry that is taken moves the beginning by one; a list that is copied begins elsewhere.
            if next != place.wrapping_add(1) {
                moves.push(list.len());
            }
            place = next;
        }
        assert_eq!(moves, [8192, 4096, 2048, 1024]);
        assert_eq!(taken(&mut list), None);
    }
}
