//! Tokens for pages in browsers: making and checking them, withdrawing them, and the origins of the pages that may ask.

pub(super) mod calls;
pub(super) mod claims;
pub(super) mod new;
pub(super) mod origins;
pub(super) mod page;
pub(super) mod usage;
pub(super) mod withdrawal;

use std::sync::atomic::{AtomicBool, Ordering};

use crate::gateway::Gateway;
use crate::store;

/// Whether something has changed that must be known to answer pages without a query.
#[derive(Default)]
pub(super) struct Due(AtomicBool);

impl Due {
    pub(super) fn note(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Gateway {
    /// Reads the keys' origins and what was withdrawn, if any of that has changed.
    pub(super) async fn learn_due_browsers(&self) -> Result<(), store::Error> {
        if !self.0.browsers_due.0.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let learnt = match self.learn_withdrawals().await {
            Ok(()) => self.learn_origins().await,
            Err(error) => Err(error),
        };
        if learnt.is_err() {
            self.0.browsers_due.note();
        }
        learnt
    }
}
