//! `/admin/v1/audit`: operators read the audit log, page by page or all of it.

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::api::audit_export;
use crate::gateway::AuditFilter;
use crate::web::extract::{Before, Limit, Query, page};
use crate::web::host::Host;
use crate::web::negotiation::preferred;
use crate::web::problem::Problem;
use crate::wire::audit::{AuditQuery, Entry};

const JSON: &str = "application/json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    #[serde(default)]
    actor: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    order: String,
    before: Option<Before>,
    #[serde(default)]
    limit: Limit,
}

/// Entries, newest first by default; `next` is the `before` of the next page. As lines of JSON, all matching entries in
/// one answer.
pub(crate) async fn list(
    State(host): State<Host>,
    Query(asked): Query<ListQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ListQuery { actor, action, subject, from, until, order, before, limit } = asked;
    let query = AuditQuery { actor, action, subject, from, until, order };
    let filter = query.read().map_err(Problem::invalid)?;
    let filter = AuditFilter { past: before.map(|id| id.0), limit: limit.0, ..filter };
    let offered = [JSON, audit_export::TYPE];
    let form = preferred(&headers, &offered)
        .ok_or_else(|| Problem::not_acceptable(audit_export::NO_FORM))?;
    let mut response = if form == JSON {
        let entries = host.gateway().list_audit(&filter).await?;
        page::<_, Entry, _>("entries", entries, &limit, |entry| entry.id).into_response()
    } else {
        audit_export::audit(host.gateway().clone(), filter).await?
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form));
    Ok(response)
}
