//! The relay's handler: what HTTP says, turned into one call on the gateway, and its answer turned back.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use bytes::Bytes;

use crate::gateway::{
    Answer, Call, Error, Held, KnownKey, PREPAID, Problem as Detail, Trail, Unpacked,
};
use crate::model::Endpoint;
use crate::model::key::Kind;
use crate::server::encoding::Accepted;
use crate::server::observe::Relayed;
use crate::server::peer::Client;
use crate::server::problem::Problem;
use crate::server::{Host, body, pieces};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ACCOUNT: HeaderName = HeaderName::from_static("countersign-account");
const AUTH: HeaderName = HeaderName::from_static("countersign-auth");

pub(super) fn route(endpoint: Endpoint) -> MethodRouter<Host> {
    post(move |State(host): State<Host>, request: Request| async move {
        let mut trail = Trail::default();
        let answered = relay(&host, endpoint, request, &mut trail).await;
        let auth = trail.auth;
        let mut response = match answered {
            Ok(response) => response,
            Err(problem) => with_quotas(&host, endpoint, &trail, problem),
        };
        if let Some(auth) = auth {
            response.headers_mut().insert(AUTH, HeaderValue::from_static(auth.name()));
        }
        response.extensions_mut().insert(Relayed { endpoint, trail: trail.into() });
        response
    })
}

async fn relay(
    host: &Host,
    endpoint: Endpoint,
    request: Request,
    trail: &mut Trail,
) -> Result<Response, Problem> {
    let from = Client::address(&request);
    let (parts, incoming) = request.into_parts();
    // Before its body is read: strangers' bodies take no memory.
    let key = check_key(host, &parts.headers, Kind::Caller, from).await?;
    trail.key = Some(Arc::clone(&key));
    require_once(&parts.headers, &[ACCOUNT, AUTH])?;
    let accepted = Accepted::required(&parts.headers)?;
    body::require_json(&parts.headers)?;
    let text = |name| parts.headers.get(name).map(|it| it.to_str().unwrap_or("\u{fffd}"));
    let (account, auth) = (text(ACCOUNT), text(AUTH));
    let limits = &host.0.limits;
    let expected = PREPAID + body::expected(&parts.headers, limits.body_bytes);
    let held = host.0.gateway.hold_memory(&key, expected, limits.request_deadline).await?;
    let body = body::read(&parts.headers, incoming, limits.body_bytes, limits).await?;
    let call = Call { key: &key, from, endpoint, account, auth, body };
    let forwarded = host.0.gateway.forward(&call, held, trail);
    let answer = tokio::time::timeout(limits.request_deadline, forwarded)
        .await
        .map_err(|_| Error::UpstreamTimeout("limits.request_deadline has passed".into()))??;
    if let (Some(app), Some(auth)) = (&key.key.scopes.app, trail.auth) {
        host.0.quotas.remember(app, endpoint, auth, &answer.headers);
    }
    Ok(respond(answer, accepted))
}

/// A refusal, with the quotas that X's clients look for in every answer.
fn with_quotas(host: &Host, endpoint: Endpoint, trail: &Trail, problem: Problem) -> Response {
    let mut response = problem.into_response();
    let app = trail.key.as_ref().and_then(|it| it.key.scopes.app.as_deref());
    if let Some(app) = app {
        let now = host.0.clock.now().unix_timestamp();
        host.0.quotas.repeat(app, endpoint, trail.auth, now, response.headers_mut());
    }
    response
}

/// A caller's key and the JSON that it brings. The key first: strangers' bodies take no memory.
pub(super) async fn read(
    host: &Host,
    request: Request,
    most: usize,
) -> Result<(Arc<KnownKey>, Bytes), Problem> {
    let from = Client::address(&request);
    let (parts, incoming) = request.into_parts();
    let key = check_key(host, &parts.headers, Kind::Caller, from).await?;
    body::require_json(&parts.headers)?;
    let (limits, expected) = (&host.0.limits, body::expected(&parts.headers, most));
    let held = host.0.gateway.hold_memory(&key, expected, limits.request_deadline).await?;
    let body = body::read(&parts.headers, incoming, most, limits).await?;
    Ok((key, held.attach(body)))
}

/// Whoever presents a key of that kind from there.
pub(super) async fn check_key(
    host: &Host,
    headers: &HeaderMap,
    kind: Kind,
    from: IpAddr,
) -> Result<Arc<KnownKey>, Problem> {
    let key = key(headers, kind)?;
    let checked = host.0.gateway.check_key(key, kind, from).await;
    checked.map_err(|error| Problem::from(error).about_key(key))
}

/// What is presented as a key of that kind; a header decides, never the query. `X-Api-Key` stands beside an `Authorization`
/// of somebody else's, but two keys of ours would leave open whose call it is.
fn key(headers: &HeaderMap, kind: Kind) -> Result<&str, Problem> {
    require_once(headers, &[AUTHORIZATION, API_KEY])?;
    // What cannot be read as text is a key like any other that is not known.
    let api_key = headers.get(API_KEY).map(|it| it.to_str().unwrap_or_default().trim());
    let bearer = headers.get(AUTHORIZATION).and_then(bearer);
    match (api_key, bearer) {
        (Some(api_key), Some(bearer)) if Kind::of(bearer).is_some() && api_key != bearer => {
            let detail = "holds another key than Authorization does; send one of the two";
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

/// Which of two values counts is for the caller to say: proxies on the way may disagree about it.
fn require_once(headers: &HeaderMap, names: &[HeaderName]) -> Result<(), Problem> {
    let repeated = names.iter().filter(|it| headers.get_all(*it).iter().nth(1).is_some());
    let problems: Vec<Detail> = repeated
        .map(|it| {
            Detail::in_header(written(it), "stands in the request more than once; send it once")
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Problem::invalid(problems)) }
}

/// As the manual writes it.
fn written(name: &HeaderName) -> &'static str {
    match name.as_str() {
        "authorization" => "Authorization",
        "x-api-key" => "X-Api-Key",
        "countersign-account" => "Countersign-Account",
        _ => "Countersign-Auth",
    }
}

/// The upstream's status, headers and body; recoded only where the client cannot take the upstream's encoding.
fn respond(answer: Answer, accepted: Accepted) -> Response {
    let encoded = answer.headers.contains_key(CONTENT_ENCODING);
    let (body, gzipped): (Body, bool) = match (answer.unpacked, accepted) {
        _ if encoded => (answer.wire.into(), false),
        (Some(_), Accepted { gzip: true, .. }) => (answer.wire.into(), true),
        (Some(Unpacked { start, length }), _) if start.len() == length => {
            (Held::beside(start, answer.wire).into(), false)
        }
        (Some(Unpacked { length, .. }), _) => (pieces::unpacked(answer.wire, length), false),
        (None, Accepted { identity: true, .. }) => (answer.wire.into(), false),
        (None, _) => (pieces::packed(answer.wire), true),
    };
    let mut response = (answer.status, body).into_response();
    *response.headers_mut() = answer.headers;
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if gzipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
