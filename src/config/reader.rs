//! Reads settings by key in the form they should have, and collects the problems.

use std::path::{Path, PathBuf};

use crate::config::files::Text;
use crate::config::form::Form;
use crate::config::layer::{Layer, Setting};
use crate::config::variables::trimmed;
use crate::config::{Problem, Ring};
use crate::model::Secret;

/// Reads the file that a key names; the key decides how private the file must be.
pub type ReadFile<'a> = &'a dyn Fn(&str, &Path) -> Result<Text, String>;

/// The layers, the files they name, and the problems found so far.
pub struct Reader<'a> {
    pub defaults: &'a Layer,
    pub settings: &'a Layer,
    pub read: ReadFile<'a>,
    pub ring: Ring,
    pub problems: Vec<Problem>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// Warnings about file modes that should be fixed.
    pub warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    /// The value of `key`. If it is wrong, the default stands in, so that reading goes on to find further problems.
    pub fn get<T>(&mut self, key: &str, form: &Form<T>) -> T {
        self.find(key, form).unwrap_or_else(|| {
            let default =
                self.defaults.get(key).and_then(|setting| (form.parse)(setting.text.expose()));
            default.expect("a test reads every default in its form")
        })
    }

    /// The value of `key`, if it is set and has the right form.
    pub fn find<T>(&mut self, key: &str, form: &Form<T>) -> Option<T> {
        let (setting, text) = self.text(key)?;
        let value = (form.parse)(text.expose());
        if value.is_none() {
            self.problems.push(setting.problem(format!("expected {}", form.expected)));
        }
        value
    }

    /// The text of `key`, read from a file if it names one, without what is around it.
    pub fn text(&mut self, key: &str) -> Option<(&'a Setting, Secret)> {
        let setting = self.setting(key)?;
        if setting.key == key {
            return Some((setting, trimmed(setting.text.expose()).into()));
        }
        let path = Path::new(trimmed(setting.text.expose()));
        self.files.push(path.to_owned());
        match (self.read)(&setting.key, path) {
            Ok(Text { text, warning }) => {
                self.warnings.extend(warning);
                Some((setting, trimmed(Secret::new(text).expose()).into()))
            }
            Err(detail) => {
                self.problems.push(setting.problem(format!("the file {detail}")));
                None
            }
        }
    }

    pub fn setting(&self, key: &str) -> Option<&'a Setting> {
        self.settings.get(key).or_else(|| self.defaults.get(key))
    }

    pub fn is_wrong(&self, key: &str) -> bool {
        let given = self.setting(key).map_or(key, |setting| &setting.key);
        self.problems.iter().any(|problem| problem.key == given)
    }

    /// Adds a problem with `key` that its form alone does not reveal.
    pub fn refuse(&mut self, key: &str, detail: impl Into<String>) {
        let problem = self.setting(key).map(|setting| setting.problem(detail));
        self.problems.extend(problem);
    }
}
