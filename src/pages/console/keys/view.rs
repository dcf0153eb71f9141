//! Keys: the list, a new one, the limits of one, and the confirmation before one is revoked.

use askama::Template;

use crate::model::Endpoint;
use crate::model::key::{Key, KeyLimits, Right, Role};
use crate::pages::console::form_errors::FieldErrors;
use crate::pages::console::keys::fields::{Fields, LimitFields};
use crate::pages::console::layout::Chrome;
use crate::pages::parts::text;

/// A key as it is shown.
pub struct Row {
    pub id: String,
    pub name: String,
    /// The kind of holder, in words.
    pub holder: &'static str,
    pub app: String,
    /// What it may be used for, in words.
    pub may: String,
    /// Its limits in words; empty if it has none.
    pub limits: String,
    pub created: String,
    pub expires: String,
    pub last_used: String,
    pub works: bool,
    /// Whether it has limits that can be changed: it works, and is a caller's.
    pub is_limitable: bool,
    /// The page about its tokens, if it works and makes some.
    pub tokens: Option<String>,
    /// Whether there is something to revoke: it works, or cannot be read.
    pub is_revocable: bool,
    /// Whether it works, in a word.
    pub state: &'static str,
    /// When it was revoked.
    pub revoked: Option<String>,
}

/// What narrows the list.
pub struct Filter {
    pub role: Option<Role>,
    /// Whether expired and revoked keys are left out.
    pub only_working: bool,
    pub search: String,
    /// Whether this is all there is: the first page, with nothing left out.
    pub is_whole: bool,
}

/// The form for a new key.
pub struct Form<'a> {
    pub role: Role,
    pub fields: &'a Fields,
    /// All apps to choose from.
    pub apps: &'a [String],
    pub errors: &'a FieldErrors,
}

impl Form<'_> {
    /// Each endpoint with what it answers, and whether it is chosen.
    fn choices(&self) -> [(Endpoint, &'static str, bool); 3] {
        let endpoints = self.fields.endpoints();
        endpoints.map(|(endpoint, is_chosen)| (endpoint, about(endpoint), is_chosen))
    }

    fn has(&self, right: Right) -> bool {
        self.fields.rights.contains(&right)
    }

    /// Each right that a key of the role may have, and whether it is chosen.
    fn rights(&self) -> impl Iterator<Item = (Right, bool)> {
        Right::of(self.role).iter().map(|right| (*right, self.has(*right)))
    }
}

/// A key that was just created, the only time that its text is shown.
pub struct Created<'a> {
    pub key: &'a Row,
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
    keys: &'a [Row],
    filter: &'a Filter,
    next: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "pages/console/keys/key_new.html", config = ".askama.toml")]
struct NewPage<'a> {
    chrome: &'a Chrome<'a>,
    form: &'a Form<'a>,
}

#[derive(Template)]
#[template(path = "pages/console/keys/key_created.html", config = ".askama.toml")]
struct CreatedPage<'a> {
    chrome: &'a Chrome<'a>,
    created: &'a Created<'a>,
}

#[derive(Template)]
#[template(path = "pages/console/keys/key_limits.html", config = ".askama.toml")]
struct LimitsPage<'a> {
    chrome: &'a Chrome<'a>,
    key: &'a Row,
    limits: &'a LimitFields,
    errors: &'a FieldErrors,
}

/// The tokens that a key has made, and the form to withdraw them.
pub struct Tokens<'a> {
    /// Where they work, in words.
    pub origins: &'a str,
    /// As it was typed.
    pub subject: &'a str,
    /// Whose tokens asked today, with how many questions and calls to X.
    pub rows: &'a [(String, i64, i64)],
    pub errors: &'a FieldErrors,
}

#[derive(Template)]
#[template(path = "pages/console/keys/key_tokens.html", config = ".askama.toml")]
struct TokensPage<'a> {
    chrome: &'a Chrome<'a>,
    key: &'a Row,
    tokens: &'a Tokens<'a>,
}

