//! What is kept of a post, and whether it gives what is asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::{OffsetDateTime, Time};

use crate::gateway::question::part::{Cell, Grain};
use crate::gateway::question::plan::Call;
use crate::gateway::question::remarks::Moment;
use crate::gateway::question::{Span, hour_of};
use crate::model::account::Since;
use crate::model::{Endpoint, Metric, UserId};

/// What the numbers of one call have in common.
#[derive(Debug)]
pub(in crate::gateway::question) struct Origin {
    pub(super) endpoint: Endpoint,
    pub(super) by: By,
    pub(super) metrics: Vec<Metric>,
    /// The hours that were asked for; `None` unless a range was.
    pub(super) span: Option<Span>,
    pub(super) grain: Grain,
    /// The times that X gave.
    pub(super) start: Option<Moment>,
    pub(super) end: Option<Moment>,
    pub(super) asked_at: Instant,
    /// Whether its time was over long enough for numbers to change no more.
    pub(super) is_closed: bool,
}

/// Whose credentials signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum By {
    App,
    /// The user, and since when the account had been as it was.
    Account(UserId, Since),
}

/// A post's numbers from one call.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) origin: Arc<Origin>,
    pub(super) cells: Arc<[Cell]>,
    /// Set if X called the post unavailable.
    pub(super) unavailable: Option<Unavailable>,
    /// Its part of the memory that the origin takes, in bytes.
    pub(super) share: usize,
}

/// A post that X called unavailable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::gateway::question) enum Unavailable {
    Listed,
    /// X counted it in an error, too.
    Counted,
}

/// What is asked for of a post.
pub(super) struct Need<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) by: By,
    pub(super) metrics: &'a [Metric],
    /// In whole hours; `None` unless it is a range.
    pub(super) span: Option<Span>,
    pub(super) grain: Grain,
    pub(super) allowed: &'a Allowed,
}

/// How old numbers may be.
pub(super) struct Allowed {
    pub(super) now: Instant,
    /// What the caller allows.
    pub(super) max_age: Duration,
    /// What the settings allow where numbers may still change.
    pub(super) fresh: Duration,
}

/// A part of a piece, which gives a part of the time.
#[derive(Clone, Debug)]
pub(in crate::gateway::question) struct Tile {
    piece: Piece,
    span: Option<Span>,
}

impl By {
    fn user(self) -> Option<UserId> {
        match self {
            By::App => None,
            By::Account(user, _) => Some(user),
        }
    }
}

impl Origin {
    /// Of an answer to that call, as far as the call tells.
    pub(super) fn of(call: &Call, by: By, asked_at: Instant) -> Origin {
        Origin {
            endpoint: call.endpoint,
            by,
            metrics: call.metrics.clone(),
            span: call.span.map(Span::widened),
            grain: Grain::Whole,
            start: None,
            end: None,
            asked_at,
            is_closed: false,
        }
    }

    /// The bytes that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        let text = |moment: &Option<Moment>| moment.as_ref().map_or(0, |moment| moment.text.len());
        size_of::<Origin>() + self.metrics.len() + text(&self.start) + text(&self.end)
    }
}

impl Allowed {
    pub(super) fn allows(&self, origin: &Origin) -> bool {
        let age = self.age(origin);
        age <= self.max_age && (origin.is_closed || age <= self.fresh)
    }

    pub(super) fn age(&self, origin: &Origin) -> Duration {
        self.now.saturating_duration_since(origin.asked_at)
    }
}

impl Piece {
    /// The bytes that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Piece>() + size_of_val(&*self.cells) + self.share
    }

    /// Whether `other` is of no use beside it, which is newer: it says all that the other says, for as long.
    pub(super) fn replaces(&self, other: &Piece) -> bool {
        if !self.has_origin_of(other) {
            return false;
        }
        if other.unavailable.is_some() {
            return true;
        }
        let (mine, other) = (&*self.origin, &*other.origin);
        let has_time = match (mine.span, other.span) {
            (Some(span), Some(other)) => {
                span.start <= other.start
                    && other.end <= span.end
                    && self.may_cut(other.start)
                    && self.may_cut(other.end)
            }
            (mine, other) => mine == other,
        };
        mine.grain >= other.grain
            && has_time
            && other.metrics.iter().all(|metric| mine.metrics.contains(metric))
            && (mine.is_closed || !other.is_closed)
    }

    /// Whether both come from the same endpoint by the same credentials.
    fn has_origin_of(&self, other: &Piece) -> bool {
        let (mine, other) = (&*self.origin, &*other.origin);
        mine.endpoint == other.endpoint && mine.by.user() == other.by.user()
    }

    fn serves(&self, need: &Need<'_>) -> bool {
        let origin = &*self.origin;
        let has_numbers = origin.grain >= need.grain
            && need.metrics.iter().all(|metric| origin.metrics.contains(metric));
        origin.endpoint == need.endpoint
            && origin.by == need.by
            && (has_numbers || self.unavailable.is_some())
            && need.allowed.allows(origin)
    }

    /// Where a tile that begins at `start` may end, at `end` at the latest.
    fn end_of_tile(&self, start: OffsetDateTime, end: OffsetDateTime) -> Option<OffsetDateTime> {
        let own = self.origin.span?;
        let may_begin = own.start <= start && start < own.end && self.may_cut(start);
        let end = if end >= own.end { own.end } else { self.last_cut(end) };
        (may_begin && end > start).then_some(end)
    }

    fn may_cut(&self, at: OffsetDateTime) -> bool {
        let is_end = |own: Span| at == own.start || at == own.end;
        self.origin.span.is_some_and(is_end) || self.last_cut(at) == at
    }

    /// The last time until `at` between two of its numbers.
    fn last_cut(&self, at: OffsetDateTime) -> OffsetDateTime {
        match self.origin.grain {
            Grain::Whole => OffsetDateTime::UNIX_EPOCH,
            Grain::Day => at.replace_time(Time::MIDNIGHT),
            Grain::Hour => hour_of(at),
        }
    }
}

