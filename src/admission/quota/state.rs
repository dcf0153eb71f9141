//! The state of a pool: what is left of its quotas, and who waits. Times are seconds since the pool began.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant as TokioInstant;

use crate::admission::quota::lanes::{Class, Lanes};
use crate::admission::quota::seconds::Seconds;
use crate::admission::quota::uses::add_up;
use crate::admission::quota::wanted::{Exhausted, Wanted, seconds_until};
use crate::admission::quota::window::{LONGEST, Terms, Window, seconds};
use crate::admission::quota::x_clock::XClock;
use crate::model::quota::{KeyUse, Lease, Quota, Report, Reported};

const MINUTE: i64 = 60;
/// The first rest after a refusal that names no time; each further one doubles it.
const FIRST_REST: f64 = 1.0;
const LAST_REST: f64 = 60.0;
/// The longest wait that is named to a caller, in seconds.
const LONGEST_WAIT: f64 = 900.0;

/// A quota at a glance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    pub limit: Option<f64>,
    /// Whether X has reported it, or it is only configured.
    pub is_reported: bool,
    /// Calls that everybody has used, and those that are left for everybody, by this process's knowledge.
    pub used: f64,
    pub left: f64,
    /// Seconds until the window ends.
    pub reset: f64,
    /// Seconds until the next call can be made; 0 if it need not wait.
    pub wait: f64,
    /// This process's share of it, from 0 to 1.
    pub share: f64,
    /// Calls that wait in this process.
    pub waiting: usize,
}

/// A key's part of a quota.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Portion {
    /// Calls in a window.
    pub limit: u32,
    /// Calls left in the present window.
    pub left: u32,
    /// Seconds until the window ends.
    pub reset: u32,
}

/// With what is granted to those who wait, `G`.
pub(super) struct State<G> {
    seconds: Seconds,
    /// The quota per minute, and the one with headers of X's other APIs.
    pub(super) windows: [Window; 2],
    pub(super) lanes: Lanes<Waiter<G>>,
    pub(super) in_flight: u32,
    /// This process's share, from 0 to 1.
    pub(super) share: f64,
    /// The share that it will have in a moment.
    pub(super) due_share: f64,
    /// The share that its pages can have while anybody else calls.
    pub(super) share_of_pages: f64,
    /// The calls in flight of other processes that use the quota; `None` if there are none such.
    pub(super) others_in_flight: Option<u32>,
    /// Their leases, as they were when this process last renewed its own.
    pub(super) others: Vec<Lease>,
    pub(super) x_clock: XClock,
    /// Until when no call is made, by the local time, after a refusal.
    closed_until: f64,
    /// The rest after the next refusal that names no time.
    rest: f64,
    refreshed: f64,
    pub(super) is_driven: bool,
    /// Whether anybody has left the queue since it was last swept.
    pub(super) has_leavers: bool,
}

/// A call that waits.
pub(super) struct Waiter<G> {
    pub(super) granted: oneshot::Sender<G>,
    pub(super) until: TokioInstant,
    pub(super) class: Class,
}

impl<G> State<G> {
    /// With the wall clock's time in seconds since 1970.
    pub(super) fn new(quota: Quota, share_of_pages: f64, ours: i64) -> State<G> {
        State {
            seconds: Seconds::configured(quota.per_second),
            windows: [Window::configured(quota.per_minute, MINUTE, ours), Window::default()],
            lanes: Lanes::new(share_of_pages),
            in_flight: 0,
            share: 1.0,
            due_share: 1.0,
            share_of_pages,
            others_in_flight: None,
            others: Vec::new(),
            x_clock: XClock::new(seconds(ours)),
            closed_until: 0.0,
            rest: FIRST_REST,
            refreshed: 0.0,
            is_driven: false,
            has_leavers: false,
        }
    }

    pub(super) fn terms(&self) -> Terms {
        let is_lone = self.lanes.is_lone() && self.others_in_flight.is_none();
        let in_flight = self.in_flight.saturating_add(self.others_in_flight.unwrap_or_default());
        Terms { share: self.share, is_lone, in_flight: f64::from(in_flight) }
    }

    pub(super) fn refresh(&mut self, now: f64) {
        let (terms, at) = (self.terms(), self.x_clock.at(now));
        let passed = now - self.refreshed;
        if passed > 0.0 {
            self.refreshed = now;
            self.windows.iter_mut().for_each(|window| window.refresh(at, passed, terms));
            self.begin_window();
            self.lanes.prune(now);
        }
    }

    /// The calls that all processes together can make in the next second, if that is known.
    pub(super) fn calls_per_second(&self, now: f64) -> Option<f64> {
        let (terms, at) = (Terms { share: 1.0, ..self.terms() }, self.x_clock.at(now));
        let limited = self.windows.iter().filter(|window| window.limit().is_some());
        // What was saved up can be used at once.
        let rates = limited.map(|window| window.rate(terms, at).max(window.saved(self.share)));
        rates.chain(self.seconds.rate(1.0)).reduce(f64::min)
    }

    fn begin_window(&mut self) {
        let (number, limit) = (self.window().number(), self.window().limit());
        self.lanes.begin_window(number, limit.map(|limit| limit * self.share_of_pages));
    }

