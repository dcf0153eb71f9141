//! `/v1/links`: services whose key may do so invite users to connect their accounts.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};

use crate::model::key::Kind;
use crate::server::problem::Problem;
use crate::server::wire::{CreatedLink, NewLink};
use crate::server::{Host, body, relay};

/// Makes a one-time link for the key's app, and shows it, this once.
pub(super) async fn create(
    State(host): State<Host>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, incoming) = request.into_parts();
    let key = relay::key(&parts.headers, Kind::Caller)?;
    let key = host.0.gateway.check_key(key, Kind::Caller).await?;
    body::require_json(&parts.headers)?;
    let limits = &host.0.limits;
    let body = body::read(&parts.headers, incoming, limits.body_bytes, limits).await?;
    let new: NewLink = body::json(&body)?;
    let new = new.read().map_err(Problem::invalid)?;
    let created = CreatedLink::from(host.0.gateway.create_link_by_key(&key, new).await?);
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(created)).into_response())
}
