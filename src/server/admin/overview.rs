//! `/admin/v1/overview`.

use axum::Json;
use axum::extract::State;

use crate::server::Host;
use crate::server::problem::Problem;
use crate::wire::overview::Overview;

/// How things are, and how the last day went.
pub(in crate::server) async fn show(State(host): State<Host>) -> Result<Json<Overview>, Problem> {
    Ok(Json(host.0.gateway.overview().await?.into()))
}
