//! The shell variables of a demo, in a file: with them, the commands in README and `docs/` work as they stand.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use time::{Date, Duration};

use crate::cli::demo::tour::{Card, word};

const ABOUT: &str = "\
# Written by each start of this demo, to be loaded with `.` in a shell: the commands in README.md and docs/ use it.
# The keys open invented numbers alone.
";
/// The longest period that X's historical endpoint takes at once.
const PERIOD: Duration = Duration::days(28);

/// A question to begin with.
fn ask(post: &str) -> String {
    format!(r#"{{"tweet_ids":["{post}"],"engagement_types":["impressions","favorites"]}}"#)
}

/// The text of the file. `settings` are the demo's own, so that `countersign` commands find its database.
pub(super) fn text(
    card: &Card,
    settings: &BTreeMap<String, String>,
    program: &Path,
    today: Date,
) -> String {
    let [alice, bob, _] = &card.accounts;
    let post = |ids: &[String]| ids.first().cloned().unwrap_or_default();
    let variables = [
        ("URL", card.gateway.clone()),
        ("ADMIN", card.admin.clone()),
        ("SANDBOX", card.sandbox.clone()),
        ("KEY", card.key.clone()),
        ("ADMIN_KEY", card.admin_key.clone()),
        ("ACCOUNT", alice.user_id.clone()),
        ("POST", post(&alice.tweet_ids)),
        ("OTHER_POST", post(&bob.tweet_ids)),
        ("OLD_POST", card.old_post.clone()),
        ("JSON", "Content-Type: application/json".to_owned()),
        ("ASK", ask(&post(&alice.tweet_ids))),
        ("FROM", (today - PERIOD).to_string()),
        ("TO", today.to_string()),
        ("COUNTERSIGN_URL", card.gateway.clone()),
        ("COUNTERSIGN_KEY", card.key.clone()),
    ];
    let settings = settings.iter().map(|(name, value)| (&**name, value.clone()));
    let mut text = ABOUT.to_owned();
    for (name, value) in variables.into_iter().chain(settings) {
        let _ = writeln!(text, "export {name}={}", word(&value));
    }
    if let Some(folder) = program.parent() {
        let _ = writeln!(text, "export PATH=\"$PATH\":{}", word(&folder.display().to_string()));
    }
    text
}
