//! X's clock, as its answers show it.

/// X's clock, from below: it is at least what the answers' dates show. In seconds to add to the local time.
#[derive(Clone, Copy)]
pub(super) struct XClock {
    before: f64,
    present: f64,
    since: f64,
}

/// How many seconds the best date counts.
const KEPT: f64 = 60.0;

impl XClock {
    /// Until an answer tells, X's clock is taken to show this at the local time 0.
    pub(super) fn new(ours: f64) -> XClock {
        XClock { before: f64::MIN, present: ours, since: f64::MIN }
    }

    /// Dates are whole seconds, so one is right shortly after a second has begun; the best of the last minutes counts.
    pub(super) fn learn(&mut self, date: f64, now: f64) {
        if now - self.since > KEPT {
            *self = XClock { before: self.present, present: f64::MIN, since: now };
        }
        self.present = self.present.max(date - now);
    }

    pub(super) fn at(self, now: f64) -> f64 {
        now + self.before.max(self.present)
    }
}
