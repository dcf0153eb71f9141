//! What the audit log says of a change.

use std::net::IpAddr;

use time::OffsetDateTime;

/// One change that somebody or something made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    pub id: i64,
    pub at: OffsetDateTime,
    /// Who: `cli`, `key:<id>` of an admin key, or `gateway` for what follows from the upstream's answers.
    pub actor: String,
    /// Of the actor's key, if it is one.
    pub key_name: Option<String>,
    /// From where, if it came over the network.
    pub address: Option<String>,
    /// What: `account.imported`, `key.created`, …
    pub action: String,
    /// To what: `account:<app>/<user id>`, `key:<id>`, …
    pub subject: String,
    /// In words, without secrets.
    pub detail: String,
}

/// Whoever holds a key and acts from an address, as one text: `key:<id>@<address>`.
pub fn holder_at(key_id: &str, address: IpAddr) -> String {
    format!("key:{key_id}@{}", address.to_canonical())
}

/// Who acts, and from where; nowhere for the command line and the gateway itself.
pub fn who_and_where(actor: &str) -> (&str, &str) {
    actor.split_once('@').unwrap_or((actor, ""))
}
