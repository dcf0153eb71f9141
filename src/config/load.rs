//! From text to settings: `parse` is pure, `load` reads the real environment and files.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use crate::config::files::{self, Text};
use crate::config::layer::{self, Layer};
use crate::config::reader::{ReadFile, Reader};
use crate::config::variables::{from_environment, misspelt, trimmed};
use crate::config::{Client, Config, Errors, Log, Problem, Ring, parse_client, section};

const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The text of `config/default.toml`: every key, its meaning and its default.
pub fn describe() -> &'static str {
    DEFAULTS
}

/// The defaults overridden by `file` (its name and text) and `environment`. `read` reads the files that hold secrets
/// and says what is wrong with any that it refuses; it also decides whether a file is private enough.
pub fn parse(
    file: Option<(&str, &str)>,
    environment: &BTreeMap<String, String>,
    read: &dyn Fn(&Path) -> Result<String, String>,
) -> Result<Config, Errors> {
    let read = |_: &str, path: &Path| Ok(Text { text: read(path)?, warning: None });
    parse_with(file, environment, Layer::new(), &read, Ring::NotNeeded)
}

/// The settings from the real environment and the file at `path`, or else the one that `COUNTERSIGN_CONFIG` names.
pub fn load(path: Option<&Path>, ring: Ring) -> Result<Config, Errors> {
    load_with(path.or(named_file().as_deref()), &environment(), ring)
}

/// How logs are to be written, from the same sources, as far as they say it: other settings may all be wrong.
pub fn load_log(path: Option<&Path>) -> Log {
    let named = named_file();
    let text = path.or(named.as_deref()).and_then(|path| files::read("config file", path).ok());
    log_of(text.as_ref().map_or("", |text| &text.text), &environment())
}

/// How to reach a running gateway, from the real environment; `url` is the command line's.
pub fn load_client(url: Option<&str>) -> Result<Client, Errors> {
    parse_client(url, &environment(), &|path| Ok(files::read("COUNTERSIGN_KEY_FILE", path)?.text))
}

/// The file that `COUNTERSIGN_CONFIG` names.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn named_file() -> Option<PathBuf> {
    let named = env::var_os("COUNTERSIGN_CONFIG")?;
    // A path need not be Unicode.
    let path = named.to_str().map_or(Path::new(&named), |text| Path::new(trimmed(text)));
    (!path.as_os_str().is_empty()).then(|| path.to_owned())
}

fn environment() -> BTreeMap<String, String> {
    // A value that is not Unicode stays recognisable, so that its form refuses it.
    let environment = env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    });
    environment.collect()
}

fn load_with(
    path: Option<&Path>,
    environment: &BTreeMap<String, String>,
    ring: Ring,
) -> Result<Config, Errors> {
    let credentials = files::credentials(files::credentials_folder(environment));
    let Some(path) = path else {
        return parse_with(None, environment, credentials, &files::read, ring);
    };
    let name = path.display().to_string();
    let Text { text, warning } = files::read("config file", path).map_err(|detail| {
        let key = "config file".to_owned();
        Errors(vec![Problem { key, origin: name.clone(), detail }])
    })?;
    let mut config =
        parse_with(Some((&name, &text)), environment, credentials, &files::read, ring)?;
    config.warnings.extend(warning);
    Ok(config)
}

fn parse_with(
    file: Option<(&str, &str)>,
    environment: &BTreeMap<String, String>,
    credentials: Layer,
    read: ReadFile<'_>,
    ring: Ring,
) -> Result<Config, Errors> {
    let mut problems = Vec::new();
    let defaults = layer::from_toml("default", DEFAULTS, &mut problems);
    let (name, text) = file.unwrap_or_default();
    let from_file = layer::from_toml(name, text, &mut problems);
    // Without the file's settings, correct ones would be reported as problems.
    let (Some(defaults), Some(from_file)) = (defaults, from_file) else {
        return Err(Errors(problems));
    };

    let mut settings = Layer::new();
    layer::lay_over(&mut settings, from_file, &defaults, &mut problems);
    layer::lay_over(&mut settings, credentials, &defaults, &mut problems);
    layer::lay_over(&mut settings, from_environment(environment), &defaults, &mut problems);
    problems.extend(misspelt(environment, &defaults));

    let files = file.map(|(name, _)| PathBuf::from(name)).into_iter().collect();
    let (defaults, settings, warnings) = (&defaults, &settings, Vec::new());
    let mut reader = Reader { defaults, settings, read, ring, problems, files, warnings };
    let config = section::config(&mut reader);
    let Reader { mut problems, files, warnings, .. } = reader;
    let config = Config { files, warnings, ..config };
    problems.sort();
    if problems.is_empty() { Ok(config) } else { Err(Errors(problems)) }
}

/// The settings of logs, with defaults for those that cannot be read.
fn log_of(file: &str, environment: &BTreeMap<String, String>) -> Log {
    let mut ignored = Vec::new();
    let defaults = layer::from_toml("default", DEFAULTS, &mut ignored).unwrap_or_default();
    let from_file = layer::from_toml("file", file, &mut ignored).unwrap_or_default();
    let mut settings = Layer::new();
    for layer in [from_file, from_environment(environment)] {
        layer::lay_over(&mut settings, layer, &defaults, &mut ignored);
    }
    let (defaults, settings) = (&defaults, &settings);
    let read: ReadFile<'_> = &|_, _| Err("no setting of logs is in a file of its own".to_owned());
    let (ring, problems, files, warnings) = (Ring::NotNeeded, ignored, Vec::new(), Vec::new());
    section::log(&mut Reader { defaults, settings, read, ring, problems, files, warnings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogFormat;

    #[test]
    fn how_to_log_is_known_whatever_else_is_wrong() {
        let variables = |set: &[(&str, &str)]| -> BTreeMap<String, String> {
            set.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let json = ("COUNTERSIGN__LOG__FORMAT", "json");
        for (file, set, expected) in [
            ("", &[][..], LogFormat::Human),
            ("log.format = 'json'\nserver.listen = 'x'\nnonsense = 1", &[], LogFormat::Json),
            ("[broken", &[json], LogFormat::Json),
            ("log.format = 'human'", &[json, ("COUNTERSIGN__LOG__LEVEL", "loud")], LogFormat::Json),
            ("log.format = 'xml'", &[], LogFormat::Human),
        ] {
            assert_eq!(log_of(file, &variables(set)).format, expected, "{file}");
        }
    }
}
