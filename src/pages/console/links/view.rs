//! Links with which users connect accounts: the pending ones, and a new one.

use askama::Template;

use crate::pages::console::form_errors::Wrong;
use crate::pages::console::layout::{Chrome, Section};
use crate::pages::parts::text;

/// A pending link, as it is shown.
pub struct Listed {
    pub id: String,
    pub label: String,
    pub app: String,
    /// The only user who may connect with it, or that anybody may.
    pub user: String,
    pub made: String,
    pub expires: String,
}

/// How the list is narrowed.
pub struct Narrowed {
    pub search: String,
    /// Whether this is all there is: the first page, with nothing left out.
    pub is_whole: bool,
    /// Whether links can be created at all.
    pub has_links: bool,
}

/// A link to create, as far as it was typed.
pub struct Form<'a> {
    pub apps: &'a [String],
    pub app: &'a str,
    pub label: &'a str,
    pub user_id: &'a str,
    /// All addresses to choose from.
    pub return_addresses: &'a [String],
    pub return_to: &'a str,
    pub expires: &'a str,
    pub has_links: bool,
    pub wrong: &'a Wrong,
}

/// The lifetimes to choose from, as the form sends them and in words.
const LIVES: [(&str, &str); 4] = [
    ("24h", "in 24 hours"),
    ("8h", "in 8 hours"),
    ("2h", "in 2 hours"),
    ("30m", "in half an hour"),
];

/// A link that was just created, the only time that it is shown.
pub struct Made {
    pub url: String,
    pub app: String,
    pub label: String,
    /// The only user who may connect.
    pub user: Option<String>,
    /// Where the user's browser goes on to.
    pub return_to: Option<String>,
    pub expires_at: String,
    /// Where its creator goes on to.
    pub back: String,
}

#[derive(Template)]
#[template(path = "pages/console/links/link_made.html", config = ".askama.toml")]
struct MadePage<'a> {
    chrome: &'a Chrome<'a>,
    made: &'a Made,
}

pub fn made(chrome: &Chrome<'_>, made: &Made) -> String {
    text(&MadePage { chrome, made })
}

#[derive(Template)]
#[template(path = "pages/console/links/links.html", config = ".askama.toml")]
struct ListPage<'a> {
    chrome: &'a Chrome<'a>,
    links: &'a [Listed],
    narrowed: &'a Narrowed,
    next: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "pages/console/links/link_new.html", config = ".askama.toml")]
struct NewPage<'a> {
    chrome: &'a Chrome<'a>,
    form: &'a Form<'a>,
}

#[derive(Template)]
#[template(path = "pages/console/links/link_withdraw.html", config = ".askama.toml")]
struct WithdrawPage<'a> {
    chrome: &'a Chrome<'a>,
    link: &'a Listed,
}

/// A page of the list; `next` leads to the one after it.
pub fn list(
    chrome: &Chrome<'_>,
    links: &[Listed],
    narrowed: &Narrowed,
    next: Option<&str>,
) -> String {
    text(&ListPage { chrome, links, narrowed, next })
}

pub fn new(chrome: &Chrome<'_>, form: &Form<'_>) -> String {
    text(&NewPage { chrome, form })
}

/// Asks whether to withdraw the link, and says what that does.
pub fn withdraw(chrome: &Chrome<'_>, link: &Listed) -> String {
    text(&WithdrawPage { chrome, link })
}
