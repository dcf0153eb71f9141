//! One quota of X's: how many calls are left in its window, and how fast they may be used. All times are seconds.

use crate::model::quota::Reported;

/// X's clock may be read a moment too early, so a window counts as over only after this time.
const GUARD: f64 = 0.1;
/// How much later than we think it may be at X.
const EARLY: f64 = 1.0;
/// One call in a hundred is never used, since calls of other processes are noticed late.
const SPARE: f64 = 0.01;
/// A window of which less than this part is left at its end was nearly used up.
const SCARCE: f64 = 0.2;
/// The length of a window of which nothing is known yet.
const ASSUMED_LENGTH: i64 = 60;
/// X's longest window; an end that is further away is a mistake, which would stop all calls for good.
pub(super) const LONGEST: f64 = 900.0;
/// No window is shorter, in whole seconds.
const SHORTEST_LENGTH: i64 = 2;
/// The shortest time over which the calls that are left are spread.
const SHORTEST: f64 = 0.25;
/// How many seconds' worth of calls may be saved up for a burst.
const BURST: f64 = 10.0;
/// The part of what is left that is used, whatever others have used before.
const LEAST_OURS: f64 = 0.2;
/// Less than this part of a quota is not taken for the use of others, since leases are a moment old.
const LEAST_FOREIGN: f64 = 0.05;
/// For how long it is known what others that share the quota have used.
const LATEST_NEWS: f64 = 5.0;

/// How much of each window this process may use at present.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// This process's share, from 0 to 1.
    pub(super) share: f64,
    /// Whether a single key uses the quota: then it may always use all of a window at once.
    pub(super) is_lone: bool,
    /// Calls that X may not have counted yet.
    pub(super) in_flight: f64,
}

/// A window of any length. Its calls are spread evenly over it as long as several keys use them up.
#[derive(Debug, Default)]
pub(super) struct Window {
    limit: Option<f64>,
    /// The least that was reported in this window.
    remaining: f64,
    /// Calls since the latest report that X may have counted, though their answers did not say so.
    unreported: f64,
    /// The end of the present window by X's clock, if known.
    reset: Option<i64>,
    /// The latest end that X has reported.
    reported_reset: Option<i64>,
    /// The time between the ends of two windows, one after the other.
    length: Option<i64>,
    /// Calls that may be made at once.
    tokens: f64,
    /// How many windows have ended.
    number: u64,
    /// Calls in this window by this process, and by those that share its quota, as far as they have said so.
    own: f64,
    others: f64,
    /// When they last said so, by X's clock; `None` if this process shares the quota with none.
    heard_at: Option<f64>,
    /// Whether the last window was used up, or nearly.
    is_scarce: bool,
    /// Calls per second by whatever else uses the quota, on average over the last windows.
    foreign: f64,
}

impl Window {
    /// A window of this many seconds of which X has reported nothing yet.
    pub(super) fn configured(limit: Option<u32>, length: i64, at: i64) -> Window {
        let Some(limit) = limit.map(f64::from) else { return Window::default() };
        Window {
            limit: Some(limit),
            remaining: limit,
            reset: Some((at.div_euclid(length) + 1) * length),
            length: Some(length),
            tokens: limit / 2.0,
            ..Window::default()
        }
    }

    pub(super) fn limit(&self) -> Option<f64> {
        self.limit
    }

    /// Calls that are left for everybody, and the seconds until there are more; `at` is X's time.
    pub(super) fn state(&self, terms: Terms, at: f64) -> Option<(f64, f64)> {
        self.limit?;
        Some((self.left(terms).max(0.0), self.time_left(at)))
    }

    /// Calls that everybody has used of the present window.
    pub(super) fn used(&self, terms: Terms) -> f64 {
        let limit = self.limit.unwrap_or_default();
        (limit - self.remaining + self.unreported + terms.in_flight).clamp(0.0, limit)
    }

    /// Which window is the present one.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The end of the present window by X's clock, if known.
    pub(super) fn reset(&self) -> Option<i64> {
        self.reset
    }

