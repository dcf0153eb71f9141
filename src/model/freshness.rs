//! What a caller lets be reused instead of asking X.

use std::time::Duration;

/// How fresh an answer has to be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Freshness {
    /// The oldest answer that may be given again.
    pub max_age: Duration,
    /// Whether X has to be asked for this request alone, so that not even a call in flight is shared.
    pub is_own: bool,
}

impl Freshness {
    /// Whether anything that was kept may be given.
    pub fn allows_kept(self) -> bool {
        !self.is_own && !self.max_age.is_zero()
    }
}
