//! Connected accounts: the list, one with its history, and the confirmation before one is removed.

use askama::Template;

use crate::model::{AccountState, UserId};
use crate::pages::console::layout::Chrome;
use crate::pages::parts::text;

/// An account as it is shown.
pub struct Row {
    pub app: String,
    pub user_id: UserId,
    pub screen_name: String,
    pub state: AccountState,
    pub since: String,
    pub connected_at: String,
    pub last_call: Option<String>,
    /// The last error in words, with its time.
    pub last_error: Option<String>,
    /// Whether its app is in the configuration.
    pub is_configured: bool,
}

impl Row {
    /// The path of its page.
    pub fn path(&self) -> String {
        format!("/console/accounts/{}/{}", self.app, self.user_id)
    }
}

/// What narrows the list.
pub struct Filter {
    /// All apps to choose from.
    pub apps: Vec<String>,
    pub app: String,
    pub state: Option<AccountState>,
    pub search: String,
    /// Whether this is all there is: the first page, with nothing left out.
    pub is_whole: bool,
}

/// What happened to an account.
pub struct Event {
    pub at: String,
    pub what: String,
    pub who: String,
    pub detail: String,
}

/// A call as this account.
pub struct LatestCall {
    pub at: String,
    pub endpoint: &'static str,
    pub posts: usize,
    pub went_well: bool,
    pub ended: String,
}

/// An account with what belongs on its page.
pub struct Details {
    pub account: Row,
    pub events: Vec<Event>,
    pub calls: Vec<LatestCall>,
    /// Whether links can be created at all.
    pub has_links: bool,
}

#[derive(Template)]
#[template(path = "pages/console/accounts/accounts.html", config = ".askama.toml")]
struct ListPage<'a> {
    chrome: &'a Chrome<'a>,
    accounts: &'a [Row],
    filter: &'a Filter,
    next: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "pages/console/accounts/account.html", config = ".askama.toml")]
struct DetailsPage<'a> {
    chrome: &'a Chrome<'a>,
    account: &'a Row,
    details: &'a Details,
}

#[derive(Template)]
#[template(path = "pages/console/accounts/account_remove.html", config = ".askama.toml")]
struct RemovePage<'a> {
    chrome: &'a Chrome<'a>,
    account: &'a Row,
}

/// A page of the list; `next` leads to the one after it.
pub fn list(chrome: &Chrome<'_>, accounts: &[Row], filter: &Filter, next: Option<&str>) -> String {
    text(&ListPage { chrome, accounts, filter, next })
}

pub fn show(chrome: &Chrome<'_>, details: &Details) -> String {
    text(&DetailsPage { chrome, account: &details.account, details })
}

/// Asks for confirmation, and says what removing the account does.
pub fn remove(chrome: &Chrome<'_>, account: &Row) -> String {
    text(&RemovePage { chrome, account })
}
