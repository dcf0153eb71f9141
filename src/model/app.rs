//! An app: a consumer key and secret registered with X, named in the configuration.

use crate::model::Secret;
use crate::model::quota::Quota;

/// A registered app. Its secrets sign for every account that connected to it.
#[derive(Clone)]
pub struct App {
    pub name: String,
    pub consumer_key: String,
    pub consumer_secret: Secret,
    /// A bearer token from the configuration, used as is and never minted.
    pub bearer_token: Option<Secret>,
    pub app_only: AppOnly,
    /// Whether posts of unknown authors may be looked up, which needs a bearer token.
    pub lookup: bool,
    pub account_limit: Option<AccountLimit>,
    pub quota: Quota,
}

impl App {
    /// Whether the consumer key, its secret and the configured bearer token are the same.
    pub fn has_secrets_of(&self, other: &App) -> bool {
        let [mine, theirs] = [self, other].map(|app| app.bearer_token.as_ref().map(Secret::expose));
        self.consumer_key == other.consumer_key
            && self.consumer_secret.expose() == other.consumer_secret.expose()
            && mine == theirs
    }
}

/// How many accounts an app may use in a calendar month, UTC (reference 2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AccountLimit {
    pub most: u64,
    /// Whether calls for more accounts are refused; operators are warned in any case.
    pub refuses: bool,
}

impl AccountLimit {
    /// What happens beyond the limit, in the configuration's word.
    pub const fn beyond(self) -> &'static str {
        if self.refuses { "refuse" } else { "warn" }
    }
}

/// How many accounts an app used this month, and how many it may.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountsUsed {
    pub app: String,
    pub accounts: u64,
    pub limit: Option<AccountLimit>,
}

/// The form that app-only calls take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AppOnly {
    /// `Authorization: Bearer`, minted from the consumer key unless the configuration gives one.
    Bearer,
    /// OAuth 1.0a without a token (reference 6.1).
    TwoLegged,
}

/// Whether `name` can name an app: 1 to 40 of `a-z`, `0-9`, `-` and `_`, a letter first.
pub fn is_name(name: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    (1..=40).contains(&name.len())
        && name.bytes().all(allowed)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
}
