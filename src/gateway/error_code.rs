//! The code of each error, by which callers and operators tell errors apart.

use crate::gateway::Error;

impl Error {
    /// The code in answers, in the log and in metrics. No `_` arm: a new error does not compile until it has one.
    pub fn code(&self) -> &'static str {
        match self {
            Error::InvalidRequest(_) => "invalid_request",
            Error::UnknownKey | Error::WrongKind { .. } => "unknown_key",
            Error::TooManyGuesses => "too_many_guesses",
            Error::TooManyLinks { .. } => "too_many_links",
            Error::NotAllowed(_) | Error::Beyond(_) => "not_allowed",
            Error::TokenInvalid => "token_invalid",
            Error::TokenExpired => "token_expired",
            Error::TokenWithdrawn => "token_withdrawn",
            Error::OriginNotAllowed => "origin_not_allowed",
            Error::BrowserLimited(_) => "browser_limit",
            Error::KeyLeaked => "key_leaked",
            Error::AccountNotFound => "account_not_found",
            Error::AccountNotActive { .. } => "account_not_active",
            Error::AccountLimitReached { .. } => "account_limit_reached",
            Error::QuotaExhausted { .. } => "quota_exhausted",
            Error::KeyLimited(_) => "key_limit",
            Error::NothingAnswered { .. } => "nothing_answered",
            Error::NotFound(_) => "not_found",
            Error::AlreadyExists(_) => "already_exists",
            Error::NotConnected(_) => "not_connected",
            Error::UpstreamUnreachable(_) => "upstream_unreachable",
            Error::UpstreamDown { .. } => "upstream_down",
            Error::UpstreamCutShort(_) => "upstream_cut_short",
            Error::UpstreamTooLarge(_) => "upstream_too_large",
            Error::UpstreamTimeout(_) => "upstream_timeout",
            Error::UpstreamOdd { .. } => "upstream_odd",
            Error::AppCredentialsRejected { .. } => "app_credentials_rejected",
            Error::Busy(_) => "busy",
            Error::VaultKeyUnavailable(_) => "vault_key_unavailable",
            Error::StoreUnavailable(_) => "store_unavailable",
            Error::ImportStopped { .. } => "import_stopped",
            Error::OutcomeUnknown(_) => "outcome_unknown",
            Error::Internal(_) => "internal",
        }
    }
}
