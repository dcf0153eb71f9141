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
use crate::pages::console::audit::view::{Filter, Listed};
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::{Section, second};
use crate::web::extract::Query;
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;
use crate::wire::audit::AuditQuery;

const PATH: &str = "/console/audit";
const EXPORT: &str = "/console/audit.jsonl";
const ROWS: u32 = 50;

#[derive(Deserialize)]
pub(crate) struct Cursor {
    #[serde(default)]
    before: String,
}

pub(crate) async fn list(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(asked): Query<AuditQuery>,
    Query(place): Query<Cursor>,
) -> Result<Response, Problem> {
    let filter = asked.read().map_err(Problem::invalid)?;
    let filter = AuditFilter { past: place.before.parse().ok(), limit: ROWS, ..filter };
    let entries = host.gateway().list_audit(&filter).await?;
    let parameters = [
        ("actor", &*asked.actor),
        ("action", &*asked.action),
        ("subject", &*asked.subject),
        ("from", &*asked.from),
        ("until", &*asked.until),
        ("order", &*asked.order),
    ];
    let last = entries.last().filter(|_| entries.len() == ROWS as usize);
    let next = last.map(|it| {
        let before = it.id.to_string();
        with_query(PATH, &[&parameters[..], &[("before", &*before)]].concat())
    });
    let typed = Filter {
        actor: &asked.actor,
        action: &asked.action,
        subject: &asked.subject,
        from: &asked.from,
        until: &asked.until,
        is_oldest_first: filter.oldest_first,
    };
    let entries: Vec<Listed> = entries.into_iter().map(listed).collect();
    let (chrome, export) =
        (chrome(&session, Section::Audit, None), with_query(EXPORT, &parameters));
    Ok(page(StatusCode::OK, view::list(&chrome, &entries, typed, &export, next.as_deref())))
}

/// All matching entries, as lines of JSON.
pub(crate) async fn export(
    State(host): State<Host>,
    Query(asked): Query<AuditQuery>,
) -> Result<Response, Problem> {
    let filter = asked.read().map_err(Problem::invalid)?;
    let mut response = audit_export::audit(host.gateway().clone(), filter).await?;
    let name = HeaderValue::from_static("attachment; filename=\"countersign-audit.jsonl\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

fn listed(it: Entry) -> Listed {
    Listed {
        at: second(it.at),
        actor: it.actor,
        key_name: it.key_name,
        address: it.address,
        action: it.action,
        subject: it.subject,
        detail: it.detail,
    }
}
