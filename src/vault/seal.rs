//! Where a sealed record belongs. Everything in a place is covered by the seal, though it is stored in the clear.

use crate::model::UserId;
use crate::model::handshake::Link;
use crate::model::key::{Key, KeyLimits, Scopes};
use crate::model::webhook::{Delivery, Subject, Webhook, figures_text};

const DOMAIN: &str = "countersign.v1";

/// A table, a column and the row's identity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seal(Vec<Vec<u8>>);

impl Seal {
    pub fn access_token(app: &str, user_id: UserId) -> Seal {
        Seal::new("account", "sealed_token", [app.to_owned(), user_id.to_string()])
    }

    pub fn access_token_secret(app: &str, user_id: UserId) -> Seal {
        Seal::new("account", "sealed_token_secret", [app.to_owned(), user_id.to_string()])
    }

    pub fn bearer(app: &str) -> Seal {
        Seal::new("bearer", "sealed_token", [app.to_owned()])
    }

    /// A request token's secret.
    pub fn request_secret(app: &str, token_hash: &[u8]) -> Seal {
        Seal::new("handshake", "sealed_secret", [app.as_bytes(), token_hash])
    }

    /// A link with everything that it grants, so that a row edited in the database no longer opens.
    pub fn link(hash: &[u8], link: &Link) -> Seal {
        let Link { app, label, expected_user, return_to, created_at: _, expires_at } = link;
        let expected = expected_user.map_or_else(|| "*".to_owned(), |user_id| user_id.to_string());
        let return_to = return_to.as_deref().unwrap_or("*");
        let until = expires_at.unix_timestamp().to_string();
        let parts = [app, label, &*expected, return_to, &until].map(str::as_bytes);
        Seal::new("link", "sealed_proof", [hash].into_iter().chain(parts))
    }

    /// A console session, so that a row inserted into the database opens nothing.
    pub fn session(hash: &[u8], key_id: &str, started_at: time::OffsetDateTime) -> Seal {
        let started_at = started_at.unix_timestamp().to_string();
        Seal::new("session", "sealed_proof", [hash, key_id.as_bytes(), started_at.as_bytes()])
    }

    /// A webhook's signing secret together with its receiver, so that a row edited in the database no longer opens.
    pub fn webhook_secret(webhook: &Webhook) -> Seal {
        Seal::of_webhook("sealed_secret", webhook)
    }

    /// A webhook's previous secret, which also signs for a while.
    pub fn webhook_old_secret(webhook: &Webhook) -> Seal {
        Seal::of_webhook("sealed_old_secret", webhook)
    }

    /// An event with its whole content, its receiver and its number, so that a row edited in the database no longer
    /// opens.
    pub fn delivery(delivery: &Delivery) -> Seal {
        let Delivery { number, webhook_id, event, app, subject, reason, occurred_at, .. } =
            delivery;
        let subject = match subject {
            Subject::Account { user_id, screen_name } => [user_id.to_string(), screen_name.clone()],
            Subject::Import { added, replaced } => [added.to_string(), replaced.to_string()],
            Subject::Gateway { cause, figures } => [cause.clone(), figures_text(figures)],
        };
        let [first, second] = &subject;
        let (number, occurred_at) = (number.to_string(), occurred_at.unix_timestamp().to_string());
        let content = [event.name(), app, first, second, reason, &occurred_at];
        Seal::new("delivery", "sealed_proof", [&**webhook_id, &number].into_iter().chain(content))
    }

    /// The link that an event carries.
    pub fn delivery_link(webhook_id: &str, number: i64) -> Seal {
        Seal::new("delivery", "sealed_link", [webhook_id.to_owned(), number.to_string()])
    }

    /// A key with everything that it may do, so that a row edited in the database no longer opens.
    pub fn key(key: &Key) -> Seal {
        Seal::new("key", "sealed_verifier", key_text(key))
    }

    /// A token for browsers, which is stored nowhere: its holder brings it back.
    pub fn browser_token() -> Seal {
        Seal::new("", "browser_token", ["1"])
    }

    /// A place where nothing is stored, for trying keys.
    pub fn probe() -> Seal {
        Seal::new("", "", [""])
    }

    /// Every part and then the record's header, each preceded by its length, so that no two places encode alike.
    pub(crate) fn associated_data(&self, header: &[u8]) -> Vec<u8> {
        let mut data = Vec::with_capacity(128);
        for part in self.0.iter().map(Vec::as_slice).chain([header]) {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }

    fn of_webhook(column: &str, webhook: &Webhook) -> Seal {
        let app = webhook.app.as_deref().unwrap_or("*");
        Seal::new("webhook", column, [&*webhook.id, &webhook.url, app])
    }

    fn new<T: Into<Vec<u8>>>(table: &str, column: &str, row: impl IntoIterator<Item = T>) -> Seal {
        let fixed = [DOMAIN, table, column].map(Vec::from);
        Seal(fixed.into_iter().chain(row.into_iter().map(Into::into)).collect())
    }
}

/// Version 1 of the canonical text of a key: its identity, then name and value of each right or restriction that it has,
/// in the order of their names. What a key does not have is left out, so a right added later leaves older seals valid.
fn key_text(key: &Key) -> Vec<String> {
    let Key { id, role, name, scopes, limits, created_at, expires_at, revoked_at, .. } = key;
    let Scopes { app, accounts, endpoints, rights, origins } = scopes;
    let KeyLimits { weight, per_minute, at_once } = limits;
    let time = |at: &time::OffsetDateTime| at.unix_timestamp().to_string();
    let granted = rights.iter().map(|right| (right.name(), "true".to_owned()));
    let mut parts: Vec<(&str, String)> = granted.collect();
    let mut add = |name, value: Option<String>| parts.extend(value.map(|value| (name, value)));
    add("accounts", accounts.as_deref().map(joined));
    add("app", app.clone());
    add("at_once", at_once.map(|count| count.to_string()));
    add("endpoints", endpoints.as_deref().map(joined));
    add("expires_at", expires_at.as_ref().map(time));
    add("origins", (!origins.is_empty()).then(|| joined(origins)));
    add("per_minute", per_minute.map(|count| count.to_string()));
    add("revoked_at", revoked_at.as_ref().map(time));
    add("weight", (*weight != KeyLimits::default().weight).then(|| weight.to_string()));
    parts.sort_unstable();
    let identity =
        ["1".to_owned(), id.clone(), role.name().to_owned(), name.clone(), time(created_at)];
    let named = parts.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    identity.into_iter().chain(named).collect()
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