/// The parts of pieces that together give what is needed.
pub(super) fn tiles(pieces: &[Piece], need: &Need<'_>) -> Option<Vec<Tile>> {
    let mut serving: Vec<&Piece> = pieces.iter().filter(|piece| piece.serves(need)).collect();
    // The newest of those that reach as far.
    serving.sort_by_key(|piece| piece.origin.asked_at);
    let newest = *serving.last()?;
    if newest.unavailable.is_some() {
        // At any time.
        return Some(vec![Tile { piece: newest.clone(), span: None }]);
    }
    serving.retain(|piece| piece.unavailable.is_none());
    let Some(span) = need.span else {
        return Some(vec![Tile { piece: newest.clone(), span: None }]);
    };
    let (mut tiles, mut start) = (Vec::new(), span.start);
    while start < span.end {
        let ends =
            serving.iter().filter_map(|piece| Some((piece.end_of_tile(start, span.end)?, *piece)));
        let (end, piece) = ends.max_by_key(|(end, _)| *end)?;
        tiles.push(Tile { piece: piece.clone(), span: Some(Span { start, end }) });
        start = end;
    }
    Some(tiles)
}

impl Tile {
    pub(super) fn origin(&self) -> &Origin {
        &self.piece.origin
    }

    pub(super) fn unavailable(&self) -> Option<Unavailable> {
        self.piece.unavailable
    }

    /// Its numbers of these engagement types, added up to what `grain` tells apart.
    pub(super) fn cells(&self, metrics: &[Metric], grain: Grain) -> Vec<Cell> {
        let own = self.origin().grain;
        let is_asked = |cell: &&Cell| {
            cell.metric().is_some_and(|metric| metrics.contains(&metric))
                && self.span.is_none_or(|span| cell.is_within(span, own))
        };
        let asked = self.piece.cells.iter().filter(is_asked);
        if grain == own {
            return asked.copied().collect();
        }
        let (mut sums, mut beyond): (BTreeMap<_, i64>, Vec<Cell>) = (BTreeMap::new(), Vec::new());
        for cell in asked.map(|cell| cell.at(grain)) {
            let sum = sums.entry((cell.metric, cell.day, cell.hour)).or_default();
            match sum.checked_add(cell.value) {
                Some(more) => *sum = more,
                // Added up with more room later.
                None => beyond.push(cell),
            }
        }
        let cell = |((metric, day, hour), value)| Cell { metric, day, hour, value };
        sums.into_iter().map(cell).chain(beyond).collect()
    }

    /// The start that X gave, if the tile begins with its piece.
    pub(super) fn start(&self) -> Option<&Moment> {
        let begins = |tile: Span| self.origin().span.is_some_and(|own| own.start == tile.start);
        self.origin().start.as_ref().filter(|_| self.span.is_none_or(begins))
    }

