//! Apps, without their secrets.

use serde::Serialize;
use utoipa::ToSchema;

use crate::gateway::BearerSource;
use crate::model::app::{AccountLimit, AccountsUsed};

/// A configured app, without its secrets.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct App {
    pub name: String,
    /// `bearer` or `two_legged`, as in the configuration.
    pub app_only: &'static str,
    /// Where the bearer token comes from: `minted` or `configured`; `null` if none is used.
    pub bearer_source: Option<&'static str>,
    /// Accounts whose tokens it used this month (UTC), which X bills; up to a few seconds old.
    pub accounts_used: u64,
    /// The most accounts that it may use in a month; `null` for no limit.
    pub account_limit: Option<u64>,
    /// What happens at that limit: `warn` or `refuse`; `null` without a limit.
    pub over_limit: Option<&'static str>,
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
            account_limit: used.limit.map(|limit| limit.most),
            over_limit: used.limit.map(AccountLimit::beyond),
        }
    }
}
