//! What all answers to people's browsers have in common: the headers that guard a page, and where a form came from.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::server::problem::Problem;
use crate::server::{connect, console};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Pages for the same people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// For users who connect accounts.
    Connect,
    /// For admins.
    Console,
}

impl Place {
    /// Whose pages stand there; whatever happens is answered in pages, too.
    pub(super) fn of(uri: &Uri) -> Option<Place> {
        let is_below = |root: &str| {
            uri.path().strip_prefix(root).is_some_and(|it| it.is_empty() || it.starts_with('/'))
        };
        match () {
            () if is_below("/connect") => Some(Place::Connect),
            () if is_below("/console") => Some(Place::Console),
            () => None,
        }
    }

    /// The page for what no handler has answered with one.
    pub(super) fn problem_page(self, problem: &Problem) -> String {
        match self {
            Place::Connect => connect::problem_page(problem.status()),
            Place::Console => console::problem_page(problem),
        }
    }

    fn policy(self) -> &'static str {
        match self {
            Place::Connect => connect::POLICY,
            Place::Console => console::POLICY,
        }
    }

    /// Adds what every answer there carries.
    pub(super) fn guard(self, headers: &mut HeaderMap) {
        let fixed = [
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (CONTENT_SECURITY_POLICY, self.policy()),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (OPENER, "same-origin"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// Whether a form of our own was sent: browsers say where a request comes from.
pub(super) fn is_same_origin(headers: &HeaderMap, own: Option<&str>) -> bool {
    let site = headers.get_all(SEC_FETCH_SITE).iter().all(|it| it == "same-origin");
    // A policy of no referrer makes it `null`, also for one's own forms.
    let origin = headers.get_all(ORIGIN).iter().all(|it| {
        it == "null" && headers.contains_key(SEC_FETCH_SITE)
            || own.is_some_and(|own| it.as_bytes() == own.as_bytes())
    });
    site && origin
}

pub(super) fn is_secure(public_url: Option<&str>) -> bool {
    public_url.is_some_and(|it| it.starts_with("https:"))
}

/// Sends a browser on; `None` for what is no URL.
pub(super) fn see_other(url: String) -> Option<Response> {
    let url = HeaderValue::try_from(url).ok()?;
    Some((StatusCode::SEE_OTHER, [(LOCATION, url)]).into_response())
}

pub(super) fn page(status: StatusCode, text: String) -> Response {
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

pub(super) fn icon(text: &'static str) -> Response {
    ([(CONTENT_TYPE, "image/svg+xml")], text).into_response()
}

pub(super) fn style(text: &'static str) -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], text).into_response()
}
