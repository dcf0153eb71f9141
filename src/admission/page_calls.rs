//! The calls that a token may take in all. Each process counts its own, and learns those of others every few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most tokens that are counted, and those of one key, at some 200 bytes each.
const MOST: usize = 50_000;
const MOST_OF_KEY: usize = 10_000;
/// The most tokens whose calls are written at a time.
const MOST_WRITTEN: usize = 1000;

/// The calls of tokens whose makers have limited them.
#[derive(Default)]
pub struct PageCalls(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    tokens: HashMap<Box<str>, Count>,
    /// How many tokens of each key are counted.
    of_keys: HashMap<Box<str>, usize>,
    /// When the tokens that had ended were last forgotten.
    swept_at: i64,
}

#[derive(Clone, Default)]
struct Count {
    key_id: Box<str>,
    /// From when the token is refused, in seconds since 1970.
    ends_at: i64,
    /// Calls of all processes, as far as they were written.
    known: u32,
    /// Calls of this process that were not written yet.
    unwritten: u32,
    /// Calls under way.
    reserved: u32,
}

/// A token whose calls are limited.
#[derive(Clone, Debug)]
pub struct LimitedToken {
    pub id: Box<str>,
    pub key_id: Box<str>,
    /// From when it is refused, in seconds since 1970.
    pub ends_at: i64,
    /// The most calls that it may take in all.
    pub most: u32,
    /// The calls that it had taken when it was first seen here.
    pub known: u32,
}

/// Calls that a question may make. Unless it is told how many were made, all count.
pub struct ReservedCalls {
    calls: Arc<PageCalls>,
    token: LimitedToken,
    reserved: u32,
}

/// Why calls are not reserved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoCalls {
    /// The token may never take so many.
    TooMany,
    /// Too few are left.
    UsedUp,
    /// More tokens are in use than are counted.
    Full,
}

/// A token with the calls that were not written yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WrittenCalls {
    pub token: Box<str>,
    pub ends_at: i64,
    pub calls: u32,
}

impl PageCalls {
    /// Begins a question, which has reserved no call yet.
    pub fn begin(self: &Arc<PageCalls>, token: LimitedToken) -> ReservedCalls {
        ReservedCalls { calls: Arc::clone(self), token, reserved: 0 }
    }

    pub fn has(&self, token: &str) -> bool {
        self.lock().tokens.contains_key(token)
    }

    /// The tokens that are counted and have not ended; the others are forgotten.
    pub fn counted(&self, now: i64) -> Vec<Box<str>> {
        let mut counts = self.lock();
        counts.sweep(now);
        counts.tokens.keys().cloned().collect()
    }

