//! X's quota of calls per second. No second of X's may have too many, wherever it begins: the calls of any such time
//! are counted. All times are seconds.

use std::collections::VecDeque;

use crate::admission::quota::window::seconds;
use crate::model::quota::Reported;

/// Calls may arrive at X a little earlier or later than they were sent.
const SECOND: f64 = 1.05;
/// A second ends within this time, whatever X says.
const LONGEST_SECOND: f64 = 2.0;
/// The share of the quota that is used, for the same reason.
const USED: f64 = 0.95;

#[derive(Debug, Default)]
pub(super) struct Seconds {
    limit: Option<f64>,
    /// When the latest calls were made, by our clock.
    made: VecDeque<f64>,
    /// Until when X lets none pass, by its clock.
    closed_until: f64,
}

impl Seconds {
    pub(super) fn configured(limit: Option<u32>) -> Seconds {
        Seconds { limit: limit.map(f64::from), ..Seconds::default() }
    }

    /// `at` is X's time.
    pub(super) fn learn(&mut self, reported: Reported, at: f64) {
        self.limit = reported.limit.map(f64::from).or(self.limit);
        if let (Some(0), Some(reset)) = (reported.remaining, reported.reset) {
            self.closed_until = self.closed_until.max(seconds(reset).min(at + LONGEST_SECOND));
        }
    }

    pub(super) fn spend(&mut self, now: f64, share: f64) {
        let Some((most, time)) = self.terms(share) else { return };
        self.made.push_back(now);
        while self.made.len() > most || self.made.front().is_some_and(|made| made + time <= now) {
            self.made.pop_front();
        }
    }

    /// Takes back the latest call, which was not made after all.
    pub(super) fn refund(&mut self) {
        self.made.pop_back();
    }

    /// The seconds until the `n`-th call from now may be made; `at` is X's time.
    pub(super) fn wait_for(&self, n: f64, now: f64, at: f64, share: f64) -> f64 {
        let closed = (self.closed_until - at).max(0.0);
        let Some((most, time)) = self.terms(share) else { return closed };
        #[expect(clippy::cast_precision_loss, reason = "a second has fewer than 2^52 calls")]
        let most_calls = most as f64;
        let rounds = ((n - 1.0) / most_calls).floor().max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below `most`")]
        let within = (n - 1.0 - rounds * most_calls).max(0.0) as usize;
        // The call that has to be a second ago when the n-th of this round is made.
        let before = (self.made.len() + within).checked_sub(most);
        let made = before.and_then(|place| self.made.get(place));
        let next = made.map_or(0.0, |made| (made + time - now).max(0.0));
        (rounds * time + next).max(closed)
    }

    /// Calls per second.
    pub(super) fn rate(&self, share: f64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a second has fewer than 2^52 calls")]
        self.terms(share).map(|(most, time)| most as f64 / time)
    }

    /// How many calls may be made in how many seconds.
    fn terms(&self, share: f64) -> Option<(usize, f64)> {
        let limit = self.limit?;
        let used = ((limit * USED).floor().max(1.0) * share).max(0.01);
        let most = used.floor().max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a limit is a u32"
        )]
        Some((most as usize, SECOND * most / used))
    }
}
