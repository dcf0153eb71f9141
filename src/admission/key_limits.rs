//! What single keys may ask: so many requests per minute, over all processes together, and so many at once in this one.
//! No minute, wherever it begins, has more of them: they are counted by the second.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::Clock;
use crate::model::key::KeyLimits;
use crate::model::quota::KeyLease;

/// How many seconds a request counts, after the one in which it came.
const COUNTED: u64 = 60;
/// What a process may take of a key's limit before it has a lease: what comes in a second.
const UNLEASED: u32 = 60;

/// The requests of limited keys.
pub struct KeyLimiter {
    clock: Arc<dyn Clock>,
    begun: Instant,
    keys: Mutex<HashMap<Arc<str>, Counter>>,
}

/// A request of a limited key that is being handled; it ends when this is dropped.
pub struct Handled {
    limiter: Arc<KeyLimiter>,
    key: Arc<str>,
}

/// Why a request has to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OverLimit {
    PerMinute { most: u32, retry_after: Duration },
    AtOnce { most: u32 },
}

#[derive(Default)]
struct Counter {
    per_minute: Option<u32>,
    /// Requests taken, and requests refused, by the second in which they came.
    seconds: VecDeque<(u64, u32, u32)>,
    at_once: u32,
    /// The most requests of a minute, by the lease; `None` before there is one.
    most: Option<u32>,
}

impl Counter {
    fn forget(&mut self, now: u64) {
        while self.seconds.front().is_some_and(|(second, ..)| second + COUNTED < now) {
            self.seconds.pop_front();
        }
    }

    fn made(&self) -> u32 {
        self.seconds.iter().map(|(_, made, _)| made).sum()
    }

    fn wanted(&self) -> u32 {
        self.seconds.iter().map(|(_, made, refused)| made.saturating_add(*refused)).sum()
    }

    fn count(&mut self, now: u64, made: u32, refused: u32) {
        match self.seconds.back_mut() {
            Some((second, taken, not)) if *second == now => {
                *taken = taken.saturating_add(made);
                *not = not.saturating_add(refused);
            }
            _ => self.seconds.push_back((now, made, refused)),
        }
    }
}

impl KeyLimiter {
    pub fn new(clock: Arc<dyn Clock>) -> Arc<KeyLimiter> {
        let begun = clock.instant();
        Arc::new(KeyLimiter { clock, begun, keys: Mutex::default() })
    }

    /// Counts a request, if its key may make one now and `processes` share its limit; `None` for a key without limits.
    pub fn begin(
        self: &Arc<KeyLimiter>,
        key: &Arc<str>,
        limits: &KeyLimits,
        processes: usize,
    ) -> Result<Option<Handled>, OverLimit> {
        if limits.per_minute.is_none() && limits.at_once.is_none() {
            return Ok(None);
        }
        let now = self.now();
        let mut keys = self.lock();
        let counter = keys.entry(Arc::clone(key)).or_default();
        counter.per_minute = limits.per_minute;
        counter.forget(now);
        if let Some(most) = limits.at_once.filter(|most| counter.at_once >= *most) {
            counter.count(now, 0, 1);
            return Err(OverLimit::AtOnce { most });
        }
        if let Some(most) = limits.per_minute {
            let alone = if processes < 2 { most } else { (most / UNLEASED).max(1) };
            if counter.made() >= counter.most.unwrap_or(alone).min(most) {
                counter.count(now, 0, 1);
                let oldest = counter.seconds.iter().find(|(_, made, _)| *made > 0);
                let wait = oldest.map_or(1, |(second, ..)| (second + COUNTED + 1 - now).max(1));
                // Other processes may soon give back what they do not need.
                let wait = if counter.made() < most { 1 } else { wait };
                return Err(OverLimit::PerMinute { most, retry_after: Duration::from_secs(wait) });
            }
        }
        counter.count(now, 1, 0);
        counter.at_once += 1;
        Ok(Some(Handled { limiter: Arc::clone(self), key: Arc::clone(key) }))
    }

    /// What this process has to write down of each key whose requests per minute are limited, with that limit.
    pub fn draft_leases(&self) -> Vec<(Arc<str>, u32, KeyLease)> {
        let now = self.now();
        let mut keys = self.lock();
        keys.values_mut().for_each(|counter| counter.forget(now));
        keys.retain(|_, counter| counter.at_once > 0 || !counter.seconds.is_empty());
        let draft = |(key, counter): (&Arc<str>, &Counter)| {
            let (made, wanted) = (counter.made(), counter.wanted());
            let most = counter.most.unwrap_or_default();
            Some((Arc::clone(key), counter.per_minute?, KeyLease { made, most, wanted }))
        };
        keys.iter().filter_map(draft).collect()
    }

    /// Sets the most requests that a key may have made within a minute in this process.
    pub fn set_most(&self, key: &str, most: u32) {
        if let Some(counter) = self.lock().get_mut(key) {
            counter.most = Some(most);
        }
    }

    fn now(&self) -> u64 {
        self.clock.instant().saturating_duration_since(self.begun).as_secs()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Counter>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handled {
    fn drop(&mut self) {
        if let Some(counter) = self.limiter.lock().get_mut(&self.key) {
            counter.at_once = counter.at_once.saturating_sub(1);
        }
    }
}

/// The part of a key's limit for one process beside those of `others`: by what is wanted of each, and never more than
/// the others leave. What nobody wants is divided equally.
pub fn divide_limit(limit: u32, own: KeyLease, others: &[KeyLease], processes: usize) -> u32 {
    let held = |lease: &KeyLease| u64::from(lease.most.max(lease.made));
    let room = u64::from(limit).saturating_sub(others.iter().map(held).sum());
    let wanted = |lease: &KeyLease| u64::from(lease.wanted);
    let all = wanted(&own) + others.iter().map(wanted).sum::<u64>();
    let (limit, processes) = (u64::from(limit), processes.max(others.len() + 1) as u64);
    let part = if all <= limit {
        wanted(&own) + (limit - all).div_ceil(processes)
    } else {
        (limit * wanted(&own)).div_ceil(all)
    };
    u32::try_from(part.min(room)).unwrap_or(u32::MAX).max(own.made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(made: u32, most: u32, wanted: u32) -> KeyLease {
        KeyLease { made, most, wanted }
    }

    #[test]
    fn a_limit_is_divided_by_what_is_wanted_and_never_exceeded() {
        for (own, others, processes, part) in [
            (lease(0, 0, 0), vec![], 1, 60),
            (lease(10, 60, 30), vec![], 1, 60),
            (lease(0, 0, 0), vec![], 3, 20),
            (lease(0, 0, 10), vec![lease(0, 0, 20)], 2, 25),
            (lease(0, 0, 100), vec![lease(0, 0, 200)], 2, 20),
            // What another one holds, or has used, it keeps.
            (lease(0, 0, 100), vec![lease(0, 50, 200)], 2, 10),
            (lease(0, 0, 100), vec![lease(58, 0, 0)], 2, 2),
            // What was used stays used.
            (lease(7, 0, 100), vec![lease(0, 60, 100)], 2, 7),
        ] {
            assert_eq!(divide_limit(60, own, &others, processes), part, "{own:?} {others:?}");
        }
    }
}
