//! The shapes of the operators' API in JSON, also those of `--json` on the command line.

pub mod audit;
pub mod call;
mod link;
pub mod overview;
pub mod question;
pub mod schema;
pub mod table;
pub mod usage;
pub mod vault;
pub mod webhook;

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

pub use crate::server::wire::link::{CreatedLink, Link, NewLink};

use crate::gateway::{self, BearerSource, Import, Problem, Problems, Verified, check_imports};
use crate::model::app::{AccountLimit, AccountsUsed};
use crate::model::call::ended;
use crate::model::key::Kind;
use crate::model::{self, Endpoint, Secret, UserId};
use crate::server::wire::schema::{Duration, KeyKind, State, Time};

/// An account without its tokens.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Account {
    pub app: String,
    #[schema(value_type = schema::UserId)]
    pub user_id: String,
    pub screen_name: String,
    #[schema(value_type = State)]
    pub state: &'static str,
    #[schema(value_type = Time)]
    pub state_since: String,
    #[schema(value_type = Time)]
    pub connected_at: String,
}

/// An account, and what was asked last as it, as far as calls are kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SeenAccount {
    #[serde(flatten)]
    pub account: Account,
    #[schema(value_type = Option<Time>)]
    pub last_call_at: Option<String>,
    /// How the last call ended that did not go well, in words; later ones may have.
    pub last_error: Option<String>,
    #[schema(value_type = Option<Time>)]
    pub last_error_at: Option<String>,
}

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
    #[serde(default)]
    pub admin: bool,
    /// May be left out where only one is configured.
    pub app: Option<String>,
    /// The only accounts that it may use; none for all of the app's.
    #[serde(default)]
    #[schema(value_type = Vec<schema::UserId>)]
    pub accounts: Vec<String>,
    /// The only endpoints that it may call; none for all.
    #[serde(default)]
    #[schema(value_type = Vec<schema::Endpoint>)]
    pub endpoints: Vec<String>,
    /// Whether it may make links by which users connect these accounts.
    #[serde(default)]
    pub links: bool,
    /// Whether an admin key may look at everything and change nothing.
    #[serde(default)]
    pub looks: bool,
    /// After how long it ends: a duration such as `90d`. Never, where nothing is said.
    #[schema(value_type = Option<Duration>)]
    pub expires: Option<String>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct App {
    pub name: String,
    /// `bearer` or `two_legged`, as in the configuration.
    pub app_only: &'static str,
    /// Where the bearer comes from: `minted`, `configured`, or `null` where none is used.
    pub bearer_source: Option<&'static str>,
    /// Accounts whose tokens it used this month (UTC), which X bills; as of some seconds ago.
    pub accounts_used: u64,
    /// The most that it may use in a month, or `null`.
    pub account_limit: Option<u64>,
    /// What happens at that limit, `warn` or `refuse`; `null` without one.
    pub over_limit: Option<&'static str>,
}

/// One line of an import.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportLine {
    #[schema(value_type = schema::UserId)]
    pub user_id: String,
    pub screen_name: String,
    pub access_token: String,
    pub access_token_secret: String,
}

impl From<model::Account> for Account {
    fn from(it: model::Account) -> Account {
        Account {
            app: it.app,
            user_id: it.user_id.to_string(),
            screen_name: it.screen_name,
            state: it.state.name(),
            state_since: rfc3339(it.state_since),
            connected_at: rfc3339(it.connected_at),
        }
    }
}

impl From<gateway::SeenAccount> for SeenAccount {
    fn from(it: gateway::SeenAccount) -> SeenAccount {
        let failed = it.last.failed;
        let words = |it: &gateway::Failure| ended(it.status, it.code.as_deref());
        SeenAccount {
            account: it.account.into(),
            last_call_at: it.last.at.map(rfc3339),
            last_error: failed.as_ref().map(words),
            last_error_at: failed.map(|it| rfc3339(it.at)),
        }
    }
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

impl From<((&str, BearerSource), AccountsUsed)> for App {
    fn from(((name, source), used): ((&str, BearerSource), AccountsUsed)) -> App {
        let (app_only, bearer_source) = match source {
            BearerSource::Minted => ("bearer", Some("minted")),
            BearerSource::Configured => ("bearer", Some("configured")),
            BearerSource::TwoLegged => ("two_legged", None),
        };
        App {
            name: name.to_owned(),
            app_only,
            bearer_source,
            accounts_used: used.accounts,
            account_limit: used.limit.map(|it| it.most),
            over_limit: used.limit.map(AccountLimit::beyond),
        }
    }
}

/// What X said of an account's token.
pub fn verified(it: &Verified) -> serde_json::Value {
    match it {
        Verified::Works(profile) => json!({
            "works": true,
            "state": "active",
            "screen_name": profile.screen_name,
            "protected": profile.protected,
        }),
        Verified::Marked(state) => json!({ "works": false, "state": state.name() }),
        Verified::NotTheAccount(reason) => json!({ "works": false, "reason": reason }),
    }
}

/// A time as the API writes it: RFC 3339, UTC.
pub fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
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

/// Reads an import, a JSON object a line; empty lines are passed over. What is wrong is told without what was read.
pub fn read_imports(text: &str) -> Result<Vec<Import>, Vec<Problem>> {
    let mut imports = Vec::new();
    let problems = Problems::of_lines(|problems| {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match serde_json::from_str::<ImportLine>(line) {
                Ok(it) => imports.push(Import {
                    line: index + 1,
                    user_id: it.user_id,
                    screen_name: it.screen_name,
                    access_token: Secret::new(it.access_token),
                    access_token_secret: Secret::new(it.access_token_secret),
                }),
                Err(error) => {
                    let form = "one JSON object of the strings user_id, screen_name, access_token and access_token_secret";
                    let detail =
                        format!("must be {form}; the mistake is at column {}", error.column());
                    problems.add_in_line(index + 1, detail);
                }
            }
        }
        // What is whole is checked by whoever imports it.
        if problems.count() > 0 && !imports.is_empty() {
            check_imports(&imports, problems);
        }
    });
    if problems.is_empty() { Ok(imports) } else { Err(problems) }
}
