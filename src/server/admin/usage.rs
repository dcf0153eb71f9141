//! `/admin/v1/usage`.

use axum::Json;
use axum::extract::State;

use crate::server::Host;
use crate::server::admin::Query;
use crate::server::problem::Problem;
use crate::server::wire::usage::{Usage, UsageQuery};

/// What calls on the upstream add up to, and the accounts that X bills.
pub(in crate::server) async fn show(
    State(host): State<Host>,
    Query(asked): Query<UsageQuery>,
) -> Result<Json<Usage>, Problem> {
    let (filter, month) = asked.read(host.0.clock.now()).map_err(Problem::invalid)?;
    let report = host.0.gateway.report_usage(&filter, month).await?;
    Ok(Json(Usage::of(report, &filter)))
}