    pub(super) fn is_free(&self, class: Class, now: f64) -> bool {
        self.lanes.is_free(class) && self.wait_for(1.0, now) <= 0.0
    }

    /// The seconds until a new call at that position will be made.
    pub(super) fn expect_new(&self, class: Class, position: f64, now: f64) -> f64 {
        let windows = self.window().until(self.lanes.windows_to_wait(class), self.x_clock.at(now));
        self.expect(position, now).max(windows)
    }

    /// The seconds until the `n`-th call from now can be made, with the present share.
    pub(super) fn wait_for(&self, n: f64, now: f64) -> f64 {
        self.wait_by(self.terms(), n, now)
    }

    /// The seconds until the `n`-th call from now will be made, with the share that is due.
    pub(super) fn expect(&self, n: f64, now: f64) -> f64 {
        let terms = self.terms();
        self.wait_by(Terms { share: terms.share.max(self.due_share), ..terms }, n, now)
    }

    fn wait_by(&self, terms: Terms, n: f64, now: f64) -> f64 {
        let at = self.x_clock.at(now);
        let [minute, other] = &self.windows;
        (self.closed_until - now)
            .max(self.seconds.wait_for(n, now, at, terms.share))
            .max(minute.wait_for(n, terms, at))
            .max(other.wait_for(n, terms, at))
    }

    pub(super) fn spend(&mut self, now: f64) {
        self.seconds.spend(now, self.share);
        self.windows.iter_mut().for_each(|window| window.spend(1.0));
        self.in_flight += 1;
    }

    /// Takes back a call that was not made after all.
    pub(super) fn refund(&mut self, class: Class) {
        self.lanes.refund(class);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.seconds.refund();
        self.windows.iter_mut().for_each(|window| window.spend(-1.0));
    }

    /// Refuses a call, and keeps its turn for it.
    pub(super) fn refuse(&mut self, wanted: Wanted<'_>, now: f64) -> Exhausted {
        let position = self.lanes.promise(wanted.key, f64::from(wanted.weight), wanted.class, now);
        let wait = self.expect_new(wanted.class, position, now).min(LONGEST_WAIT);
        if wanted.class != Class::Page {
            self.lanes.set_promised_time(wanted.key, now + wait);
        }
        // Whoever comes back then waits for about half as long as it may.
        let patience = seconds_until(wanted.patience.until()) / 2.0;
        let wait = (wait - patience).ceil().clamp(1.0, LONGEST_WAIT);
        Exhausted { retry_after: Duration::from_secs_f64(wait) }
    }

    /// Learns from the answer to a call that took this many attempts.
    pub(super) fn learn(&mut self, report: Option<&Report>, attempts: u32, now: f64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let (all, more) = (f64::from(attempts), f64::from(attempts.saturating_sub(1)));
        let Some(report) = report else {
            return self.windows.iter_mut().for_each(|window| window.count(all));
        };
        if let Some(date) = report.date {
            self.x_clock.learn(seconds(date), now);
        }
        let (terms, at) = (self.terms(), self.x_clock.at(now));
        let [second, others @ ..] = &report.windows;
        if let Some(second) = second {
            self.seconds.learn(*second, at);
        }
        for (window, reported) in self.windows.iter_mut().zip(others) {
            window.spend(more);
            if !reported.is_some_and(|reported| window.learn(reported, terms, at)) {
                window.count(all);
            }
        }
        self.begin_window();
        if report.is_refusal {
            self.close(report, now);
        } else {
            self.rest = FIRST_REST;
        }
    }

    /// Makes no call before the quota is there again.
    fn close(&mut self, report: &Report, now: f64) {
        let spent =
            |window: &Option<Reported>| window.is_some_and(|window| window.remaining == Some(0));
        if let Some(wait) = report.retry_after {
            self.closed_until = self.closed_until.max(now + f64::from(wait).min(LONGEST));
        } else if !report.windows.iter().any(spent) || self.wait_for(1.0, now) <= 0.0 {
            self.closed_until = self.closed_until.max(now + self.rest);
            self.rest = (self.rest * 2.0).min(LAST_REST);
        }
        let opens = self.expect(1.0, now);
        self.lanes.remove(|waiter| seconds_until(waiter.until) < opens);
    }

    /// What each key uses in all processes, the largest first.
    pub(super) fn uses(&self) -> Vec<KeyUse> {
        add_up(self.lanes.uses(), &self.others, self.window().reset())
    }

    /// The window of the quota per minute, or of the one with headers of X's other APIs if X reports only that.
    fn window(&self) -> &Window {
        let [minute, other] = &self.windows;
        if minute.limit().is_none() { other } else { minute }
    }

    pub(super) fn level(&self, now: f64) -> Level {
        let (terms, at, window) = (self.terms(), self.x_clock.at(now), self.window());
        let (left, reset) = window.state(terms, at).unwrap_or_default();
        Level {
            limit: window.limit(),
            is_reported: window.is_reported(),
            used: window.used(terms),
            left,
            reset,
            wait: self.expect(1.0, now).clamp(0.0, LONGEST_WAIT),
            share: self.share,
            waiting: self.lanes.waiting(),
        }
    }
}
