//! What all answers to people's browsers have in common: the headers that guard a page, and where a form came from.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::web::problem::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// No scripts, only our own styles, and never in a frame. There is no `form-action`: browsers would apply it to X's
/// redirects as well.
pub(crate) const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A group of pages for the same people: errors below their root are answered with pages, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Face {
    pub(crate) root: &'static str,
    /// Their content security policy.
    pub(crate) policy: &'static str,
    /// The page for a problem that no handler has answered with one.
    pub(crate) problem_page: fn(&Problem) -> String,
}

impl Face {
    /// Whether a path is the root, or below it.
    pub(crate) fn has(&self, path: &str) -> bool {
        path.strip_prefix(self.root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Adds the headers that every answer there carries.
    pub(crate) fn guard(&self, headers: &mut HeaderMap) {
        guard(self.policy, headers);
    }
}

/// Adds the headers that every page carries.
pub(crate) fn guard(policy: &'static str, headers: &mut HeaderMap) {
    let fixed = [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (OPENER, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Whether a request comes from a form of our own: browsers say where it was sent.
pub(crate) fn is_same_origin(headers: &HeaderMap, own: Option<&str>) -> bool {
    let site = headers.get_all(SEC_FETCH_SITE).iter().all(|site| site == "same-origin");
    // The referrer policy makes it `null`, even for our own forms.
    let origin = headers.get_all(ORIGIN).iter().all(|origin| {
        origin == "null" && headers.contains_key(SEC_FETCH_SITE)
            || own.is_some_and(|own| origin.as_bytes() == own.as_bytes())
    });
    site && origin
}

pub(crate) fn is_secure(public_url: Option<&str>) -> bool {
    public_url.is_some_and(|url| url.starts_with("https:"))
}

/// Redirects a browser; `None` if `url` cannot be a header.
pub(crate) fn see_other(url: String) -> Option<Response> {
    let url = HeaderValue::try_from(url).ok()?;
    Some((StatusCode::SEE_OTHER, [(LOCATION, url)]).into_response())
}

pub(crate) fn page(status: StatusCode, text: String) -> Response {
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

pub(crate) fn icon(text: &'static str) -> Response {
    ([(CONTENT_TYPE, "image/svg+xml")], text).into_response()
}

pub(crate) fn style(text: &'static str) -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], text).into_response()
}
