//! What pages may ask: so many questions a minute with a token, by its holder and from an address, in this process. No
//! minute, wherever it begins, has more of them. The tables are bounded: whoever does not fit is refused.

use std::collections::HashMap;
use std::fmt::{Display, Formatter};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::Clock;

/// The most of each kind that are counted, at some 150 bytes each.
const MOST: usize = 50_000;
/// Look-ups of a minute for all pages of an app, and for those of a key: X may bill them by post, and services need them
/// too.
const LOOK_UPS_OF_APP: u32 = 10;
const LOOK_UPS_OF_KEY: u32 = 5;
/// How many seconds a slot of a counter covers, and how many slots are more than a minute.
const SLOT: u64 = 10;
const SLOTS: usize = 7;
/// How long whoever does not fit has to wait until others have left.
const UNTIL_OTHERS_LEAVE: Duration = Duration::from_secs(SLOT * SLOTS as u64);

/// Questions of pages, by token, by the token's holder and by address.
pub struct PageLimiter {
    clock: Arc<dyn Clock>,
    begun: Instant,
    counters: Mutex<Counters>,
}

#[derive(Default)]
struct Counters {
    tokens: Table<Box<str>>,
    /// By the key that made the token, and the holder's name.
    holders: Table<(Box<str>, Box<str>)>,
    addresses: Table<IpAddr>,
    /// Look-ups.
    of_apps: Table<Box<str>>,
    of_keys: Table<Box<str>>,
}

struct Table<K> {
    counters: HashMap<K, Counter>,
    /// The slot in which those that were idle were last removed.
    swept: u64,
}

/// Questions by the time in which they came, which is counted in slots.
#[derive(Clone, Copy, Default)]
struct Counter {
    latest: u64,
    /// The latest slot first.
    counts: [u32; SLOTS],
}

/// Whose question it is, each with the most of a minute.
#[derive(Clone, Copy)]
pub struct PageQuestion<'a> {
    pub token: &'a str,
    pub key_id: &'a str,
    /// Empty for none.
    pub subject: &'a str,
    pub address: IpAddr,
    pub most_of_token: u32,
    pub most_of_address: u32,
}

/// A limit of what pages may ask that is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OverPageLimit {
    pub limit: PageLimit,
    pub retry_after: Duration,
}

/// What is limited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PageLimit {
    /// Questions a minute with a token, by its holder, from an address, and of the key that made the token.
    Token,
    Holder,
    Address,
    Key,
    /// The calls to X that a token may take.
    Calls,
    /// Look-ups of posts' authors for pages.
    LookUps,
    /// What this process counts at once.
    Room,
}

impl PageLimit {
    pub fn after(self, retry_after: Duration) -> OverPageLimit {
        OverPageLimit { limit: self, retry_after }
    }
}

impl Display for PageLimit {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            PageLimit::Token => "this token has asked as much as it may in a minute",
            PageLimit::Holder => "the holder of this token has asked as much as they may in a minute",
            PageLimit::Address => "the questions from this address have reached their limit for this minute",
            PageLimit::Key => "the tokens of this application have reached their limit",
            PageLimit::Calls => {
                "this token has too few calls to X left for that; ask for less, or your own back end for a new token"
            }
            PageLimit::LookUps => {
                "the authors of too many posts were looked up for pages within a minute"
            }
            PageLimit::Room => "too many pages are active for this gateway to keep count of",
        })
    }
}

impl PageLimiter {
    pub fn new(clock: Arc<dyn Clock>) -> PageLimiter {
        let begun = clock.instant();
        PageLimiter { clock, begun, counters: Mutex::default() }
    }

    /// Counts a question everywhere, or nowhere and says which limit is reached and how long to wait.
    pub fn begin(&self, asked: &PageQuestion<'_>) -> Result<(), OverPageLimit> {
        let holder = || (asked.key_id.into(), asked.subject.into());
        let is_named = !asked.subject.is_empty();
        let mut counters = self.lock();
        let seconds = self.seconds();
        let Counters { tokens, holders, addresses, .. } = &mut *counters;
        let most = asked.most_of_token;
        let of_token = tokens.check(PageLimit::Token, &asked.token.into(), most, seconds);
        let of_holder = if is_named {
            holders.check(PageLimit::Holder, &holder(), most, seconds)
        } else {
            Ok(())
        };
        let most = asked.most_of_address;
        let of_address = addresses.check(PageLimit::Address, &asked.address, most, seconds);
        all_of([of_token, of_holder, of_address])?;
        tokens.count(asked.token.into(), seconds);
        if is_named {
            holders.count(holder(), seconds);
        }
        addresses.count(asked.address, seconds);
        Ok(())
    }

    /// Counts a look-up of posts for pages of a key, or says how long to wait.
    pub fn begin_look_up(&self, app: &str, key_id: &str) -> Result<(), OverPageLimit> {
        let mut counters = self.lock();
        let seconds = self.seconds();
        let Counters { of_apps, of_keys, .. } = &mut *counters;
        let of_app = of_apps.check(PageLimit::LookUps, &app.into(), LOOK_UPS_OF_APP, seconds);
        let of_key = of_keys.check(PageLimit::LookUps, &key_id.into(), LOOK_UPS_OF_KEY, seconds);
        all_of([of_app, of_key])?;
        of_apps.count(app.into(), seconds);
        of_keys.count(key_id.into(), seconds);
        Ok(())
    }

