//! The relay's handler: turns an HTTP request into one call on the gateway, and the answer back into HTTP.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};

use crate::gateway::{
    Answer, CallTrace, Deadline, Error, Held, PREPAID, Patience, Portion, RelayRequest, Unpacked,
};
use crate::model::Endpoint;
use crate::model::key::Kind;
use crate::web::client_address::Client;
use crate::web::host::Host;
use crate::web::negotiation::Accepted;
use crate::web::observe::Relayed;
use crate::web::presented_key::{check_key, require_once};
use crate::web::problem::Problem;
use crate::web::{body, freshness, streaming};

const ACCOUNT: HeaderName = HeaderName::from_static("countersign-account");
const AUTH: HeaderName = HeaderName::from_static("countersign-auth");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

pub(crate) fn route(endpoint: Endpoint) -> MethodRouter<Host> {
    post(move |State(host): State<Host>, request: Request| async move {
        let mut trace = CallTrace::default();
        let answered = relay(&host, endpoint, request, &mut trace).await;
        let auth = trace.auth;
        let mut response = match answered {
            Ok(response) => response,
            Err(problem) => with_quotas(&host, endpoint, &trace, problem),
        };
        if let Some(auth) = auth {
            response.headers_mut().insert(AUTH, HeaderValue::from_static(auth.name()));
        }
        response.extensions_mut().insert(Relayed { endpoint, trace: trace.into() });
        response
    })
}

async fn relay(
    host: &Host,
    endpoint: Endpoint,
    request: Request,
    trace: &mut CallTrace,
) -> Result<Response, Problem> {
    let from = Client::address(&request);
    let (parts, incoming) = request.into_parts();
    // Before the body is read: strangers' bodies take no memory.
    let key = check_key(host.gateway(), &parts.headers, Kind::Caller, from).await?;
    trace.key = Some(Arc::clone(&key));
    require_once(&parts.headers, &[ACCOUNT, AUTH])?;
    let accepted = Accepted::required(&parts.headers)?;
    body::require_json(&parts.headers)?;
    let text = |name| parts.headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    let (account, auth) = (text(ACCOUNT), text(AUTH));
    let limits = host.limits();
    let expected = PREPAID + body::expected(&parts.headers, limits.body_bytes);
    let deadline = Deadline::within(limits.request_deadline);
    let (_handled, held) = host.gateway().begin_call(&key, expected, deadline).await?;
    let body = body::read(&parts.headers, incoming, limits.body_bytes, limits, deadline).await?;
    let patience = Patience { longest: Some(limits.quota_wait), end: deadline.end };
    let is_shared = !freshness::of(&parts.headers).is_own;
    let call = RelayRequest { key: &key, from, endpoint, account, auth, body, patience, is_shared };
    let forwarded = host.gateway().forward(&call, held, trace);
    let answer = tokio::time::timeout_at(deadline.end, forwarded)
        .await
        .map_err(|_| Error::UpstreamTimeout("limits.request_deadline has passed".into()))??;
    if let (Some(app), Some(auth)) = (&key.key.scopes.app, trace.auth) {
        host.quotas().remember(app, endpoint, auth, &answer.headers);
    }
    let mut response = respond(answer, accepted);
    if let Some(portion) = trace.portion {
        name_portion(portion, response.headers_mut());
    }
    Ok(response)
}

/// The key's own part of X's quota, in the fields of draft-ietf-httpapi-ratelimit-headers; X's own headers are about the
/// whole.
fn name_portion(Portion { limit, left, reset }: Portion, headers: &mut HeaderMap) {
    let fields = [
        (RATE_LIMIT_POLICY, format!("\"x\";q={limit}")),
        (RATE_LIMIT, format!("\"x\";r={left};t={reset}")),
    ];
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_str(&value).expect("numbers are printable"));
    }
}

/// A refusal, with the quota headers that X's clients expect in every answer.
fn with_quotas(host: &Host, endpoint: Endpoint, trace: &CallTrace, problem: Problem) -> Response {
    let mut response = problem.into_response();
    let app = trace.key.as_ref().and_then(|known| known.key.scopes.app.as_deref());
    if let Some(app) = app {
        let now = host.clock().now().unix_timestamp();
        host.quotas().repeat(app, endpoint, trace.auth, now, response.headers_mut());
    }
    response
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
        (Some(Unpacked { length, .. }), _) => (streaming::unpacked(answer.wire, length), false),
        (None, Accepted { identity: true, .. }) => (answer.wire.into(), false),
        (None, _) => (streaming::packed(answer.wire), true),
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
