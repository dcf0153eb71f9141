//! The operators' API.

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

pub(super) use crate::api::openapi::operators::links::creates_link;

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
    operation(HttpMethod::Get, "/admin/v1/apps", "list_apps", "List the configured apps").gives(
        "200",
        "The apps.",
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
            Content::json(shape, page),
            Content::text(audit_export::TYPE, text("One entry per line."), &lines).of_lines("Entry"),
        ])
        .refuses(problems::of_queries())
        .refuses(problems::of_accepts())
}
