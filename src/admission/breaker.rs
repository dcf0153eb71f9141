//! A circuit breaker: while most calls fail, whoever they come from, none is made but a probe now and then.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::Clock;

/// The time over which calls are counted, in seconds.
const COUNTED: u64 = 10;
/// Fewer attempts than these prove nothing.
const LEAST: u32 = 20;
/// The pause before the next probe.
const PAUSE: Duration = Duration::from_secs(1);
/// A call that its caller gives up after this time counts as failed.
const SLOW: Duration = Duration::from_secs(5);

pub struct Breaker {
    clock: Arc<dyn Clock>,
    begun: Instant,
    state: Mutex<State>,
}

/// A call that the breaker lets pass, of a key.
pub struct Trial {
    breaker: Arc<Breaker>,
    key: Arc<str>,
    begun: Instant,
    is_probe: bool,
    is_finished: bool,
}

/// What a call has shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attempts {
    pub made: u32,
    pub failed: u32,
}

/// What became of the breaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turned {
    Open,
    Closed,
}

#[derive(Default)]
struct State {
    seconds: VecDeque<Second>,
    /// When the next probe may be made; `None` while the breaker is closed.
    next_probe: Option<Instant>,
    is_probing: bool,
}

/// The calls of one second.
struct Second {
    at: u64,
    made: u32,
    failed: u32,
    /// Up to two of the keys that called, and of those that failed.
    callers: Vec<Arc<str>>,
    failing: Vec<Arc<str>>,
}

impl Breaker {
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Breaker> {
        let begun = clock.instant();
        Arc::new(Breaker { clock, begun, state: Mutex::default() })
    }

    /// How long to wait, if a call would not pass now.
    pub fn wait(&self) -> Option<Duration> {
        self.lock().wait(self.clock.instant())
    }

    /// Lets a key's call pass, which is sent at once, or says how long to wait.
    pub fn begin(self: &Arc<Breaker>, key: &Arc<str>) -> Result<Trial, Duration> {
        let begun = self.clock.instant();
        let mut state = self.lock();
        if let Some(wait) = state.wait(begun) {
            return Err(wait);
        }
        let is_probe = state.next_probe.is_some();
        state.is_probing = is_probe;
        let (breaker, key) = (Arc::clone(self), Arc::clone(key));
        Ok(Trial { breaker, key, begun, is_probe, is_finished: false })
    }

    pub fn is_open(&self) -> bool {
        self.lock().next_probe.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trial {
    /// Whether it is made to find out whether calls succeed again: once is enough.
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// Counts the attempts of the call. The last one failed if all did.
    pub fn finish(mut self, attempts: Attempts) -> Option<Turned> {
        self.is_finished = true;
        self.count(attempts)
    }

    fn count(&self, attempts: Attempts) -> Option<Turned> {
        let now = self.breaker.clock.instant();
        let mut state = self.breaker.lock();
        let has_failed = attempts.failed == attempts.made && attempts.made > 0;
        if self.is_probe {
            state.is_probing = false;
            if !has_failed {
                *state = State::default();
                return Some(Turned::Closed);
            }
            state.next_probe = Some(now + PAUSE);
            return None;
        }
        if state.next_probe.is_some() {
            return None;
        }
        let second = now.saturating_duration_since(self.breaker.begun).as_secs();
        state.count(second, &self.key, attempts);
        (has_failed && state.is_tripped()).then(|| {
            state.next_probe = Some(now + PAUSE);
            Turned::Open
        })
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // Whoever made the call has hung up. That says something about X if it took long.
        let now = self.breaker.clock.instant();
        let is_slow = now.saturating_duration_since(self.begun) >= SLOW;
        if self.is_probe || is_slow {
            let failed = Attempts { made: 1, failed: 1 };
            self.count(failed);
        }
    }
}

impl State {
    fn wait(&self, now: Instant) -> Option<Duration> {
        let wait = self.next_probe?.saturating_duration_since(now);
        (self.is_probing || !wait.is_zero()).then_some(wait.max(PAUSE))
    }

    fn count(&mut self, at: u64, key: &Arc<str>, attempts: Attempts) {
        while self.seconds.front().is_some_and(|second| second.at + COUNTED <= at) {
            self.seconds.pop_front();
        }
        if self.seconds.back().is_none_or(|second| second.at != at) {
            let (callers, failing) = (Vec::new(), Vec::new());
            self.seconds.push_back(Second { at, made: 0, failed: 0, callers, failing });
        }
        let Some(second) = self.seconds.back_mut() else { return };
        second.made = second.made.saturating_add(attempts.made);
        second.failed = second.failed.saturating_add(attempts.failed);
        note(&mut second.callers, key);
        if attempts.failed > 0 {
            note(&mut second.failing, key);
        }
    }

    /// Whether more than half of the latest attempts failed, and not those of one key among several.
    fn is_tripped(&self) -> bool {
        // The latest alone: what went well before says nothing of a sudden end.
        let (mut made, mut failed) = (0_u32, 0_u32);
        for second in self.seconds.iter().rev() {
            if made >= LEAST {
                break;
            }
            made = made.saturating_add(second.made);
            failed = failed.saturating_add(second.failed);
        }
        let (mut callers, mut failing) = (Vec::new(), Vec::new());
        for second in &self.seconds {
            second.callers.iter().for_each(|key| note(&mut callers, key));
            second.failing.iter().for_each(|key| note(&mut failing, key));
        }
        made >= LEAST && failed > made / 2 && failing.len() >= callers.len()
    }
}

/// Keeps the first two different keys.
fn note(keys: &mut Vec<Arc<str>>, key: &Arc<str>) {
    if keys.len() < 2 && !keys.contains(key) {
        keys.push(Arc::clone(key));
    }
}
