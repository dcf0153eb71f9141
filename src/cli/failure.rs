//! How a command fails: the error and its exit code (sysexits.h).

use anyhow::anyhow;

use crate::config;
use crate::gateway::{self, Location};
use crate::store;
use crate::vault;

const GENERAL: u8 = 1;
/// Not from sysexits.h: there is a result, but it is incomplete.
const INCOMPLETE: u8 = 3;
const UNAVAILABLE: u8 = 69;
const CONFIG: u8 = 78;

/// The error that `main` prints unless it is logged, and the code that it exits with.
pub struct Failure {
    pub error: anyhow::Error,
    pub code: u8,
    pub is_logged: bool,
}

impl Failure {
    /// The error and its causes in one line, without repetitions.
    pub fn text(&self) -> String {
        let mut texts: Vec<String> = self.error.chain().map(ToString::to_string).collect();
        texts.dedup();
        texts.join(": ")
    }

    pub(super) fn general(error: impl Into<anyhow::Error>) -> Failure {
        Failure::with_code(error, GENERAL)
    }

    /// A failure after an incomplete result was printed.
    pub(super) fn incomplete(error: impl Into<anyhow::Error>) -> Failure {
        Failure::with_code(error, INCOMPLETE)
    }

    /// A failure because something is unavailable for now: a port, the database.
    pub(super) fn unavailable(error: impl Into<anyhow::Error>) -> Failure {
        Failure::with_code(error, UNAVAILABLE)
    }

    pub(super) fn config(error: impl Into<anyhow::Error>) -> Failure {
        Failure::with_code(error, CONFIG)
    }

    /// The same failure, in a wider context.
    pub(super) fn context(self, context: String) -> Failure {
        Failure { error: self.error.context(context), ..self }
    }

    /// Whether the settings are at fault.
    pub(super) fn is_config(&self) -> bool {
        self.code == CONFIG
    }

    fn with_code(error: impl Into<anyhow::Error>, code: u8) -> Failure {
        Failure { error: error.into(), code, is_logged: false }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::general(error)
    }
}

impl From<config::Errors> for Failure {
    fn from(errors: config::Errors) -> Failure {
        let count = errors.0.len();
        let settings =
            if count == 1 { "1 setting is".to_owned() } else { format!("{count} settings are") };
        Failure::config(anyhow!("{settings} invalid:\n{errors}"))
    }
}

impl From<vault::Error> for Failure {
    fn from(error: vault::Error) -> Failure {
        Failure::config(error)
    }
}

impl From<gateway::Error> for Failure {
    fn from(error: gateway::Error) -> Failure {
        match error {
            gateway::Error::InvalidRequest(problems) => {
                let lines: Vec<String> = problems.iter().map(in_words).collect();
                Failure::general(anyhow!("{}", lines.join("\n")))
            }
            gateway::Error::NotConnected(end) => {
                Failure::general(anyhow!("{} {}", end.what(), end.advice()))
            }
            gateway::Error::VaultKeyUnavailable(_) => Failure::config(error),
            gateway::Error::StoreUnavailable(_) => Failure::unavailable(error),
            gateway::Error::ImportStopped { ref cause, .. }
                if matches!(**cause, gateway::Error::StoreUnavailable(_)) =>
            {
                Failure::unavailable(error)
            }
            error => Failure::general(error),
        }
    }
}

/// A problem in terms of the command line, where members of a body or a query are options.
fn in_words(problem: &gateway::Detail) -> String {
    let detail = &problem.detail;
    let pointer = match &problem.place {
        Location::Body(pointer) => pointer,
        Location::Query => return format!("--{detail}"),
        other => return format!("{other}: {detail}"),
    };
    match pointer.split('/').nth(1) {
        None => detail.clone(),
        Some("url") => format!("URL: {detail}"),
        Some("name") => format!("NAME: {detail}"),
        Some("accounts") => format!("--account: {detail}"),
        Some("endpoints") => format!("--endpoint: {detail}"),
        Some(member) => format!("--{member}: {detail}"),
    }
}

pub(super) fn of_store(error: store::Error) -> Failure {
    match error {
        store::Error::Unavailable(_) | store::Error::RolledBack(_) => Failure::unavailable(error),
        store::Error::Settings(_) => Failure::config(error),
        error => Failure::general(error),
    }
}
