//! The status and words for each of the gateway's errors.

use std::time::Duration;

use axum::http::StatusCode;

use crate::gateway::{Detail, Error, Location, OverLimit, OverPageLimit, Reason};
use crate::model::AccountState;
use crate::model::handshake::NotConnected;
use crate::web::problem::nothing_answered;
use crate::web::problem::{Problem, SOON};
use crate::wire::rfc3339;

/// How many problems a `detail` spells out; `problems` has more.
const SPELT_OUT: usize = 5;
/// How soon to retry, if an operator has to act first.
const OPERATOR: Duration = Duration::from_secs(10);

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let text = error.to_string();
        let (status, title) = status_of(&error);
        let detail = match &error {
            Error::InvalidRequest(problems) | Error::Beyond(problems) => spell_out(problems),
            Error::AccountNotActive { account, state, since, reconnect } => {
                let link =
                    "; that link is in reconnect_url and in the header Countersign-Reconnect-Url";
                let helps = reconnect.is_some() && *state != AccountState::Blocked;
                let link = if helps { link } else { "" };
                let since = rfc3339(*since);
                let name = account.name();
                format!(
                    "the account {name} has been {state} since {since}: {}{link}",
                    remedy(*state)
                )
            }
            Error::AccountLimitReached { app, until, .. } => {
                let until = rfc3339(*until);
                format!(
                    "{text}; other accounts can be used from {until}, or once an operator raises apps.{app}.account_limit"
                )
            }
            Error::QuotaExhausted { retry_after, .. } => {
                format!("{text}; a call can be made in about {} s", retry_after.as_secs())
            }
            Error::NotConnected(end) => format!("{text} {}", end.advice()),
            Error::NothingAnswered { missing, .. } => {
                format!("no results: {}", nothing_answered::explain(missing))
            }
            Error::VaultKeyUnavailable(_) => {
                format!("{text}; an operator has to add it to vault.keys")
            }
            Error::OutcomeUnknown(_) => {
                format!("{text}; look whether it did before you try again")
            }
            Error::ImportStopped { cause, .. } => format!("{text}: {cause}"),
            Error::AppCredentialsRejected { .. } => {
                format!("{text}; an operator has to check them with `countersign check`")
            }
            _ => text,
        };
        Problem::new(status, error.code(), title, detail).change(|parts| {
            parts.retry_after = retry_after(&error);
            if let Error::InvalidRequest(problems) | Error::Beyond(problems) = &error {
                parts.problems.clone_from(problems);
            }
            parts.cause = Some(error);
        })
    }
}

/// Status and title of each error. No `_` arm: a new error does not compile until it is listed here.
fn status_of(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "Invalid request"),
        Error::UnknownKey | Error::WrongKind { .. } => {
            (StatusCode::UNAUTHORIZED, "The key is not accepted")
        }
        Error::TooManyGuesses => (StatusCode::TOO_MANY_REQUESTS, "Too many invalid keys"),
        Error::TooManyLinks { .. } => (StatusCode::TOO_MANY_REQUESTS, "Too many pending links"),
        Error::NotAllowed(_) => (StatusCode::FORBIDDEN, "Not allowed for this key"),
        Error::Beyond(_) => (StatusCode::FORBIDDEN, "Not allowed"),
        Error::TokenInvalid => (StatusCode::UNAUTHORIZED, "The token is not accepted"),
        Error::TokenExpired => (StatusCode::UNAUTHORIZED, "The token has ended"),
        Error::TokenWithdrawn => (StatusCode::UNAUTHORIZED, "The token was withdrawn"),
        Error::OriginNotAllowed => (StatusCode::FORBIDDEN, "Not allowed for this page"),
        Error::BrowserLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "Too many questions"),
        Error::KeyLeaked => (StatusCode::FORBIDDEN, "The key has leaked"),
        Error::AccountNotFound => (StatusCode::NOT_FOUND, "Account not found"),
        Error::AccountNotActive { .. } => (StatusCode::CONFLICT, "The account cannot be used"),
        Error::AccountLimitReached { .. } => {
            (StatusCode::FORBIDDEN, "The app's account limit for this month is reached")
        }
        Error::QuotaExhausted { .. } => (StatusCode::TOO_MANY_REQUESTS, "X's quota is used up"),
        Error::KeyLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "The key's limit is reached"),
        Error::NothingAnswered { reason, .. } => {
            (nothing_answered::status_of(*reason), "No results")
        }
        Error::NotFound(_) => (StatusCode::NOT_FOUND, "Not found"),
        Error::AlreadyExists(_) => (StatusCode::CONFLICT, "Already exists"),
        Error::UpstreamUnreachable(_) => (StatusCode::BAD_GATEWAY, "X could not be reached"),
        Error::UpstreamDown { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "X does not answer at present")
        }
        Error::NotConnected(end) => (status_of_end(*end), "The account was not connected"),
        Error::UpstreamCutShort(_) => (StatusCode::BAD_GATEWAY, "X's response was incomplete"),
        Error::UpstreamTooLarge(_) => (StatusCode::BAD_GATEWAY, "X's response is too large"),
        Error::UpstreamTimeout(_) => (StatusCode::GATEWAY_TIMEOUT, "X did not respond in time"),
        Error::UpstreamOdd { .. } => (StatusCode::BAD_GATEWAY, "X returned an unexpected response"),
        Error::AppCredentialsRejected { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "X rejected the app's credentials")
        }
        Error::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "The gateway is busy"),
        Error::VaultKeyUnavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "A vault key is missing")
        }
        Error::StoreUnavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "The database is unavailable")
        }
        Error::ImportStopped { cause, .. } => (status_of(cause).0, "The import stopped"),
        Error::OutcomeUnknown(_) => (StatusCode::INTERNAL_SERVER_ERROR, "The outcome is unknown"),
        Error::Internal(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong in the gateway")
        }
    }
}

