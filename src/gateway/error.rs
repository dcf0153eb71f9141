//! Errors that a caller can see and act on. Their causes stay in `source`, for the log.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::admission::{OverLimit, OverPageLimit};
use crate::gateway::app::reconnects::Reconnect;
use crate::gateway::call::credential::Refusal;
use crate::gateway::question::plan::{Missing, Reason};
use crate::model::handshake::NotConnected;
use crate::model::key::Kind;
use crate::model::{AccountState, Endpoint, UserId};
use crate::store;
use crate::upstream;
use crate::vault;

/// The cause of an error; shared, since several callers may get one call's failure.
#[derive(Clone, Debug)]
pub struct Source(Arc<dyn StdError + Send + Sync>);

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for Source {
    fn from(error: E) -> Source {
        Source(error.into().into())
    }
}

impl Deref for Source {
    type Target = dyn StdError + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// Why a use case failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("the request is invalid")]
    InvalidRequest(Vec<Detail>),
    #[error("the key is unknown, expired or revoked")]
    UnknownKey,
    /// A key of this kind at the listener for the other one, by its prefix alone: it may not even exist.
    #[error("{}", of_other_kind(*presented))]
    WrongKind { presented: Kind },
    /// Too many wrong guesses; keys that are known to exist are still checked.
    #[error(
        "too many wrong keys or links from this address; wait a minute before trying another unknown one"
    )]
    TooManyGuesses,
    #[error(
        "the key has {most} pending links, the most that limits.key_links allows; wait until some are used or expire"
    )]
    TooManyLinks { most: u32, retry_after: Duration },
    #[error("the key may not do this: {0}")]
    NotAllowed(String),
    /// These parts of a request go beyond what the key or the token allows.
    #[error("the request goes beyond what is allowed")]
    Beyond(Vec<Detail>),
    #[error("this is not a token of this gateway; ask your own back end for a new one")]
    TokenInvalid,
    #[error("the token has ended; ask your own back end for a new one")]
    TokenExpired,
    #[error("the token was withdrawn, or the key that made it has ended")]
    TokenWithdrawn,
    #[error("the token is not for pages of this origin")]
    OriginNotAllowed,
    /// Pages of the token, its holder or their address have asked too much.
    #[error("{}", .0.limit)]
    BrowserLimited(OverPageLimit),
    /// A browser sent a key from a page, where whoever opens the page can read it.
    #[error(
        "a browser sent this key from another site, so whoever opens that page has it: revoke it, and give the page tokens instead. If no page holds it, and a proxy or framework has passed on a browser's headers, have that drop Origin and Sec-Fetch-Site, or use a key created with --in-browsers"
    )]
    KeyLeaked,
    /// The account does not exist, or the key may not use it.
    #[error("there is no such account for this key")]
    AccountNotFound,
    #[error("the account {} has been {state} since {since}", account.name())]
    AccountNotActive {
        account: NamedAccount,
        state: AccountState,
        since: OffsetDateTime,
        /// A link to reconnect, for keys that may create links.
        reconnect: Option<Reconnect>,
    },
    #[error("the app {app} may use {}, and this limit is reached", accounts_a_month(*limit))]
    AccountLimitReached {
        app: String,
        limit: u64,
        until: OffsetDateTime,
        /// The time left until `until`.
        retry_after: Duration,
    },
    /// X's quota leaves no room for the call in the time that it may wait.
    #[error("the quota that X gives the app {app} is used up for now")]
    QuotaExhausted { app: String, retry_after: Duration },
    /// The key asks more than its own limits allow.
    #[error("{}", beyond(*.0))]
    KeyLimited(OverLimit),
    #[error("there are no results")]
    NothingAnswered {
        /// Each part of the question, with the reason why it is missing.
        missing: Vec<Missing>,
        /// The reason that a caller can best act on.
        reason: Reason,
        /// How long to wait before retrying, if known.
        retry_after: Option<Duration>,
    },
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("there is already {0}")]
    AlreadyExists(String),
    #[error("{}", .0.what())]
    NotConnected(NotConnected),
    #[error("X could not be reached")]
    UpstreamUnreachable(#[source] Source),
    /// Most of the latest calls failed, so that none is made at present.
    #[error("X does not answer calls of the app {app} to {endpoint} at present")]
    UpstreamDown { app: String, endpoint: Endpoint, retry_after: Duration },
    #[error("X's response was incomplete")]
    UpstreamCutShort(#[source] Source),
    #[error("X's response is too large")]
    UpstreamTooLarge(#[source] Source),
    #[error("X did not answer in time")]
    UpstreamTimeout(#[source] Source),
    /// The answer is not one that X documents, or not the one that was needed.
    #[error("X sent an unexpected response")]
    UpstreamOdd {
        source: Source,
        /// How long to wait before retrying, if X said so.
        retry_after: Option<Duration>,
    },
    #[error("X does not accept the credentials of the app {app}")]
    AppCredentialsRejected { app: String, retry_after: Duration },
    /// Other work came first and did not end in time.
    #[error("{0}")]
    Busy(String),
    /// The stored record is not at fault: this gateway lacks the key that sealed it.
    #[error("a stored secret is sealed with the vault key {0}, which this gateway does not have")]
    VaultKeyUnavailable(String),
    #[error("the database is unavailable")]
    StoreUnavailable(#[source] Source),
    /// Some parts of an import are stored.
    #[error(
        "the import stopped after {stored} of {of} accounts; import the rest again, from line {line} on"
    )]
    ImportStopped {
        stored: usize,
        of: usize,
        /// The line of the first account that is not known to be stored.
        line: usize,
        #[source]
        cause: Box<Error>,
    },
    /// The connection was lost in the moment of the change.
    #[error("it is unknown whether the database stored the change")]
    OutcomeUnknown(#[source] Source),
    #[error("an internal error occurred in the gateway")]
    Internal(#[source] Source),
}

fn beyond(limit: OverLimit) -> String {
    match limit {
        OverLimit::PerMinute { most, .. } => {
            format!("the key may make {most} requests per minute, and none is left at present")
        }
        OverLimit::AtOnce { most } => {
            format!("the key may make {most} requests at once, and has that many under way")
        }
    }
}

fn of_other_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Admin => {
            "this is an admin key (csa_…), which is for the operators' listener; send a caller's key (csk_…) here"
        }
        Kind::Caller => {
            "this is a caller's key (csk_…), which is for the callers' listener; send an admin key (csa_…) here"
        }
    }
}

fn accounts_a_month(count: u64) -> String {
    if count == 1 { "1 account a month".to_owned() } else { format!("{count} accounts a month") }
}

/// An account, as people know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedAccount {
    pub user_id: UserId,
    pub screen_name: String,
}

impl NamedAccount {
    /// Its name and id.
    pub fn name(&self) -> String {
        format!("@{} ({})", self.screen_name, self.user_id)
    }
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Detail {
    pub place: Location,
    /// What is wrong, and what would be right.
    pub detail: String,
    /// How many problems this stands for: more than one if it only counts problems that are not listed.
    pub stands_for: usize,
}

/// Where a problem is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Location {
    /// A JSON pointer into the body (RFC 6901).
    Body(String),
    /// A line of a body that consists of lines.
    Line(usize),
    Header(&'static str),
    Path,
    Query,
}

impl Detail {
    pub fn at(pointer: &str, detail: impl Into<String>) -> Detail {
        Detail::new(Location::Body(pointer.to_owned()), detail)
    }

    pub fn in_header(name: &'static str, detail: impl Into<String>) -> Detail {
        Detail::new(Location::Header(name), detail)
    }

    pub fn in_path(detail: impl Into<String>) -> Detail {
        Detail::new(Location::Path, detail)
    }

    pub fn in_query(detail: impl Into<String>) -> Detail {
        Detail::new(Location::Query, detail)
    }

    pub fn in_line(number: usize, detail: impl Into<String>) -> Detail {
        Detail::new(Location::Line(number), detail)
    }

    /// The same, in a body that is the member `pointer` of another.
    pub(super) fn within(self, pointer: &str) -> Detail {
        match self.place {
            Location::Body(inner) => {
                Detail { place: Location::Body(format!("{pointer}{inner}")), ..self }
            }
            place => Detail { place, ..self },
        }
    }

    fn new(place: Location, detail: impl Into<String>) -> Detail {
        Detail { place, detail: detail.into(), stands_for: 1 }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Body(pointer) => f.write_str(pointer),
            Location::Line(number) => write!(f, "line {number}"),
            Location::Header(name) => f.write_str(name),
            Location::Path => f.write_str("the path"),
            Location::Query => f.write_str("the query"),
        }
    }
}

impl From<Refusal> for Detail {
    fn from(refusal: Refusal) -> Detail {
        match refusal {
            Refusal::EndpointIsPrivate(endpoint) => Detail::in_header(
                "Countersign-Auth",
                format!(
                    "{endpoint} is for a post's author only, so app cannot work; omit this header or set it to user"
                ),
            ),
            Refusal::MetricIsPrivate(metric) => Detail::in_header(
                "Countersign-Auth",
                format!(
                    "{metric} is for a post's author only, so app cannot work; omit this header or set it to user"
                ),
            ),
            Refusal::AccountNeeded => Detail::in_header(
                "Countersign-Account",
                "this request needs the token of the posts' author; name the account by user id or @screen_name",
            ),
        }
    }
}

impl From<OverPageLimit> for Error {
    fn from(over: OverPageLimit) -> Error {
        Error::BrowserLimited(over)
    }
}

impl From<Detail> for Error {
    fn from(problem: Detail) -> Error {
        Error::InvalidRequest(vec![problem])
    }
}

impl From<NotConnected> for Error {
    fn from(end: NotConnected) -> Error {
        Error::NotConnected(end)
    }
}

impl Error {
    pub(super) fn odd(source: impl Into<Source>) -> Error {
        Error::UpstreamOdd { source: source.into(), retry_after: None }
    }
}

impl From<upstream::Error> for Error {
    fn from(error: upstream::Error) -> Error {
        match error {
            upstream::Error::Unreachable(_) | upstream::Error::Untrusted(_) => {
                Error::UpstreamUnreachable(error.into())
            }
            upstream::Error::CutShort(_) => Error::UpstreamCutShort(error.into()),
            upstream::Error::TooLarge(_) => Error::UpstreamTooLarge(error.into()),
            upstream::Error::Timeout(_) => Error::UpstreamTimeout(error.into()),
            upstream::Error::NoMemory => Error::Busy(error.to_string()),
            upstream::Error::Odd(_) => Error::odd(error),
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        match error {
            store::Error::Unavailable(_) | store::Error::RolledBack(_) => {
                Error::StoreUnavailable(error.into())
            }
            store::Error::OutcomeUnknown(_) => Error::OutcomeUnknown(error.into()),
            _ => Error::Internal(error.into()),
        }
    }
}

impl From<vault::Error> for Error {
    fn from(error: vault::Error) -> Error {
        match error {
            vault::Error::KeyMissing(id) => Error::VaultKeyUnavailable(id),
            error => Error::Internal(error.into()),
        }
    }
}
