//! Keys in JSON: as listed, as created, and those to create.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::gateway::{self, Detail, LimitChange};
use crate::model::key::{KeyLimits, Right, Role, Scopes};
use crate::model::{self, Endpoint, Origin, UserId};
use crate::wire::browser::read_origins;
use crate::wire::schema::{self, Duration, Time};
use crate::wire::time::rfc3339;

/// What a key may do, how much, and until when.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct KeyTerms {
    pub id: String,
    pub name: String,
    pub app: Option<String>,
    /// User ids, or `null` for all of the app's accounts.
    #[schema(value_type = Option<Vec<schema::UserId>>)]
    pub accounts: Option<Vec<String>>,
    /// `totals`, `28hr`, `historical`, or `null` for all.
    #[schema(value_type = Option<Vec<schema::Endpoint>>)]
    pub endpoints: Option<Vec<&'static str>>,
    /// Whether it may create links for users to connect these accounts.
    pub create_links: bool,
    /// Whether it may make tokens for pages of its origins.
    pub browser: bool,
    /// Whether browsers may send it from other sites, where anybody who uses the page can read it.
    pub in_browsers: bool,
    /// Origins of pages for which it may make tokens.
    #[schema(value_type = Vec<schema::Origin>)]
    pub origins: Vec<String>,
    /// Its part of X's quota, compared with other keys of the app.
    pub weight: u32,
    /// Requests per minute, over all replicas; `null` for any number.
    pub per_minute: Option<u32>,
    /// Requests that one replica handles at once; `null` for any number.
    pub at_once: Option<u32>,
    #[schema(value_type = Time)]
    pub created_at: String,
    #[schema(value_type = Option<Time>)]
    pub expires_at: Option<String>,
}

/// A key, without its secret.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Key {
    #[serde(flatten)]
    pub terms: KeyTerms,
    /// `null` if the stored key cannot be read: a later version wrote it, or something else has changed it. Such a key is
    /// refused, and can be revoked.
    #[schema(value_type = Option<schema::Role>)]
    pub role: Option<&'static str>,
    /// Whether an auditor may also explore posts in the console.
    pub explore: bool,
    #[schema(value_type = Option<Time>)]
    pub revoked_at: Option<String>,
    /// Precise to the hour.
    #[schema(value_type = Option<Time>)]
    pub last_used_at: Option<String>,
}

/// A new key with its secret, which is shown only once.
#[derive(Serialize, ToSchema)]
pub struct CreatedKey {
    #[schema(pattern = "^cs[ak]_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$")]
    pub secret: String,
    #[serde(flatten)]
    pub key: Key,
}

/// A key to create.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Its name, which no other valid key may have.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// `caller` by default. `owner`, `auditor` and `analyst` are for the operators' API and the console, and take only
    /// `expires` of the following; `auditor` takes `explore`, too.
    #[schema(value_type = Option<schema::Role>)]
    pub role: Option<String>,
    /// Required if several apps are configured.
    pub app: Option<String>,
    /// The only accounts that it may use; empty for all of the app's.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<Vec<schema::UserId>>)]
    pub accounts: Vec<String>,
    /// The only endpoints that it may call; empty for all.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<Vec<schema::Endpoint>>)]
    pub endpoints: Vec<String>,
    /// Whether it may create links for users to connect these accounts.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<bool>)]
    pub create_links: bool,
    /// Whether it may make tokens for pages of its origins.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<bool>)]
    pub browser: bool,
    /// Whether browsers may send it from other sites, where anybody who uses the page can read it.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<bool>)]
    pub in_browsers: bool,
    /// Whether an auditor may also explore posts in the console, which uses X's quota.
    pub explore: Option<bool>,
    /// Origins of pages for which it may make tokens; required with `browser`.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(value_type = Option<Vec<schema::Origin>>)]
    pub origins: Vec<String>,
    /// Its lifetime, such as `90d`; unlimited by default.
    #[schema(value_type = Option<Duration>)]
    pub expires: Option<String>,
    /// Its part of X's quota, compared with other keys of the app; 1 by default.
    #[schema(minimum = 1, maximum = 1000)]
    pub weight: Option<u32>,
    /// Requests per minute, over all replicas; any number by default.
    #[schema(minimum = 1)]
    pub per_minute: Option<u32>,
    /// Requests that one replica handles at once; any number by default.
    #[schema(minimum = 1)]
    pub at_once: Option<u32>,
}

/// Changes of a key's limits; what is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyChanges {
    /// Its part of X's quota, compared with other keys of the app.
    #[schema(minimum = 1, maximum = 1000)]
    pub weight: Option<u32>,
    /// Requests per minute, over all replicas; `null` for any number.
    #[serde(default, deserialize_with = "limit_change")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub per_minute: LimitChange,
    /// Requests that one replica handles at once; `null` for any number.
    #[serde(default, deserialize_with = "limit_change")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub at_once: LimitChange,
}

/// Reads a member that is there: `null` removes the limit.
fn limit_change<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LimitChange, D::Error> {
    let most = Option::deserialize(deserializer)?;
    Ok(most.map_or(LimitChange::Remove, LimitChange::Set))
}

