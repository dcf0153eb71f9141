//! Links by which users connect accounts: those that wait, and a new one.

use askama::Template;

use crate::console::admin::{Chrome, Section};
use crate::console::text;

/// A link that was made, the one time that it is shown.
pub struct Made {
    pub url: String,
    pub app: String,
    pub label: String,
    /// The only one who may connect.
    pub user: Option<String>,
    pub expires_at: String,
    /// Where its maker goes on to.
    pub back: String,
}

#[derive(Template)]
#[template(path = "console/admin/link_made.html", config = ".askama.toml")]
struct MadePage<'a> {
    chrome: &'a Chrome<'a>,
    made: &'a Made,
}

pub fn made(chrome: &Chrome<'_>, made: &Made) -> String {
    text(&MadePage { chrome, made })
}
