//! Answers about the last 28 hours, which move on at each full hour: as far as can be, all parts of a question are about
//! the same hours.

use time::OffsetDateTime;

use crate::gateway::question::Span;
use crate::gateway::question::merge::{Merge, Part};
use crate::gateway::question::plan::{Call, Missing, Reason, Signer};

/// The answers so far, by call.
#[derive(Default)]
pub(super) struct Recent {
    answers: Vec<Answered>,
}

struct Answered {
    /// The call, for the posts that were answered.
    call: Call,
    /// The hours that X counted, if it said so.
    hours: Option<Span>,
    /// Its numbers; `None` if they have been sent already.
    part: Option<Part>,
    /// The start of the newer hours about which X has been asked again.
    asked_again: Option<OffsetDateTime>,
}

impl Recent {
    /// Keeps an answer; it replaces older ones for the same posts. Without numbers, it is there to be compared.
    pub(super) fn add(&mut self, call: Call, hours: Option<Span>, part: Option<Part>) {
        self.answers.retain(|older| !older.call.posts.iter().any(|post| call.posts.contains(post)));
        self.answers.push(Answered { call, hours, part, asked_again: None });
    }

    pub(super) fn has(&self, post: u64) -> bool {
        self.answers.iter().any(|answer| answer.part.is_some() && answer.call.posts.contains(&post))
    }

    /// The calls to repeat, since X has moved on to newer hours meanwhile. Each is returned once for these hours.
    pub(super) fn outdated(&mut self) -> Vec<Call> {
        let newest =
            self.answers.iter().filter_map(|answer| answer.hours).map(|hours| hours.start).max();
        let is_outdated = |answer: &&mut Answered| {
            answer.part.is_some()
                && answer.asked_again != newest
                && answer.hours.is_some_and(|hours| Some(hours.start) < newest)
        };
        let outdated = self.answers.iter_mut().filter(is_outdated).map(|answer| {
            answer.asked_again = newest;
            // Its answer has shown whose posts they are.
            let signer = answer.call.signer;
            let signer = signer.account().map_or(signer, Signer::Author);
            Call { signer, ..answer.call.clone() }
        });
        outdated.collect()
    }

    /// Adds all answers to `merged`, and returns what each lacks of the hours that any of them has.
    pub(super) fn finish(self, merged: &mut Merge) -> Vec<Missing> {
        let hours = || self.answers.iter().filter_map(|answer| answer.hours);
        let start = hours().map(|hours| hours.start).min();
        let end = hours().map(|hours| hours.end).max();
        let mut missing: Vec<Missing> = Vec::new();
        for Answered { call, hours, part, .. } in self.answers {
            if let Some(part) = part {
                merged.absorb(part);
            }
            let (Some(own), Some(start), Some(end)) = (hours, start, end) else { continue };
            let gaps = [Span { start, end: own.start }, Span { start: own.end, end }];
            let windows: Vec<Span> = gaps.into_iter().filter(|gap| gap.start < gap.end).collect();
            if windows.is_empty() {
                continue;
            }
            match missing.iter_mut().find(|entry| entry.windows == windows) {
                Some(entry) => entry.posts.extend(call.posts),
                None => missing.push(Missing {
                    windows,
                    detail: "X counted other hours for these posts, since a new hour had begun"
                        .to_owned(),
                    ..Missing::whole(call.posts, call.metrics, Reason::HourChanged)
                }),
            }
        }
        missing
    }
}
