//! Keys: as they are listed, as they are made, and what is asked for.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::gateway::{self, Problem};
use crate::model::key::Kind;
use crate::model::{self, Endpoint, UserId};
use crate::wire::schema::{self, Duration, KeyKind, Time};
use crate::wire::time::rfc3339;

/// A key without what proves it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Key {
    pub id: String,
    /// `null` where what is stored cannot be read, such as an endpoint of a later version, or was changed by something else:
    /// the key is refused, and can be revoked.
    #[schema(value_type = Option<KeyKind>)]
    pub kind: Option<&'static str>,
    pub name: String,
    pub app: Option<String>,
    /// User ids, or `null` for all of the app's accounts.
    #[schema(value_type = Option<Vec<schema::UserId>>)]
    pub accounts: Option<Vec<String>>,
    /// `totals`, `28hr`, `historical`, or `null` for all.
    #[schema(value_type = Option<Vec<schema::Endpoint>>)]
    pub endpoints: Option<Vec<&'static str>>,
    /// Whether it may make links by which users connect these accounts.
    pub links: bool,
    /// Whether an admin key may look at everything and change nothing.
    pub looks: bool,
    #[schema(value_type = Time)]
    pub created_at: String,
    #[schema(value_type = Option<Time>)]
    pub expires_at: Option<String>,
    #[schema(value_type = Option<Time>)]
    pub revoked_at: Option<String>,
    /// To the hour.
    #[schema(value_type = Option<Time>)]
    pub last_used_at: Option<String>,
}

/// A key just made: the one time that its text is shown.
#[derive(Serialize, ToSchema)]
pub struct CreatedKey {
    #[schema(pattern = "^cs[ak]_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$")]
    pub secret: String,
    #[serde(flatten)]
    pub key: Key,
}

/// What a new key shall be.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What you call it; no other key that works has the same.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Whether it is for the operators' API; it then has nothing of what follows but an end.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<bool>)]
    pub admin: bool,
    /// May be left out where only one is configured.
    pub app: Option<String>,
    /// The only accounts that it may use; none for all of the app's.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<Vec<schema::UserId>>)]
    pub accounts: Vec<String>,
    /// The only endpoints that it may call; none for all.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<Vec<schema::Endpoint>>)]
    pub endpoints: Vec<String>,
    /// Whether it may make links by which users connect these accounts.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<bool>)]
    pub links: bool,
    /// Whether an admin key may look at everything and change nothing.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<bool>)]
    pub looks: bool,
    /// After how long it ends: a duration such as `90d`. Never, where nothing is said.
    #[schema(value_type = Option<Duration>)]
    pub expires: Option<String>,
}

/// Reads `null` as though the member were absent, so that what `GET` returns can be sent back.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl From<model::key::Key> for Key {
    fn from(it: model::key::Key) -> Key {
        let ids = |it: Vec<UserId>| it.iter().map(ToString::to_string).collect();
        let names = |it: Vec<Endpoint>| it.iter().map(|it| it.name()).collect();
        Key {
            id: it.id,
            kind: Some(it.kind.name()),
            name: it.name,
            app: it.scopes.app,
            accounts: it.scopes.accounts.map(ids),
            endpoints: it.scopes.endpoints.map(names),
            links: it.scopes.links,
            looks: it.scopes.looks,
            created_at: rfc3339(it.created_at),
            expires_at: it.scopes.expires_at.map(rfc3339),
            revoked_at: it.revoked_at.map(rfc3339),
            last_used_at: it.last_used_at.map(rfc3339),
        }
    }
}

impl From<Result<model::key::Key, model::key::Unreadable>> for Key {
    fn from(listed: Result<model::key::Key, model::key::Unreadable>) -> Key {
        match listed {
            Ok(it) => Key::from(it),
            Err(it) => Key {
                id: it.id,
                kind: None,
                name: it.name,
                app: None,
                accounts: Some(Vec::new()),
                endpoints: Some(Vec::new()),
                links: false,
                looks: false,
                created_at: rfc3339(it.created_at),
                expires_at: None,
                revoked_at: it.revoked_at.map(rfc3339),
                last_used_at: None,
            },
        }
    }
}

impl NewKey {
    /// Reads the parts that JSON and a command line write as text; all problems at once.
    pub fn read(self) -> Result<gateway::NewKey, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut accounts = Vec::new();
        for (index, text) in self.accounts.iter().enumerate() {
            match UserId::parse(text) {
                Some(id) => accounts.push(id),
                None => problems.push(Problem::at(
                    &format!("/accounts/{index}"),
                    format!("must be a user id of 1 to 19 digits, not {text:?}"),
                )),
            }
        }
        let mut endpoints = Vec::new();
        for (index, text) in self.endpoints.iter().enumerate() {
            match Endpoint::from_name(text) {
                Some(endpoint) => endpoints.push(endpoint),
                None => problems.push(Problem::at(
                    &format!("/endpoints/{index}"),
                    format!("must be totals, 28hr or historical, not {text:?}"),
                )),
            }
        }
        let expires_in = self.expires.as_deref().map(humantime::parse_duration).transpose();
        if expires_in.is_err() {
            problems.push(Problem::at("/expires", "must be a duration such as 90d or 12h"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let kind = if self.admin { Kind::Admin } else { Kind::Caller };
        let expires_in = expires_in.ok().flatten();
        Ok(gateway::NewKey {
            kind,
            name: self.name,
            app: self.app,
            accounts,
            endpoints,
            links: self.links,
            looks: self.looks,
            expires_in,
        })
    }
}
