//! The shape of an audit entry.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model;
use crate::server::wire::rfc3339;
use crate::server::wire::schema::Time;

/// A change that somebody or something made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Entry {
    pub id: i64,
    #[schema(value_type = Time)]
    pub at: String,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub detail: String,
}

impl From<model::audit::Entry> for Entry {
    fn from(it: model::audit::Entry) -> Entry {
        Entry {
            id: it.id,
            at: rfc3339(it.at),
            actor: it.actor,
            action: it.action,
            subject: it.subject,
            detail: it.detail,
        }
    }
}
