//! One question of any size: what it asks (`read`, `selection`), the upstream calls that answer it (`plan`), and their
//! answers put together again (`merge`, `tree` and `remarks`), written piece by piece (`text`), number by number or row by
//! row (`numbers`), all of them or those of the posts that lead (`top`), and how much memory that takes (`size`). All of
//! that is pure; `accounts` says whose tokens may be used, `authors` and `lookup` find the posts' authors and `listing`
//! the authors' posts, `bounds` limits what pages may ask, `admit` waits for the key's turn and for memory, `prepare`,
//! `run` and `outcome` make the calls, `streaming` hands out posts before all are complete, and `missing` says what is
//! missing.

mod accounts;
pub mod admit;
pub mod answered;
pub mod authors;
pub mod bounds;
pub mod caller;
mod keeping;
pub mod kept;
pub mod listing;
pub mod lookup;
pub mod merge;
mod missing;
pub mod number_key;
pub mod numbers;
mod outcome;
pub mod part;
pub mod plan;
pub mod prepare;
mod queue;
mod read;
mod recent;
pub mod remarks;
pub mod run;
mod selection;
pub mod size;
mod streaming;
pub mod text;
pub mod top;
pub mod tree;
mod turn;
mod window;

use std::collections::HashMap;

use time::{Duration, OffsetDateTime};

use crate::model::{AccountRef, Endpoint, GroupBy, Metric, UserId};

/// A caller's question, validated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// Distinct posts, in the caller's order; none yet where `posts_of` names them.
    pub posts: Vec<u64>,
    /// Whose posts it is about, until these are known.
    pub posts_of: Option<PostsOf>,
    /// Distinct metrics, all served by the window's endpoint.
    pub metrics: Vec<Metric>,
    pub window: Window,
    pub groupings: Vec<Grouping>,
    /// The accounts whose tokens may be tried; `None` for all that the key may use.
    pub accounts: Option<Vec<AccountRef>>,
    /// Posts' authors, where the caller names them.
    pub owners: HashMap<u64, UserId>,
    /// The posts that are kept in the answer; `None` for all.
    pub top: Option<Top>,
    /// What was read otherwise than it was written, in words.
    pub notes: Vec<String>,
    /// Whether its window depends on the present, of which our clock alone has given the exact time.
    pub is_by_our_clock: bool,
}

/// Posts that are named by their authors.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PostsOf {
    /// Distinct accounts, in the caller's order.
    pub accounts: Vec<AccountRef>,
    /// The most posts of each account: the newest. `None` for all that X lists.
    pub last: Option<usize>,
    /// When they were written; `None` for any time.
    pub written: Option<Span>,
}

/// The posts with the highest numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Top {
    /// One of the question's engagement types.
    pub by: Metric,
    /// How many posts, at least 1.
    pub count: usize,
}

/// The time that a question is about, which decides the endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Window {
    Totals,
    TwentyEightHours,
    Range(Span),
}

/// A half-open range of time in whole seconds, which counts every hour that it touches (reference 1.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    pub start: OffsetDateTime,
    pub end: OffsetDateTime,
}

/// A named nesting of results.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grouping {
    pub name: String,
    pub group_by: Vec<GroupBy>,
}

/// The most that one question may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub posts: usize,
    /// How far back a range may reach.
    pub days: u16,
}

impl Question {
    /// The most posts that it may be about; `most` is the limit of all questions.
    pub(super) fn most_posts(&self, most: usize) -> usize {
        let named = |of: &PostsOf| of.accounts.len().saturating_mul(of.most()).min(most);
        self.posts_of.as_ref().map_or(self.posts.len(), named)
    }

    pub fn needs_authors(&self) -> bool {
        self.metrics.iter().any(|metric| self.needs_author(*metric))
    }

    /// Whether X reports this metric only to a post's author.
    pub fn needs_author(&self, metric: Metric) -> bool {
        self.window.endpoint() != Endpoint::Totals || metric.is_private_on_totals()
    }
}

impl Window {
    pub fn endpoint(self) -> Endpoint {
        match self {
            Window::Totals => Endpoint::Totals,
            Window::TwentyEightHours => Endpoint::TwentyEightHours,
            Window::Range(_) => Endpoint::Historical,
        }
    }

    /// The range, if it is one.
    pub fn span(self) -> Option<Span> {
        match self {
            Window::Range(span) => Some(span),
            Window::Totals | Window::TwentyEightHours => None,
        }
    }
}

impl Span {
    /// The last whole hours before `now`.
    fn last(hours: i64, now: OffsetDateTime) -> Span {
        let end = hour_of(now);
        Span { start: end - Duration::hours(hours), end }
    }

    /// The whole hours that it touches, from the start of the first to the end of the last.
    pub fn widened(self) -> Span {
        let start = hour_of(self.start);
        let end = hour_of(self.end);
        let end = if end < self.end { end + Duration::HOUR } else { end };
        Span { start, end }
    }

    pub fn hours(self) -> u64 {
        let Span { start, end } = self.widened();
        (end - start).whole_hours().unsigned_abs()
    }

    /// How many calendar days it touches.
    pub fn days(self) -> u64 {
        let Span { start, end } = self.widened();
        let last = end - Duration::HOUR;
        1 + u64::from(last.to_julian_day().abs_diff(start.to_julian_day()))
    }
}

/// The start of the hour that contains `at`.
fn hour_of(at: OffsetDateTime) -> OffsetDateTime {
    let into_hour = Duration::seconds(at.unix_timestamp().rem_euclid(3600));
    at - into_hour - Duration::nanoseconds(at.nanosecond().into())
}

#[cfg(test)]
mod tests;
