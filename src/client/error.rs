//! Why there is no answer, in words that say what to do.

use std::error::Error as StdError;
use std::time::Duration;

use thiserror::Error;

use crate::client::Problem;

const WHERE: &str = "set the URL of the gateway with COUNTERSIGN_URL or --url";

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot reach {url}: {why}; {advice}")]
    Unreachable { url: String, why: String, advice: &'static str },
    #[error("{url} has sent nothing for {}; try again, or ask for less at once", humantime::format_duration(*.patience))]
    Timeout { url: String, patience: Duration },
    #[error("the connection was lost before the answer was complete; try again")]
    CutShort,
    /// Something else answers at that address, or a gateway of another version.
    #[error("{url} does not answer like a Countersign gateway of this version: {detail}; {WHERE}")]
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
        "this machine must trust the server's certificate for that name; SSL_CERT_FILE can name a file of further certificates to trust"
    } else if why.contains("corrupt message") {
        "it does not seem to speak TLS; should the URL start with http://?"
    } else if why.contains("HTTP version") {
        "it does not seem to speak plain HTTP; should the URL start with https://?"
    } else {
        WHERE
    }
}
