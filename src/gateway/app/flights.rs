//! Calls in flight, by what they ask: callers who ask the same at the same time share one call.
//!
//! A call belongs to nobody. Whoever gets the first permit for it sends it, and it goes on as long as anybody waits.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::sync::SetOnce;

use crate::gateway::Error;
use crate::model::account::Since;
use crate::model::call::Said;
use crate::model::{AccountRef, Endpoint, UserId};
use crate::upstream::Answer;

/// What a call asks, and with whose credentials.
#[derive(Eq, PartialEq)]
pub(in crate::gateway) struct Identity {
    pub(in crate::gateway) endpoint: Endpoint,
    /// `None` for the app's credentials.
    pub(in crate::gateway) account: Option<AccountRef>,
    /// How many changes of accounts were known: nobody gets an answer to a token that was replaced before.
    pub(in crate::gateway) changes: u64,
    pub(in crate::gateway) body: Bytes,
    /// Whether it is a part of a question.
    pub(in crate::gateway) is_part: bool,
}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Identity { endpoint, account, changes, body, is_part } = self;
        // A quick sum will do: what has the same by chance, or on purpose, is only not shared.
        (endpoint, account, changes, crc32fast::hash(body), is_part).hash(state);
    }
}

/// How a call ended.
pub(in crate::gateway) struct Landed {
    pub(in crate::gateway) answer: Result<Answer, Error>,
    /// The user whose token signed.
    pub(in crate::gateway) account: Option<UserId>,
    /// The status of X's last response.
    pub(in crate::gateway) status: Option<u16>,
    /// What X said, if it refused the call.
    pub(in crate::gateway) said: Option<Said>,
    /// Since when that account had been as it was.
    pub(in crate::gateway) since: Option<Since>,
    pub(in crate::gateway) begun_at: Instant,
    /// How long it waited for quota once it was sent.
    pub(in crate::gateway) waited: Duration,
}

/// A call on its way. Boxed once: it is large.
pub(in crate::gateway) type Sending = Pin<Box<dyn Future<Output = Arc<Landed>> + Send>>;
type Flying = Shared<Sending>;

/// An app's calls in flight.
#[derive(Default)]
pub(in crate::gateway) struct Flights {
    hashing: RandomState,
    /// By a hash of what they ask. Two of one hash are rare enough for one of them to fly unlisted.
    listed: Mutex<HashMap<u64, Weak<Flight>>>,
    seats: AtomicUsize,
}

struct Flight {
    identity: Identity,
    seats: AtomicUsize,
    has_departed: AtomicBool,
    flying: SetOnce<Flying>,
}

/// A caller's interest in a call. Once the last seat is dropped, the call is dropped, too.
pub(in crate::gateway) struct Seat {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    /// Under which the flight is listed.
    hash: Option<u64>,
}

/// Ends a flight's listing when it is dropped: whoever comes later does not get an older answer.
pub(in crate::gateway) struct Listing(
    #[expect(dead_code, reason = "it is there to be dropped")] Option<Listed>,
);

struct Listed {
    flights: Arc<Flights>,
    flight: Weak<Flight>,
    hash: u64,
}

impl Flights {
    /// A seat in a call that asks this; if it may be shared, in one that asks it already, whether or not that was sent.
    pub(in crate::gateway) fn seat(
        self: &Arc<Flights>,
        identity: Identity,
        is_shared: bool,
    ) -> Seat {
        self.seats.fetch_add(1, Ordering::Relaxed);
        let seat = |flight, hash| Seat { flights: Arc::clone(self), flight, hash };
        if !is_shared {
            return seat(Flight::new(identity), None);
        }
        let hash = self.hashing.hash_one(&identity);
        let mut listed = self.lock();
        let Some(flight) = listed.get(&hash).and_then(Weak::upgrade) else {
            let flight = Flight::new(identity);
            listed.insert(hash, Arc::downgrade(&flight));
            return seat(flight, Some(hash));
        };
        // A flight that is dropped ends its own listing.
        let is_same = flight.identity == identity;
        if is_same {
            flight.seats.fetch_add(1, Ordering::Relaxed);
        }
        drop(listed);
        if is_same { seat(flight, Some(hash)) } else { seat(Flight::new(identity), None) }
    }

    /// How many callers wait for answers, also those who share one.
    pub(in crate::gateway) fn callers(&self) -> usize {
        self.seats.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Weak<Flight>>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    fn new(identity: Identity) -> Arc<Flight> {
        let (seats, has_departed) = (AtomicUsize::new(1), AtomicBool::new(false));
        Arc::new(Flight { identity, seats, has_departed, flying: SetOnce::new() })
    }
}

impl Seat {
    pub(in crate::gateway) fn has_departed(&self) -> bool {
        self.flight.has_departed.load(Ordering::Acquire)
    }

    /// Waits until somebody sends the call.
    pub(in crate::gateway) async fn departed(&self) {
        self.flight.flying.wait().await;
    }

    /// Sends the call, unless somebody else has done so; returns whether it did. The call has to drop its listing when
    /// it ends.
    pub(in crate::gateway) fn depart(&self, call: impl FnOnce(Listing) -> Sending) -> bool {
        if self.flight.has_departed.swap(true, Ordering::AcqRel) {
            return false;
        }
        let listing = self.hash.map(|hash| Listed {
            flights: Arc::clone(&self.flights),
            flight: Arc::downgrade(&self.flight),
            hash,
        });
        let _ = self.flight.flying.set(call(Listing(listing)).shared());
        true
    }

    /// Waits for the call's end. Each who waits drives the call, so that it goes on when others leave.
    pub(in crate::gateway) async fn land(self) -> Arc<Landed> {
        let flying = self.flight.flying.wait().await.clone();
        flying.await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.flights.seats.fetch_sub(1, Ordering::Relaxed);
        let Some(hash) = self.hash else { return };
        // From departure on, the call itself ends its listing.
        if self.has_departed() {
            return;
        }
        let mut listed = self.flights.lock();
        let is_last = self.flight.seats.fetch_sub(1, Ordering::Relaxed) == 1;
        if is_last && !self.has_departed() {
            listed.remove(&hash);
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut listed = self.flights.lock();
        let is_own = |listed: &Weak<Flight>| listed.ptr_eq(&self.flight);
        if listed.get(&self.hash).is_some_and(is_own) {
            listed.remove(&self.hash);
        }
    }
}
