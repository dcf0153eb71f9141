//! The calls that a token may take in all. Each process counts its own, and learns those of others every few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most tokens that are counted, at some 150 bytes each.
const MOST: usize = 10_000;
/// The most tokens whose calls are written at a time.
const MOST_WRITTEN: usize = 1000;

/// The calls of tokens whose makers have limited them.
#[derive(Default)]
pub struct PageCalls(Mutex<HashMap<Box<str>, Count>>);

#[derive(Clone, Copy, Default)]
struct Count {
    /// When the token ends, in seconds since 1970.
    ends_at: i64,
    /// Calls of all processes, as far as they were written.
    known: u32,
    /// Calls of this process that were not written yet.
    unwritten: u32,
    /// Calls under way.
    reserved: u32,
}

/// Calls that a question may make. Unless it is told how many were made, all count.
pub struct ReservedCalls {
    calls: Arc<PageCalls>,
    token: Box<str>,
    reserved: u32,
}

/// A token with the calls that were not written yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WrittenCalls {
    pub token: Box<str>,
    pub ends_at: i64,
    pub calls: u32,
}

impl PageCalls {
    /// Reserves calls for a question; `None` if a token has fewer left, or if there are more tokens than are counted.
    pub fn reserve(
        self: &Arc<PageCalls>,
        (token, ends_at, most): (&str, i64, u32),
        calls: u32,
        now: i64,
    ) -> Option<ReservedCalls> {
        let mut counts = self.lock();
        if counts.len() >= MOST && !counts.contains_key(token) {
            counts.retain(|_, count| count.ends_at > now || count.unwritten + count.reserved > 0);
        }
        if counts.len() >= MOST && !counts.contains_key(token) {
            return None;
        }
        let count = counts.entry(token.into()).or_default();
        count.ends_at = ends_at;
        if count.sum().saturating_add(calls) > most {
            return None;
        }
        count.reserved += calls;
        drop(counts);
        Some(ReservedCalls { calls: Arc::clone(self), token: token.into(), reserved: calls })
    }

    /// Whether any token is counted that has not ended; the others are forgotten.
    pub fn are_counted(&self, now: i64) -> bool {
        let mut counts = self.lock();
        counts.retain(|_, count| count.ends_at > now || count.unwritten + count.reserved > 0);
        !counts.is_empty()
    }

    /// What is to be written; it counts as written from now on.
    pub fn take_unwritten(&self) -> Vec<WrittenCalls> {
        let mut counts = self.lock();
        let due = counts.iter_mut().filter(|(_, count)| count.unwritten > 0).take(MOST_WRITTEN);
        due.map(|(token, count)| {
            let calls = std::mem::take(&mut count.unwritten);
            count.known = count.known.saturating_add(calls);
            WrittenCalls { token: token.clone(), ends_at: count.ends_at, calls }
        })
        .collect()
    }

    /// Takes back what could not be written.
    pub fn give_back(&self, unwritten: &[WrittenCalls]) {
        let mut counts = self.lock();
        for WrittenCalls { token, calls, .. } in unwritten {
            if let Some(count) = counts.get_mut(token) {
                count.known = count.known.saturating_sub(*calls);
                count.unwritten = count.unwritten.saturating_add(*calls);
            }
        }
    }

    /// Learns the calls that all processes have written for a token.
    pub fn learn(&self, token: &str, calls: u32) {
        if let Some(count) = self.lock().get_mut(token) {
            count.known = calls;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn sum(&self) -> u32 {
        self.known.saturating_add(self.unwritten).saturating_add(self.reserved)
    }
}

impl ReservedCalls {
    /// Counts the calls that were made instead of those that were reserved.
    pub fn settle(mut self, made: u32) {
        self.finish(made);
    }

    fn finish(&mut self, made: u32) {
        let reserved = std::mem::take(&mut self.reserved);
        if let Some(count) = self.calls.lock().get_mut(&self.token) {
            count.reserved = count.reserved.saturating_sub(reserved);
            count.unwritten = count.unwritten.saturating_add(made);
        }
    }
}

impl Drop for ReservedCalls {
    fn drop(&mut self) {
        if self.reserved > 0 {
            self.finish(self.reserved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: (&str, i64, u32) = ("bt_1", 100, 10);

    #[test]
    fn what_is_reserved_made_and_written_elsewhere_counts() {
        let calls = Arc::new(PageCalls::default());
        let first = calls.reserve(TOKEN, 4, 0).unwrap();
        assert!(calls.reserve(TOKEN, 7, 0).is_none());
        first.settle(1);
        drop(calls.reserve(TOKEN, 2, 0).unwrap());
        let written = calls.take_unwritten();
        assert_eq!(written[0].calls, 3, "what was dropped counts as it was reserved");
        assert!(calls.take_unwritten().is_empty());
        calls.give_back(&written);
        assert_eq!(calls.take_unwritten(), written);
        calls.learn("bt_1", 9);
        assert!(calls.reserve(TOKEN, 2, 0).is_none());
        calls.reserve(TOKEN, 1, 0).unwrap().settle(0);
    }

    #[test]
    fn no_more_tokens_are_counted_than_fit() {
        let calls = Arc::new(PageCalls::default());
        for number in 0..MOST {
            let name = format!("bt_{number}");
            calls.reserve((&name, 100, 10), 1, 0).unwrap().settle(0);
        }
        assert!(calls.reserve(("one more", 200, 10), 1, 50).is_none());
        assert!(calls.reserve(("one more", 200, 10), 1, 100).is_some(), "others have ended");
    }
}
