//! Why calls fail, in words for those who can do something about it.

use crate::model::AuthKind;

/// Why a call failed, as far as somebody can act on it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Cause {
    AppRejected,
    AppNotEnabled,
    BearerRejected,
    ClockRejected,
    AccountRevoked,
    AccountBlocked,
    AccountNotActive,
    AccountUnknown,
    AccountLimit,
    ForeignPosts,
    PostsUnavailable,
    MetricsForbidden,
    Rejected,
    RateLimited,
    QuotaExhausted,
    XUnreachable,
    XUntrusted,
    XSlow,
    XFailing,
    XDown,
    XOdd,
    InvalidRequest,
    NotAllowed,
    KeyLimited,
    OutOfTime,
    Busy,
    DatabaseAway,
    VaultKeyMissing,
    Internal,
    Other,
}

/// A cause in words.
struct Words {
    name: &'static str,
    what: &'static str,
    remedy: &'static str,
}

impl Cause {
    pub const ALL: [Cause; 30] = [
        Cause::AppRejected,
        Cause::AppNotEnabled,
        Cause::BearerRejected,
        Cause::ClockRejected,
        Cause::AccountRevoked,
        Cause::AccountBlocked,
        Cause::AccountNotActive,
        Cause::AccountUnknown,
        Cause::AccountLimit,
        Cause::ForeignPosts,
        Cause::PostsUnavailable,
        Cause::MetricsForbidden,
        Cause::Rejected,
        Cause::RateLimited,
        Cause::QuotaExhausted,
        Cause::XUnreachable,
        Cause::XUntrusted,
        Cause::XSlow,
        Cause::XFailing,
        Cause::XDown,
        Cause::XOdd,
        Cause::InvalidRequest,
        Cause::NotAllowed,
        Cause::KeyLimited,
        Cause::OutOfTime,
        Cause::Busy,
        Cause::DatabaseAway,
        Cause::VaultKeyMissing,
        Cause::Internal,
        Cause::Other,
    ];

