//! `/admin/v1/calls`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use crate::gateway::{CallFilter, Error, Problem as Detail};
use crate::model::call::{Ended, Statuses};
use crate::model::{Endpoint, UserId};
use crate::server::Host;
use crate::server::admin::{Before, Limit, Path, Query, page};
use crate::server::problem::Problem;
use crate::server::wire::call::Call;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct Asked {
    /// A key's id.
    key: Option<String>,
    account: Option<String>,
    endpoint: Option<String>,
    /// `well` or `badly`.
    ended: Option<String>,
    /// A status such as `429`, or a class such as `5xx`.
    status: Option<String>,
    request_id: Option<String>,
    before: Option<Before>,
    #[serde(default)]
    limit: Limit,
}

/// Recent calls, newest first; `next` is the `before` of the next page.
pub(in crate::server) async fn list(
    State(host): State<Host>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let calls = host.0.gateway.list_calls(filter(&asked)?).await?;
    Ok(page::<_, Call, _>("calls", calls, &asked.limit, |it| it.id))
}

pub(in crate::server) async fn show(
    State(host): State<Host>,
    Path(id): Path,
) -> Result<Json<Call>, Problem> {
    Ok(Json(host.0.gateway.show_call(call_id(&id)?).await?.into()))
}

/// A call's number; no other text is any call's.
pub(in crate::server) fn call_id(text: &str) -> Result<i64, Problem> {
    Ok(text.parse().map_err(|_| Error::NotFound("call among the recent ones"))?)
}

fn filter(asked: &Asked) -> Result<CallFilter, Problem> {
    let mut problems = Vec::new();
    let mut wrong = |detail: &str| problems.push(Detail::in_query(detail));
    let account = asked.account.as_deref().map(UserId::parse);
    if account == Some(None) {
        wrong("account must be a user id of 1 to 19 digits");
    }
    let endpoint = asked.endpoint.as_deref().map(Endpoint::from_name);
    if endpoint == Some(None) {
        wrong("endpoint must be totals, 28hr or historical");
    }
    let ended = match asked.ended.as_deref() {
        None => None,
        Some("well") => Some(Ended::Well),
        Some("badly") => Some(Ended::Badly),
        Some(_) => {
            wrong("ended must be well or badly");
            None
        }
    };
    let statuses = asked.status.as_deref().map(Statuses::parse);
    if statuses == Some(None) {
        wrong("status must be a status such as 429, or a class such as 5xx");
    }
    if !problems.is_empty() {
        return Err(Problem::invalid(problems));
    }
    Ok(CallFilter {
        app: None,
        key_id: asked.key.clone(),
        account: account.flatten(),
        endpoint: endpoint.flatten(),
        ended,
        statuses: statuses.flatten(),
        request_id: asked.request_id.clone(),
        before: asked.before.as_ref().map(|it| it.0),
        limit: asked.limit.0,
    })
}
