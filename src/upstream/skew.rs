//! How far the upstream's clock is from ours, learnt from the `Date` of its answers: a signature whose time is off
//! is refused with code 135, no matter whose clock is wrong.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use hyper::HeaderMap;
use hyper::header::DATE;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

const SAMPLES: usize = 9;
/// `Date` gives whole seconds and the answer takes time to arrive: below this, the clocks agree.
const TOLERANCE_SECONDS: i64 = 2;
/// How long an offset is trusted without another answer; our clock may be set meanwhile.
const FRESH_SECONDS: u64 = 60;

/// The median of the last offsets seen.
#[derive(Default)]
pub(super) struct Skew {
    offset: AtomicI64,
    last_second: AtomicI64,
    /// When an answer last gave the time, by our clock.
    learnt_second: AtomicI64,
    samples: Mutex<Vec<i64>>,
}

impl Skew {
    /// Seconds to add to our clock.
    pub(super) fn seconds(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Whether any answer has given the time.
    pub(super) fn is_known(&self) -> bool {
        !self.samples.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_empty()
    }

    /// Whether an answer has given the time recently.
    pub(super) fn is_fresh(&self, now: OffsetDateTime) -> bool {
        let learnt = self.learnt_second.load(Ordering::Relaxed);
        self.is_known() && learnt.abs_diff(now.unix_timestamp()) <= FRESH_SECONDS
    }

    /// Learns from one answer, at most once a second.
    pub(super) fn observe(&self, headers: &HeaderMap, now: OffsetDateTime) {
        let second = now.unix_timestamp();
        if self.last_second.swap(second, Ordering::Relaxed) == second {
            return;
        }
        if let Some(theirs) = date(headers) {
            self.learn(theirs.unix_timestamp() - second);
            self.learnt_second.store(second, Ordering::Relaxed);
        }
    }

    /// Trusts this one answer, since it refused our time; returns whether its offset differs from the one `used`. It is
    /// not compared with the current offset, which this answer or another call's may already have corrected.
    pub(super) fn correct(&self, headers: &HeaderMap, now: OffsetDateTime, used: i64) -> bool {
        let Some(theirs) = date(headers) else { return false };
        let offset = theirs.unix_timestamp() - now.unix_timestamp();
        let mut samples = self.samples.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *samples = vec![offset];
        self.offset.store(offset, Ordering::Relaxed);
        self.learnt_second.store(now.unix_timestamp(), Ordering::Relaxed);
        offset != used
    }

    fn learn(&self, offset: i64) {
        let mut samples = self.samples.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if samples.len() == SAMPLES {
            samples.remove(0);
        }
        samples.push(offset);
        let mut sorted = samples.clone();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let agreed = if median.abs() < TOLERANCE_SECONDS { 0 } else { median };
        self.offset.store(agreed, Ordering::Relaxed);
    }
}

pub(super) fn date(headers: &HeaderMap) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(headers.get(DATE)?.to_str().ok()?, &Rfc2822).ok()
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    fn dated(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, text.parse().unwrap())])
    }

    #[test]
    fn one_odd_date_among_many_does_not_count() {
        let (skew, start) = (Skew::default(), datetime!(2026-01-01 00:00:00 UTC));
        for second in 0..5 {
            let odd = second == 2;
            let date =
                if odd { "Thu, 01 Jan 2026 09:00:00 GMT" } else { "Thu, 01 Jan 2026 00:00:03 GMT" };
            skew.observe(&dated(date), start + Duration::seconds(second));
        }
        assert!(skew.seconds().abs() < 4, "{}", skew.seconds());
    }

    #[test]
    fn what_was_learnt_is_fresh_for_a_minute_by_our_clock() {
        let (skew, start) = (Skew::default(), datetime!(2026-01-01 00:00:00 UTC));
        assert!(!skew.is_fresh(start));
        skew.observe(&HeaderMap::new(), start);
        assert!(!skew.is_fresh(start), "no date, no time");
        let start = start + Duration::SECOND;
        skew.observe(&dated("Thu, 01 Jan 2026 00:10:00 GMT"), start);
        for (seconds, fresh) in [(0, true), (60, true), (61, false), (-60, true), (-61, false)] {
            assert_eq!(skew.is_fresh(start + Duration::seconds(seconds)), fresh, "{seconds}");
        }
        let later = start + Duration::HOUR;
        skew.correct(&dated("Thu, 01 Jan 2026 01:10:01 GMT"), later, 599);
        assert!(skew.is_fresh(later) && skew.seconds() == 600);
    }

    #[test]
    fn a_refused_time_is_corrected_at_once() {
        let (skew, now) = (Skew::default(), datetime!(2026-01-01 00:10:00 UTC));
        let headers = dated("Thu, 01 Jan 2026 00:00:00 GMT");
        skew.observe(&headers, now);
        assert!(skew.correct(&headers, now, 0));
        assert_eq!(skew.seconds(), -600);
        assert!(!skew.correct(&headers, now, -600), "nothing new the second time");
        assert!(!skew.correct(&HeaderMap::new(), now, 0));
    }
}
