//! Posts and time cut into what single calls may ask for.

use time::{Duration, OffsetDateTime};

use crate::gateway::question::{Question, Span, Window};
use crate::model::endpoint::MAX_WINDOW;
use crate::model::{Endpoint, post};

/// The most that one call may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub posts: usize,
    pub time: Duration,
}

/// Posts that share calls, and the parts of the window for which they need one.
pub(super) struct Batch {
    pub(super) posts: Vec<u64>,
    /// Forward in time; empty if all posts were created after the range.
    pub(super) slices: Vec<Option<Span>>,
    /// How many parts come before the first post, which need no call.
    pub(super) skipped: usize,
    /// The time of these parts.
    pub(super) before_posts: Option<Span>,
}

impl Most {
    pub const fn of(endpoint: Endpoint) -> Most {
        Most { posts: endpoint.max_posts(), time: MAX_WINDOW }
    }
}

/// Batches of posts, so that there are as few calls as can be. In a range, the oldest posts come first, so that parts
/// before posts were created are left out for as many of them as possible.
pub(super) fn batches(
    window: Window,
    posts: &[u64],
    most: Most,
    now: OffsetDateTime,
) -> Vec<Batch> {
    let slices = spans(window, most.time);
    let created = |post: &u64| created_by(*post, now);
    let mut posts = posts.to_vec();
    if matches!(window, Window::Range(_)) {
        posts.sort_by_key(created);
    }
    let batches = posts.chunks(most.posts).map(|posts| {
        let first = posts.first().and_then(created);
        let is_before = |slice: &&Option<Span>| {
            slice.zip(first).is_some_and(|(slice, first)| slice.widened().end <= first)
        };
        let skipped = slices.iter().take_while(is_before).count();
        let last = skipped.checked_sub(1).and_then(|last| *slices.get(last)?);
        let before_posts = match window {
            Window::Range(range) => last.map(|last| Span { end: last.end, ..range }),
            _ => None,
        };
        let slices = slices.get(skipped..).unwrap_or_default().to_vec();
        Batch { posts: posts.to_vec(), slices, skipped, before_posts }
    });
    batches.collect()
}

/// When a post was created, unless its id does not say so or names a time that has not come: such an id is X's to judge.
fn created_by(post: u64, now: OffsetDateTime) -> Option<OffsetDateTime> {
    post::created_at(post).filter(|created| *created <= now)
}

/// Cuts a range on whole hours, from its end back: no two hours that lie as far apart as a call reaches can share a call,
/// and at the last of these hours more posts exist than at any other. Its own ends stay as they are, since the upstream
/// widens them itself and a whole hour beyond them may be in the future or too long ago (reference 1.5).
fn spans(window: Window, most: Duration) -> Vec<Option<Span>> {
    let Window::Range(range) = window else { return vec![None] };
    let mut spans = Vec::new();
    let (mut end, mut cut) = (range.end, range.widened().end - most);
    while cut > range.start {
        spans.push(Some(Span { start: cut, end }));
        end = cut;
        cut -= most;
    }
    spans.push(Some(Span { start: range.start, end }));
    spans.reverse();
    spans
}

impl Question {
    /// How many calls cover its window.
    pub fn slices(&self) -> usize {
        spans(self.window, MAX_WINDOW).len()
    }
}
