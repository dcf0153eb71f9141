//! Settings in the environment: the variables that set them, and those that were probably meant to.

use std::collections::BTreeMap;

use crate::config::Problem;
use crate::config::layer::{Layer, Setting};
use crate::config::names::{meant_by, variable};
use crate::model::Secret;

const PREFIX: &str = "countersign_";
/// Variables that begin alike and set no setting: the file of settings, and what clients of a gateway need.
const OTHERS: [&str; 4] =
    ["countersign_config", "countersign_key", "countersign_key_file", "countersign_url"];

/// The settings in the variables `COUNTERSIGN__SECTION__KEY`. One that is empty counts as not set.
pub fn from_environment(environment: &BTreeMap<String, String>) -> Layer {
    let setting = |(name, text): (&String, &String)| {
        let key = of_gateway(name)?.strip_prefix('_')?.replace("__", ".");
        let text = Secret::from(trimmed(text));
        let is_set = !text.expose().is_empty();
        is_set.then(|| (key.clone(), Setting { key, origin: name.clone(), text }))
    };
    environment.iter().filter_map(setting).collect()
}

/// A problem for each variable that sets nothing, since its name is only nearly that of a setting.
pub fn misspelt(environment: &BTreeMap<String, String>, defaults: &Layer) -> Vec<Problem> {
    let problem = |(name, text): (&String, &String)| {
        let words = of_gateway(name).filter(|words| !words.starts_with('_'))?;
        // Kubernetes names the ports of services so, and no setting's name ends like that.
        if trimmed(text).is_empty() || words.ends_with("_port") {
            return None;
        }
        let meant = variable(&meant_by(&words, defaults)?);
        let detail = format!("unknown variable; did you mean {meant}?");
        Some(Problem { key: name.clone(), origin: "environment".to_owned(), detail })
    };
    environment.iter().filter_map(problem).collect()
}

/// A value without the white space and the byte order mark that editors and shells leave around it.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// What stands after `COUNTERSIGN_` in a variable's name, in lower case.
fn of_gateway(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let words = name.strip_prefix(PREFIX).filter(|_| !OTHERS.contains(&&*name))?;
    Some(words.to_owned())
}
