//! What was changed, by whom.

use crate::gateway::{Error, Gateway};
use crate::model::audit::Entry;

/// A part of a listing, in the listing's order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page {
    /// The last item of the page before, as that item is named.
    pub after: Option<String>,
    pub limit: u32,
}

impl Gateway {
    /// Audit entries, newest first; `before` is the id of the oldest entry already seen.
    pub async fn list_audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<Entry>, Error> {
        Ok(self.0.store.list_audit(before, limit).await?)
    }
}
