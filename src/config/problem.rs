//! What is wrong with the settings, all of it at once and none of it secret.

use std::error::Error;
use std::fmt;

/// One wrong setting. No field repeats a value, since any value may be a secret in the wrong place.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Problem {
    /// The key in `section.key` form, as it was given.
    pub key: String,
    /// `default`, the file's name or the variable's name.
    pub origin: String,
    /// What was expected.
    pub detail: String,
}

/// Everything that is wrong, in the order of the keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Errors(pub Vec<Problem>);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.key, self.origin, self.detail)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "\n" };
            write!(f, "{between}{problem}")?;
        }
        Ok(())
    }
}

impl Error for Errors {}
