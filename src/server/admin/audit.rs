//! `/admin/v1/audit`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::server::Host;
use crate::server::admin::{Query, limit};
use crate::server::problem::Problem;
use crate::server::wire::Entry;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct Asked {
    before: Option<i64>,
    limit: Option<u32>,
}

/// Entries, newest first; `next` is the `before` of the next page.
pub(in crate::server) async fn list(
    State(host): State<Host>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let most = limit(asked.limit);
    let entries = host.0.gateway.list_audit(asked.before, most).await?;
    let next = entries.last().filter(|_| entries.len() == most as usize).map(|it| it.id);
    let entries: Vec<Entry> = entries.into_iter().map(Entry::from).collect();
    Ok(Json(json!({ "entries": entries, "next": next })))
}
