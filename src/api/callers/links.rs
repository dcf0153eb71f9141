//! `/v1/links`: services whose key allows it invite users to connect their accounts.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};

use crate::web::body;
use crate::web::client_address::Client;
use crate::web::host::Host;
use crate::web::presented_key;
use crate::web::problem::Problem;
use crate::wire::{CreatedLink, NewLink};

/// Creates a one-time link for the key's app and returns it (shown only once).
pub(crate) async fn create(
    State(host): State<Host>,
    request: Request,
) -> Result<Response, Problem> {
    let from = Client::address(&request);
    let (key, body) = presented_key::read(&host, request, host.limits().body_bytes).await?;
    let new: NewLink = body::json(&body).await?;
    let new = new.read().map_err(Problem::invalid)?;
    let created = CreatedLink::from(host.gateway().create_link_for_key(&key, new, from).await?);
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(created)).into_response())
}
