//! Accounts that X has refused, while it is asked about them.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::model::UserId;

/// The accounts of an app that X has refused and that are looked into.
#[derive(Default)]
pub(in crate::gateway) struct Suspects {
    asked_about: Mutex<HashSet<UserId>>,
    /// Held while X is asked; when it last refused the others, too.
    pub(in crate::gateway) doubted_at: tokio::sync::Mutex<Option<Instant>>,
}

impl Suspects {
    pub(in crate::gateway) fn held(&self) -> MutexGuard<'_, HashSet<UserId>> {
        self.asked_about.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
