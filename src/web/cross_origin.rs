//! CORS for pages that ask with tokens (Fetch, "CORS protocol"): which origins may send a question, and read what comes
//! back, errors included.
//!
//! Not `tower-http`'s layer: it answers the preflight of a refused origin like that of any other but for one header, has
//! no answer for the time before the origins are known, and cannot dress what is answered before there is a route.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW,
    ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::gateway::Gateway;
use crate::web::client_address::Client;
use crate::web::host::Host;
use crate::web::problem::Problem;

/// The only path that pages may use.
pub(crate) const PATH: &str = "/v1/engagement";

/// By which browsers say how a page relates to the address that it asks (Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const METHODS: HeaderValue = HeaderValue::from_static("POST");
const HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, accept, countersign-deadline");
/// In seconds; Chromium keeps a preflight no longer.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "countersign-complete, countersign-missing, countersign-note, countersign-error, retry-after, age, x-request-id",
);

/// `OPTIONS`: what a page of that origin may send. It bears no token, so it is answered by the origins of all keys.
pub(crate) async fn preflight(
    State(host): State<Host>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers();
    let mut response = StatusCode::NO_CONTENT.into_response();
    let Some(origin) = headers.get(ORIGIN) else {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
        return Ok(response);
    };
    if !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return Ok(response);
    }
    let named = origin.to_str().unwrap_or_default();
    let Some(is_allowed) = host.gateway().allows_origin(named) else {
        return Err(Problem::starting("the origins of pages have not been read yet"));
    };
    let outcome = if is_allowed { "allowed" } else { "refused" };
    metrics::counter!("countersign_preflights_total", "outcome" => outcome).increment(1);
    if !is_allowed {
        let why = "no key has this origin, so the browser asks nothing";
        host.gateway().record_page_refusal(why, None, Some(named), Client::address(&request));
        return Ok(response);
    }
    let answered = response.headers_mut();
    answered.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    answered.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    answered.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    Ok(response)
}

/// Lets pages of an allowed origin read an answer, and says that it depends on the origin.
pub(crate) fn dress(gateway: &Gateway, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    let varies = match headers.get(VARY).and_then(|value| value.to_str().ok()) {
        Some(others) => HeaderValue::from_str(&format!("{others}, origin")),
        None => Ok(HeaderValue::from_static("origin")),
    };
    if let Ok(varies) = varies {
        headers.insert(VARY, varies);
    }
    let is_allowed = |origin: &&HeaderValue| {
        origin.to_str().is_ok_and(|origin| gateway.allows_origin(origin) == Some(true))
    };
    if let Some(origin) = origin.filter(is_allowed) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// The origin that a browser names.
pub(crate) fn origin(headers: &HeaderMap) -> Option<&str> {
    headers.get(ORIGIN)?.to_str().ok()
}

/// Whether a browser sent this for a page of another site, where a key would be in everybody's hands.
pub(crate) fn is_from_a_page(gateway: &Gateway, headers: &HeaderMap) -> bool {
    let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
    matches!(site, Some(b"cross-site" | b"same-site"))
        || origin(headers).is_some_and(|origin| gateway.allows_origin(origin) == Some(true))
}
