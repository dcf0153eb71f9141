//! Tokens for pages in browsers: making and checking them, withdrawing them, and the origins of the pages that may ask.

pub(super) mod calls;
pub(super) mod claims;
pub(super) mod new;
pub(super) mod origins;
pub(super) mod page;
pub(super) mod usage;
pub(super) mod withdrawal;

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::gateway::Gateway;
use crate::store;

/// Changes of what must be known to answer pages without a query. Whoever finds that some were not read reads them, and
/// all who need them meanwhile wait for that one reading, and fail with it.
#[derive(Default)]
pub(super) struct Due {
    noted: AtomicU64,
    read: AtomicU64,
    /// Up to which change the latest reading went, and why it failed.
    latest: Mutex<(u64, Option<store::Error>)>,
}

impl Due {
    pub(super) fn note(&self) {
        self.noted.fetch_add(1, Ordering::Release);
    }

    async fn learn<F>(&self, read: impl FnOnce() -> F) -> Result<(), store::Error>
    where
        F: Future<Output = Result<(), store::Error>>,
    {
        let wanted = self.noted.load(Ordering::Acquire);
        if self.read.load(Ordering::Acquire) >= wanted {
            return Ok(());
        }
        let mut latest = self.latest.lock().await;
        if latest.0 >= wanted {
            return latest.1.clone().map_or(Ok(()), Err);
        }
        let noted = self.noted.load(Ordering::Acquire);
        let learnt = read().await;
        match &learnt {
            Ok(()) => self.read.store(noted, Ordering::Release),
            // Whoever comes later tries again.
            Err(_) => self.note(),
        }
        *latest = (noted, learnt.clone().err());
        learnt
    }
}

impl Gateway {
    /// Reads the keys' origins and what was withdrawn, if any of that has changed.
    pub(super) async fn learn_due_browsers(&self) -> Result<(), store::Error> {
        let read = || async {
            self.learn_withdrawals().await?;
            self.learn_origins().await
        };
        self.0.browsers_due.learn(read).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test]
    async fn all_who_wait_share_one_reading_and_how_it_ends() {
        let (due, readings) = (Due::default(), AtomicUsize::new(0));
        let learn = |fails: bool| {
            let readings = &readings;
            due.learn(move || async move {
                readings.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                if fails { Err(store::Error::unreadable("key")) } else { Ok(()) }
            })
        };
        learn(true).await.unwrap();
        assert_eq!(readings.load(Ordering::Relaxed), 0, "nothing has changed");
        due.note();
        let all = tokio::join!(learn(true), learn(true), learn(true));
        assert!(all.0.is_err() && all.1.is_err() && all.2.is_err());
        assert_eq!(readings.load(Ordering::Relaxed), 1);
        let all = tokio::join!(learn(false), learn(true), learn(true));
        assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok());
        assert_eq!(readings.load(Ordering::Relaxed), 2, "what failed is tried again");
        learn(true).await.unwrap();
        assert_eq!(readings.load(Ordering::Relaxed), 2);
        // A change while another is read is read by itself.
        due.note();
        let later = async {
            tokio::task::yield_now().await;
            due.note();
            learn(false).await
        };
        let all = tokio::join!(learn(false), later);
        assert!(all.0.is_ok() && all.1.is_ok());
        assert_eq!(readings.load(Ordering::Relaxed), 4);
    }
}