#[derive(Template)]
#[template(path = "pages/console/keys/key_revoke.html", config = ".askama.toml")]
struct RevokePage<'a> {
    chrome: &'a Chrome<'a>,
    key: &'a Row,
    is_own: bool,
}

/// A page of the list; `next` leads to the one after it.
pub fn list(chrome: &Chrome<'_>, keys: &[Row], filter: &Filter, next: Option<&str>) -> String {
    text(&ListPage { chrome, keys, filter, next })
}

pub fn new(chrome: &Chrome<'_>, form: &Form<'_>) -> String {
    text(&NewPage { chrome, form })
}

pub fn created(chrome: &Chrome<'_>, created: &Created<'_>) -> String {
    text(&CreatedPage { chrome, created })
}

/// The form for the key's limits.
pub fn limits(
    chrome: &Chrome<'_>,
    key: &Row,
    limits: &LimitFields,
    errors: &FieldErrors,
) -> String {
    text(&LimitsPage { chrome, key, limits, errors })
}

/// Whose tokens asked, and the form to withdraw tokens.
pub fn tokens(chrome: &Chrome<'_>, key: &Row, tokens: &Tokens<'_>) -> String {
    text(&TokensPage { chrome, key, tokens })
}

/// Asks for confirmation before the key is revoked; `is_own` if the admin signed in with it.
pub fn revoke(chrome: &Chrome<'_>, key: &Row, is_own: bool) -> String {
    text(&RevokePage { chrome, key, is_own })
}

/// The numbers that an endpoint serves, in words.
const fn about(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Totals => "totals since the post was published",
        Endpoint::TwentyEightHours => "the last 28 hours, hour by hour",
        Endpoint::Historical => "any past period of up to 28 days",
    }
}

pub const fn holder(role: Role) -> &'static str {
    match role {
        Role::Caller => "a service",
        Role::Owner | Role::Auditor => "an admin",
        Role::Analyst => "an analyst",
    }
}

/// The limits that are not the defaults, in words.
pub fn limits_in_words(limits: KeyLimits) -> String {
    let default = KeyLimits::default().weight;
    let weight = (limits.weight != default).then(|| format!("weight {}", limits.weight));
    let per_minute = limits.per_minute.map(|most| match most {
        1 => "1 request per minute".to_owned(),
        _ => format!("{most} requests per minute"),
    });
    let at_once = limits.at_once.map(|most| format!("{most} at once in each replica"));
    [weight, per_minute, at_once].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What a key may be used for, in words.
pub fn may(key: &Key) -> String {
    let scopes = &key.scopes;
    match key.role {
        Role::Auditor if scopes.rights.contains(&Right::Explore) => {
            "view everything and explore posts, change nothing".to_owned()
        }
        Role::Auditor => "view everything, change nothing".to_owned(),
        Role::Analyst => "explore posts and view usage".to_owned(),
        Role::Owner => "view and change everything".to_owned(),
        Role::Caller => {
            let endpoints = scopes.endpoints.as_ref().map_or("all endpoints".to_owned(), |all| {
                all.iter().map(|endpoint| endpoint.name()).collect::<Vec<_>>().join(", ")
            });
            let accounts = scopes.accounts.as_ref().map_or("all accounts".to_owned(), |all| {
                let ids: Vec<String> = all.iter().map(ToString::to_string).collect();
                let noun = if ids.len() == 1 { "account" } else { "accounts" };
                format!("{noun} {} only", ids.join(", "))
            });
            let query = format!("query {endpoints} with {accounts}");
            let rights = scopes.rights.iter().map(|right| match right {
                Right::Browser => {
                    let origins: Vec<String> =
                        scopes.origins.iter().map(ToString::to_string).collect();
                    format!("{} at {}", right.words(), origins.join(", "))
                }
                Right::CreateLinks | Right::InBrowsers | Right::Explore => right.words().to_owned(),
            });
            std::iter::once(query).chain(rights).collect::<Vec<_>>().join("; ")
        }
    }
}
