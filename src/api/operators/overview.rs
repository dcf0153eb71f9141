//! `/admin/v1/overview`: operators see the state of the deployment at a glance.

use axum::Json;
use axum::extract::State;

use crate::web::host::Host;
use crate::web::problem::Problem;
use crate::wire::overview::Overview;

/// The present state, and the last day's calls.
pub(crate) async fn show(State(host): State<Host>) -> Result<Json<Overview>, Problem> {
    Ok(Json(host.gateway().get_overview().await?.into()))
}
