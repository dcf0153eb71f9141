//! Look-ups of what is not cached. They end after `database.call_wait`, or where the database is slow and the caller
//! has named a deadline, at that deadline: such look-ups have a share of the connections.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout_at};

use crate::gateway::Gateway;
use crate::gateway::bounded::Key;
use crate::gateway::cache::{Cache, Found, Loaded, Unread};
use crate::gateway::question::prepare::Deadline;
use crate::store::{self, Store};

/// The pause before a look-up is tried again.
const PAUSE: Duration = Duration::from_millis(50);

type Loading<'a, V> = Pin<Box<dyn Future<Output = Found<V>> + Send + 'a>>;

impl Gateway {
    /// This gateway for a caller with that deadline. If the caller has named it, look-ups may take until then.
    pub fn patient(&self, deadline: Deadline) -> Gateway {
        Gateway(Arc::clone(&self.0), Some(deadline).filter(|deadline| deadline.is_named))
    }

    /// What a cache has for a key, or else the database, which is queried once however many callers wait. `None` when
    /// there is no such key. With `anew`, the cached value is ignored.
    ///
    /// Boxed, since it is seldom needed and large: each call's future would have to make room for it.
    pub(super) fn load<'a, K, V, F>(
        &'a self,
        cache: &'a Cache<K, V>,
        key: &'a K,
        anew: bool,
        once: impl Fn(Store) -> F + Send + Sync + 'a,
    ) -> Loading<'a, V>
    where
        K: Key + Sync + ?Sized,
        V: Send + Sync + 'static,
        F: Future<Output = Result<Option<V>, Unread>> + Send + 'a,
    {
        Box::pin(async move {
            let end = sleep(self.0.store.call_wait()).deadline();
            let end = self.1.map_or(end, |deadline| deadline.end.max(end));
            let since = cache.changes();
            loop {
                let is_ours = AtomicBool::new(false);
                let look_up = async {
                    is_ours.store(true, Ordering::Relaxed);
                    self.read_patiently(&once).await
                };
                let mut loading = pin!(cache.load(key, &self.0.feed, anew, since, look_up));
                let found = timeout_at(end, &mut loading).await;
                match (found, is_ours.load(Ordering::Relaxed)) {
                    // A caller who waits less has given up.
                    (Ok(Err(error)), false) if self.1.is_some() && error.is_unavailable() => (),
                    (Ok(Err(error)), _) => return Err(error),
                    (Ok(Ok(Loaded::Found(found))), _) => return Ok(found),
                    (Ok(Ok(Loaded::Outdated)), _) => (),
                    // It has limits of its own, and others may wait for it.
                    (Err(_), true) => {
                        if let Loaded::Found(found) = loading.await? {
                            return Ok(found);
                        }
                    }
                    (Err(_), false) => {
                        return Err(store::Error::unavailable("no answer in time").into());
                    }
                }
            }
        })
    }

    /// Looks something up; tries on until the caller's deadline while the database is too slow, if there is a turn.
    pub(super) async fn read_patiently<T, F>(&self, once: impl Fn(Store) -> F) -> Result<T, Unread>
    where
        F: Future<Output = Result<T, Unread>>,
    {
        let found = once(self.0.store.clone()).await;
        let (Some(deadline), Err(error)) = (self.1, &found) else { return found };
        if !error.is_unavailable() {
            return found;
        }
        let Some(patient) = self.0.store.patient(deadline.within) else { return found };
        let trying = async {
            loop {
                let again = once(patient.store.clone()).await;
                if !again.as_ref().is_err_and(Unread::is_unavailable) {
                    return again;
                }
                sleep(PAUSE).await;
            }
        };
        timeout_at(deadline.end, trying).await.unwrap_or(found)
    }
}
