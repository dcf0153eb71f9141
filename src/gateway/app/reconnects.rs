//! The links that answers about ended accounts have carried.

use std::fmt;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use time::OffsetDateTime;

use crate::gateway::bounded::Bounded;
use crate::model::{Secret, UserId};

const MOST_KEPT: u64 = 10_000;

const WHILE_FULL: Duration = Duration::from_mins(1);

/// A link for the user of an ended account to connect again.
#[derive(Clone)]
pub struct Reconnect {
    pub url: Secret,
    pub until: OffsetDateTime,
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect").field("until", &self.until).finish_non_exhaustive()
    }
}

/// The links that answers have carried, so that a service that keeps calling does not create one with each call.
pub(in crate::gateway) struct Reconnects {
    pub(in crate::gateway) kept: Bounded<UserId, Kept>,
    /// Keys that have reached their limit of links, so that not every call tries to create another.
    pub(in crate::gateway) full: Bounded<str, ()>,
}

pub(in crate::gateway) struct Kept {
    pub(in crate::gateway) link: Reconnect,
    pub(in crate::gateway) hash: [u8; 32],
    pub(in crate::gateway) checked_at: AtomicI64,
}

impl Default for Reconnects {
    fn default() -> Reconnects {
        let full = Bounded::expiring(MOST_KEPT, WHILE_FULL);
        Reconnects { kept: Bounded::new(MOST_KEPT), full }
    }
}

impl Reconnects {
    pub(in crate::gateway) async fn forget(&self, user_id: UserId) {
        self.kept.remove(&user_id).await;
    }

    pub(in crate::gateway) fn is_full(&self, key_id: &str) -> bool {
        self.full.has(key_id)
    }
}
