//! One grouping's numbers as a tree, kept as small as it can be: an answer may have millions of them.

pub mod leaf;
mod read;
mod rows;
mod size;
mod walk;
mod zeros;

use std::collections::{HashMap, HashSet};

pub use crate::gateway::question::tree::read::{Form, Read};
pub use crate::gateway::question::tree::rows::{Row, Rows};
pub use crate::gateway::question::tree::size::most_bytes;
pub use crate::gateway::question::tree::walk::{Step, Walk};
pub use crate::gateway::question::tree::zeros::Zeros;

use crate::gateway::question::number_key::HOURS;
use crate::model::GroupBy;

/// Numbers under the keys of one level and those below it. All lists are in the order of their keys, and no longer than
/// they need to be.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub enum Nested {
    Inner(Vec<(u64, Nested)>),
    Leaves(Vec<(u64, i64)>),
    /// Leaves with sums beyond 64 bits; later additions may bring some back.
    Wide(Vec<(u64, i128)>),
}

impl Nested {
    /// Adds every number of `other`, which has the same levels and [`Form`].
    pub fn absorb(&mut self, other: Nested) {
        match (&mut *self, other) {
            (_, other) if other.is_empty() => (),
            (mine, other) if mine.is_empty() => *mine = other,
            (Nested::Inner(mine), Nested::Inner(other)) => {
                join(mine, other, Nested::absorb);
            }
            (Nested::Leaves(mine), Nested::Leaves(other)) if fits(mine, &other) => {
                join(mine, other, |sum, value| *sum += value);
            }
            (_, other) => {
                let mut sums = std::mem::take(self).into_wide();
                join(&mut sums, other.into_wide(), |sum, value| *sum += value);
                *self = Nested::Wide(sums);
            }
        }
    }

    /// Takes out the entries under these keys of the first level.
    pub fn take(&mut self, keys: &[u64]) -> Nested {
        match self {
            Nested::Inner(entries) => Nested::Inner(take(entries, keys)),
            Nested::Leaves(leaves) => Nested::Leaves(take(leaves, keys)),
            Nested::Wide(leaves) => Nested::Wide(take(leaves, keys)),
        }
    }

    /// Keeps the entries of these posts, in this order if they are on the first of the levels.
    pub fn keep_posts(&mut self, posts: &[u64], levels: &[GroupBy]) {
        if levels.first() == Some(&GroupBy::TweetId) {
            return match self {
                Nested::Inner(entries) => keep(entries, posts),
                Nested::Leaves(leaves) => keep(leaves, posts),
                Nested::Wide(leaves) => keep(leaves, posts),
            };
        }
        // Below other keys, tables need the order of ids to find a post's row.
        let mut posts = posts.to_vec();
        posts.sort_unstable();
        self.keep_below(&posts, levels);
    }

    fn keep_below(&mut self, posts: &[u64], levels: &[GroupBy]) {
        if levels.first() == Some(&GroupBy::TweetId) {
            return self.keep_posts(posts, levels);
        }
        let Nested::Inner(entries) = self else { return };
        entries.retain_mut(|(key, below)| {
            let is_day = levels.first() == Some(&GroupBy::EngagementHour) && *key >= HOURS;
            let rest = if is_day { levels } else { levels.get(1..).unwrap_or_default() };
            below.keep_below(posts, rest);
            !below.is_empty()
        });
    }

    /// Collects the keys of one of its levels: the posts, say, that it has numbers for.
    pub fn keys_of(&self, wanted: GroupBy, levels: &[GroupBy], found: &mut impl Extend<u64>) {
        let level = levels.first();
        let is_wanted = level == Some(&wanted);
        match self {
            Nested::Inner(entries) if is_wanted => {
                found.extend(entries.iter().map(|(key, _)| *key));
            }
            Nested::Leaves(leaves) if is_wanted => found.extend(leaves.iter().map(|(key, _)| *key)),
            Nested::Wide(leaves) if is_wanted => found.extend(leaves.iter().map(|(key, _)| *key)),
            Nested::Inner(entries) => {
                for (key, below) in entries {
                    let is_day = level == Some(&GroupBy::EngagementHour) && *key >= HOURS;
                    let rest = if is_day { levels } else { levels.get(1..).unwrap_or_default() };
                    below.keys_of(wanted, rest, found);
                }
            }
            Nested::Leaves(_) | Nested::Wide(_) => (),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Nested::Inner(entries) => entries.is_empty(),
            Nested::Leaves(leaves) => leaves.is_empty(),
            Nested::Wide(leaves) => leaves.is_empty(),
        }
    }

