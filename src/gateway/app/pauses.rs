//! How long certain requests to X are paused.

use std::sync::atomic::AtomicI64;

/// The end of a pause in an app's look-ups of one kind, in Unix time.
#[derive(Default)]
pub struct LookupPause(pub(in crate::gateway) AtomicI64);
