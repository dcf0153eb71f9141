//! Accounts that X has refused, while they are investigated.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::model::UserId;

/// The accounts of an app that X has refused and that are under investigation.
#[derive(Default)]
pub(in crate::gateway) struct Verifications {
    in_progress: Mutex<HashSet<UserId>>,
    /// When X last refused the other accounts too; held while X is queried.
    pub(in crate::gateway) doubted_at: tokio::sync::Mutex<Option<Instant>>,
}

impl Verifications {
    pub(in crate::gateway) fn in_progress(&self) -> MutexGuard<'_, HashSet<UserId>> {
        self.in_progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