impl From<KeyChanges> for gateway::KeyUpdate {
    fn from(changes: KeyChanges) -> gateway::KeyUpdate {
        let KeyChanges { weight, per_minute, at_once } = changes;
        gateway::KeyUpdate { weight, per_minute, at_once }
    }
}

/// Reads `null` as though the member were absent, so that what `GET` returns can be sent back.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl From<model::key::Key> for KeyTerms {
    fn from(key: model::key::Key) -> KeyTerms {
        let ids = |ids: Vec<UserId>| ids.iter().map(ToString::to_string).collect();
        let names =
            |endpoints: Vec<Endpoint>| endpoints.iter().map(|endpoint| endpoint.name()).collect();
        KeyTerms {
            id: key.id,
            name: key.name,
            app: key.scopes.app,
            accounts: key.scopes.accounts.map(ids),
            endpoints: key.scopes.endpoints.map(names),
            create_links: key.scopes.rights.contains(&Right::CreateLinks),
            browser: key.scopes.rights.contains(&Right::Browser),
            in_browsers: key.scopes.rights.contains(&Right::InBrowsers),
            origins: key.scopes.origins.iter().map(ToString::to_string).collect(),
            weight: key.limits.weight,
            per_minute: key.limits.per_minute,
            at_once: key.limits.at_once,
            created_at: rfc3339(key.created_at),
            expires_at: key.expires_at.map(rfc3339),
        }
    }
}

impl From<model::key::Key> for Key {
    fn from(key: model::key::Key) -> Key {
        Key {
            role: Some(key.role.name()),
            explore: key.scopes.rights.contains(&Right::Explore),
            revoked_at: key.revoked_at.map(rfc3339),
            last_used_at: key.last_used_at.map(rfc3339),
            terms: key.into(),
        }
    }
}

impl From<Result<model::key::Key, model::key::Unreadable>> for Key {
    fn from(listed: Result<model::key::Key, model::key::Unreadable>) -> Key {
        match listed {
            Ok(key) => Key::from(key),
            Err(unreadable) => {
                let terms = KeyTerms {
                    id: unreadable.id,
                    name: unreadable.name,
                    accounts: Some(Vec::new()),
                    endpoints: Some(Vec::new()),
                    created_at: rfc3339(unreadable.created_at),
                    ..KeyTerms::default()
                };
                let revoked_at = unreadable.revoked_at.map(rfc3339);
                Key { terms, revoked_at, ..Key::default() }
            }
        }
    }
}

impl NewKey {
    const fn grants(&self, right: Right) -> bool {
        match right {
            Right::CreateLinks => self.create_links,
            Right::Browser => self.browser,
            Right::InBrowsers => self.in_browsers,
            Right::Explore => matches!(self.explore, Some(true)),
        }
    }

    /// Reads what JSON and the command line give as text; returns all problems at once.
    pub fn read(self) -> Result<gateway::NewKey, Vec<Detail>> {
        let mut problems = Vec::new();
        let mut accounts = Vec::new();
        for (index, text) in self.accounts.iter().enumerate() {
            match UserId::parse(text) {
                Some(id) => accounts.push(id),
                None => problems.push(Detail::at(
                    &format!("/accounts/{index}"),
                    format!("must be a user id of 1 to 19 digits, not {text:?}"),
                )),
            }
        }
        let mut endpoints = Vec::new();
        for (index, text) in self.endpoints.iter().enumerate() {
            match Endpoint::from_name(text) {
                Some(endpoint) => endpoints.push(endpoint),
                None => problems.push(Detail::at(
                    &format!("/endpoints/{index}"),
                    format!("must be totals, 28hr or historical, not {text:?}"),
                )),
            }
        }
        // Each once, in an order of their own, since they are sealed.
        let origins: BTreeSet<Origin> =
            read_origins(&self.origins, &mut problems).into_iter().collect();
        let role = match self.role.as_deref() {
            Some(name) => Role::from_name(name),
            None => Some(Role::default()),
        };
        if role.is_none() {
            problems.push(Detail::at("/role", "must be caller, owner, auditor or analyst"));
        }
        let expires_in = self.expires.as_deref().map(humantime::parse_duration).transpose();
        if expires_in.is_err() {
            problems.push(Detail::at("/expires", "must be a duration such as 90d or 12h"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let scopes = Scopes {
            rights: Right::ALL.into_iter().filter(|right| self.grants(*right)).collect(),
            app: self.app,
            accounts: Some(accounts).filter(|ids| !ids.is_empty()),
            endpoints: Some(endpoints).filter(|endpoints| !endpoints.is_empty()),
            origins: origins.into_iter().collect(),
        };
        let (role, expires_in) = (role.unwrap_or_default(), expires_in.ok().flatten());
        let limits = KeyLimits {
            weight: self.weight.unwrap_or(KeyLimits::default().weight),
            per_minute: self.per_minute,
            at_once: self.at_once,
        };
        Ok(gateway::NewKey { role, name: self.name, scopes, limits, expires_in })
    }
}
