//! Why a command failed, and with which exit code it says so (sysexits.h).

use anyhow::anyhow;

use crate::config;
use crate::gateway::{self, Location};
use crate::store;
use crate::vault;

const GENERAL: u8 = 1;
/// Not of sysexits.h: there is a result, but not all of it.
const INCOMPLETE: u8 = 3;
const UNAVAILABLE: u8 = 69;
const CONFIG: u8 = 78;

/// What `main` prints and exits with.
pub struct Failure {
    pub error: anyhow::Error,
    pub code: u8,
}

impl Failure {
    /// The error and what caused it, in one line; a cause that says the same again is passed over.
    pub fn text(&self) -> String {
        let mut said: Vec<String> = self.error.chain().map(ToString::to_string).collect();
        said.dedup();
        said.join(": ")
    }

    pub(super) fn general(error: impl Into<anyhow::Error>) -> Failure {
        Failure { error: error.into(), code: GENERAL }
    }

    /// A result was printed, and lacks something.
    pub(super) fn incomplete(error: impl Into<anyhow::Error>) -> Failure {
        Failure { error: error.into(), code: INCOMPLETE }
    }

    /// Something that this program needs is not there now: a port, the database.
    pub(super) fn unavailable(error: impl Into<anyhow::Error>) -> Failure {
        Failure { error: error.into(), code: UNAVAILABLE }
    }

    pub(super) fn config(error: impl Into<anyhow::Error>) -> Failure {
        Failure { error: error.into(), code: CONFIG }
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
        Failure::config(anyhow!("{settings} wrong:\n{errors}"))
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
            error => Failure::general(error),
        }
    }
}

/// A problem as the command line says it: what is a member of a body or a query there is an option here.
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
        store::Error::Unavailable(_) => Failure::unavailable(error),
        store::Error::Settings(_) => Failure::config(error),
        error => Failure::general(error),
    }
}
