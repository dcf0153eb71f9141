//! What the audit log says of a change.

use time::OffsetDateTime;

/// One change that somebody or something made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub id: i64,
    pub at: OffsetDateTime,
    /// Who: `cli`, `key:<id>` of an admin key, or `gateway` for what follows from the upstream's answers.
    pub actor: String,
    /// What: `account.imported`, `key.created`, …
    pub action: String,
    /// To what: `account:<app>/<user id>`, `key:<id>`, …
    pub subject: String,
    /// In words, without secrets.
    pub detail: String,
}
