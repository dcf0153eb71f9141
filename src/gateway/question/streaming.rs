//! What is whole of an answer before all of it is: a post's numbers, once no call is left that asks for them.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::gateway::question::merge::Merge;

/// Takes parts out of an answer as they become whole.
pub(super) struct Parts {
    /// How many posts a part has at most: a long time of one post is many numbers.
    posts: usize,
    /// The calls of a post that have not ended.
    open: HashMap<u64, usize>,
    /// What is whole and was not sent yet.
    pub(super) whole: VecDeque<Part>,
    /// Posts that have begun and were not sent yet.
    pub(super) begun: HashSet<u64>,
}

/// The numbers of posts that are whole.
pub(super) struct Part {
    posts: Vec<u64>,
    pub(super) numbers: Merge,
}

impl Parts {
    pub(super) fn new(posts: usize) -> Parts {
        Parts { posts, open: HashMap::new(), whole: VecDeque::new(), begun: HashSet::new() }
    }

    /// Another call asks for these posts.
    pub(super) fn begin(&mut self, posts: &[u64]) {
        for post in posts {
            *self.open.entry(*post).or_default() += 1;
        }
    }

    /// A call for these posts ended, and what follows from it has begun.
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

    /// Nothing more will come: what is there of the other posts is given away, too.
    pub(super) fn finish(&mut self, merged: &mut Merge) {
        let mut rest: Vec<u64> = std::mem::take(&mut self.open).into_keys().collect();
        rest.sort_unstable();
        self.send(&rest, merged);
    }

    /// How many of these posts have not begun.
    pub(super) fn new_ones(&self, posts: &[u64]) -> usize {
        posts.iter().filter(|it| !self.begun.contains(it)).count()
    }

    /// The next part, which is forgotten.
    pub(super) fn next(&mut self) -> Option<Merge> {
        let Part { posts, numbers } = self.whole.pop_front()?;
        self.begun.retain(|it| !posts.contains(it));
        Some(numbers)
    }

    fn send(&mut self, posts: &[u64], merged: &mut Merge) {
        for posts in posts.chunks(self.posts) {
            let numbers = merged.take(posts);
            if numbers.has_numbers() {
                self.whole.push_back(Part { posts: posts.to_vec(), numbers });
            } else {
                self.begun.retain(|it| !posts.contains(it));
            }
        }
    }
}
