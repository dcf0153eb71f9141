//! `/v1/usage`: callers query the usage of their own key.

use axum::extract::State;
use axum::http::header::VARY;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

use crate::api::callers::engagement::{COMPLETE, CSV, JSON};
use crate::api::callers::own::{answer_with, json};
use crate::gateway::OwnRequest;
use crate::web::extract::Query;
use crate::web::host::Host;
use crate::web::negotiation::preferred;
use crate::web::problem::Problem;
use crate::wire::usage;
use crate::wire::usage::{OwnUsage, OwnUsageQuery};

/// Sums of the key's calls; as CSV if `Accept` prefers that.
pub(crate) async fn show(
    mut request: OwnRequest,
    State(host): State<Host>,
    headers: HeaderMap,
    Query(query): Query<OwnUsageQuery>,
) -> Result<Response, Problem> {
    let filter = query.read(host.clock().now()).map_err(Problem::invalid)?;
    let found = host.gateway().get_own_usage(&mut request, &filter).await?;
    let found = OwnUsage::of(found, &filter);
    let mut response = if preferred(&headers, &[JSON, CSV]) == Some(CSV) {
        let mut table = answer_with(request, CSV, usage::csv(&found.totals, filter.by));
        table.headers_mut().insert(COMPLETE, complete(found.is_complete()));
        table
    } else {
        json(request, &found)
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// The value of `Countersign-Complete`.
pub(crate) fn complete(is_complete: bool) -> HeaderValue {
    HeaderValue::from_static(if is_complete { "true" } else { "false" })
}
