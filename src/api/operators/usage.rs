//! `/admin/v1/usage`: operators query usage totals and billed accounts.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use utoipa::openapi::HttpMethod;

use crate::api::callers::engagement::{COMPLETE, CSV};
use crate::api::callers::usage::complete;
use crate::api::openapi::for_operators::{KEY, of_account, of_key, operation, query};
use crate::api::openapi::operation::{Content, Operation, Parameter};
use crate::api::openapi::problems;
use crate::api::openapi::shape::shape;
use crate::gateway::Grain;
use crate::web::extract::Query;
use crate::web::host::Host;
use crate::web::negotiation::preferred;
use crate::web::problem::Problem;
use crate::wire::schema::text;
use crate::wire::usage;
use crate::wire::usage::{BY, Usage, UsageQuery};

/// An example of a table.
const TABLE: &str =
    "at,key,calls,posts,bytes,saved\n2026-03-10T00:00:00Z,4vJ0aBcDeFgH,1204,88410,9120400,311\n";

/// The descriptions of this file's handlers.
pub(crate) fn operations() -> Vec<Operation> {
    vec![describe_show()]
}

/// Usage totals, and the accounts billed by X; as CSV if `Accept` prefers that.
pub(crate) async fn show(
    State(host): State<Host>,
    headers: HeaderMap,
    Query(query): Query<UsageQuery>,
) -> Result<Response, Problem> {
    let (filter, month) = query.read(host.clock().now()).map_err(Problem::invalid)?;
    let report = host.gateway().get_usage_report(&filter, month).await?;
    let found = Usage::of(report, &filter);
    let mut response = if preferred(&headers, &["application/json", CSV]) == Some(CSV) {
        table(&found, filter.by)
    } else {
        Json(found).into_response()
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

fn describe_show() -> Operation {
    let line = json!({
        "at": "2026-03-10T00:00:00Z", "key": KEY, "calls": 1204, "posts": 88_410, "bytes": 9_120_400,
        "saved": 311,
    });
    let answer = json!({
        "from": "2026-03-01T00:00:00Z", "until": "2026-03-11T00:00:00Z", "sums": [line], "truncated": false,
        "accounts": [{ "month": "2026-03", "app": "demo", "accounts": 2 }],
        "gaps": [{ "since": "2026-03-09T02:10:05Z", "lost_calls": 0, "killed": true }],
    });
    let [from, until] = of_period();
    operation(HttpMethod::Get, "/admin/v1/usage", "show_usage", "Get usage totals")
        .about("Sums over the calls made to X, kept by the hour. `accounts` counts the accounts whose tokens were used in each month, which X bills.")
        .takes(from)
        .takes(until)
        .takes(grouped_by(&BY, "day,key"))
        .takes(query("app", "Only calls of this app.", text("").into(), "demo".into()))
        .takes(of_key())
        .takes(of_account())
        .answers_with(
            "200",
            "The sums, in the order of their groups.",
            vec![
                Content::json(shape::<Usage>(), answer),
                Content::text("text/csv", text("A header, then one row per sum, with a column for each group."), TABLE),
            ],
            &["RequestId", "Complete"],
        )
        .refuses(problems::of_queries())
}

/// The start and the end of a period.
pub(crate) fn of_period() -> [Parameter; 2] {
    let time = || text("A day or time.").into();
    let about = "The first day or time; defaults to thirty days ago.";
    let from = query("from", about, time(), "2026-03-01".into());
    let about = "The end, not included; defaults to now.";
    [from, query("until", about, time(), "2026-03-11".into())]
}

pub(crate) fn grouped_by(names: &[&str], example: &str) -> Parameter {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let names = names.join(", ");
    let about = format!("How to group the sums, separated by commas: {names}. Defaults to `day`.");
    let schema = text(&about).into();
    query("by", "How to group the sums; defaults to `day`.", schema, example.into())
}

/// Usage totals as CSV, and a header that says whether they are complete.
pub(crate) fn table(found: &Usage, by: Grain) -> Response {
    let headers =
        [(CONTENT_TYPE, HeaderValue::from_static(CSV)), (COMPLETE, complete(found.is_complete()))];
    (headers, usage::csv(&found.totals, by)).into_response()
}
