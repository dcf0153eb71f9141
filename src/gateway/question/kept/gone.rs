//! The posts that X called unavailable: what was asked of them before is not given any more.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How many posts are remembered.
const MOST: usize = 20_000;

/// When X called posts unavailable.
#[derive(Default)]
pub(super) struct Gone(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    posts: HashMap<u64, Instant>,
    /// In the order of time; a post may occur again.
    marks: VecDeque<(u64, Instant)>,
    /// Nothing that was asked until then is given: some of the posts gone since then are forgotten.
    floor: Option<Instant>,
}

impl Gone {
    pub(super) fn insert(&self, posts: &[u64], now: Instant) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for post in posts {
            inner.posts.insert(*post, now);
            inner.marks.push_back((*post, now));
        }
        while inner.marks.len() > MOST
            && let Some((post, at)) = inner.marks.pop_front()
        {
            inner.floor = Some(at);
            if inner.posts.get(&post) == Some(&at) {
                inner.posts.remove(&post);
            }
        }
    }

    /// Whether none of these posts was called unavailable since then.
    pub(super) fn are_there(&self, posts: impl IntoIterator<Item = u64>, since: Instant) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = |post: u64| inner.posts.get(&post).is_none_or(|at| *at < since);
        inner.floor.is_none_or(|floor| floor < since) && posts.into_iter().all(is_there)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_forgotten_counts_for_all() {
        #[expect(clippy::disallowed_methods, reason = "no time passes here")]
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let gone = Gone::default();
        gone.insert(&[7], at(1));
        assert!(!gone.are_there([7], at(1)) && gone.are_there([7], at(2)));
        assert!(gone.are_there([8], at(0)) && !gone.are_there([8, 7], at(0)));
        let others: Vec<u64> = (100..100 + MOST as u64).collect();
        gone.insert(&others, at(3));
        assert!(!gone.are_there([8], at(1)) && gone.are_there([7, 8], at(2)));
        assert!(!gone.are_there([100], at(3)));
        let inner = gone.0.lock().unwrap();
        assert!(inner.posts.len() <= MOST && inner.marks.len() <= MOST);
    }
}
