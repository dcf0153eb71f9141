//! Parts of an answer that are complete before the rest: a post's numbers, once all calls for it have ended.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::gateway::question::merge::Merge;
use crate::gateway::question::numbers::Overflow;

/// Takes parts out of an answer as they become complete.
pub(super) struct Parts {
    /// The most posts in a part: a long range of one post has many numbers.
    posts: usize,
    /// The number of each post's calls that have not ended.
    open: HashMap<u64, usize>,
    /// Parts that are complete and have not been sent yet.
    pub(super) whole: VecDeque<Part>,
    /// Posts that have begun and have not been sent yet.
    pub(super) begun: HashSet<u64>,
    /// Sums of sent posts that were left out, since they do not fit 64 bits.
    pub(super) overflows: Vec<Overflow>,
}

/// The numbers of posts that are complete.
pub(super) struct Part {
    posts: Vec<u64>,
    pub(super) numbers: Merge,
}

impl Parts {
    pub(super) fn new(posts: usize) -> Parts {
        Parts {
            posts,
            open: HashMap::new(),
            whole: VecDeque::new(),
            begun: HashSet::new(),
            overflows: Vec::new(),
        }
    }

    /// Counts one more call for these posts.
    pub(super) fn begin(&mut self, posts: &[u64]) {
        for post in posts {
            *self.open.entry(*post).or_default() += 1;
        }
    }

    /// Notes that a call for these posts has ended; call it after any follow-up calls have begun.
    pub(super) fn end(&mut self, posts: &[u64], merged: &mut Merge) {
        let mut whole = Vec::new();
        for post in posts {
            let Some(open) = self.open.get_mut(post) else { continue };
            *open -= 1;
            if *open == 0 {
                self.open.remove(post);
                whole.push(*post);
            }
        }
        self.send(&whole, merged);
    }

    /// Hands out the incomplete posts too, since nothing more will come.
    pub(super) fn finish(&mut self, merged: &mut Merge) {
        let mut rest: Vec<u64> = std::mem::take(&mut self.open).into_keys().collect();
        rest.sort_unstable();
        self.send(&rest, merged);
    }

    /// How many of these posts have not begun.
    pub(super) fn new_ones(&self, posts: &[u64]) -> usize {
        posts.iter().filter(|post| !self.begun.contains(post)).count()
    }

    /// Removes and returns the next part.
    pub(super) fn next(&mut self) -> Option<Merge> {
        let Part { posts, numbers } = self.whole.pop_front()?;
        self.begun.retain(|post| !posts.contains(post));
        Some(numbers)
    }

    /// How many posts a part has at most.
    pub(super) fn most_posts(&self) -> usize {
        self.posts
    }

    /// Hands out these posts' numbers.
    pub(super) fn send(&mut self, posts: &[u64], merged: &mut Merge) {
        for posts in posts.chunks(self.posts) {
            let mut numbers = merged.take_posts(posts);
            self.overflows.extend(numbers.take_overflows());
            if numbers.has_numbers() {
                self.whole.push_back(Part { posts: posts.to_vec(), numbers });
            } else {
                self.begun.retain(|post| !posts.contains(post));
            }
        }
    }
}