/// How long to wait before a retry may work, if waiting helps.
fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        Error::UpstreamUnreachable(_)
        | Error::UpstreamCutShort(_)
        | Error::UpstreamTimeout(_)
        | Error::Busy(_)
        | Error::StoreUnavailable(_)
        | Error::KeyLimited(OverLimit::AtOnce { .. })
        | Error::NotConnected(
            NotConnected::XAway | NotConnected::OddAnswer | NotConnected::UnderWay,
        ) => Some(SOON),
        Error::UpstreamOdd { retry_after, .. } => Some(retry_after.unwrap_or(SOON)),
        Error::TooManyGuesses => Some(Duration::from_mins(1)),
        Error::VaultKeyUnavailable(_) => Some(OPERATOR),
        Error::AppCredentialsRejected { retry_after, .. }
        | Error::QuotaExhausted { retry_after, .. }
        | Error::UpstreamDown { retry_after, .. }
        | Error::BrowserLimited(OverPageLimit { retry_after, .. })
        | Error::KeyLimited(OverLimit::PerMinute { retry_after, .. })
        | Error::AccountLimitReached { retry_after, .. }
        | Error::TooManyLinks { retry_after, .. } => Some(*retry_after),
        Error::NothingAnswered { reason, retry_after, .. } => match reason {
            Reason::Deadline | Reason::UpstreamError => Some(retry_after.unwrap_or(SOON)),
            _ => *retry_after,
        },
        Error::ImportStopped { cause, .. } => self::retry_after(cause),
        _ => None,
    }
}

fn status_of_end(end: NotConnected) -> StatusCode {
    match end {
        NotConnected::LinkUnknown => StatusCode::NOT_FOUND,
        NotConnected::LinkUsed | NotConnected::TookTooLong => StatusCode::GONE,
        NotConnected::OtherBrowser | NotConnected::Cancelled | NotConnected::OtherUser => {
            StatusCode::FORBIDDEN
        }
        NotConnected::CallbackNotApproved
        | NotConnected::ClockRejected
        | NotConnected::AppSuspended
        | NotConnected::AppRejected
        | NotConnected::OddAnswer
        | NotConnected::XAway => StatusCode::BAD_GATEWAY,
        NotConnected::UnderWay => StatusCode::CONFLICT,
    }
}

fn spell_out(problems: &[Detail]) -> String {
    let texts: Vec<String> = problems
        .iter()
        .take(SPELT_OUT)
        .map(|problem| match &problem.place {
            Location::Body(pointer) if pointer.is_empty() => {
                format!("the body: {}", problem.detail)
            }
            place => format!("{place}: {}", problem.detail),
        })
        .collect();
    let more: usize = problems.iter().skip(SPELT_OUT).map(|problem| problem.stands_for).sum();
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{more}", texts.join("; "))
}

fn remedy(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "try again",
        AccountState::Revoked => {
            "its user revoked the app's access, so an operator has to import a new token, or send the user a link to reconnect"
        }
        AccountState::Blocked => {
            "X has suspended or locked its user, who has to resolve that with X; the account then works again within an hour, or at once if an operator verifies it"
        }
        AccountState::Quarantined => {
            "its stored token cannot be trusted, so an operator has to import the token again, or send the user a link to reconnect"
        }
    }
}
