//! `/admin/v1/keys`.

use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

use crate::api::openapi::examples::USER_ID;
use crate::api::openapi::operation::{Content, Operation};
use crate::api::openapi::operators::parameters::{KEY, after, in_path, limit, operation, with};
use crate::api::openapi::problems;
use crate::api::openapi::schemas::named;
use crate::api::openapi::schemas::page;

pub(super) fn operations() -> Vec<Operation> {
    vec![list(), create(), revoke()]
}

fn list() -> Operation {
    let listed = json!({ "keys": [key()], "next": null });
    operation(HttpMethod::Get, "/admin/v1/keys", "list_keys", "List keys")
        .takes(after(KEY))
        .takes(limit())
        .gives(
            "200",
            "The keys, by id, without their secrets.",
            page("keys", "Key", "after", Type::String),
            listed,
        )
        .refuses(problems::of_queries())
}

fn create() -> Operation {
    let new = json!({
        "name": "dashboard", "app": "demo", "accounts": [USER_ID],
        "endpoints": ["totals", "28hr"], "expires": "90d",
    });
    let created = with(key(), "secret", format!("csk_{KEY}_{}", "x".repeat(49)));
    operation(HttpMethod::Post, "/admin/v1/keys", "create_key", "Create a key")
        .about("The response has the key itself as `secret`, which is shown only once.")
        .reads(Content::json(named("NewKey"), new))
        .gives("201", "The key, with its secret.", named("CreatedKey"), created)
        .refuses(problems::of_bodies())
        .refuses(problems::of_field("/name", "must be 1 to 100 printable characters"))
        .refuses(vec![problems::already_exists("key", "a key named dashboard")])
}

fn revoke() -> Operation {
    let revoked = with(key(), "revoked_at", "2026-03-10T21:15:30Z");
    operation(HttpMethod::Delete, "/admin/v1/keys/{key}", "revoke_key", "Revoke a key")
        .about("All replicas refuse it within a second.")
        .takes(in_path("key", "The key's id, name or secret.", "dashboard"))
        .gives("200", "The key, revoked.", named("Key"), revoked)
        .refuses(problems::not_found("key"))
}

fn key() -> Value {
    json!({
        "id": KEY, "kind": "caller", "name": "dashboard", "app": "demo", "accounts": [USER_ID],
        "endpoints": ["totals", "28hr"], "links": false, "looks": false, "created_at": "2026-03-10T21:15:30Z",
        "expires_at": "2026-06-08T21:15:30Z", "revoked_at": null, "last_used_at": null,
    })
}
