//! What was changed, by whom and from where.

use crate::gateway::{Error, Gateway};
use crate::model::audit::Entry;
use crate::store::AuditFilter;

/// One page of a listing, in the listing's order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page {
    /// The name of the last item on the previous page.
    pub after: Option<String>,
    pub limit: u32,
}

impl Gateway {
    /// Audit entries that match the filter, newest first by default.
    pub async fn list_audit(&self, filter: &AuditFilter) -> Result<Vec<Entry>, Error> {
        Ok(self.0.store.list_audit(filter).await?)
    }
}
