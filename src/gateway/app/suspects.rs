//! Accounts that X has refused, while they are investigated.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::model::UserId;

/// The accounts of an app that X has refused and that are under investigation.
#[derive(Default)]
pub(in crate::gateway) struct Suspects {
    asked_about: Mutex<HashSet<UserId>>,
    /// When X last refused the other accounts too; held while X is asked.
    pub(in crate::gateway) doubted_at: tokio::sync::Mutex<Option<Instant>>,
}

impl Suspects {
    pub(in crate::gateway) fn held(&self) -> MutexGuard<'_, HashSet<UserId>> {
        self.asked_about.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
