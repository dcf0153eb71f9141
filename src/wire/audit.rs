//! Audit entries in JSON, and the query that selects them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::gateway::{AuditFilter, Detail, read_time};
use crate::model;
use crate::wire::schema::Time;
use crate::wire::time::rfc3339;

/// A change, and who made it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Entry {
    pub id: i64,
    #[schema(value_type = Time)]
    pub at: String,
    /// `key:` and a key's id, `cli:` and a user of the machine, `stranger` for a refused caller, `gateway` or `webhook`.
    pub actor: String,
    /// The name of the actor's key, if the actor is one.
    pub key_name: Option<String>,
    /// The client's address, or the machine for the command line; `null` for the gateway itself.
    pub address: Option<String>,
    pub action: String,
    pub subject: String,
    pub detail: String,
}

/// Which entries to list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuditQuery {
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub from: String,
    pub until: String,
    /// `newest`, the default, or `oldest`.
    pub order: String,
}

impl AuditQuery {
    /// Reads the times and the order; an empty text counts as not given.
    pub fn read(&self) -> Result<AuditFilter, Vec<Detail>> {
        let mut problems = Vec::new();
        let mut time = |name: &str, text: &str| {
            let at = read_time(text);
            if at.is_none() && !text.is_empty() {
                let detail = format!("{name} must be a date or a time such as 2026-03-01");
                problems.push(Detail::in_query(detail));
            }
            at
        };
        let (from, until) = (time("from", &self.from), time("until", &self.until));
        if !["", "newest", "oldest"].contains(&&*self.order) {
            problems.push(Detail::in_query("order must be newest or oldest"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(AuditFilter {
            actor: self.actor.clone(),
            action: self.action.clone(),
            subject: self.subject.clone(),
            from,
            until,
            oldest_first: self.order == "oldest",
            ..AuditFilter::default()
        })
    }
}

impl From<model::audit::Entry> for Entry {
    fn from(entry: model::audit::Entry) -> Entry {
        Entry {
            id: entry.id,
            at: rfc3339(entry.at),
            actor: entry.actor,
            key_name: entry.key_name,
            address: entry.address,
            action: entry.action,
            subject: entry.subject,
            detail: entry.detail,
        }
    }
}
