//! `/admin/v1/usage`: operators query usage totals and billed accounts.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::api::callers::engagement::{COMPLETE, CSV};
use crate::gateway::UsageFilter;
use crate::web::extract::Query;
use crate::web::host::Host;
use crate::web::negotiation::preferred;
use crate::web::problem::Problem;
use crate::wire::usage;
use crate::wire::usage::{Usage, UsageQuery};

/// Usage totals, and the accounts billed by X; as CSV if `Accept` prefers that.
pub(crate) async fn show(
    State(host): State<Host>,
    headers: HeaderMap,
    Query(asked): Query<UsageQuery>,
) -> Result<Response, Problem> {
    let (filter, month) = asked.read(host.clock().now()).map_err(Problem::invalid)?;
    let report = host.gateway().get_usage_report(&filter, month).await?;
    let found = Usage::of(report, &filter);
    let mut response = if preferred(&headers, &["application/json", CSV]) == Some(CSV) {
        table(&found, &filter)
    } else {
        Json(found).into_response()
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// Usage totals as CSV, and a header that says whether they are complete.
pub(crate) fn table(found: &Usage, filter: &UsageFilter) -> Response {
    let is_complete = !found.truncated && found.gaps.is_empty();
    let complete = HeaderValue::from_static(if is_complete { "true" } else { "false" });
    let headers = [(CONTENT_TYPE, HeaderValue::from_static(CSV)), (COMPLETE, complete)];
    (headers, usage::csv(found, filter.by)).into_response()
}
