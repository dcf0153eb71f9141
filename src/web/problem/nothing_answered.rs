//! The status of an answer without any results, and the explanation in words.

use axum::http::StatusCode;

use crate::gateway::{Missing, Reason};

/// The status if there are no results for that reason.
pub(crate) fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::Quota => StatusCode::TOO_MANY_REQUESTS,
        Reason::Deadline => StatusCode::GATEWAY_TIMEOUT,
        Reason::UpstreamError | Reason::HourChanged => StatusCode::BAD_GATEWAY,
        Reason::AccountRevoked => StatusCode::CONFLICT,
        Reason::AccountLimit | Reason::Forbidden => StatusCode::FORBIDDEN,
        Reason::Unavailable | Reason::NotConnected | Reason::UnsupportedAge => {
            StatusCode::NOT_FOUND
        }
    }
}

/// Why there are no results, in words.
pub(crate) fn explain(missing: &[Missing]) -> String {
    let texts = missing.iter().take(5).map(|missing| {
        let posts = match missing.posts.len() {
            // No post is known of which something could be missing.
            0 => return missing.detail.clone(),
            1 => "1 post is".to_owned(),
            posts => format!("{posts} posts are"),
        };
        let comma = if missing.detail.is_empty() { "" } else { ", " };
        format!("{posts} {}{comma}{}", in_words(missing.reason), missing.detail)
    });
    texts.collect::<Vec<_>>().join("; ")
}

fn in_words(reason: Reason) -> &'static str {
    match reason {
        Reason::Unavailable => "unavailable (deleted, protected or unknown)",
        Reason::NotConnected => "by an author whose account is not connected",
        Reason::AccountRevoked => "by an author whose account's token no longer works",
        Reason::AccountLimit => "beyond the app's account limit for this month",
        Reason::Forbidden => "not by the account that was used",
        Reason::UnsupportedAge => "too old for these metrics",
        Reason::Quota => "beyond the app's quota at X",
        Reason::Deadline => "not ready before the deadline",
        Reason::HourChanged => "counted over other hours",
        Reason::UpstreamError => "missing because X returned an unexpected response",
    }
}
