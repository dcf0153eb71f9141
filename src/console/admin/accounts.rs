//! Connected accounts: the list, and one.

use askama::Template;

use crate::console::admin::{Chrome, Section};
use crate::console::text;
use crate::model::{AccountState, UserId};

/// An account as it is shown.
pub struct Listed {
    pub app: String,
    pub user_id: UserId,
    pub screen_name: String,
    pub state: AccountState,
    pub since: String,
    pub connected_at: String,
}

#[derive(Template)]
#[template(path = "console/admin/accounts.html", config = ".askama.toml")]
struct ListPage<'a> {
    chrome: &'a Chrome<'a>,
    accounts: &'a [Listed],
    state: Option<AccountState>,
    next: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "console/admin/account.html", config = ".askama.toml")]
struct OnePage<'a> {
    chrome: &'a Chrome<'a>,
    account: &'a Listed,
}

/// A part of the list; `next` leads to the one after it.
pub fn list(
    chrome: &Chrome<'_>,
    accounts: &[Listed],
    state: Option<AccountState>,
    next: Option<&str>,
) -> String {
    text(&ListPage { chrome, accounts, state, next })
}

pub fn show(chrome: &Chrome<'_>, account: &Listed) -> String {
    text(&OnePage { chrome, account })
}
