//! `/v1/links`: services whose key may do so invite users to connect their accounts.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};

use crate::server::peer::Client;
use crate::server::problem::Problem;
use crate::server::{Host, body, relay};
use crate::wire::{CreatedLink, NewLink};

/// Makes a one-time link for the key's app, and shows it, this once.
pub(super) async fn create(
    State(host): State<Host>,
    request: Request,
) -> Result<Response, Problem> {
    let from = Client::address(&request);
    let (key, body) = relay::read(&host, request, host.0.limits.body_bytes).await?;
    let new: NewLink = body::json(&body).await?;
    let new = new.read().map_err(Problem::invalid)?;
    let created = CreatedLink::from(host.0.gateway.create_link_by_key(&key, new, from).await?);
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(created)).into_response())
}
