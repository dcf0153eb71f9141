//! The overview: what to look after first, and the numbers of the last day.

use askama::Template;

use crate::model::AccountState;
use crate::model::app::AccountsUsed;
use crate::model::quota::OtherKeys;
use crate::model::tally::Lately;
use crate::pages::console::layout::Chrome;
use crate::pages::parts::chart::{Chart, Colour};
use crate::pages::parts::{filters, text};

/// The contents of the page.
pub struct Overview {
    /// Whether no account was connected and no call made yet.
    pub is_new: bool,
    pub needs: Vec<Need>,
    /// How calls ended in the last minutes.
    pub lately: Lately,
    /// Calls of the last day.
    pub chart: Chart,
    /// The colours of the chart's series.
    pub colours: Vec<Colour>,
    pub calls: u64,
    pub pace: Pace,
    pub failed: u64,
    pub latency: Option<Latency>,
    pub quotas: Vec<Quota>,
    pub accounts: Vec<(AccountState, u64)>,
    pub used: Vec<AccountsUsed>,
    /// Events that wait for webhooks; `None` without webhooks.
    pub pending: Option<Pending>,
}

/// Something to look after, and where.
pub struct Need {
    pub what: String,
    pub remedy: String,
    /// The keys and accounts that are concerned, with their calls.
    pub keys: String,
    pub accounts: String,
    /// How many of how many calls are listed, if not all are.
    pub listed: Option<(u64, u64)>,
    /// The text of a link to the page that helps, and its address.
    pub link: Option<(&'static str, String)>,
}

/// Calls a minute, in tenths of a call.
pub struct Pace {
    pub this_hour: u64,
    pub busiest_hour: u64,
}

/// One of X's quotas in its present window, and who uses it.
pub struct Quota {
    pub app: String,
    /// What X counts together, in words.
    pub calls: String,
    pub is_observed: bool,
    pub limit: Option<u32>,
    pub used: u32,
    pub ends: Option<String>,
    /// When the next call can be made, unless it need not wait.
    pub free: Option<String>,
    pub waiting: u32,
    pub keys: Vec<QuotaUser>,
    pub other_keys: OtherKeys,
    pub other_calls: u32,
}

/// A key, by its name if there is one, and its calls.
pub struct QuotaUser {
    pub name: String,
    pub calls: u32,
    pub waiting: u32,
}

/// Events that have not been delivered yet, and when the oldest occurred, in words.
pub struct Pending {
    pub events: i64,
    pub since: Option<String>,
}

/// How long recent calls took, in words.
pub struct Latency {
    pub calls: usize,
    pub median: String,
    pub most: String,
}

#[derive(Template)]
#[template(path = "pages/console/overview/overview.html", config = ".askama.toml")]
struct Page<'a> {
    chrome: &'a Chrome<'a>,
    overview: &'a Overview,
}

pub fn show(chrome: &Chrome<'_>, overview: &Overview) -> String {
    text(&Page { chrome, overview })
}
