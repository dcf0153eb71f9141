//! `/admin/v1/calls`: operators look through recent calls.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

use crate::api::openapi::examples::USER_ID;
use crate::api::openapi::for_operators::{
    KEY, before, in_path, limit, of_account, of_key, operation, query,
};
use crate::api::openapi::operation::Operation;
use crate::api::openapi::problems;
use crate::api::openapi::schemas::named;
use crate::api::openapi::shape::{page_of, shape};
use crate::gateway::{CallFilter, Error};
use crate::model::{Cause, Endpoint};
use crate::web::extract::{Path, Query};
use crate::web::host::Host;
use crate::web::paging::{Before, Limit, page};
use crate::web::problem::Problem;
use crate::wire::call::{Call, CallQuery};
use crate::wire::schema::{one_of, text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    app: Option<String>,
    key: Option<String>,
    account: Option<String>,
    endpoint: Option<String>,
    outcome: Option<String>,
    status: Option<String>,
    request_id: Option<String>,
    cause: Option<String>,
    from: Option<String>,
    until: Option<String>,
    before: Option<Before>,
    #[serde(default)]
    limit: Limit,
}

/// The descriptions of this file's handlers.
pub(crate) fn operations() -> Vec<Operation> {
    vec![describe_list(), describe_show()]
}

/// Recent calls, newest first; `next` is the `before` of the next page.
pub(crate) async fn list(
    State(host): State<Host>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let ListQuery { key, account, endpoint, outcome, status, request_id, cause, .. } = query;
    let ListQuery { app, from, until, before, limit, .. } = query;
    let query =
        CallQuery { app, key, account, endpoint, outcome, status, request_id, cause, from, until };
    let filter = query.read().map_err(Problem::invalid)?;
    let filter = CallFilter { before: before.map(|id| id.0), limit: limit.0, ..filter };
    let (calls, names) = host.gateway().list_calls_with_names(filter, None).await?;
    let calls: Vec<Call> = calls.into_iter().map(|call| Call::of(call, &names)).collect();
    Ok(page::<_, Call, _>("calls", calls, &limit, |call| call.id))
}

fn describe_list() -> Operation {
    let endpoints = one_of("", Endpoint::ALL.map(Endpoint::name));
    let outcomes = one_of("", ["ok", "failed"]);
    let statuses = text("").pattern(Some("^[1-5]([0-9]{2}|[xX]{2})$"));
    operation(HttpMethod::Get, "/admin/v1/calls", "list_calls", "List recent calls")
        .about("Each call with its key, credentials and outcome, and if it failed, with the cause, what to do about it and what X said; but never bodies or secrets. Under high load only a sample is kept, which favours failed calls.")
        .takes(query("app", "Only calls of this app.", text("").into(), "demo".into()))
        .takes(of_key())
        .takes(of_account())
        .takes(query("endpoint", "Only calls of this endpoint.", endpoints.into(), "totals".into()))
        .takes(query("outcome", "Only calls that succeeded (`ok`: a status below 400) or failed (`failed`: any other status, or none).", outcomes.into(), "failed".into()))
        .takes(query("status", "Only calls with this status, such as `429`, or of this class, such as `5xx`.", statuses.into(), "5xx".into()))
        .takes(query("request_id", "Only calls of this request. A question may take several.", text("").into(), "dashboard-17".into()))
        .takes(query("cause", "Only calls that failed for this cause.", named("Cause").into(), "account_revoked".into()))
        .takes(query("from", "Only calls from this day or time on.", text("").into(), "2026-03-10".into()))
        .takes(query("until", "Only calls before this day or time.", text("").into(), "2026-03-11".into()))
        .takes(before(42))
        .takes(limit())
        .gives("200", "The calls, newest first.", page_of::<Call>("calls", "before", Type::Integer), json!({ "calls": [call_example()], "next": null }))
        .refuses(problems::of_queries())
}

pub(crate) async fn show(State(host): State<Host>, Path(id): Path) -> Result<Json<Call>, Problem> {
    let found = host.gateway().get_call_with_others(call_id(&id)?).await?;
    Ok(Json(Call::of(found.call, &found.names)))
}

fn describe_show() -> Operation {
    operation(HttpMethod::Get, "/admin/v1/calls/{call}", "get_call", "Get a recent call")
        .takes(in_path("call", "The call's `id`.", "42"))
        .gives("200", "The call.", shape::<Call>(), call_example())
        .refuses(problems::not_found("recent call"))
}

/// Reads a call's number; any other text is the id of no call.
pub(crate) fn call_id(text: &str) -> Result<i64, Problem> {
    Ok(text.parse().map_err(|_| Error::NotFound("recent call"))?)
}

fn call_example() -> Value {
    let cause = Cause::AccountRevoked;
    json!({
        "id": 42, "at": "2026-03-10T21:15:30Z", "request_id": "dashboard-17", "app": "demo", "key": KEY, "subject": null,
        "account": USER_ID, "screen_name": "alice", "endpoint": "totals", "auth": "user-context", "posts": 2,
        "engagement_types": ["impressions"], "status": 401, "code": null,
        "cause": { "cause": cause.name(), "text": cause.what(), "remedy": cause.remedy() },
        "x_said": { "code": 89, "text": "Invalid or expired token", "form": "errors in JSON" },
        "attempts": 2, "tries": [{ "status": 503, "ms": 101.5 }, { "status": 401, "ms": 112.4 }],
        "ms": 214.5, "upstream_ms": 213.9, "bytes": 72,
    })
}
