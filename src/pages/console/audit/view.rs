//! The audit log: who did what, and from where.

use askama::Template;

use crate::pages::console::layout::Chrome;
use crate::pages::parts::text;

/// An entry as it is shown.
pub struct Row {
    pub at: String,
    pub actor: String,
    /// The name of the actor's key.
    pub key_name: Option<String>,
    pub address: Option<String>,
    pub action: String,
    pub subject: String,
    pub detail: String,
}

/// The filter, as it was typed.
#[derive(Clone, Copy)]
pub struct Filter<'a> {
    pub actor: &'a str,
    pub action: &'a str,
    pub subject: &'a str,
    pub from: &'a str,
    pub until: &'a str,
    pub is_oldest_first: bool,
}

impl Filter<'_> {
    fn is_empty(self) -> bool {
        [self.actor, self.action, self.subject, self.from, self.until]
            .iter()
            .all(|field| field.is_empty())
    }
}

#[derive(Template)]
#[template(path = "pages/console/audit/audit.html", config = ".askama.toml")]
struct ListPage<'a> {
    chrome: &'a Chrome<'a>,
    entries: &'a [Row],
    filter: Filter<'a>,
    export: &'a str,
    next: Option<&'a str>,
}

/// A page of the log; `export` leads to all matching entries, `next` to the page after this one.
pub fn list(
    chrome: &Chrome<'_>,
    entries: &[Row],
    filter: Filter<'_>,
    export: &str,
    next: Option<&str>,
) -> String {
    text(&ListPage { chrome, entries, filter, export, next })
}
