//! `/admin/v1/audit`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use crate::server::Host;
use crate::server::admin::{Before, Limit, Query, page};
use crate::server::problem::Problem;
use crate::server::wire::audit::Entry;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct Asked {
    before: Option<Before>,
    #[serde(default)]
    limit: Limit,
}

/// Entries, newest first; `next` is the `before` of the next page.
pub(in crate::server) async fn list(
    State(host): State<Host>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let before = asked.before.map(|it| it.0);
    let entries = host.0.gateway.list_audit(before, asked.limit.0).await?;
    Ok(page::<_, Entry, _>("entries", entries, &asked.limit, |it| it.id))
}
