//! Strangers: which keys are known to exist without a query, and how many wrong guesses an address made recently. The
//! checksum is public, so anybody can make up keys and links that look right.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::gateway::bounded::Bounded;
use crate::gateway::{Error, Gateway};
use crate::model::key::Kind;
use crate::store;

/// The most wrong guesses of one address in a minute; after that it has to wait.
const MOST_WRONG: u32 = 20;
pub(in crate::gateway) const WINDOW: Duration = Duration::from_mins(1);
const MOST_ADDRESSES: u64 = 10_000;
/// The most key ids held in memory, at some 50 bytes each; keys beyond that are looked up as if they were made up.
const MOST_IDS: u32 = 100_000;

/// Addresses that guessed, by kind of guess: mistyping a link does not lock out an admin.
#[derive(Default)]
pub(in crate::gateway) struct Strangers {
    callers: Guesses,
    pub(in crate::gateway) admins: Guesses,
    pub(in crate::gateway) links: Guesses,
    ids: KeyIds,
}

/// How many guesses of an address were wrong within the last minute, or are being checked.
pub(in crate::gateway) struct Guesses(Bounded<IpAddr, AtomicU32>);

/// A guess that is being checked. It stops counting unless it was wrong, even if the client goes away.
pub(in crate::gateway) struct Guess {
    of_address: Arc<AtomicU32>,
    is_wrong: bool,
}

/// The ids of keys that exist. Keys are never deleted, so an id stays right.
#[derive(Default)]
struct KeyIds(RwLock<HashSet<Box<str>>>);

impl Strangers {
    pub(in crate::gateway) fn of(&self, kind: Kind) -> &Guesses {
        match kind {
            Kind::Caller => &self.callers,
            Kind::Admin => &self.admins,
        }
    }
}

impl Default for Guesses {
    fn default() -> Guesses {
        Guesses(Bounded::expiring(MOST_ADDRESSES, WINDOW))
    }
}

impl Guesses {
    /// Counts a guess before it is checked, so that a thousand at once cost no more look-ups than a thousand in turn.
    pub(in crate::gateway) async fn begin(&self, from: IpAddr) -> Result<Guess, Error> {
        let none = async { Ok::<_, Infallible>(Arc::default()) };
        let of_address = self.0.get_or_load(&network(from), none).await.unwrap_or_default();
        let count = |guesses: u32| (guesses < MOST_WRONG).then_some(guesses + 1);
        let counted = of_address.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        counted.map_err(|_| Error::TooManyGuesses)?;
        Ok(Guess { of_address, is_wrong: false })
    }
}

impl Guess {
    pub(in crate::gateway) fn was_wrong(mut self) {
        self.is_wrong = true;
    }
}

impl Drop for Guess {
    fn drop(&mut self) {
        if !self.is_wrong {
            self.of_address.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl KeyIds {
    fn has(&self, id: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    fn extend(&self, ids: Vec<String>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            if known.len() < MOST_IDS as usize {
                known.insert(id.into());
            }
        }
    }
}

impl Gateway {
    /// Whether a key with that id is known to exist; a key just created on another replica may not be known yet.
    pub(in crate::gateway) fn is_key_known(&self, id: &str) -> bool {
        self.0.strangers.ids.has(id)
    }

    pub(in crate::gateway) fn learn_key_id(&self, id: &str) {
        self.0.strangers.ids.extend(vec![id.to_owned()]);
    }

    /// Reads the ids of all keys.
    pub(in crate::gateway) async fn learn_key_ids(&self) -> Result<(), store::Error> {
        self.0.strangers.ids.extend(self.0.store.list_key_ids(MOST_IDS).await?);
        Ok(())
    }
}

/// The network of an IPv6 address, since its holder has all of the network's addresses.
pub(in crate::gateway) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2::9"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:3::9"), of("2001:db8:1:2::9"));
        assert_eq!(of("::ffff:10.0.0.7"), "10.0.0.7");
        assert_eq!(of("10.0.0.7"), "10.0.0.7");
    }

    #[test]
    fn no_more_ids_are_remembered_than_fit() {
        let ids = KeyIds::default();
        ids.extend((0..=MOST_IDS).map(|id| id.to_string()).collect());
        assert!(ids.has("0") && !ids.has(&MOST_IDS.to_string()));
    }
}
