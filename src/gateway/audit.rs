//! What was changed, by whom and from where.

use crate::gateway::{Error, Gateway};
use crate::model::audit::Entry;
use crate::store::AuditFilter;

/// A part of a listing, in the listing's order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page {
    /// The last item of the page before, as that item is named.
    pub after: Option<String>,
    pub limit: u32,
}

impl Gateway {
    /// Audit entries that fit, newest first where nothing else is said.
    pub async fn list_audit(&self, filter: &AuditFilter) -> Result<Vec<Entry>, Error> {
        Ok(self.0.store.list_audit(filter).await?)
    }
}
