//! `/v1/browser-tokens`: services whose key allows it make tokens for their pages.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};

use crate::web::body;
use crate::web::host::Host;
use crate::web::presented_key;
use crate::web::problem::Problem;
use crate::wire::browser::{CreatedToken, NewToken};

/// Makes a token, which is stored nowhere, and returns it.
pub(crate) async fn create(
    State(host): State<Host>,
    request: Request,
) -> Result<Response, Problem> {
    let (key, body) = presented_key::read(&host, request, host.limits().body_bytes).await?;
    let new: NewToken = body::json(&body).await?;
    let new = new.read().map_err(Problem::invalid)?;
    let created = CreatedToken::from(host.gateway().create_token(&key, new).await?);
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(created)).into_response())
}
