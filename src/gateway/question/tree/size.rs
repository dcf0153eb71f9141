//! How much memory numbers take.

use crate::gateway::question::tree::Nested;

const INNER: usize = size_of::<(u64, Nested)>();
const LEAF: usize = size_of::<(u64, i64)>();
const WIDE: usize = size_of::<(u64, i128)>();
/// The bytes that rounding up adds to a short list.
const LEAST: usize = 8;

/// The most bytes that a tree takes if its lists have these numbers of entries, level by level. The allocator rounds
/// each list up by an eighth at most, and short ones to a whole multiple of 16 bytes.
pub fn most_bytes(levels: &[usize]) -> usize {
    let (mut lists, mut bytes) = (1_usize, 0_usize);
    for (depth, entries) in levels.iter().enumerate() {
        let entry = if depth + 1 == levels.len() { LEAF } else { INNER };
        let all = lists.saturating_mul(*entries);
        let here = all.saturating_mul(entry).saturating_add(lists.saturating_mul(LEAST));
        bytes = bytes.saturating_add(here);
        lists = all;
    }
    bytes.saturating_add(bytes / 8)
}

impl Nested {
    /// The memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Nested::Inner(entries) => {
                let below: usize = entries.iter().map(|(_, below)| below.bytes()).sum();
                entries.capacity() * INNER + below
            }
            Nested::Leaves(leaves) => leaves.capacity() * LEAF,
            Nested::Wide(leaves) => leaves.capacity() * WIDE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_takes_little() {
        assert_eq!((INNER, LEAF), (40, 16));
        // Numbers that stand alone under their keys take the most.
        assert!(most_bytes(&[2_000_000, 1]) <= 2_000_000 * 82);
        assert!(most_bytes(&[250, 365, 24]) <= 250 * 365 * 24 * 21);
        assert_eq!(most_bytes(&[usize::MAX, usize::MAX]), usize::MAX);
    }
}
