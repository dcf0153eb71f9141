//! The key that a request presents: in `Authorization` or `X-Api-Key`, never in the query.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use crate::gateway::{Deadline, Detail, Gateway, KnownKey};
use crate::model::key::Kind;
use crate::web::body;
use crate::web::client_address::Client;
use crate::web::host::Host;
use crate::web::problem::Problem;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A caller's key and its request's JSON. The key is checked first: strangers' bodies take no memory.
pub(crate) async fn read(
    host: &Host,
    request: Request,
    most: usize,
) -> Result<(Arc<KnownKey>, Bytes), Problem> {
    let from = Client::address(&request);
    let (parts, incoming) = request.into_parts();
    let key = check_key(host.gateway(), &parts.headers, Kind::Caller, from).await?;
    body::require_json(&parts.headers)?;
    let (limits, expected) = (host.limits(), body::expected(&parts.headers, most));
    let deadline = Deadline::within(limits.request_deadline);
    let (_, held) = host.gateway().begin_call(&key, expected, deadline).await?;
    let body = body::read(&parts.headers, incoming, most, limits, deadline).await?;
    Ok((key, held.attach(body)))
}

/// Checks the presented key, which must be of that kind; `from` is noted if it is refused.
pub(crate) async fn check_key(
    gateway: &Gateway,
    headers: &HeaderMap,
    kind: Kind,
    from: IpAddr,
) -> Result<Arc<KnownKey>, Problem> {
    let key = key(headers, kind)?;
    let checked = gateway.check_key(key, kind, from).await;
    checked.map_err(|error| Problem::from(error).about_key(key))
}

/// The text presented as a key of that kind, in a header, never the query. `X-Api-Key` may stand beside somebody else's
/// `Authorization`, but two keys of ours would leave open whose call it is.
fn key(headers: &HeaderMap, kind: Kind) -> Result<&str, Problem> {
    require_once(headers, &[AUTHORIZATION, API_KEY])?;
    // A value that is not text is treated like any unknown key.
    let api_key = headers.get(API_KEY).map(|value| value.to_str().unwrap_or_default().trim());
    let bearer = headers.get(AUTHORIZATION).and_then(bearer);
    match (api_key, bearer) {
        (Some(api_key), Some(bearer)) if Kind::of(bearer).is_some() && api_key != bearer => {
            let detail = "is not the key in Authorization; send only one of them";
            Err(Problem::invalid(vec![Detail::in_header("X-Api-Key", detail)]))
        }
        (Some(key), _) | (None, Some(key)) => Ok(key),
        (None, None) => Err(Problem::missing_key(kind)),
    }
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// Refuses repeated headers: which value counts is for the caller to say, as proxies on the way may disagree about it.
pub(crate) fn require_once(headers: &HeaderMap, names: &[HeaderName]) -> Result<(), Problem> {
    let repeated = names.iter().filter(|name| headers.get_all(*name).iter().nth(1).is_some());
    let problems: Vec<Detail> = repeated
        .map(|name| Detail::in_header(written(name), "is sent more than once; send it once"))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Problem::invalid(problems)) }
}

/// The header's name as the manual writes it.
fn written(name: &HeaderName) -> &'static str {
    match name.as_str() {
        "authorization" => "Authorization",
        "x-api-key" => "X-Api-Key",
        "countersign-account" => "Countersign-Account",
        _ => "Countersign-Auth",
    }
}
