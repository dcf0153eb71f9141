//! Layers: the settings from the defaults, a file and the environment, each flattened to `section.key` and laid over
//! the one before.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::config::Problem;
use crate::config::names::{is_known, is_secret, unknown};
use crate::model::Secret;

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
            problems.push(setting.problem(unknown(&key, &setting.origin, defaults)));
        }
    }
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
