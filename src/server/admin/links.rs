//! `/admin/v1/links`.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use crate::server::Host;
use crate::server::admin::{self, Actor};
use crate::server::problem::Problem;
use crate::server::wire::{CreatedLink, NewLink};

/// Makes a one-time link by which a user connects an account, and shows it, this once.
pub(in crate::server) async fn create(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    request: Request,
) -> Result<Response, Problem> {
    let new: NewLink = admin::json(&host, request).await?;
    let new = new.read().map_err(Problem::invalid)?;
    let created = CreatedLink::from(host.0.gateway.create_link(new, &actor.0).await?);
    Ok((StatusCode::CREATED, Json(created)).into_response())
}