    /// The end that X gave, if the tile ends with its piece.
    pub(super) fn end(&self) -> Option<&Moment> {
        let ends = |tile: Span| self.origin().span.is_some_and(|own| own.end == tile.end);
        self.origin().end.as_ref().filter(|_| self.span.is_none_or(ends))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::gateway::question::plan::Signer;

    const MIDNIGHT: OffsetDateTime = datetime!(2026-02-01 0:00 UTC);

    /// From an hour to another after the first of February.
    fn span(from: i64, until: i64) -> Span {
        let hour = |hour| MIDNIGHT + time::Duration::hours(hour);
        Span { start: hour(from), end: hour(until) }
    }

    /// As many likes in each day or hour as its place, from 1.
    fn piece(span: Span, grain: Grain, asked_at: Instant) -> Piece {
        let asked = Call {
            endpoint: Endpoint::Historical,
            signer: Signer::App,
            posts: vec![1],
            metrics: vec![Metric::Favorites],
            span: Some(span),
            before_posts: None,
        };
        let origin = Origin { grain, ..Origin::of(&asked, By::App, asked_at) };
        let hours = (span.end - span.start).whole_hours();
        let cell = |hour: i64| {
            let at = span.start + time::Duration::hours(hour);
            let day = u64::from(at.day()) + 20_260_200;
            let metric = Metric::Favorites as u64;
            Cell { metric, day, hour: at.hour().into(), value: 1 }.at(grain)
        };
        let cells = match grain {
            Grain::Whole => vec![Cell { value: hours, ..cell(0) }],
            Grain::Day => (0..hours / 24).map(|day| Cell { value: 24, ..cell(24 * day) }).collect(),
            Grain::Hour => (0..hours).map(cell).collect(),
        };
        Piece { origin: Arc::new(origin), cells: cells.into(), unavailable: None, share: 0 }
    }

    /// The sum for a span, if it can be had.
    fn sum(pieces: &[Piece], span: Span, grain: Grain) -> Option<i64> {
        let now = pieces.iter().map(|piece| piece.origin.asked_at).max()?;
        let hour = Duration::from_hours(1);
        let allowed = Allowed { now, max_age: hour, fresh: hour };
        let metrics = &[Metric::Favorites];
        let endpoint = Endpoint::Historical;
        let need =
            Need { endpoint, by: By::App, metrics, span: Some(span), grain, allowed: &allowed };
        let tiles = tiles(pieces, &need)?;
        let cells = tiles.iter().flat_map(|tile| tile.cells(metrics, grain));
        Some(cells.map(|cell| cell.value).sum())
    }

    #[test]
    fn times_are_put_together_of_what_can_be_cut() {
        #[expect(clippy::disallowed_methods, reason = "no time passes here")]
        let at = Instant::now();
        let whole = [piece(span(0, 24), Grain::Whole, at)];
        let days = [piece(span(0, 72), Grain::Day, at), piece(span(72, 120), Grain::Day, at)];
        let mixed = [days[0].clone(), piece(span(72, 80), Grain::Hour, at)];
        for (pieces, wanted, grain, expected) in [
            (&whole[..], span(0, 24), Grain::Whole, Some(24)),
            (&whole, span(0, 12), Grain::Whole, None),
            (&whole, span(0, 24), Grain::Day, None),
            (&days, span(0, 120), Grain::Whole, Some(120)),
            (&days, span(24, 96), Grain::Day, Some(72)),
            (&days, span(24, 90), Grain::Whole, None),
            (&days, span(12, 72), Grain::Whole, None),
            (&days, span(0, 24), Grain::Hour, None),
            (&days, span(96, 144), Grain::Whole, None),
            (&mixed, span(48, 77), Grain::Day, Some(29)),
            (&mixed, span(73, 77), Grain::Hour, Some(4)),
            (&mixed, span(48, 77), Grain::Hour, None),
        ] {
            assert_eq!(sum(pieces, wanted, grain), expected, "{wanted:?} by {grain:?}");
        }
    }

    #[test]
    fn what_x_said_last_of_a_post_counts() {
        #[expect(clippy::disallowed_methods, reason = "no time passes here")]
        let at = Instant::now();
        let later = at + Duration::from_secs(1);
        let gone = |at| Piece {
            unavailable: Some(Unavailable::Listed),
            cells: Arc::default(),
            ..piece(span(0, 24), Grain::Whole, at)
        };
        let numbers = |at| piece(span(24, 72), Grain::Day, at);
        assert_eq!(sum(&[gone(at), numbers(later)], span(24, 48), Grain::Day), Some(24));
        assert_eq!(sum(&[gone(at), numbers(later)], span(0, 24), Grain::Day), None);
        assert_eq!(sum(&[numbers(at), gone(later)], span(24, 48), Grain::Day), Some(0));
        assert!(numbers(later).replaces(&gone(at)));
    }

    #[test]
    fn only_what_is_of_no_more_use_is_replaced() {
        #[expect(clippy::disallowed_methods, reason = "no time passes here")]
        let at = Instant::now();
        let closed = |piece: &Piece| {
            let Origin { span, grain, .. } = *piece.origin;
            let metrics = piece.origin.metrics.clone();
            let by = By::App;
            let origin = Origin {
                endpoint: Endpoint::Historical,
                by,
                metrics,
                span,
                grain,
                start: None,
                end: None,
                asked_at: at,
                is_closed: true,
            };
            Piece { origin: Arc::new(origin), ..piece.clone() }
        };
        let (days, hours) =
            (piece(span(0, 72), Grain::Day, at), piece(span(0, 72), Grain::Hour, at));
        let part = piece(span(5, 10), Grain::Whole, at);
        assert!(days.replaces(&days) && hours.replaces(&days) && hours.replaces(&part));
        assert!(!days.replaces(&hours), "hours tell more");
        assert!(!days.replaces(&part), "days cannot be cut there");
        assert!(!days.replaces(&closed(&days)), "those are given for longer");
        assert!(closed(&days).replaces(&days));
    }
}