    /// The quota as X last reported it, and as it was used since.
    pub(super) fn reported(&self) -> Option<Reported> {
        let reset = self.reset.filter(|_| self.is_present())?;
        let remaining = (self.remaining - self.unreported).max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "they were u32"
        )]
        let (limit, remaining) = (self.limit? as u32, remaining as u32);
        Some(Reported { limit: Some(limit), remaining: Some(remaining), reset: Some(reset) })
    }

    /// Whether X has reported this quota.
    pub(super) fn is_reported(&self) -> bool {
        self.reported_reset.is_some()
    }

    /// Whether X has reported the present window.
    fn is_present(&self) -> bool {
        self.is_reported() && self.reset == self.reported_reset
    }

    /// Learns from an answer, unless it says nothing of use or is about an earlier window; returns whether it did.
    pub(super) fn learn(&mut self, reported: Reported, terms: Terms, at: f64) -> bool {
        let Some(remaining) = reported.remaining.map(f64::from) else { return false };
        let Some(reset) = reported.reset.or_else(|| self.assumed_reset(at)) else { return false };
        if (seconds(reset) - at).abs() > LONGEST {
            return false;
        }
        let is_same = match self.reported_reset {
            Some(known) if reset < known || (reset == known && !self.is_present()) => {
                return false;
            }
            Some(known) if reset == known => true,
            // An end that moves a little, or before it has come, is still that of the same window.
            Some(known) if reset - known < SHORTEST_LENGTH || at + EARLY < seconds(known) => false,
            Some(known) => {
                if self.is_present() {
                    self.end(at);
                    self.number += 1;
                }
                let (length, passed) = (reset - known, at - seconds(known));
                // Otherwise, there may have been other windows between the two.
                if passed < seconds(length) / 2.0 {
                    self.length = Some(length);
                }
                false
            }
            None => {
                self.length = None;
                let limit = reported.limit.map_or(remaining, f64::from);
                self.tokens = (limit / 2.0).min(remaining) * terms.share;
                false
            }
        };
        let most = || remaining.max(self.limit.unwrap_or_default());
        self.limit = Some(reported.limit.map_or_else(most, f64::from));
        self.remaining = if is_same { self.remaining.min(remaining) } else { remaining };
        self.unreported = 0.0;
        (self.reset, self.reported_reset) = (Some(reset), Some(reset));
        true
    }

    /// The end of the present window if X does not say it: that of the minute.
    fn assumed_reset(&self, at: f64) -> Option<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 fit")]
        let now = at as i64;
        let next = (now.div_euclid(ASSUMED_LENGTH) + 1) * ASSUMED_LENGTH;
        self.reset.filter(|reset| *reset > now).or(Some(next))
    }

    /// Begins the next window if the present one is over, and saves up calls for the `passed` seconds.
    pub(super) fn refresh(&mut self, at: f64, passed: f64, terms: Terms) {
        let Some(limit) = self.limit else { return };
        let rate = self.rate(terms, at);
        let most = (limit * terms.share / 2.0).max(rate * BURST).max(1.0);
        self.tokens = (self.tokens + rate * passed).min(most);
        let Some(reset) = self.reset.filter(|reset| at >= seconds(*reset) + GUARD) else { return };
        if self.is_present() {
            self.end(at);
        }
        self.number += 1;
        // Even without any quota, a call in each window finds out whether there is one now.
        (self.remaining, self.unreported) = (limit.max(1.0), 0.0);
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 fit")]
        let now = at as i64;
        let next = |length: i64| reset + ((now - reset).max(0) / length + 1) * length;
        self.reset = Some(next(self.length.unwrap_or(ASSUMED_LENGTH)));
    }

    /// Counts calls that are made now.
    pub(super) fn spend(&mut self, calls: f64) {
        self.tokens = (self.tokens - calls).max(0.0);
        self.own += calls;
    }

    /// Counts calls of whose quotas X reported nothing.
    pub(super) fn count(&mut self, calls: f64) {
        self.unreported += calls;
    }

    /// The calls that all processes together have saved up, if this one has that share.
    pub(super) fn saved(&self, share: f64) -> f64 {
        if share > 0.0 { self.tokens / share } else { 0.0 }
    }

    /// What this process has used of the present window.
    pub(super) fn made(&self) -> f64 {
        self.own
    }

    /// What others that share the quota have used of the window that ends then.
    pub(super) fn share_with(&mut self, others: &[(i64, f64)], at: f64) {
        let same = others.iter().filter(|(reset, _)| self.reset == Some(*reset));
        self.others = same.map(|(_, calls)| calls).sum();
        self.heard_at = (!others.is_empty()).then_some(at);
    }

    /// Learns at the end of a window how many calls were nobody's who shares the quota.
    fn end(&mut self, at: f64) {
        let (own, others) = (self.own, self.others);
        (self.own, self.others) = (0.0, 0.0);
        let left = self.limit.map_or(1.0, |limit| self.remaining / limit);
        self.is_scarce = left < SCARCE;
        if self.heard_at.is_some_and(|heard_at| at - heard_at > LATEST_NEWS) {
            return;
        }
        let (limit, length) = (self.limit.unwrap_or_default(), self.length());
        let foreign = (limit - self.remaining - own - others).max(0.0) / length;
        let foreign = if foreign < limit / length * LEAST_FOREIGN { 0.0 } else { foreign };
        self.foreign = self.foreign.midpoint(foreign);
    }

    /// The seconds until the `n`-th call from now may be made.
    pub(super) fn wait_for(&self, n: f64, terms: Terms, at: f64) -> f64 {
        let Some(limit) = self.limit else { return 0.0 };
        let all = self.left(terms).max(0.0);
        let left = all * terms.share;
        let is_paced = self.is_scarce && !terms.is_lone;
        // A share of less than one call is saved up until it is one.
        let ready = if is_paced || left < 1.0 { self.tokens.min(all) } else { left };
        if n <= ready {
            return 0.0;
        }
        let until_reset = (n - ready) / self.rate(terms, at);
        if n <= left.max(1.0_f64.min(all)) && until_reset <= self.time_left(at) {
            return until_reset;
        }
        let length = self.length();
        let ours = (limit * (1.0 - SPARE) - self.foreign * length).max(limit * LEAST_OURS);
        let each = (ours * terms.share).max(f64::EPSILON);
        let (windows, rest) = ((n - left) / each, n - left);
        let after =
            if is_paced { rest / each * length } else { (windows.ceil() - 1.0).max(0.0) * length };
        self.time_left(at) + GUARD + if rest <= 1.0 { 0.0 } else { after }
    }

    /// Calls per second, if those that are left are spread evenly.
    pub(super) fn rate(&self, terms: Terms, at: f64) -> f64 {
        let time = self.time_left(at).max(SHORTEST);
        let left = self.left(terms).max(0.0);
        let ours = (left - self.foreign * time).max(left * LEAST_OURS);
        (ours * terms.share / time).max(f64::EPSILON)
    }

    fn left(&self, terms: Terms) -> f64 {
        let spare = (self.limit.unwrap_or_default() * SPARE).floor();
        self.remaining - self.unreported - terms.in_flight - spare
    }

    fn time_left(&self, at: f64) -> f64 {
        self.reset.map_or(self.length(), |reset| (seconds(reset) - at).max(0.0))
    }

    /// The seconds until so many windows have ended, the present one included.
    pub(super) fn until(&self, windows: f64, at: f64) -> f64 {
        if windows < 1.0 {
            return 0.0;
        }
        self.time_left(at) + GUARD + (windows - 1.0) * self.length()
    }

    fn length(&self) -> f64 {
        seconds(self.length.unwrap_or(ASSUMED_LENGTH))
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 have fewer than 52 bits")]
pub(super) fn seconds(whole: i64) -> f64 {
    whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Terms = Terms { share: 1.0, is_lone: true, in_flight: 0.0 };
    const NOW: f64 = 1_773_177_310.0;
    const RESET: i64 = 1_773_177_360;

    fn report(limit: u32, remaining: u32, reset: i64) -> Reported {
        Reported { limit: Some(limit), remaining: Some(remaining), reset: Some(reset) }
    }

    /// A window that has learnt this at `NOW`.
    fn learnt(reported: Reported) -> Window {
        let mut window = Window::default();
        assert!(window.learn(reported, ALONE, NOW));
        window
    }

    fn wait_at(window: &mut Window, at: f64) -> f64 {
        window.refresh(at, 1.0, ALONE);
        window.wait_for(1.0, ALONE, at)
    }

    #[test]
    fn a_pool_of_which_x_says_nothing_more_opens_again_and_again() {
        let mut window = learnt(report(5, 5, RESET));
        for minute in 1..5 {
            let at = NOW + 60.0 * f64::from(minute);
            assert!(wait_at(&mut window, at) <= 0.0, "minute {minute}");
            window.count(5.0);
            assert!(wait_at(&mut window, at + 1.0) > 0.0, "minute {minute}");
        }
    }

    #[test]
    fn a_mistaken_end_is_neither_believed_nor_kept() {
        let mut window = Window::default();
        for reset in [RESET * 1000, i64::MAX, i64::MIN, 0] {
            assert!(!window.learn(report(5, 0, reset), ALONE, NOW), "{reset}");
            assert!(wait_at(&mut window, NOW) <= 0.0, "{reset}");
        }
        assert!(window.learn(report(5, 0, RESET), ALONE, NOW));
        assert!(wait_at(&mut window, NOW) > 0.0);
    }

    #[test]
    fn an_answer_without_an_end_is_about_the_minute() {
        let without = Reported { limit: Some(5), remaining: Some(0), reset: None };
        let mut window = learnt(without);
        assert!((wait_at(&mut window, NOW) - 50.0 - GUARD).abs() < 0.01);
        assert!(wait_at(&mut window, NOW + 51.0) <= 0.0);
    }

    #[test]
    fn a_quota_of_nothing_lets_a_call_a_window_find_out() {
        let mut window = learnt(report(0, 0, RESET));
        assert!(wait_at(&mut window, NOW) > 0.0);
        assert!(wait_at(&mut window, NOW + 51.0) <= 0.0);
        window.count(1.0);
        assert!(wait_at(&mut window, NOW + 52.0) > 0.0);
        assert!(window.learn(report(100, 99, RESET + 60), ALONE, NOW + 52.0));
        assert!(wait_at(&mut window, NOW + 52.0) <= 0.0);
    }

    #[test]
    fn a_window_is_as_long_as_the_next_one_shows() {
        let length = |reset: i64, at: f64| {
            let mut window = learnt(report(5, 5, RESET));
            window.refresh(at, 1.0, ALONE);
            window.learn(report(5, 5, reset), ALONE, at);
            window.length
        };
        assert_eq!(length(RESET + 3, NOW + 50.5), Some(3));
        assert_eq!(length(RESET + 900, NOW + 60.0), Some(900));
        // An hour later there were other windows between the two, and a second later it is the same.
        assert_eq!(length(RESET + 3600, NOW + 3640.0), None);
        assert_eq!(length(RESET + 1, NOW + 50.5), None);
    }
}