    /// How many numbers it has.
    pub fn count(&self) -> usize {
        match self {
            Nested::Inner(entries) => entries.iter().map(|(_, below)| below.count()).sum(),
            Nested::Leaves(leaves) => leaves.len(),
            Nested::Wide(leaves) => leaves.len(),
        }
    }

    /// Takes out sums beyond 64 bits, and passes the keys of each to `found`, outermost first.
    pub fn take_overflows(&mut self, above: &mut Vec<u64>, found: &mut impl FnMut(&[u64])) {
        match self {
            Nested::Inner(entries) => entries.retain_mut(|(key, below)| {
                above.push(*key);
                below.take_overflows(above, found);
                above.pop();
                !below.is_empty()
            }),
            Nested::Leaves(_) => (),
            Nested::Wide(leaves) => {
                let mut fitting = Vec::with_capacity(leaves.len());
                for (key, sum) in leaves {
                    if let Ok(sum) = i64::try_from(*sum) {
                        fitting.push((*key, sum));
                    } else {
                        above.push(*key);
                        found(above);
                        above.pop();
                    }
                }
                *self = Nested::Leaves(fitting);
            }
        }
    }

    fn into_wide(self) -> Vec<(u64, i128)> {
        match self {
            Nested::Wide(leaves) => leaves,
            Nested::Leaves(leaves) => {
                leaves.into_iter().map(|(key, sum)| (key, sum.into())).collect()
            }
            Nested::Inner(_) => unreachable!("levels and form decide how deep leaves are"),
        }
    }
}

impl Default for Nested {
    fn default() -> Nested {
        Nested::Leaves(Vec::new())
    }
}

/// Whether each sum of two leaves fits 64 bits.
fn fits(mine: &[(u64, i64)], other: &[(u64, i64)]) -> bool {
    let sum_fits = |(key, value): &(u64, i64)| match find(mine, *key) {
        Some(at) => mine.get(at).is_none_or(|(_, sum)| sum.checked_add(*value).is_some()),
        None => true,
    };
    other.iter().all(sum_fits)
}

/// Joins two lists; entries with the same key are combined by `add`.
fn join<T>(mine: &mut Vec<(u64, T)>, other: Vec<(u64, T)>, mut add: impl FnMut(&mut T, T)) {
    let new = other.iter().filter(|(key, _)| find(mine, *key).is_none()).count();
    if new == 0 {
        for (key, value) in other {
            if let Some(entry) = find(mine, key).and_then(|at| mine.get_mut(at)) {
                add(&mut entry.1, value);
            }
        }
    } else if mine.last().map(|(key, _)| *key) < other.first().map(|(key, _)| *key) {
        mine.reserve_exact(other.len());
        mine.extend(other);
    } else {
        let mut joined = Vec::with_capacity(mine.len() + new);
        let mut others = other.into_iter().peekable();
        for (key, mut value) in mine.drain(..) {
            while let Some(before) = others.next_if(|(other, _)| *other < key) {
                joined.push(before);
            }
            if let Some((_, same)) = others.next_if(|(other, _)| *other == key) {
                add(&mut value, same);
            }
            joined.push((key, value));
        }
        joined.extend(others);
        *mine = joined;
    }
}

/// The index of a key.
fn find<T>(list: &[(u64, T)], key: u64) -> Option<usize> {
    list.binary_search_by_key(&key, |(key, _)| *key).ok()
}

/// Keeps the entries under these keys, in the keys' order.
fn keep<T>(entries: &mut Vec<(u64, T)>, keys: &[u64]) {
    let places: HashMap<u64, usize> = keys.iter().copied().zip(0..).collect();
    entries.retain(|(key, _)| places.contains_key(key));
    entries.sort_by_key(|(key, _)| places.get(key).copied());
    entries.shrink_to_fit();
}

fn take<T>(entries: &mut Vec<(u64, T)>, keys: &[u64]) -> Vec<(u64, T)> {
    let wanted: HashSet<u64> = keys.iter().copied().collect();
    let taken = entries.extract_if(.., |(key, _)| wanted.contains(key)).collect();
    // Shrinks only if it saves half, so that taking many posts does not copy the list each time.
    if entries.capacity() > 2 * entries.len() {
        entries.shrink_to_fit();
    }
    taken
}
