//! Addresses of the console's pages, and of the listeners.

use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::web::host::Host;
use crate::web::html;

pub(crate) const ROOT: &str = "/console/";

pub(crate) const START: &str = "/console/start";

pub(crate) const SIGN_IN: &str = "/console/sign-in";

/// The scheme and authority of this request, if pages may be shown there.
pub(crate) fn own_origin(headers: &HeaderMap, public_url: Option<&str>) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let public =
        public_url.filter(|url| url.split_once("://").is_some_and(|parts| parts.1 == host));
    if let Some(public) = public {
        return Some(public.to_owned());
    }
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    matches!(name, "127.0.0.1" | "localhost" | "[::1]").then(|| format!("http://{host}"))
}

/// Where callers are served, for commands to copy.
pub(crate) fn callers_url(host: &Host) -> &str {
    host.gateway().public_url().unwrap_or("http://127.0.0.1:8080")
}

pub(crate) fn see_other(url: &str) -> Response {
    html::see_other(url.to_owned()).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

/// A path with those of the query parameters that are not empty.
pub(crate) fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let given = parameters.iter().filter(|parameter| !parameter.1.is_empty());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}
