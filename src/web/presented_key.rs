//! The key that a request presents: in `Authorization` or `X-Api-Key`, never in the query.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use crate::gateway::{Deadline, Detail, Error, Gateway, KnownKey, RefusedToken, TokenHolder};
use crate::model::browser::PREFIX;
use crate::model::key::{Kind, Right};
use crate::web::body;
use crate::web::client_address::Client;
use crate::web::cross_origin;
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
    if key.starts_with(PREFIX) {
        return Err(Problem::not_for_tokens());
    }
    let checked = gateway.check_key(key, kind, from).await;
    let known = checked.map_err(|error| Problem::from(error).about_key(key))?;
    let is_leaked = cross_origin::is_from_a_page(gateway, headers)
        && !known.key.scopes.rights.contains(&Right::InBrowsers);
    if is_leaked {
        let error = gateway.refuse_leaked(&known, cross_origin::origin(headers), from);
        return Err(Problem::from(error).about_key(key));
    }
    Ok(known)
}

/// The token that a page presents, if it is one.
pub(crate) fn browser_token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(bearer)?;
    (bearer.starts_with(PREFIX) && !headers.contains_key(API_KEY)).then_some(bearer)
}

/// Checks a page's token, and that the page asks for nothing that is for services alone.
pub(crate) async fn check_token(
    gateway: &Gateway,
    token: &str,
    headers: &HeaderMap,
    from: IpAddr,
) -> Result<TokenHolder, Problem> {
    require_once(headers, &[AUTHORIZATION])?;
    let checked = gateway.check_token(token, cross_origin::origin(headers), from).await;
    let holder = checked.map_err(|RefusedToken { error, token }| {
        let problem = Problem::from(error);
        match token {
            Some(token) => problem.about_token(token),
            None => problem,
        }
    })?;
    let is_for_services = |name: &&HeaderName| {
        name.as_str().starts_with("countersign-") && name.as_str() != "countersign-deadline"
    };
    match headers.keys().find(is_for_services) {
        Some(name) => {
            let detail = "is not for pages to send; leave it out";
            let beyond = Detail::in_header(written(name), detail);
            Err(Problem::from(Error::Beyond(vec![beyond])).about_token(holder.token))
        }
        None => Ok(holder),
    }
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
        "countersign-auth" => "Countersign-Auth",
        _ => "Countersign-*",
    }
}
