//! The gateway's cache of the database, so that a call in steady state queries nothing. Entries stay right
//! because the change feed removes what changed; only the memory of absent keys expires.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::Counter;

use crate::gateway::Error;
use crate::gateway::bounded::{Bounded, Key};
use crate::gateway::changes::Feed;
use crate::store;
use crate::vault;

/// How many absent keys are remembered as absent.
const MOST_ABSENT: u64 = 10_000;

pub(super) struct Cache<K: ?Sized, V> {
    present: Bounded<K, V>,
    absent: Bounded<K, ()>,
    hits: Counter,
    misses: Counter,
    forgotten: AtomicU64,
}

pub(super) type Found<V> = Result<Option<Arc<V>>, Unread>;

enum Miss {
    Absent,
    Unread(Unread),
}

/// Why something could not be read, whether or not it exists.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

impl Unread {
    /// Whether waiting may help.
    pub(super) fn is_unavailable(&self) -> bool {
        matches!(self, Unread::Store(store::Error::Unavailable(_)))
    }
}

impl From<Unread> for Error {
    fn from(error: Unread) -> Error {
        match error {
            Unread::Store(error) => error.into(),
            Unread::Vault(error) => error.into(),
        }
    }
}

impl<K: Key + Sync + ?Sized, V: Send + Sync + 'static> Cache<K, V> {
    pub(super) fn new(name: &'static str, most: u64, absent_for: Duration) -> Cache<K, V> {
        Cache {
            present: Bounded::new(most),
            absent: Bounded::expiring(MOST_ABSENT, absent_for),
            forgotten: AtomicU64::new(0),
            hits: metrics::counter!("countersign_cache_total", "cache" => name, "outcome" => "hit"),
            misses: metrics::counter!("countersign_cache_total", "cache" => name, "outcome" => "miss"),
        }
    }

    /// The cached value, without querying the database.
    pub(super) async fn peek(&self, key: &K) -> Option<Arc<V>> {
        let found = self.present.get(key).await;
        if found.is_some() {
            self.hits.increment(1);
        } else {
            self.misses.increment(1);
        }
        found
    }

    /// Whether the key is cached as absent.
    pub(super) fn is_absent(&self, key: &K) -> bool {
        self.absent.has(key)
    }

    /// Adds a value that was read outside a call, before the feed is followed.
    pub(super) async fn remember(&self, key: &K, value: V) {
        self.present.insert(key, Arc::new(value)).await;
    }

    /// Loads a value once, however many callers wait for the same key, and gives all of them the outcome. `None` when
    /// there is no such key. With `anew`, the cached value is ignored.
    pub(super) async fn load(
        &self,
        key: &K,
        feed: &Feed,
        anew: bool,
        load: impl Future<Output = Result<Option<V>, Unread>> + Send,
    ) -> Found<V> {
        if anew {
            self.forget(key).await;
        }
        if self.absent.has(key) {
            return Ok(None);
        }
        let before = feed.position();
        let find = async {
            match load.await {
                Ok(Some(value)) => Ok(Arc::new(value)),
                Ok(None) => Err(Miss::Absent),
                Err(error) => Err(Miss::Unread(error)),
            }
        };
        let found = match self.present.get_or_load(key, find).await {
            Ok(value) => Some(value),
            Err(miss) => match &*miss {
                Miss::Absent => {
                    self.absent.insert(key, Arc::new(())).await;
                    None
                }
                Miss::Unread(error) => return Err(error.clone()),
            },
        };
        // A change that was applied meanwhile may be newer than what was read.
        if feed.position() != before {
            self.forget(key).await;
        }
        Ok(found)
    }

    /// How many times anything was forgotten: while this stays the same, cached values are still right.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Acquire)
    }

    pub(super) async fn forget(&self, key: &K) {
        self.present.remove(key).await;
        self.absent.remove(key).await;
        self.forgotten.fetch_add(1, Ordering::Release);
    }

    pub(super) fn forget_all(&self) {
        self.present.clear();
        self.absent.clear();
        self.forgotten.fetch_add(1, Ordering::Release);
    }
}
