//! What operators can ask.

mod accounts;
mod keys;
mod links;
mod overview;
mod parameters;
mod usage;
mod webhooks;

use serde_json::json;
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

use crate::api::audit_export;
use crate::api::openapi::operation::{Content, Operation};
use crate::api::openapi::operators::parameters::{KEY, before, limit, operation, query};
use crate::api::openapi::problems;
use crate::api::openapi::schemas::{listing, page};
use crate::wire::schema::{one_of, text};

pub(super) use crate::api::openapi::operators::links::link_to_make;

pub(super) fn operations() -> Vec<Operation> {
    let mut all = vec![overview::overview(), apps()];
    all.extend(accounts::operations());
    all.extend(keys::operations());
    all.extend(links::operations());
    all.extend(webhooks::operations());
    all.extend(usage::operations());
    all.push(audit());
    all
}

fn apps() -> Operation {
    let app = json!({
        "name": "demo", "app_only": "bearer", "bearer_source": "minted",
        "accounts_used": 17, "account_limit": 100, "over_limit": "warn",
    });
    operation(HttpMethod::Get, "/admin/v1/apps", "list_apps", "The configured apps").gives(
        "200",
        "All of them.",
        listing("apps", "App"),
        json!({ "apps": [app] }),
    )
}

fn audit() -> Operation {
    let entry = json!({
        "id": 42, "at": "2026-03-10T21:15:30Z", "actor": format!("key:{KEY}"),
        "key_name": "ops", "address": "10.0.0.7", "action": "key.created", "subject": "key:9sJ2kLmNoPqR", "detail": "dashboard",
    });
    let shape = page("entries", "Entry", "before", Type::Integer);
    let lines = format!("{entry}\n");
    let page = json!({ "entries": [entry], "next": null });
    let begins = |name, about, example: &str| query(name, about, text("").into(), example.into());
    let orders = one_of("", ["newest", "oldest"]);
    operation(HttpMethod::Get, "/admin/v1/audit", "list_audit", "Who changed what")
        .about("With `Accept: application/x-ndjson` all entries that fit, a line each, whatever `limit` says; they are sent as they are read.")
        .takes(begins("actor", "Only of those who are called so, or begin so.", &format!("key:{KEY}")))
        .takes(begins("action", "Only actions that are called so, or begin so.", "key."))
        .takes(begins("subject", "Only what was done to things that are called so, or begin so.", "account:demo/"))
        .takes(begins("from", "A day or a time.", "2026-03-01"))
        .takes(begins("until", "A day or a time, not included.", "2026-03-11"))
        .takes(query("order", "Which comes first; the newest where nothing is said.", orders.into(), "oldest".into()))
        .takes(before(42))
        .takes(limit())
        .answers("200", "In that order.", vec![
            Content::json(shape, page),
            Content::text(audit_export::TYPE, text("An entry a line, in JSON."), &lines),
        ])
        .refuses(problems::of_queries())
        .refuses(problems::of_accepts())
}