    /// The name in JSON, in the database, in metrics and in addresses.
    pub const fn name(self) -> &'static str {
        self.described().name
    }

    /// Reads the name, or its words.
    pub fn from_name(name: &str) -> Option<Cause> {
        let name = name.replace(' ', "_");
        Cause::ALL.into_iter().find(|cause| cause.name() == name)
    }

    /// The name in lists for people.
    pub fn words(self) -> String {
        self.name().replace('_', " ")
    }

    /// What happened: the rest of a sentence such as "12 calls failed: …".
    pub const fn what(self) -> &'static str {
        self.described().what
    }

    /// What to do about it, in whole sentences.
    pub const fn remedy(self) -> &'static str {
        self.described().remedy
    }

    /// The cause behind a code of the gateway's own errors.
    pub fn of_code(code: &str) -> Cause {
        match code {
            "app_credentials_rejected" => Cause::AppRejected,
            "account_not_active" => Cause::AccountNotActive,
            "account_not_found" => Cause::AccountUnknown,
            "account_limit_reached" => Cause::AccountLimit,
            "quota_exhausted" => Cause::QuotaExhausted,
            "upstream_unreachable" | "upstream_cut_short" => Cause::XUnreachable,
            "upstream_timeout" => Cause::XSlow,
            "upstream_down" => Cause::XDown,
            "upstream_odd" | "upstream_too_large" => Cause::XOdd,
            "invalid_request" | "body_too_large" | "not_json" | "not_acceptable"
            | "method_not_allowed" | "request_timeout" => Cause::InvalidRequest,
            "not_allowed" | "origin_not_allowed" | "key_leaked" => Cause::NotAllowed,
            "key_limit" | "browser_limit" => Cause::KeyLimited,
            "out_of_time" => Cause::OutOfTime,
            "busy" => Cause::Busy,
            "store_unavailable" => Cause::DatabaseAway,
            "vault_key_unavailable" => Cause::VaultKeyMissing,
            "internal" | "outcome_unknown" => Cause::Internal,
            _ => Cause::Other,
        }
    }

    /// The cause behind an error of X's, if nothing but its status and the kind of credentials is known.
    pub const fn of_status(status: u16, auth: AuthKind) -> Cause {
        match (status, auth) {
            (401, AuthKind::AppOnly) => Cause::BearerRejected,
            (429, _) => Cause::RateLimited,
            (500.., _) => Cause::XFailing,
            _ => Cause::Rejected,
        }
    }

    #[allow(clippy::too_many_lines, reason = "a table")]
    const fn described(self) -> Words {
        match self {
            Cause::AppRejected => Words {
                name: "app_rejected",
                what: "X does not accept the app's consumer key and secret, or has suspended the app",
                remedy: "Compare them with the app's page on X's developer portal; `countersign check` tests them. Once corrected, reload the settings.",
            },
            Cause::AppNotEnabled => Words {
                name: "app_not_enabled",
                what: "X has not enabled the app for the Engagement API",
                remedy: "Ask your account manager at X to authorize the app's application id for the Engagement API.",
            },
            Cause::BearerRejected => Words {
                name: "bearer_rejected",
                what: "X does not accept the app's bearer token",
                remedy: "If apps.<name>.bearer_token is set, replace or remove it: without it, the gateway gets its own.",
            },
            Cause::ClockRejected => Words {
                name: "clock_rejected",
                what: "X does not accept the time in the signature",
                remedy: "Set this machine's clock, and keep it right with NTP.",
            },
            Cause::AccountRevoked => Words {
                name: "account_revoked",
                what: "X no longer accepts the account's token",
                remedy: "Its user has revoked the app's access: send them a link to reconnect, or import a new token.",
            },
            Cause::AccountBlocked => Words {
                name: "account_blocked",
                what: "X has suspended or locked the account's user",
                remedy: "The user has to resolve that with X. The account then works again within an hour, or at once after Verify.",
            },
            Cause::AccountNotActive => Words {
                name: "account_not_active",
                what: "the account cannot be used",
                remedy: "Its page says since when and why. If X has blocked its user, they have to resolve that with X; else send them a link to reconnect, or import a new token.",
            },
            Cause::AccountUnknown => Words {
                name: "account_unknown",
                what: "the account is not connected, or the key may not use it",
                remedy: "Connect the account, or let the key use it; else the caller has to name another one.",
            },
            Cause::AccountLimit => Words {
                name: "account_limit",
                what: "the app has used as many accounts this month as it may",
                remedy: "Raise apps.<name>.account_limit, or wait for the next month (UTC).",
            },
            Cause::ForeignPosts => Words {
                name: "foreign_posts",
                what: "some posts are not the account's own, and X then refuses all of the call",
                remedy: "The caller has to name the author of these posts, or send them to POST /v1/engagement, which finds the authors.",
            },
            Cause::PostsUnavailable => Words {
                name: "posts_unavailable",
                what: "all of the posts are deleted or protected",
                remedy: "The caller has to leave these posts out.",
            },
            Cause::MetricsForbidden => Words {
                name: "metrics_forbidden",
                what: "X does not give these engagement types for this endpoint and these credentials",
                remedy: "The caller has to ask for other types, or name the posts' author.",
            },
            Cause::Rejected => Words {
                name: "rejected",
                what: "X rejected the request",
                remedy: "The caller has to correct it; what X said is with the call.",
            },
            Cause::RateLimited => Words {
                name: "rate_limited",
                what: "X's rate limit was exceeded",
                remedy: "Something else may use the app's credentials. If it has to, set apps.<name>.quota to what is left.",
            },
            Cause::QuotaExhausted => Words {
                name: "quota_exhausted",
                what: "X's quota was used up, and the call could not wait for more",
                remedy: "The overview shows which keys use it. Limit those, give this key a greater weight, or let it wait longer.",
            },
            Cause::XUnreachable => Words {
                name: "x_unreachable",
                what: "X could not be reached",
                remedy: "Look at the network, DNS, proxies and certificates between this machine and X; the log names the reason.",
            },
            Cause::XUntrusted => Words {
                name: "x_untrusted",
                what: "the certificate that X presented is not accepted",
                remedy: "It may have expired, or come from a proxy between this machine and X; the log names the reason. Look at this machine's clock and its trusted certificates, too.",
            },
            Cause::XSlow => Words {
                name: "x_slow",
                what: "X did not answer in time",
                remedy: "If this goes on, look at X's status page. limits.upstream_total says how long the gateway waits.",
            },
            Cause::XFailing => Words {
                name: "x_failing",
                what: "X failed to answer",
                remedy: "This is X's fault. Look at X's status page, and try again later.",
            },
            Cause::XDown => Words {
                name: "x_down",
                what: "most of the latest calls had failed, so the gateway made none",
                remedy: "Calls go out again by themselves once X answers.",
            },
            Cause::XOdd => Words {
                name: "x_odd",
                what: "the response was not one of X's",
                remedy: "A proxy between this machine and X may have answered instead; the log describes the response.",
            },
            Cause::InvalidRequest => Words {
                name: "invalid_request",
                what: "the request was invalid",
                remedy: "The caller has to correct it; the response named each mistake.",
            },
            Cause::NotAllowed => Words {
                name: "not_allowed",
                what: "the key may not do this",
                remedy: "Give the caller a key that may, or tell it what its key is for; GET /v1/key shows a key's rights.",
            },
            Cause::KeyLimited => Words {
                name: "key_limited",
                what: "the key's own limits were reached",
                remedy: "The caller has to ask less often; if it may not have to, raise the key's limits.",
            },
            Cause::OutOfTime => Words {
                name: "out_of_time",
                what: "the question's time ended before X answered",
                remedy: "Give the question more time (Countersign-Deadline), or ask for less at once.",
            },
            Cause::Busy => Words {
                name: "busy",
                what: "the gateway was busy with other requests",
                remedy: "If this goes on, give it more memory (limits.answer_memory), or add a replica.",
            },
            Cause::DatabaseAway => Words {
                name: "database_away",
                what: "the database was unavailable",
                remedy: "Look at the database and the way to it; the log names the reason.",
            },
            Cause::VaultKeyMissing => Words {
                name: "vault_key_missing",
                what: "the vault key that sealed the account's token is missing",
                remedy: "Add that key to vault.keys again; `countersign vault status` names it.",
            },
            Cause::Internal => Words {
                name: "internal",
                what: "something went wrong in the gateway",
                remedy: "The log has the reason, under the call's request id. Please report it.",
            },
            Cause::Other => Words {
                name: "other",
                what: "the call failed",
                remedy: "Its code is explained in the API reference.",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_cause_has_a_name_of_its_own_and_words() {
        let names: BTreeSet<&str> = Cause::ALL.iter().map(|cause| cause.name()).collect();
        assert_eq!(names.len(), Cause::ALL.len());
        for cause in Cause::ALL {
            assert_eq!(Cause::from_name(cause.name()), Some(cause));
            assert_eq!(Cause::from_name(&cause.words()), Some(cause));
            assert!(!cause.what().ends_with('.') && cause.remedy().ends_with('.'), "{cause:?}");
        }
        assert_eq!(Cause::from_name("none"), None);
    }
}
