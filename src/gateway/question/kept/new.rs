//! What may be kept of an answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use time::OffsetDateTime;

use crate::gateway::question::kept::piece::{By, Origin, Unavailable};
use crate::gateway::question::merge::Contribution;
use crate::gateway::question::part::{Cell, Grain, Part};
use crate::gateway::question::plan::{Call, Signer};
use crate::gateway::question::{Grouping, Span};
use crate::model::account::Since;

/// When a request began, and since when the account that signed it had been as it was.
#[derive(Clone, Copy)]
pub(in crate::gateway::question) struct Begun {
    pub(in crate::gateway::question) at: Instant,
    pub(in crate::gateway::question) since: Option<Since>,
}

/// An answer of which something may be kept.
pub(in crate::gateway::question) struct Answered<'a> {
    pub(in crate::gateway::question) call: &'a Call,
    pub(in crate::gateway::question) groupings: &'a [Grouping],
    pub(in crate::gateway::question) part: &'a Part,
    pub(in crate::gateway::question) contribution: &'a Contribution,
    pub(in crate::gateway::question) text: Bytes,
    pub(in crate::gateway::question) begun: Begun,
    /// X's time.
    pub(in crate::gateway::question) now: OffsetDateTime,
    /// How long ago the request began.
    pub(in crate::gateway::question) time: Duration,
}

/// What is to be kept of an answer.
#[derive(Debug)]
pub(in crate::gateway::question) struct New {
    pub(super) signer: Signer,
    pub(super) origin: Origin,
    pub(super) contents: NewContents,
}

#[derive(Debug)]
pub(super) enum NewContents {
    Posts(Vec<(u64, Arc<[Cell]>)>),
    Unavailable(Vec<u64>, Unavailable),
    /// The whole answer, and what it answers.
    Answer(Vec<u8>, Bytes),
}

impl New {
    /// What may be kept of an answer; `closed_after` is how long after its end a range no longer changes.
    pub(in crate::gateway::question) fn of(
        answered: &Answered<'_>,
        closed_after: Duration,
    ) -> Option<New> {
        let Answered { call, groupings, part, contribution, .. } = answered;
        if contribution.unexplained_error.is_some() {
            return None;
        }
        let is_sound =
            |post: &u64| contribution.answers_for(*post) && !contribution.listed.contains(post);
        let grain = grain_of_posts(groupings);
        let mut origin = Origin::of(call, by(call.signer, answered.begun)?, answered.begun.at);
        origin.grain = grain.unwrap_or(Grain::Whole);
        (origin.start, origin.end) = (part.start.clone(), part.end.clone());
        let is_over = |span: Span| {
            !closed_after.is_zero() && span.end + closed_after <= answered.now - answered.time
        };
        origin.is_closed = origin.span.is_some_and(is_over);
        let contents = match grain {
            Some(_) => {
                let (_, mut cells) = part.cells(groupings)?;
                let asked: HashSet<u64> = call.posts.iter().copied().collect();
                cells.retain(|post, cells| {
                    asked.contains(post)
                        && is_sound(post)
                        && cells.iter().all(|cell| cell.metric().is_some())
                });
                let cells = cells.into_iter().map(|(post, cells)| (post, cells.into()));
                NewContents::Posts(cells.collect())
            }
            None if call.posts.iter().all(is_sound) => {
                NewContents::Answer(name_of(call, groupings), answered.text.clone())
            }
            None => return None,
        };
        Some(New { signer: call.signer, origin, contents })
    }

    /// Keeps that X called posts unavailable.
    pub(in crate::gateway::question) fn unavailable(
        call: &Call,
        posts: Vec<u64>,
        how: Unavailable,
        begun: Begun,
    ) -> Option<New> {
        let contents = NewContents::Unavailable(posts, how);
        let origin = Origin::of(call, by(call.signer, begun)?, begun.at);
        Some(New { signer: call.signer, origin, contents })
    }
}

/// The finest grain of what tells posts apart, unless some grouping needs more than that: hours without days, which X
/// gives in either of two forms, or a finer grain.
pub(super) fn grain_of_posts(groupings: &[Grouping]) -> Option<Grain> {
    let needed: Option<Vec<Grain>> = groupings.iter().map(Grouping::grain).collect();
    let kept = groupings.iter().filter_map(Grouping::grain_of_posts).max()?;
    needed?.into_iter().all(|grain| grain <= kept).then_some(kept)
}

/// Whose credentials signed, if that is known.
fn by(signer: Signer, begun: Begun) -> Option<By> {
    match signer.account() {
        None => Some(By::App),
        Some(user) => begun.since.map(|since| By::Account(user, since)),
    }
}

/// What a call asks for, as bytes, with its time in whole hours.
pub(super) fn name_of(call: &Call, groupings: &[Grouping]) -> Vec<u8> {
    let whole_hours = Call { span: call.span.map(Span::widened), ..call.clone() };
    let signer = call.signer.account().map(|user| user.to_string());
    let mut name = format!("{} {}", call.endpoint, signer.unwrap_or_default()).into_bytes();
    name.extend(whole_hours.body(groupings));
    name
}
