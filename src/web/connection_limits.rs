//! The limits of a listener: how many connections it has at once, how many of them one address may hold, and a few
//! spare ones on which only probes are answered.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places beyond the limit, so that a full gateway still answers probes, and tells other clients that it is full.
const SPARE: usize = 16;

/// Why a connection has no regular place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Full {
    /// The listener has as many connections as it may.
    Listener,
    /// One address has as many as it may.
    Address,
}

/// The places of one listener; cheap to clone.
#[derive(Clone)]
pub(crate) struct Places {
    listener: &'static str,
    free: Arc<Semaphore>,
    taken: Arc<Mutex<Taken>>,
    open: Gauge,
}

struct Taken {
    regular: Share,
    spare: Share,
}

/// The regular or the spare places: how many are taken, and by which addresses.
struct Share {
    most: usize,
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Room for one more connection, from any address.
pub(crate) struct Room {
    places: Places,
    permit: OwnedSemaphorePermit,
}

/// A connection's place, until dropped.
pub(crate) struct Slot {
    places: Places,
    /// The address it counts for; `None` while that is not known.
    holder: Mutex<Option<IpAddr>>,
    /// Why it is a spare place; `None` for a regular one.
    spare: Option<Full>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(listener: &'static str, most: usize) -> Places {
        let taken = Taken { regular: Share::new(most), spare: Share::new(SPARE) };
        let free = Arc::new(Semaphore::new(most + SPARE));
        let open = metrics::gauge!("countersign_connections", "listener" => listener);
        Places { listener, free, taken: Arc::new(Mutex::new(taken)), open }
    }

    /// Waits until there is room for a connection.
    pub(crate) async fn room(&self) -> Option<Room> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(Room { places: self.clone(), permit })
    }

    pub(crate) fn room_now(&self) -> Option<Room> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Room { places: self.clone(), permit })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_refusal(&self, why: Full) {
        let reason = why.reason();
        metrics::counter!("countersign_connections_refused_total", "listener" => self.listener, "reason" => reason)
            .increment(1);
    }
}

impl Room {
    /// A place for a connection that counts for `holder`; `None`, counted as a refusal, if no spare one is left either.
    pub(crate) fn take(self, holder: Option<IpAddr>) -> Option<Slot> {
        let Room { places, permit } = self;
        let mut taken = places.taken();
        let spare = match taken.regular.take(holder) {
            Ok(()) => None,
            Err(why) if taken.spare.take(holder).is_ok() => Some(why),
            Err(why) => {
                drop(taken);
                places.count_refusal(why);
                return None;
            }
        };
        drop(taken);
        places.open.increment(1);
        Some(Slot { places, holder: Mutex::new(holder), spare, _permit: permit })
    }
}

impl Slot {
    pub(crate) fn is_spare(&self) -> bool {
        self.spare.is_some()
    }

    /// Whether a request that is no probe may be answered. If a trusted proxy names its client, the connection counts
    /// for that address from here on.
    pub(crate) fn admit(&self, named: Option<IpAddr>) -> Result<(), Full> {
        let admitted = match (self.spare, named) {
            (Some(why), _) => Err(why),
            (None, Some(named)) => self.count_for(named),
            (None, None) => Ok(()),
        };
        admitted.inspect_err(|why| self.places.count_refusal(*why))
    }

    fn count_for(&self, named: IpAddr) -> Result<(), Full> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if *holder == Some(named) {
            return Ok(());
        }
        let mut taken = self.places.taken();
        taken.regular.give_back(*holder);
        let moved = taken.regular.take(Some(named));
        match moved {
            Ok(()) => *holder = Some(named),
            Err(_) => taken.regular.keep(*holder),
        }
        moved
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let holder = *self.holder.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.places.open.decrement(1);
        let mut taken = self.places.taken();
        if self.is_spare() { &mut taken.spare } else { &mut taken.regular }.give_back(holder);
    }
}

impl Share {
    fn new(most: usize) -> Share {
        Share { most, all: 0, by_address: HashMap::new() }
    }

    fn take(&mut self, holder: Option<IpAddr>) -> Result<(), Full> {
        if self.all >= self.most {
            return Err(Full::Listener);
        }
        let held = holder.and_then(|address| self.by_address.get(&network(address))).copied();
        if held.unwrap_or_default() >= self.most_of_one() {
            return Err(Full::Address);
        }
        self.keep(holder);
        Ok(())
    }

    fn keep(&mut self, holder: Option<IpAddr>) {
        self.all += 1;
        if let Some(address) = holder {
            *self.by_address.entry(network(address)).or_default() += 1;
        }
    }

    fn give_back(&mut self, holder: Option<IpAddr>) {
        self.all = self.all.saturating_sub(1);
        let Some(address) = holder.map(network) else { return };
        if let Some(held) = self.by_address.get_mut(&address) {
            *held -= 1;
            if *held == 0 {
                self.by_address.remove(&address);
            }
        }
    }

    /// How many places one address may hold: three quarters of all.
    fn most_of_one(&self) -> usize {
        (self.most - self.most.div_ceil(4)).max(1)
    }
}

impl Full {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Full::Listener => "limit",
            Full::Address => "address",
        }
    }
}

/// The network that counts as one holder: a client with one IPv6 address has all 2^64 of its network.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_holds_three_quarters_and_at_least_one() {
        for (most, of_one) in [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3), (8, 6), (10_000, 7500)] {
            let mut share = Share::new(most);
            let taken = (0..most).filter(|_| share.take(Some(address("10.0.0.1"))).is_ok()).count();
            assert_eq!(taken, of_one, "{most}");
            assert_eq!(share.take(Some(address("10.0.0.2"))).is_ok(), most > of_one, "{most}");
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_holder() {
        let mut share = Share::new(4);
        for last in 1..=3 {
            assert!(share.take(Some(address(&format!("2001:db8::{last}")))).is_ok());
        }
        assert!(matches!(share.take(Some(address("2001:db8::ffff:1"))), Err(Full::Address)));
        assert!(share.take(Some(address("2001:db8:0:1::1"))).is_ok());
    }

    #[test]
    fn nothing_is_remembered_of_those_who_have_gone() {
        let places = Places::new("test", 2);
        let take = |holder| places.room_now().unwrap().take(holder).unwrap();
        for number in 0..100 {
            let place = take(None);
            place.admit(Some(address(&format!("10.0.0.{number}")))).unwrap();
            drop((take(Some(address("10.1.0.1"))), place));
        }
        let taken = places.taken();
        assert_eq!((taken.regular.all, taken.spare.all), (0, 0));
        assert!(taken.regular.by_address.is_empty() && taken.spare.by_address.is_empty());
    }
}
