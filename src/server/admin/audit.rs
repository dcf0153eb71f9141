//! `/admin/v1/audit`.

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::gateway::AuditFilter;
use crate::server::Host;
use crate::server::admin::{Before, Limit, Query, page};
use crate::server::encoding::preferred;
use crate::server::export;
use crate::server::problem::Problem;
use crate::wire::audit::{AuditQuery, Entry};

const JSON: &str = "application/json";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct Asked {
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

/// Entries, newest first where nothing else is said; `next` is the `before` of the next page. As lines of JSON all that
/// fit.
pub(in crate::server) async fn list(
    State(host): State<Host>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Asked { actor, action, subject, from, until, order, before, limit } = asked;
    let query = AuditQuery { actor, action, subject, from, until, order };
    let filter = query.read().map_err(Problem::invalid)?;
    let filter = AuditFilter { past: before.map(|it| it.0), limit: limit.0, ..filter };
    let offered = [JSON, export::TYPE];
    let form =
        preferred(&headers, &offered).ok_or_else(|| Problem::not_acceptable(export::NO_FORM))?;
    let mut response = if form == JSON {
        let entries = host.0.gateway.list_audit(&filter).await?;
        page::<_, Entry, _>("entries", entries, &limit, |it| it.id).into_response()
    } else {
        export::audit(host.0.gateway.clone(), filter).await?
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form));
    Ok(response)
}
