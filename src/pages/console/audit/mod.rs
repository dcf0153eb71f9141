//! `/console/audit`: admins read the audit log, or download it.

mod view;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use crate::api::audit_export;
use crate::gateway::{AuditFilter, Session};
use crate::model::audit::Entry;
use crate::pages::console::address::with_query;
use crate::pages::console::audit::view::{Filter, Row};
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::{Section, second};
use crate::pages::console::listing::{ROWS, next_page};
use crate::web::extract::Query;
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;
use crate::wire::audit::AuditQuery;

const PATH: &str = "/console/audit";
const EXPORT: &str = "/console/audit.jsonl";

#[derive(Deserialize)]
pub(crate) struct Cursor {
    #[serde(default)]
    before: String,
}

pub(crate) async fn list(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(query): Query<AuditQuery>,
    Query(cursor): Query<Cursor>,
) -> Result<Response, Problem> {
    let filter = query.read().map_err(Problem::invalid)?;
    let filter = AuditFilter { past: cursor.before.parse().ok(), limit: ROWS, ..filter };
    let entries = host.gateway().list_audit(&filter).await?;
    let parameters = [
        ("actor", &*query.actor),
        ("action", &*query.action),
        ("subject", &*query.subject),
        ("from", &*query.from),
        ("until", &*query.until),
        ("order", &*query.order),
    ];
    let next = next_page(&entries, PATH, &parameters, |last| ("before", last.id.to_string()));
    let filter = Filter {
        actor: &query.actor,
        action: &query.action,
        subject: &query.subject,
        from: &query.from,
        until: &query.until,
        is_oldest_first: filter.oldest_first,
    };
    let rows: Vec<Row> = entries.into_iter().map(row).collect();
    let (chrome, export) =
        (chrome(&session, Section::Audit, None), with_query(EXPORT, &parameters));
    Ok(page(StatusCode::OK, view::list(&chrome, &rows, filter, &export, next.as_deref())))
}

/// All matching entries, as lines of JSON.
pub(crate) async fn export(
    State(host): State<Host>,
    Query(query): Query<AuditQuery>,
) -> Result<Response, Problem> {
    let filter = query.read().map_err(Problem::invalid)?;
    let mut response = audit_export::audit(host.gateway().clone(), filter).await?;
    let name = HeaderValue::from_static("attachment; filename=\"countersign-audit.jsonl\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

fn row(entry: Entry) -> Row {
    Row {
        at: second(entry.at),
        actor: entry.actor,
        key_name: entry.key_name,
        address: entry.address,
        action: entry.action,
        subject: entry.subject,
        detail: entry.detail,
    }
}
