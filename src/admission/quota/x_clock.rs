//! X's clock, as its answers show it.

/// X's clock, from below: it is at least what the answers' dates show. In seconds to add to the local time.
#[derive(Clone, Copy)]
pub(super) struct XClock {
    before: f64,
    present: f64,
    /// `None` until an answer tells.
    since: Option<f64>,
}

/// How many seconds the best date counts.
const KEPT: f64 = 60.0;

impl XClock {
    /// Until an answer tells, X's clock is taken to show this at the local time 0.
    pub(super) fn new(ours: f64) -> XClock {
        XClock { before: f64::MIN, present: ours, since: None }
    }

    /// Dates are whole seconds, so one is right shortly after a second has begun; the best of the last minutes counts.
    pub(super) fn learn(&mut self, date: f64, now: f64) {
        match self.since {
            Some(since) if now - since <= KEPT => (),
            Some(_) => {
                *self = XClock { before: self.present, present: f64::MIN, since: Some(now) };
            }
            // Ours may be ahead, so it does not count any more.
            None => *self = XClock { before: f64::MIN, present: f64::MIN, since: Some(now) },
        }
        self.present = self.present.max(date - now);
    }

    pub(super) fn at(self, now: f64) -> f64 {
        now + self.before.max(self.present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xs_dates_count_from_the_first_answer_on() {
        // Ours is five minutes ahead.
        let mut clock = XClock::new(1_000_300.0);
        assert!((clock.at(5.0) - 1_000_305.0).abs() < 0.01);
        clock.learn(1_000_009.0, 10.0);
        assert!((clock.at(10.0) - 1_000_009.0).abs() < 0.01);
        // A date right after a second began is the best.
        clock.learn(1_000_012.0, 12.1);
        assert!((clock.at(13.0) - 1_000_012.9).abs() < 0.01);
    }
}
