//! The waiting calls of one key.

use std::collections::VecDeque;

/// What a call of weight 1 costs; more weight makes it cheaper.
const COST: f64 = 1_048_576.0;
const LEAST_WEIGHT: f64 = 0.001;

#[derive(Debug)]
pub(super) struct Lane<W> {
    /// The key's weight.
    pub(super) own_weight: f64,
    /// The part of that weight which counts in this process.
    pub(super) fraction: f64,
    /// The virtual time at which its calls so far, or the first that waits, have been paid for.
    pub(super) paid: u64,
    pub(super) relayed: VecDeque<W>,
    pub(super) parts: VecDeque<W>,
    pub(super) pages: VecDeque<W>,
    pub(super) used_at: f64,
    /// For calls that were refused: the virtual time at which each will have been paid for when it comes back, and the
    /// time that it was promised.
    pub(super) promised: VecDeque<(u64, f64)>,
    /// Calls that were made, and that were refused, since demand was last read.
    pub(super) made: u32,
    pub(super) refused: u32,
    /// Those of them that were for pages.
    pub(super) for_pages: u32,
    /// Calls that were made in a window, and in which.
    pub(super) used: u32,
    pub(super) used_of: u64,
    /// See [`Demand`].
    pub(super) pace: f64,
    pub(super) evidence: f64,
}

impl<W> Lane<W> {
    pub(super) fn new(own_weight: f64, fraction: f64) -> Lane<W> {
        Lane {
            own_weight,
            fraction,
            paid: 0,
            relayed: VecDeque::new(),
            parts: VecDeque::new(),
            pages: VecDeque::new(),
            used_at: 0.0,
            promised: VecDeque::new(),
            made: 0,
            refused: 0,
            for_pages: 0,
            used: 0,
            used_of: 0,
            pace: 0.0,
            evidence: 0.0,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.services() + self.pages.len()
    }

    /// How many calls wait that are not for pages.
    pub(super) fn services(&self) -> usize {
        self.relayed.len() + self.parts.len()
    }

    /// Counts a call that is made in that window.
    pub(super) fn count(&mut self, window: u64, is_page: bool) {
        self.made = self.made.saturating_add(1);
        self.for_pages = self.for_pages.saturating_add(u32::from(is_page));
        self.used = self.used(window).saturating_add(1);
        self.used_of = window;
    }

    /// Calls that were made in that window, if it is the present one.
    pub(super) fn used(&self, window: u64) -> u32 {
        if self.used_of == window { self.used } else { 0 }
    }

    pub(super) fn weight(&self) -> f64 {
        (self.own_weight * self.fraction).max(LEAST_WEIGHT)
    }

    pub(super) fn cost_of_call(&self) -> f64 {
        COST / self.weight()
    }

    pub(super) fn cost(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is positive"
        )]
        let cost = self.cost_of_call() as u64;
        cost
    }

    /// The virtual time at which the next call of a service will have been paid for in a lane in which no service waits. If
    /// pages do, it takes the place of the first.
    pub(super) fn next(&self, now: u64) -> u64 {
        let next = if self.pages.is_empty() {
            self.paid.max(now) + self.cost()
        } else {
            self.paid.max(now + self.cost())
        };
        self.promised.front().map_or(next, |(paid, _)| next.min(*paid))
    }
}
