//! What a question's answer lacks, and why.

use crate::gateway::question::Span;
use crate::model::{Cause, Metric, UserId};

/// A part of the question that will not be answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    pub posts: Vec<u64>,
    pub metrics: Vec<Metric>,
    /// Missing parts of a range; empty if the whole requested time is missing.
    pub windows: Vec<Span>,
    pub reason: Reason,
    /// The posts' author, if known; if forbidden, the user who turned out not to be the author.
    pub author: Option<UserId>,
    /// Details in words; may be empty.
    pub detail: String,
}

/// Why something is not answered.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// Deleted, protected, or otherwise gone.
    Unavailable,
    /// The author's token cannot be used: none is stored, or this key or question may not use it.
    NotConnected,
    /// The author's token does not work any more.
    AccountRevoked,
    /// The app may use no more accounts this month.
    AccountLimit,
    /// The posts are not by the owner that was named, nor by any user whose token was tried.
    Forbidden,
    /// Too old for these engagement types.
    UnsupportedAge,
    Quota,
    Deadline,
    /// Hours that X counted for other posts only: an hour ended while it was asked about the last 28, and there was no
    /// quota or time left to ask again.
    HourChanged,
    UpstreamError,
}

impl Missing {
    /// Posts that are missing in the whole window.
    pub fn whole(posts: Vec<u64>, metrics: Vec<Metric>, reason: Reason) -> Missing {
        let (windows, detail) = (Vec::new(), String::new());
        Missing { posts, metrics, windows, reason, author: None, detail }
    }
}

impl Reason {
    pub const ALL: [Reason; 10] = [
        Reason::Unavailable,
        Reason::NotConnected,
        Reason::AccountRevoked,
        Reason::AccountLimit,
        Reason::Forbidden,
        Reason::UnsupportedAge,
        Reason::Quota,
        Reason::Deadline,
        Reason::HourChanged,
        Reason::UpstreamError,
    ];

    /// Why a question that lacks everything for this reason failed.
    pub const fn cause(self) -> Cause {
        match self {
            Reason::Unavailable => Cause::PostsUnavailable,
            Reason::NotConnected => Cause::AccountUnknown,
            Reason::AccountRevoked => Cause::AccountNotActive,
            Reason::AccountLimit => Cause::AccountLimit,
            Reason::Forbidden => Cause::ForeignPosts,
            Reason::UnsupportedAge => Cause::InvalidRequest,
            Reason::Quota => Cause::QuotaExhausted,
            Reason::Deadline | Reason::HourChanged => Cause::OutOfTime,
            Reason::UpstreamError => Cause::XFailing,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Reason::Unavailable => "unavailable",
            Reason::NotConnected => "not_connected",
            Reason::AccountRevoked => "account_revoked",
            Reason::AccountLimit => "account_limit",
            Reason::Forbidden => "forbidden",
            Reason::UnsupportedAge => "unsupported_age",
            Reason::Quota => "quota",
            Reason::Deadline => "deadline",
            Reason::HourChanged => "hour_changed",
            Reason::UpstreamError => "upstream_error",
        }
    }
}
