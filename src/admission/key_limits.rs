//! What single keys may ask: so many requests per minute, over all processes together, and so many at once in this one.
//! No minute, wherever it begins, has more of them: they are counted by the second.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::Clock;
use crate::model::key::KeyLimits;
use crate::model::quota::KeyLease;

/// How many seconds a request counts, after the one in which it came.
const COUNTED: u64 = 60;
/// All processes together take one part in this many of a limit before they have leases.
const UNLEASED: u32 = 20;

/// The requests of limited keys.
pub struct KeyLimiter {
    clock: Arc<dyn Clock>,
    begun: Instant,
    keys: Mutex<HashMap<Arc<str>, Counter>>,
    /// What other processes hold of each key's limit.
    held: Mutex<HashMap<String, u32>>,
    has_no_leases: AtomicBool,
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
        let (keys, held) = (Mutex::default(), Mutex::default());
        Arc::new(KeyLimiter { clock, begun, keys, held, has_no_leases: AtomicBool::new(false) })
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
            let leased = counter.most.unwrap_or_else(|| self.unleased(key, most, processes));
            if counter.made() >= leased.min(most) {
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

    /// Sets what other processes hold of keys' limits.
    pub fn set_held(&self, leases: &[(String, KeyLease)]) {
        let mut held: HashMap<String, u32> = HashMap::new();
        for (key, lease) in leases {
            let of_key = held.entry(key.clone()).or_default();
            *of_key = of_key.saturating_add(lease.most.max(lease.made));
        }
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    /// What a process may take of a key's limit before it has a lease: all that is left if it is alone, else so little
    /// that all of them together hardly exceed the limit until they have one.
    fn unleased(&self, key: &str, most: u32, processes: usize) -> u32 {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let left = most.saturating_sub(held.get(key).copied().unwrap_or_default());
        let processes = u32::try_from(processes).unwrap_or(u32::MAX).max(1);
        let part = if self.has_no_leases.load(Ordering::Relaxed) { 1 } else { UNLEASED };
        if processes == 1 { left } else { left.min((most / part / processes).max(1)) }
    }

    /// Whether no leases can be had for long: then each process takes an equal part of a limit.
    pub fn set_without_leases(&self, has_none: bool) {
        self.has_no_leases.store(has_none, Ordering::Relaxed);
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
    let (limit, processes) = (u64::from(limit), processes.max(1) as u64);
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
