//! The keys of settings: which there are, and which one was probably meant.

use std::collections::BTreeMap;

use crate::model::app;
use crate::model::suggestion::nearest;

/// Keys that the defaults leave out, with `<name>` for the name of an app.
const WITHOUT_DEFAULT: &[&str] = &[
    "apps.<name>.account_limit",
    "apps.<name>.app_only",
    "apps.<name>.bearer_token",
    "apps.<name>.consumer_key",
    "apps.<name>.consumer_secret",
    "apps.<name>.lookup",
    "apps.<name>.over_limit",
    "apps.<name>.quota.mode",
    "apps.<name>.quota.per_minute",
    "apps.<name>.quota.per_second",
    "apps.<name>.quota.scope",
];

/// Keys that may also name a file, with `_file` after them.
const SECRETS: &[&str] = &[
    "apps.<name>.bearer_token",
    "apps.<name>.consumer_key",
    "apps.<name>.consumer_secret",
    "database.url",
    "vault.keys",
];

/// What each variable that sets something begins with.
const VARIABLE: &str = "COUNTERSIGN__";

/// Whether this key may also name a file.
pub fn is_secret(key: &str) -> bool {
    SECRETS.contains(&&*pattern(key))
}

/// The app and the field that this key sets.
pub fn app_field(key: &str) -> Option<(&str, &str)> {
    let rest = key.strip_prefix("apps.")?;
    let (name, field) = rest.rsplit_once('.')?;
    // The only section that an app has.
    match name.strip_suffix(".quota") {
        Some(name) => Some((name, rest.get(name.len() + 1..)?)),
        None => Some((name, field)),
    }
}

pub fn is_known<T>(key: &str, defaults: &BTreeMap<String, T>) -> bool {
    defaults.contains_key(key) || WITHOUT_DEFAULT.contains(&&*pattern(key))
}

/// What is wrong with a key that is not known, in words that fit where it comes from.
pub fn unknown<T>(key: &str, origin: &str, defaults: &BTreeMap<String, T>) -> String {
    let section = format!("{key}.");
    if key == "apps" || defaults.keys().any(|key| key.starts_with(&section)) {
        return "expected a section, not a value".to_owned();
    }
    match meant_by(key, defaults) {
        Some(meant) if origin.to_ascii_uppercase().starts_with(VARIABLE) => {
            format!("unknown setting; did you mean {}?", variable(&meant))
        }
        Some(meant) => format!("unknown setting; did you mean {meant}?"),
        None => "unknown setting; `countersign config` lists them all".to_owned(),
    }
}

/// The key that was probably meant by one that is not known, whatever stands between its parts.
pub fn meant_by<T>(key: &str, defaults: &BTreeMap<String, T>) -> Option<String> {
    let words: Vec<&str> = words(key).collect();
    let rest = match &*words {
        ["app" | "apps", rest @ ..] => rest,
        _ => &[],
    };
    // An app's name may have `_` in it, too.
    let names = (1..rest.len()).filter_map(|count| Some(rest.get(..count)?.join("_")));
    let of_apps = names.filter(|name| app::is_name(name)).flat_map(of_app);
    let known = defaults.keys().cloned().chain(of_apps).chain(files());
    let by_words: BTreeMap<String, String> = known.map(|key| (joined(&key), key)).collect();
    let meant = nearest(&words.join("_"), by_words.keys().map(String::as_str))?;
    by_words.get(meant).cloned()
}

/// The variable that sets a key.
pub fn variable(key: &str) -> String {
    format!("{VARIABLE}{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// The keys of an app.
fn of_app(name: String) -> impl Iterator<Item = String> {
    let files =
        SECRETS.iter().filter(|key| key.contains("<name>")).map(|key| format!("{key}_file"));
    let keys = WITHOUT_DEFAULT.iter().map(|key| (*key).to_owned()).chain(files);
    keys.map(move |key| key.replacen("<name>", &name, 1))
}

/// The keys that name a file and belong to no app.
fn files() -> impl Iterator<Item = String> {
    SECRETS.iter().filter(|key| !key.contains("<name>")).map(|key| format!("{key}_file"))
}

fn words(key: &str) -> impl Iterator<Item = &str> {
    key.split(['.', '_']).filter(|word| !word.is_empty())
}

fn joined(key: &str) -> String {
    words(key).collect::<Vec<_>>().join("_")
}

/// The key with `<name>` for the app's name.
fn pattern(key: &str) -> String {
    match app_field(key) {
        Some((_, field)) => format!("apps.<name>.{field}"),
        None => key.to_owned(),
    }
}
