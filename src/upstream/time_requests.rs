//! When X was last asked for its time.

use std::time::Instant;

use tokio::sync::Mutex;

/// When X was last asked in vain; the lock is held during the request.
#[derive(Default)]
pub(super) struct TimeRequests(pub(super) Mutex<Option<Instant>>);
