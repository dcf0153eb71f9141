//! The status of an answer without any results, and the explanation in words.

use axum::http::StatusCode;

use crate::gateway::{Missing, Reason};

/// The status if there are no results for that reason.
pub(crate) fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::Quota => StatusCode::TOO_MANY_REQUESTS,
        Reason::Deadline => StatusCode::GATEWAY_TIMEOUT,
        Reason::UpstreamError => StatusCode::BAD_GATEWAY,
        Reason::AccountRevoked => StatusCode::CONFLICT,
        Reason::AccountLimit | Reason::Forbidden => StatusCode::FORBIDDEN,
        Reason::Unavailable | Reason::NotConnected | Reason::UnsupportedAge => {
            StatusCode::NOT_FOUND
        }
    }
}

/// Why there are no results, in words.
pub(crate) fn why(missing: &[Missing]) -> String {
    let why = missing.iter().take(5).map(|missing| {
        let posts = missing.posts.len();
        let noun = if posts == 1 { "post" } else { "posts" };
        let more = if missing.detail.is_empty() { "" } else { ", " };
        format!("{posts} {noun} {}{more}{}", missing.reason.name(), missing.detail)
    });
    why.collect::<Vec<_>>().join("; ")
}
