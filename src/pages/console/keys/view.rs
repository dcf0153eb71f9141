//! Keys: the list, a new one, and the question before one is revoked.

use askama::Template;

use crate::model::Endpoint;
use crate::model::key::{Key, Role};
use crate::pages::console::form_errors::Wrong;
use crate::pages::console::layout::{Chrome, Section};
use crate::pages::parts::text;

/// A key as it is shown.
pub struct Listed {
    pub id: String,
    pub name: String,
    /// The kind of holder, in words.
    pub holder: &'static str,
    pub app: String,
    /// What it may be used for, in words.
    pub may: String,
    pub made: String,
    pub expires: String,
    pub last_used: String,
    pub works: bool,
    /// Whether there is something to revoke: it works, or cannot be read.
    pub is_revocable: bool,
    /// Whether it works, in a word.
    pub state: &'static str,
    /// When it was revoked.
    pub revoked: Option<String>,
}

/// How the list is narrowed.
pub struct Narrowed {
    pub role: Option<Role>,
    /// Whether expired and revoked keys are left out.
    pub only_working: bool,
    pub search: String,
    /// Whether this is all there is: the first page, with nothing left out.
    pub is_whole: bool,
}

/// A key to create, as far as it was typed.
pub struct Form<'a> {
    pub role: Role,
    pub name: &'a str,
    pub apps: &'a [String],
    pub app: &'a str,
    pub accounts: &'a str,
    /// Each endpoint, and whether it is chosen.
    pub endpoints: [(Endpoint, bool); 3],
    pub create_links: bool,
    pub expires: &'a str,
    pub wrong: &'a Wrong,
}

impl Form<'_> {
    /// Each endpoint with what it answers, and whether it is chosen.
    fn choices(&self) -> [(Endpoint, &'static str, bool); 3] {
        self.endpoints.map(|(it, is_chosen)| (it, about(it), is_chosen))
    }
}

/// A key that was just created, the only time that its text is shown.
pub struct Made<'a> {
    pub key: &'a Listed,
    pub secret: &'a str,
    /// A command that tries the key.
    pub curl: &'a str,
    pub is_admin: bool,
}

/// The lifetimes to choose from, as the form sends them and in words.
const LIVES: [(&str, &str); 6] = [
    ("", "never"),
    ("1d", "after a day"),
    ("7d", "after 7 days"),
    ("30d", "after 30 days"),
    ("90d", "after 90 days"),
    ("365d", "after a year"),
];

#[derive(Template)]
#[template(path = "pages/console/keys/keys.html", config = ".askama.toml")]
struct ListPage<'a> {
    chrome: &'a Chrome<'a>,
    keys: &'a [Listed],
    narrowed: &'a Narrowed,
    next: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "pages/console/keys/key_new.html", config = ".askama.toml")]
struct NewPage<'a> {
    chrome: &'a Chrome<'a>,
    form: &'a Form<'a>,
}

#[derive(Template)]
#[template(path = "pages/console/keys/key_made.html", config = ".askama.toml")]
struct MadePage<'a> {
    chrome: &'a Chrome<'a>,
    made: &'a Made<'a>,
}

#[derive(Template)]
#[template(path = "pages/console/keys/key_revoke.html", config = ".askama.toml")]
struct RevokePage<'a> {
    chrome: &'a Chrome<'a>,
    key: &'a Listed,
    is_own: bool,
}

/// A page of the list; `next` leads to the one after it.
pub fn list(
    chrome: &Chrome<'_>,
    keys: &[Listed],
    narrowed: &Narrowed,
    next: Option<&str>,
) -> String {
    text(&ListPage { chrome, keys, narrowed, next })
}

pub fn new(chrome: &Chrome<'_>, form: &Form<'_>) -> String {
    text(&NewPage { chrome, form })
}

pub fn made(chrome: &Chrome<'_>, made: &Made<'_>) -> String {
    text(&MadePage { chrome, made })
}

/// Asks whether to revoke the key; `is_own` if the admin has signed in with it.
pub fn revoke(chrome: &Chrome<'_>, key: &Listed, is_own: bool) -> String {
    text(&RevokePage { chrome, key, is_own })
}

/// The numbers that an endpoint serves, in words.
const fn about(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Totals => "all that ever happened to a post",
        Endpoint::TwentyEightHours => "the last 28 hours, hour by hour",
        Endpoint::Historical => "up to 28 days of the past",
    }
}

pub const fn holder(role: Role) -> &'static str {
    match role {
        Role::Caller => "a service",
        Role::Owner | Role::Auditor => "an admin",
    }
}

/// What a key may be used for, in words.
pub fn may(key: &Key) -> String {
    let scopes = &key.scopes;
    match key.role {
        Role::Auditor => "look at everything, change nothing".to_owned(),
        Role::Owner => "look at and change everything".to_owned(),
        Role::Caller => {
            let endpoints = scopes.endpoints.as_ref().map_or("every endpoint".to_owned(), |it| {
                it.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ")
            });
            let accounts = scopes.accounts.as_ref().map_or("as every account".to_owned(), |it| {
                let ids: Vec<String> = it.iter().map(ToString::to_string).collect();
                format!("only as {}", ids.join(", "))
            });
            let links = if scopes.create_links { "; make links" } else { "" };
            format!("ask {endpoints}, {accounts}{links}")
        }
    }
}
