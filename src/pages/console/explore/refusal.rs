//! What the gateway refuses, in words for people who see a form: no paths into JSON, and no names of its fields.

use axum::http::StatusCode;

use crate::gateway::{Detail, Error, Location};
use crate::pages::console::layout::sentence;
use crate::web::problem::Problem;

/// Mistakes that are listed.
const MOST: usize = 5;

/// The status of the page, and what was wrong, in sentences.
pub(super) fn in_words(error: Error) -> (StatusCode, Vec<String>) {
    if let Error::InvalidRequest(details) = &error {
        let mut messages: Vec<String> = details.iter().map(message).collect();
        messages.dedup();
        messages.truncate(MOST);
        return (StatusCode::BAD_REQUEST, messages);
    }
    let problem = Problem::from(error);
    (problem.status(), vec![sentence(problem.words().1)])
}

/// A mistake, after what the form calls the field.
fn message(detail: &Detail) -> String {
    let pointer = match &detail.place {
        Location::Body(pointer) => &**pointer,
        Location::Line(_) | Location::Header(_) | Location::Path | Location::Query => "",
    };
    let field = match pointer.split('/').nth(1).unwrap_or_default() {
        "tweet_ids" => "Posts: ",
        "engagement_types" => "Engagement types: ",
        "groupings" => "Results: ",
        "window" if pointer.ends_with("/start") => "From: ",
        "window" if pointer.ends_with("/end") => "Until: ",
        "window" => "Period: ",
        _ => "",
    };
    sentence(&format!("{field}{}", detail.detail))
}
