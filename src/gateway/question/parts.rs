//! What is whole of an answer before all of it is: a post's numbers, once no call is left that asks for them.

use std::collections::HashMap;

use tokio::sync::mpsc::UnboundedSender;

use crate::gateway::question::merge::Merge;

/// Gives parts away as they become whole.
pub(super) struct Parts {
    to: UnboundedSender<Merge>,
    /// How many posts a part has at most: a long time of one post is many numbers.
    posts: usize,
    /// The calls of a post that have not ended.
    open: HashMap<u64, usize>,
}

impl Parts {
    pub(super) fn new(to: UnboundedSender<Merge>, posts: usize) -> Parts {
        Parts { to, posts, open: HashMap::new() }
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
    pub(super) fn finish(mut self, merged: &mut Merge) {
        let mut rest: Vec<u64> = std::mem::take(&mut self.open).into_keys().collect();
        rest.sort_unstable();
        self.send(&rest, merged);
    }

    fn send(&self, posts: &[u64], merged: &mut Merge) {
        for posts in posts.chunks(self.posts) {
            let part = merged.take(posts);
            if part.has_numbers() {
                // Whoever does not listen any more ends the asking.
                let _ = self.to.send(part);
            }
        }
    }
}
