//! Links with which users connect accounts: the pending ones, and a new one.

use askama::Template;

use crate::pages::console::form_errors::FieldErrors;
use crate::pages::console::layout::Chrome;
use crate::pages::console::links::fields::Fields;
use crate::pages::parts::text;

/// A pending link, as it is shown.
pub struct Row {
    pub id: String,
    pub label: String,
    pub app: String,
    /// The id of the only user who may connect with it, or `anyone`.
    pub user: String,
    pub created: String,
    pub expires: String,
}

/// What narrows the list.
pub struct Filter {
    pub search: String,
    /// Whether this is all there is: the first page, with nothing left out.
    pub is_whole: bool,
    /// Whether links can be created at all.
    pub has_links: bool,
}

/// The form for a new link.
pub struct Form<'a> {
    pub fields: &'a Fields,
    /// All apps to choose from.
    pub apps: &'a [String],
    /// All addresses to choose from.
    pub return_addresses: &'a [String],
    /// Whether links can be created at all.
    pub has_links: bool,
    pub errors: &'a FieldErrors,
}

/// The lifetimes to choose from, as the form sends them and in words.
const LIVES: [(&str, &str); 4] = [
    ("24h", "in 24 hours"),
    ("8h", "in 8 hours"),
    ("2h", "in 2 hours"),
    ("30m", "in half an hour"),
];

/// A link that was just created, the only time that it is shown.
pub struct Created {
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
#[template(path = "pages/console/links/link_created.html", config = ".askama.toml")]
struct CreatedPage<'a> {
    chrome: &'a Chrome<'a>,
    created: &'a Created,
}

pub fn created(chrome: &Chrome<'_>, created: &Created) -> String {
    text(&CreatedPage { chrome, created })
}

#[derive(Template)]
#[template(path = "pages/console/links/links.html", config = ".askama.toml")]
struct ListPage<'a> {
    chrome: &'a Chrome<'a>,
    links: &'a [Row],
    filter: &'a Filter,
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
    link: &'a Row,
}

/// A page of the list; `next` leads to the one after it.
pub fn list(chrome: &Chrome<'_>, links: &[Row], filter: &Filter, next: Option<&str>) -> String {
    text(&ListPage { chrome, links, filter, next })
}

pub fn new(chrome: &Chrome<'_>, form: &Form<'_>) -> String {
    text(&NewPage { chrome, form })
}

/// Asks for confirmation, and says what withdrawing the link does.
pub fn withdraw(chrome: &Chrome<'_>, link: &Row) -> String {
    text(&WithdrawPage { chrome, link })
}
