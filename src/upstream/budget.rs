//! How many retries may be made: a share of the calls plus a few per second, so that an upstream in trouble is not
//! overloaded further.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::config::Limits;

/// How much may be saved up, in seconds of the floor.
const BURST_SECONDS: f64 = 10.0;

pub(super) struct Budget {
    share: f64,
    floor: f64,
    calls: AtomicU64,
    state: Mutex<State>,
}

struct State {
    tokens: f64,
    calls: u64,
    at: Instant,
}

impl Budget {
    pub(super) fn new(limits: &Limits, now: Instant) -> Budget {
        let (share, floor) = (limits.retry_share, limits.retry_floor);
        let state = State { tokens: floor, calls: 0, at: now };
        Budget { share, floor, calls: AtomicU64::new(0), state: Mutex::new(state) }
    }

    /// Counts a first attempt.
    pub(super) fn deposit(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one second attempt, if there is one.
    pub(super) fn withdraw(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let calls = self.calls.load(Ordering::Relaxed);
        let new_calls = f64::from(u32::try_from(calls - state.calls).unwrap_or(u32::MAX));
        let seconds = now.saturating_duration_since(state.at).as_secs_f64();
        let most = (self.floor * BURST_SECONDS).max(1.0) + new_calls * self.share;
        state.tokens = (state.tokens + new_calls * self.share + seconds * self.floor).min(most);
        state.calls = calls;
        state.at = now;
        let granted = state.tokens >= 1.0;
        if granted {
            state.tokens -= 1.0;
        }
        granted
    }
}
