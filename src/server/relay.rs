//! The relay's handler: what HTTP says, turned into one call on the gateway, and its answer turned back.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};

use crate::gateway::{Answer, Call, Error, Trail};
use crate::model::Endpoint;
use crate::server::encoding::{Accepted, gzip};
use crate::server::observe::Relayed;
use crate::server::problem::Problem;
use crate::server::{Host, body};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ACCOUNT: &str = "countersign-account";
const AUTH: HeaderName = HeaderName::from_static("countersign-auth");

pub(super) fn route(endpoint: Endpoint) -> MethodRouter<Host> {
    post(move |State(host): State<Host>, request: Request| async move {
        let mut trail = Trail::default();
        let answered = relay(&host, endpoint, request, &mut trail).await;
        let auth = trail.auth;
        let mut response = answered.unwrap_or_else(Problem::into_response);
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
    let (parts, incoming) = request.into_parts();
    let key = key(&parts.headers).ok_or_else(Problem::missing_key)?;
    let accepted = Accepted::of(&parts.headers);
    if accepted.nothing() {
        return Err(Problem::not_acceptable());
    }
    body::require_json(&parts.headers)?;
    let text = |name: &str| parts.headers.get(name).map(|it| it.to_str().unwrap_or("\u{fffd}"));
    let (account, auth) = (text(ACCOUNT), text(AUTH.as_str()));
    let limits = &host.0.limits;
    let body = body::read(&parts.headers, incoming, limits.body_bytes, limits).await?;
    let call = Call { endpoint, key, account, auth, body };
    let forwarded = host.0.gateway.forward(&call, trail);
    let answer = tokio::time::timeout(limits.request_deadline, forwarded)
        .await
        .map_err(|_| Error::UpstreamTimeout("limits.request_deadline has passed".into()))??;
    Ok(respond(answer, accepted))
}

/// What a caller presents as its key; the header decides, never the query.
pub(super) fn key(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(API_KEY) {
        return value.to_str().ok().map(str::trim);
    }
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// The upstream's status, headers and body; recoded only where the client cannot take the upstream's encoding.
fn respond(answer: Answer, accepted: Accepted) -> Response {
    let (body, gzipped) = match (answer.plain, accepted) {
        (Some(_), Accepted { gzip: true, .. }) => (answer.wire, true),
        (Some(plain), _) => (plain, false),
        (None, Accepted { identity: true, .. }) => (answer.wire, false),
        (None, _) => (gzip(&answer.wire), true),
    };
    let mut response = (answer.status, axum::body::Body::from(body)).into_response();
    *response.headers_mut() = answer.headers;
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if gzipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
