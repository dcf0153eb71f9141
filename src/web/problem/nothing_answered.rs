//! Which status an answer has of which nothing could be had, and why in words.

use axum::http::StatusCode;

use crate::gateway::{Missing, Reason};

/// The status where nothing could be had.
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

/// Why, in words.
pub(crate) fn why(missing: &[Missing]) -> String {
    let why = missing.iter().take(5).map(|it| {
        let posts = it.posts.len();
        let noun = if posts == 1 { "post" } else { "posts" };
        let more = if it.detail.is_empty() { "" } else { ", " };
        format!("{posts} {noun} {}{more}{}", it.reason.name(), it.detail)
    });
    why.collect::<Vec<_>>().join("; ")
}