    /// Since it began. Read while the counters are locked, so that it never goes back.
    fn seconds(&self) -> u64 {
        self.clock.instant().saturating_duration_since(self.begun).as_secs()
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether all agree; otherwise, the limit for which to wait longest.
fn all_of<const N: usize>(checked: [Result<(), OverPageLimit>; N]) -> Result<(), OverPageLimit> {
    let over = checked.into_iter().filter_map(Result::err);
    over.max_by_key(|over| over.retry_after).map_or(Ok(()), Err)
}

impl<K> Default for Table<K> {
    fn default() -> Table<K> {
        Table { counters: HashMap::new(), swept: 0 }
    }
}

impl<K: Eq + Hash> Table<K> {
    /// Whether one more may come now; otherwise, how long to wait.
    fn check(
        &mut self,
        limit: PageLimit,
        who: &K,
        most: u32,
        seconds: u64,
    ) -> Result<(), OverPageLimit> {
        let slot = seconds / SLOT;
        if let Some(counter) = self.counters.get_mut(who) {
            counter.advance(slot);
            return counter.check(most, seconds).map_err(|wait| limit.after(wait));
        }
        if self.counters.len() >= MOST && self.swept != slot {
            self.swept = slot;
            self.counters.retain(|_, counter| counter.is_in_use(slot));
        }
        if self.counters.len() < MOST {
            Ok(())
        } else {
            Err(PageLimit::Room.after(UNTIL_OTHERS_LEAVE))
        }
    }

    fn count(&mut self, who: K, seconds: u64) {
        let counter = self.counters.entry(who).or_default();
        counter.advance(seconds / SLOT);
        if let Some(count) = counter.counts.first_mut() {
            *count = count.saturating_add(1);
        }
    }
}

impl Counter {
    fn advance(&mut self, slot: u64) {
        let passed = usize::try_from(slot - self.latest.min(slot)).unwrap_or(SLOTS).min(SLOTS);
        self.counts.rotate_right(passed);
        self.counts.iter_mut().take(passed).for_each(|count| *count = 0);
        self.latest = slot;
    }

    fn is_in_use(&self, slot: u64) -> bool {
        self.latest + SLOTS as u64 > slot
    }

    fn check(&self, most: u32, seconds: u64) -> Result<(), Duration> {
        let mut left: u32 = self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count));
        if left < most {
            return Ok(());
        }
        // The oldest slots end first.
        for (age, count) in self.counts.iter().enumerate().rev() {
            left -= count;
            if left < most {
                let ends = (self.latest - age as u64 + SLOTS as u64) * SLOT;
                return Err(Duration::from_secs(ends.saturating_sub(seconds).max(1)));
            }
        }
        Err(UNTIL_OTHERS_LEAVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(table: &mut Table<&str>, most: u32, seconds: u64) -> Option<u64> {
        match table.check(PageLimit::Token, &"a", most, seconds) {
            Ok(()) => {
                table.count("a", seconds);
                None
            }
            Err(over) => Some(over.retry_after.as_secs()),
        }
    }

    #[test]
    fn no_minute_has_more_and_the_wait_that_is_told_is_enough() {
        let mut table = Table::default();
        let mut taken: Vec<u64> = Vec::new();
        let mut seconds = 5;
        while seconds < 2000 {
            match counted(&mut table, 7, seconds) {
                None => {
                    taken.push(seconds);
                    seconds += seconds % 3;
                }
                Some(wait) => {
                    assert!((1..=70).contains(&wait), "{wait}");
                    assert!(counted(&mut table, 7, seconds + wait - 1).is_some(), "{seconds}");
                    seconds += wait;
                    assert_eq!(counted(&mut table, 7, seconds), None, "{seconds}");
                    taken.push(seconds);
                }
            }
            seconds += 1;
        }
        for at in &taken {
            let of_minute = taken.iter().filter(|other| (*at..at + 60).contains(other)).count();
            assert!(of_minute <= 7, "{at}: {of_minute}");
        }
        assert!(taken.len() > 150, "{}", taken.len());
    }

    #[test]
    fn who_does_not_fit_is_refused_until_others_have_left() {
        let mut table: Table<usize> = Table::default();
        let check = |table: &mut Table<usize>, who, most, seconds| {
            table.check(PageLimit::Token, &who, most, seconds)
        };
        for who in 0..MOST {
            check(&mut table, who, 1, 0).unwrap();
            table.count(who, 0);
        }
        let full = PageLimit::Room.after(UNTIL_OTHERS_LEAVE);
        assert_eq!(check(&mut table, MOST, 1, 30), Err(full));
        assert_eq!(check(&mut table, 3, 2, 30), Ok(()), "who is counted already");
        assert_eq!(check(&mut table, MOST, 1, 90), Ok(()));
        assert_eq!(table.counters.len(), 1, "but for who was checked of late");
    }
}
