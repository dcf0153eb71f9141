//! `/admin/v1/audit`: operators read the audit log, page by page or all of it.

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

use crate::api::audit_export;
use crate::api::openapi::for_operators::{KEY, before, limit, operation, query};
use crate::api::openapi::operation::{Content, Operation};
use crate::api::openapi::problems;
use crate::api::openapi::shape::{page_of, shape};
use crate::gateway::AuditFilter;
use crate::web::extract::Query;
use crate::web::host::Host;
use crate::web::negotiation::preferred;
use crate::web::paging::{Before, Limit, page};
use crate::web::problem::Problem;
use crate::wire::audit::{AuditQuery, Entry};
use crate::wire::schema::{one_of, text};

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

/// The descriptions of this file's handlers.
pub(crate) fn operations() -> Vec<Operation> {
    vec![describe_list()]
}

/// Entries, newest first by default; `next` is the `before` of the next page. As lines of JSON, all matching entries in
/// one answer.
pub(crate) async fn list(
    State(host): State<Host>,
    Query(query): Query<ListQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ListQuery { actor, action, subject, from, until, order, before, limit } = query;
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

fn describe_list() -> Operation {
    let entry = json!({
        "id": 42, "at": "2026-03-10T21:15:30Z", "actor": format!("key:{KEY}"),
        "key_name": "ops", "address": "10.0.0.7", "action": "key.created", "subject": "key:9sJ2kLmNoPqR", "detail": "dashboard",
    });
    let listed = page_of::<Entry>("entries", "before", Type::Integer);
    let lines = format!("{entry}\n");
    let page = json!({ "entries": [entry], "next": null });
    let filter = |name, about, example: &str| query(name, about, text("").into(), example.into());
    let orders = one_of("", ["newest", "oldest"]);
    operation(HttpMethod::Get, "/admin/v1/audit", "list_audit", "List the audit trail")
        .about("With `Accept: application/x-ndjson` the response has all matching entries, one per line and regardless of `limit`, sent as they are read.")
        .takes(filter("actor", "Only entries whose actor equals or starts with this text: `cli`, `gateway`, `key:ID`.", &format!("key:{KEY}")))
        .takes(filter("action", "Only entries whose action equals or starts with this text.", "key."))
        .takes(filter("subject", "Only entries whose subject equals or starts with this text.", "account:demo/"))
        .takes(filter("from", "Only entries from this day or time on.", "2026-03-01"))
        .takes(filter("until", "Only entries before this day or time.", "2026-03-11"))
        .takes(query("order", "Which entries come first; defaults to `newest`.", orders.into(), "oldest".into()))
        .takes(before(42))
        .takes(limit())
        .answers("200", "The entries.", vec![
            Content::json(listed, page),
            Content::text(audit_export::TYPE, text("One entry per line."), &lines).of_lines(shape::<Entry>()),
        ])
        .refuses(problems::of_queries())
        .refuses(problems::of_accepts())
}
