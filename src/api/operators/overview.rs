//! `/admin/v1/overview`.

use axum::Json;
use axum::extract::State;

use crate::web::host::Host;
use crate::web::problem::Problem;
use crate::wire::overview::Overview;

/// How things are, and how the last day went.
pub(crate) async fn show(State(host): State<Host>) -> Result<Json<Overview>, Problem> {
    Ok(Json(host.gateway().overview().await?.into()))
}
