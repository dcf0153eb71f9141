//! Until when something is not asked of X.

use std::sync::atomic::AtomicI64;

/// Until when an app's posts are not looked up, in Unix time.
#[derive(Default)]
pub struct LookupPause(pub(in crate::gateway) AtomicI64);