    /// Some of what is to be written; it counts as written from now on.
    pub fn take_unwritten(&self) -> Vec<WrittenCalls> {
        let mut counts = self.lock();
        let due = counts.tokens.iter_mut().filter(|(_, count)| count.unwritten > 0);
        due.take(MOST_WRITTEN)
            .map(|(token, count)| {
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
            if let Some(count) = counts.tokens.get_mut(token) {
                count.known = count.known.saturating_sub(*calls);
                count.unwritten = count.unwritten.saturating_add(*calls);
            }
        }
    }

    /// Learns the calls that all processes have written for a token.
    pub fn learn(&self, token: &str, calls: u32) {
        if let Some(count) = self.lock().tokens.get_mut(token) {
            count.known = calls;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Forgets tokens that have ended, once a second at most.
    fn sweep(&mut self, now: i64) {
        if self.swept_at == now {
            return;
        }
        self.swept_at = now;
        let of_keys = &mut self.of_keys;
        self.tokens.retain(|_, count| {
            let stays = count.ends_at > now || count.unwritten > 0 || count.reserved > 0;
            if !stays && let Some(tokens) = of_keys.get_mut(&count.key_id) {
                *tokens -= 1;
            }
            stays
        });
        of_keys.retain(|_, tokens| *tokens > 0);
    }

    /// The token's count, if there is room for it.
    fn of(&mut self, token: &LimitedToken, now: i64) -> Option<&mut Count> {
        if !self.tokens.contains_key(&token.id) {
            let has_room = |counts: &Counts| {
                let of_key = counts.of_keys.get(&token.key_id).copied().unwrap_or_default();
                counts.tokens.len() < MOST && of_key < MOST_OF_KEY
            };
            if !has_room(self) {
                self.sweep(now);
            }
            if !has_room(self) {
                return None;
            }
            *self.of_keys.entry(token.key_id.clone()).or_default() += 1;
            let (key_id, ends_at, known) = (token.key_id.clone(), token.ends_at, token.known);
            let count = Count { key_id, ends_at, known, ..Count::default() };
            self.tokens.insert(token.id.clone(), count);
        }
        self.tokens.get_mut(&token.id)
    }
}

impl Count {
    fn sum(&self) -> u32 {
        self.known.saturating_add(self.unwritten).saturating_add(self.reserved)
    }
}

impl ReservedCalls {
    /// Reserves calls up to so many in all, unless it has them already.
    pub fn grow_to(&mut self, calls: u32, now: i64) -> Result<(), NoCalls> {
        let more = calls.saturating_sub(self.reserved);
        if more == 0 {
            return Ok(());
        }
        if calls > self.token.most {
            return Err(NoCalls::TooMany);
        }
        let mut counts = self.calls.lock();
        let count = counts.of(&self.token, now).ok_or(NoCalls::Full)?;
        if count.sum().saturating_add(more) > self.token.most {
            return Err(NoCalls::UsedUp);
        }
        count.reserved += more;
        self.reserved = calls;
        Ok(())
    }

    pub fn reserved(&self) -> u32 {
        self.reserved
    }

    /// Counts the calls that were made instead of those that were reserved.
    pub fn settle(mut self, made: u32) {
        self.finish(made);
    }

    fn finish(&mut self, made: u32) {
        let reserved = std::mem::take(&mut self.reserved);
        if let Some(count) = self.calls.lock().tokens.get_mut(&self.token.id) {
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

    fn token(id: &str, key_id: &str) -> LimitedToken {
        LimitedToken { id: id.into(), key_id: key_id.into(), ends_at: 100, most: 10, known: 0 }
    }

    fn reserve(calls: &Arc<PageCalls>, most: u32) -> Result<ReservedCalls, NoCalls> {
        let mut reserved = calls.begin(token("bt_1", "key"));
        reserved.grow_to(most, 0).map(|()| reserved)
    }

    #[test]
    fn what_is_reserved_made_and_written_elsewhere_counts() {
        let calls = Arc::new(PageCalls::default());
        let first = reserve(&calls, 4).unwrap();
        assert_eq!(reserve(&calls, 7).err(), Some(NoCalls::UsedUp));
        assert_eq!(reserve(&calls, 11).err(), Some(NoCalls::TooMany));
        first.settle(1);
        let mut growing = reserve(&calls, 1).unwrap();
        growing.grow_to(2, 0).unwrap();
        growing.grow_to(1, 0).unwrap();
        drop(growing);
        let written = calls.take_unwritten();
        assert_eq!(written[0].calls, 3, "what was dropped counts as it was reserved");
        assert!(calls.take_unwritten().is_empty());
        calls.give_back(&written);
        assert_eq!(calls.take_unwritten(), written);
        calls.learn("bt_1", 9);
        assert!(reserve(&calls, 2).is_err());
        reserve(&calls, 1).unwrap().settle(0);
        // Questions that are answered by what was kept need none.
        calls.learn("bt_1", 10);
        reserve(&calls, 0).unwrap().settle(0);
    }

    #[test]
    fn no_more_tokens_are_counted_than_fit() {
        let calls = Arc::new(PageCalls::default());
        let count = |number: usize, key: usize, now| {
            let mut reserved = calls.begin(token(&format!("bt_{number}"), &format!("key {key}")));
            reserved.grow_to(1, now).map(|()| reserved.settle(0))
        };
        for number in 0..MOST_OF_KEY {
            count(number, 0, 0).unwrap();
        }
        assert_eq!(count(MOST_OF_KEY, 0, 0), Err(NoCalls::Full), "of this key");
        for number in MOST_OF_KEY..MOST {
            count(number, number / MOST_OF_KEY, 0).unwrap();
        }
        assert_eq!(count(MOST, 9, 50), Err(NoCalls::Full));
        assert_eq!(count(MOST, 9, 100), Ok(()), "others have ended");
        assert_eq!(calls.lock().of_keys.len(), 1);
        assert_eq!(calls.counted(101), Vec::<Box<str>>::new());
    }
}
