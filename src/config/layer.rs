//! Layers: the settings from the defaults, a file and the environment, each flattened to `section.key` and laid over
//! the one before.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::config::Problem;
use crate::model::{Secret, app};

/// Keys that the defaults leave out, with `<name>` for the name of an app.
const WITHOUT_DEFAULT: &[&str] = &[
    "apps.<name>.account_limit",
    "apps.<name>.app_only",
    "apps.<name>.bearer_token",
    "apps.<name>.consumer_key",
    "apps.<name>.consumer_secret",
    "apps.<name>.lookup",
    "apps.<name>.over_limit",
];

/// Keys that may also name a file, with `_file` after them.
const SECRETS: &[&str] = &[
    "apps.<name>.bearer_token",
    "apps.<name>.consumer_key",
    "apps.<name>.consumer_secret",
    "database.url",
    "vault.keys",
];

/// Keys whose values are lists, which become one line for each entry.
const LISTS: &[&str] = &[
    "admin.hosts",
    "admin.trusted_proxies",
    "connect.return_to",
    "server.trusted_proxies",
    "vault.keys",
    "webhooks.receivers",
];

/// A value as it was given, and where it was set.
pub struct Setting {
    /// The key as it was given: for a secret in a file it ends in `_file`.
    pub key: String,
    pub origin: String,
    /// The value; any value may be a secret in the wrong place.
    pub text: Secret,
}

impl Setting {
    pub fn problem(&self, detail: impl Into<String>) -> Problem {
        Problem { key: self.key.clone(), origin: self.origin.clone(), detail: detail.into() }
    }
}

/// The settings of one source, or of several laid over one another, by key.
pub type Layer = BTreeMap<String, Setting>;

/// The settings in `text`.
pub fn from_toml(origin: &str, text: &str, problems: &mut Vec<Problem>) -> Option<Layer> {
    let root = text.parse::<Table>().map_err(|error| {
        let detail = format!("is not valid TOML{}", place(&error.to_string()));
        problems.push(Problem { key: "config file".into(), origin: origin.into(), detail });
    });
    let mut layer = Layer::new();
    for (key, value) in root.ok()? {
        flatten(key, value, origin, &mut layer, problems);
    }
    Some(layer)
}

/// The settings in the variables `COUNTERSIGN__SECTION__KEY`.
pub fn from_environment(environment: &BTreeMap<String, String>) -> Layer {
    let setting = |(name, text): (&String, &String)| {
        let key = name.to_ascii_lowercase().strip_prefix("countersign__")?.replace("__", ".");
        let text = Secret::new(text.clone());
        Some((key.clone(), Setting { key, origin: name.clone(), text }))
    };
    environment.iter().filter_map(setting).collect()
}

/// Lays `upper` over `lower`. A secret and its file share the secret's place, so that either form replaces the other.
pub fn lay_over(lower: &mut Layer, upper: Layer, defaults: &Layer, problems: &mut Vec<Problem>) {
    let both: Vec<String> =
        upper.keys().filter(|key| upper.contains_key(&format!("{key}_file"))).cloned().collect();
    for (key, setting) in upper {
        let secret = key.strip_suffix("_file").filter(|secret| is_secret(secret));
        let place = secret.unwrap_or(&key);
        if secret.is_some() && both.iter().any(|key| key == place) {
            problems.push(setting.problem(format!("expected either this or {place}, not both")));
        } else if secret.is_some() || is_known(&key, defaults) {
            lower.insert(place.to_owned(), setting);
        } else {
            problems.push(setting.problem(unknown(&key, defaults)));
        }
    }
}

/// Whether this key may also name a file.
pub fn is_secret(key: &str) -> bool {
    SECRETS.contains(&&*pattern(key))
}

/// The app and the field that this key sets.
pub fn app_field(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix("apps.")?.rsplit_once('.')
}

/// Where a parse error is. The parser's own message quotes the line, which may hold a secret.
fn place(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    first.strip_prefix("TOML parse error at").map(|place| format!(" at{place}")).unwrap_or_default()
}

fn flatten(
    key: String,
    value: Value,
    origin: &str,
    layer: &mut Layer,
    problems: &mut Vec<Problem>,
) {
    let mut setting = Setting { key, origin: origin.to_owned(), text: "".into() };
    match value {
        Value::Table(table) if table.is_empty() && setting.key.contains('.') => {
            problems.push(setting.problem("expected a section that is not empty"));
        }
        Value::Table(table) => {
            for (name, value) in table {
                flatten(format!("{}.{name}", setting.key), value, origin, layer, problems);
            }
        }
        Value::Array(list) if LISTS.contains(&&*setting.key) => {
            let lines: Vec<String> = list.into_iter().map(plain).collect();
            setting.text = Secret::new(lines.join("\n"));
            layer.insert(setting.key.clone(), setting);
        }
        Value::Array(_) => problems.push(setting.problem("expected one value, not a list")),
        value => {
            setting.text = Secret::new(plain(value));
            layer.insert(setting.key.clone(), setting);
        }
    }
}

/// A value as a variable would hold it.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The key with `<name>` for the app's name.
fn pattern(key: &str) -> String {
    match app_field(key) {
        Some((_, field)) => format!("apps.<name>.{field}"),
        None => key.to_owned(),
    }
}

fn is_known(key: &str, defaults: &Layer) -> bool {
    defaults.contains_key(key) || WITHOUT_DEFAULT.contains(&&*pattern(key))
}

fn unknown(key: &str, defaults: &Layer) -> String {
    let section = format!("{key}.");
    if key == "apps" || defaults.keys().any(|key| key.starts_with(&section)) {
        return "expected a section, not a value".to_owned();
    }
    let name = app_field(key).map(|(name, _)| name).filter(|name| app::is_name(name));
    let name = name.unwrap_or("<name>");
    let without = WITHOUT_DEFAULT.iter().map(|pattern| pattern.replacen("<name>", name, 1));
    let files = SECRETS.iter().map(|pattern| pattern.replacen("<name>", name, 1) + "_file");
    let known = defaults.keys().cloned().chain(without).chain(files);
    let nearest = known.map(|known| (strsim::levenshtein(key, &known), known)).min();
    match nearest.filter(|(distance, _)| *distance <= 3) {
        Some((_, nearest)) => format!("unknown setting; did you mean {nearest}?"),
        None => "unknown setting; `countersign config` lists them all".to_owned(),
    }
}
