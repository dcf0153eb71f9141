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
    /// Counts what was dropped for whatever reason.
    forgotten: AtomicU64,
    /// Counts what was dropped because it changed.
    changes: AtomicU64,
}

pub(super) type Found<V> = Result<Option<Arc<V>>, Unread>;

/// What a look-up found.
#[derive(Debug)]
pub(super) enum Loaded<V> {
    Found(Option<Arc<V>>),
    /// Somebody else had begun to read it before a change that the caller may know of.
    Outdated,
}

enum Miss {
    /// As of so many changes.
    Absent(u64),
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
            changes: AtomicU64::new(0),
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
    /// there is no such key. With `anew`, the cached value is ignored. `since` is what `changes` was when the caller came.
    pub(super) async fn load(
        &self,
        key: &K,
        feed: &Feed,
        anew: bool,
        since: u64,
        load: impl Future<Output = Result<Option<V>, Unread>> + Send,
    ) -> Result<Loaded<V>, Unread> {
        if anew {
            self.drop(key).await;
        }
        if self.absent.has(key) {
            return Ok(Loaded::Found(None));
        }
        let before = (feed.position(), self.changes());
        let find = async {
            match load.await {
                Ok(Some(value)) => Ok(Arc::new(value)),
                Ok(None) => Err(Miss::Absent(before.1)),
                Err(error) => Err(Miss::Unread(error)),
            }
        };
        let (of, found) = match self.present.get_or_load_as(before.1, key, find).await {
            Ok((of, value)) => (of, Some(value)),
            Err(miss) => match &*miss {
                Miss::Absent(of) => {
                    self.absent.insert(key, Arc::new(())).await;
                    (*of, None)
                }
                Miss::Unread(error) => return Err(error.clone()),
            },
        };
        // A change that was applied meanwhile may be newer than what was read.
        if (feed.position(), self.changes()) != before || of < since {
            self.drop(key).await;
        }
        Ok(if of < since { Loaded::Outdated } else { Loaded::Found(found) })
    }

    /// How many changes this cache was told of.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// How many times anything was forgotten: while this stays the same, cached values are still right.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Acquire)
    }

    /// For a key that has changed: whoever comes later sees it as it is now.
    pub(super) async fn forget(&self, key: &K) {
        self.changes.fetch_add(1, Ordering::Release);
        self.drop(key).await;
    }

    async fn drop(&self, key: &K) {
        self.present.remove(key).await;
        self.absent.remove(key).await;
        self.forgotten.fetch_add(1, Ordering::Release);
    }

    pub(super) fn forget_all(&self) {
        self.changes.fetch_add(1, Ordering::Release);
        self.present.clear();
        self.absent.clear();
        self.forgotten.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};
    use std::time::Instant;

    use tokio::sync::oneshot;

    use super::*;

    async fn load(
        cache: &Cache<str, u32>,
        since: u64,
        read: oneshot::Receiver<Option<u32>>,
    ) -> Option<Option<u32>> {
        #[expect(clippy::disallowed_methods, reason = "no time passes here")]
        let feed = Feed::new(Instant::now());
        let read = async { Ok(read.await.unwrap()) };
        match cache.load("key", &feed, false, since, read).await.unwrap() {
            Loaded::Found(found) => Some(found.map(|value| *value)),
            Loaded::Outdated => None,
        }
    }

    #[tokio::test]
    async fn nobody_who_knows_of_a_change_gets_what_was_read_before_it() {
        let mut context = Context::from_waker(Waker::noop());
        for old in [Some(1), None] {
            let cache: Cache<str, u32> = Cache::new("test", 9, Duration::from_mins(1));
            let (finish, read) = oneshot::channel();
            let mut early = Box::pin(load(&cache, cache.changes(), read));
            assert!(early.as_mut().poll(&mut context).is_pending());
            cache.forget("key").await;
            let (_unused, unread) = oneshot::channel();
            let since = cache.changes();
            let mut late = Box::pin(load(&cache, since, unread));
            assert!(late.as_mut().poll(&mut context).is_pending());
            finish.send(old).unwrap();
            let (early, late) = tokio::join!(early, late);
            assert_eq!((early, late), (Some(old), None));
            let (finish, read) = oneshot::channel();
            finish.send(Some(2)).unwrap();
            assert_eq!(load(&cache, since, read).await, Some(Some(2)));
            assert_eq!(cache.peek("key").await.as_deref(), Some(&2));
            // What was forgotten since then is of no concern to a value that is cached.
            cache.forget("another").await;
            assert_eq!(cache.peek("key").await.as_deref(), Some(&2));
        }
    }
}
