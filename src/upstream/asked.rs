//! When X was asked for its time.

use std::time::Instant;

use tokio::sync::Mutex;

/// When X was last asked in vain; held while it is asked.
#[derive(Default)]
pub(super) struct Asked(pub(super) Mutex<Option<Instant>>);
