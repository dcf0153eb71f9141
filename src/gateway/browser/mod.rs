//! Tokens for pages in browsers: making and checking them, withdrawing them, and the origins of the pages that may ask.

pub(super) mod claims;
pub(super) mod new;
pub(super) mod origins;
pub(super) mod page;
pub(super) mod withdrawal;

use crate::gateway::Gateway;
use crate::store;

impl Gateway {
    /// Reads what must be known to answer pages without a query: the keys' origins, and what was withdrawn.
    pub(super) async fn learn_browsers(&self) -> Result<(), store::Error> {
        self.learn_withdrawals().await?;
        self.learn_origins().await
    }
}
