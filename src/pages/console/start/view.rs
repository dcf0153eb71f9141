//! The first steps: from nothing to the first answered call.

use askama::Template;

use crate::pages::console::layout::Chrome;
use crate::pages::parts::text;

/// How far a new installation has come.
pub struct Progress {
    /// The names of the configured apps.
    pub apps: Vec<String>,
    /// Whether each step is done, in their order.
    pub done: [bool; 4],
    /// Whether links can be created at all.
    pub has_links: bool,
    /// A command that makes a call, with a placeholder for a key.
    pub curl: String,
}

const TITLES: [&str; 4] =
    ["Configure an app", "Connect an account", "Create a service key", "Make a call"];

struct Step {
    number: usize,
    title: &'static str,
    is_done: bool,
    /// Whether this is the first step that is not done.
    is_next: bool,
}

#[derive(Template)]
#[template(path = "pages/console/start/start.html", config = ".askama.toml")]
struct StartPage<'a> {
    chrome: &'a Chrome<'a>,
    progress: &'a Progress,
    steps: Vec<Step>,
    is_done: bool,
}

pub fn start(chrome: &Chrome<'_>, progress: &Progress) -> String {
    let next = progress.done.iter().position(|done| !done);
    let step = |(index, (title, is_done)): (usize, (&'static str, bool))| Step {
        number: index + 1,
        title,
        is_done,
        is_next: next == Some(index),
    };
    let steps = TITLES.into_iter().zip(progress.done).enumerate().map(step).collect();
    text(&StartPage { chrome, progress, steps, is_done: next.is_none() })
}
