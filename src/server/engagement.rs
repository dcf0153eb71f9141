//! `/v1/engagement`: one question of any size, answered with as many upstream calls as it takes, or planned.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::gateway::{Answered, Error, Missing, Problem as Detail, Reason};
use crate::server::encoding::{Accepted, gzip};
use crate::server::problem::Problem;
use crate::server::wire::question::{Answer, Plan, Report};
use crate::server::{Host, relay};

const DEADLINE: HeaderName = HeaderName::from_static("countersign-deadline");
/// Ten thousand ids and their owners.
const MOST_BYTES: usize = 1024 * 1024;

pub(super) async fn answer(
    State(host): State<Host>,
    request: Request,
) -> Result<Response, Problem> {
    let deadline = deadline(request.headers(), host.0.limits.request_deadline)?;
    let accepted = Accepted::of(request.headers());
    if accepted.nothing() {
        return Err(Problem::not_acceptable());
    }
    let (key, body) = relay::read(&host, request, MOST_BYTES).await?;
    let answered = host.0.gateway.answer_question(&key, &body, deadline).await?;
    // An answer may have megabytes: other calls go on meanwhile.
    let written = tokio::task::spawn_blocking(move || write(&answered, accepted)).await;
    let written = written.map_err(|it| Error::Internal(it.into()))?;
    let mut response = written.map_err(|it| Error::Internal(it.into()))?.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if accepted.gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// Fails only where a sum does not fit 64 bits.
fn write(answered: &Answered, accepted: Accepted) -> Result<Bytes, serde_json::Error> {
    let report = Report::of(&answered.lookups, &answered.calls, &answered.missing);
    let answer = Answer { merged: &answered.merged, countersign: report };
    let plain = serde_json::to_vec(&answer)?;
    Ok(if accepted.gzip { gzip(&plain) } else { plain.into() })
}

/// What would be asked; nothing is.
pub(super) async fn plan(
    State(host): State<Host>,
    request: Request,
) -> Result<Json<Plan>, Problem> {
    let (key, body) = relay::read(&host, request, MOST_BYTES).await?;
    Ok(Json(Plan::from(&host.0.gateway.plan_question(&key, &body).await?)))
}

/// How long the caller waits, at most `most`.
fn deadline(headers: &HeaderMap, most: Duration) -> Result<Duration, Problem> {
    let Some(value) = headers.get(DEADLINE) else { return Ok(most) };
    let read = value.to_str().ok().and_then(|it| humantime::parse_duration(it).ok());
    let detail = "must be a duration above zero such as 20s";
    let wrong = || Problem::invalid(vec![Detail::in_header("Countersign-Deadline", detail)]);
    read.filter(|it| !it.is_zero()).map(|it| it.min(most)).ok_or_else(wrong)
}

/// The status where nothing could be had: what a caller can best act on, of all that is missing.
pub(super) fn status_of(missing: &[Missing]) -> StatusCode {
    let reasons = [
        (Reason::Quota, StatusCode::TOO_MANY_REQUESTS),
        (Reason::Deadline, StatusCode::GATEWAY_TIMEOUT),
        (Reason::UpstreamError, StatusCode::BAD_GATEWAY),
        (Reason::AccountRevoked, StatusCode::CONFLICT),
        (Reason::Forbidden, StatusCode::FORBIDDEN),
    ];
    let found = reasons.iter().find(|(reason, _)| missing.iter().any(|it| it.reason == *reason));
    found.map_or(StatusCode::NOT_FOUND, |it| it.1)
}

/// Why, in words.
pub(super) fn why(missing: &[Missing]) -> String {
    let why = missing.iter().take(5).map(|it| {
        let posts = it.posts.len();
        let more = if it.detail.is_empty() { "" } else { ", " };
        format!("{posts} posts {}{more}{}", it.reason.name(), it.detail)
    });
    why.collect::<Vec<_>>().join("; ")
}
