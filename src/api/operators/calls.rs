//! `/admin/v1/calls`: operators look through recent calls.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use crate::gateway::{CallFilter, Error};
use crate::web::extract::{Before, Limit, Path, Query, page};
use crate::web::host::Host;
use crate::web::problem::Problem;
use crate::wire::call::{Call, CallQuery};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    key: Option<String>,
    account: Option<String>,
    endpoint: Option<String>,
    ended: Option<String>,
    status: Option<String>,
    request_id: Option<String>,
    before: Option<Before>,
    #[serde(default)]
    limit: Limit,
}

/// Recent calls, newest first; `next` is the `before` of the next page.
pub(crate) async fn list(
    State(host): State<Host>,
    Query(asked): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let ListQuery { key, account, endpoint, ended, status, request_id, before, limit } = asked;
    let query = CallQuery { key, account, endpoint, ended, status, request_id };
    let filter = query.read().map_err(Problem::invalid)?;
    let filter = CallFilter { before: before.map(|id| id.0), limit: limit.0, ..filter };
    let calls = host.gateway().list_calls(filter).await?;
    Ok(page::<_, Call, _>("calls", calls, &limit, |call| call.id))
}

pub(crate) async fn show(State(host): State<Host>, Path(id): Path) -> Result<Json<Call>, Problem> {
    Ok(Json(host.gateway().show_call(call_id(&id)?).await?.into()))
}

/// Reads a call's number; any other text is the id of no call.
pub(crate) fn call_id(text: &str) -> Result<i64, Problem> {
    Ok(text.parse().map_err(|_| Error::NotFound("call among the recent ones"))?)
}
