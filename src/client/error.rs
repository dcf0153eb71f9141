//! Why there is no answer, in words that say what to do.

use std::error::Error as StdError;
use std::time::Duration;

use thiserror::Error;

use crate::client::Problem;

const WHERE: &str = "COUNTERSIGN_URL or --url says where the gateway is";

#[derive(Debug, Error)]
pub enum Error {
    #[error("{url} cannot be reached: {why}; {advice}")]
    Unreachable { url: String, why: String, advice: &'static str },
    #[error("{url} is silent for {}; ask for less at once, or try again", humantime::format_duration(*.patience))]
    Timeout { url: String, patience: Duration },
    #[error("the answer was cut short, so what came of it is not all; try again")]
    CutShort,
    /// Something else answers at that address, or a gateway of another version.
    #[error(
        "{url} does not answer as a Countersign gateway does: {detail}; is it one, and of this version? {WHERE}"
    )]
    Odd { url: String, detail: String },
    /// The gateway's own refusal.
    #[error("{}", .0.title)]
    Refused(Box<Problem>),
}

impl Error {
    /// Whether a retry a little later may work.
    pub fn may_pass(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Timeout { .. } | Error::CutShort => true,
            Error::Odd { .. } => false,
            Error::Refused(problem) => matches!(problem.status, 408 | 429 | 502..=504),
        }
    }

    pub(in crate::client) fn failed(
        url: &str,
        patience: Duration,
        error: &reqwest::Error,
    ) -> Error {
        if error.is_timeout() {
            Error::Timeout { url: url.to_owned(), patience }
        } else if error.is_body() || error.is_decode() {
            Error::CutShort
        } else {
            Error::unreachable(url, error)
        }
    }

    pub(in crate::client) fn unreachable(url: &str, error: &reqwest::Error) -> Error {
        let mut cause: &dyn StdError = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let why = cause.to_string();
        let advice = advice(&why);
        Error::Unreachable { url: url.to_owned(), why, advice }
    }

    pub(in crate::client) fn odd(url: &str, detail: impl Into<String>) -> Error {
        Error::Odd { url: url.to_owned(), detail: detail.into() }
    }
}

fn advice(why: &str) -> &'static str {
    if why.contains("certificate") {
        "its certificate must be one that this machine trusts for that name; SSL_CERT_FILE names a file of others to trust"
    } else if why.contains("corrupt message") {
        "it seems to speak no TLS: is its URL one with http://?"
    } else if why.contains("HTTP version") {
        "it seems to speak no plain HTTP: is its URL one with https://?"
    } else {
        WHERE
    }
}
