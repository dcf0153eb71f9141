//! What needs attention, in JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::gateway;
use crate::model::tally;
use crate::wire::schema::{Time, UserId};
use crate::wire::time::rfc3339;

/// Something that needs attention.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Attention {
    /// A name for what is wrong: one of the causes that calls are listed with, or that of a state, such as `clock_off`.
    pub cause: &'static str,
    /// `null` if it is about no app in particular.
    pub app: Option<String>,
    /// From when on its calls are counted; `null` if it is about no calls.
    #[schema(value_type = Option<Time>)]
    pub since: Option<String>,
    /// What is wrong, in whole sentences.
    pub text: String,
    /// What to do about it, in whole sentences.
    pub remedy: String,
    /// Numbers by name: for calls, how many of how many `failed` in the last ten minutes, how many of these are `listed`,
    /// and the same of the hour around this time yesterday.
    pub figures: BTreeMap<&'static str, u64>,
    /// The keys that are most concerned, at most five.
    pub keys: Vec<ConcernedKey>,
    /// The accounts that are most concerned, at most five.
    pub accounts: Vec<ConcernedAccount>,
}

/// A key, and how many calls it is about.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ConcernedKey {
    /// The key's id.
    pub key: String,
    /// `null` if the key is gone.
    pub name: Option<String>,
    pub calls: u64,
}

/// An account, and how many calls it is about.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ConcernedAccount {
    #[schema(value_type = UserId)]
    pub account: String,
    /// `null` if it is not connected any more.
    pub screen_name: Option<String>,
    /// `null` if it is about the account itself.
    pub calls: Option<u64>,
}

/// How calls ended in the last ten minutes, and in the hour around this time yesterday.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Lately {
    pub calls: u64,
    pub failed: u64,
    pub calls_yesterday: u64,
    pub failed_yesterday: u64,
}

impl From<gateway::Attention> for Attention {
    fn from(item: gateway::Attention) -> Attention {
        let key = |key: gateway::FailedKey| ConcernedKey {
            key: key.id,
            name: key.name,
            calls: key.calls,
        };
        let account = |account: gateway::FailedAccount| ConcernedAccount {
            account: account.user_id.to_string(),
            screen_name: account.screen_name,
            calls: account.calls,
        };
        Attention {
            cause: item.cause,
            app: item.app,
            since: item.since.map(rfc3339),
            text: item.text,
            remedy: item.remedy,
            figures: item.figures.into_iter().collect(),
            keys: item.keys.into_iter().map(key).collect(),
            accounts: item.accounts.into_iter().map(account).collect(),
        }
    }
}

impl From<tally::Lately> for Lately {
    fn from(lately: tally::Lately) -> Lately {
        let tally::Lately { calls, failed, calls_yesterday, failed_yesterday } = lately;
        Lately { calls, failed, calls_yesterday, failed_yesterday }
    }
}
