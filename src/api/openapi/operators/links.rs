//! `/admin/v1/links`.

use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

use crate::api::openapi::operation::{Content, Operation};
use crate::api::openapi::operators::parameters::{after, in_path, limit, operation};
use crate::api::openapi::problems;
use crate::api::openapi::schemas::named;
use crate::api::openapi::schemas::page;

const ID: &str = "4b1f6f0c7a2d9e83";

pub(super) fn operations() -> Vec<Operation> {
    vec![list(), create(), withdraw()]
}

fn list() -> Operation {
    let listed = json!({ "links": [link()], "next": null });
    operation(HttpMethod::Get, "/admin/v1/links", "list_links", "Links that wait to be used")
        .takes(after("1773177330-4b1f6f0c7a2d9e83"))
        .takes(limit())
        .gives(
            "200",
            "Newest first, without what opens them.",
            page("links", "Link", "after", Type::String),
            listed,
        )
        .refuses(problems::of_queries())
}

fn withdraw() -> Operation {
    operation(HttpMethod::Delete, "/admin/v1/links/{link}", "withdraw_link", "Take a link back")
        .about("Whoever has begun by it connects nothing any more.")
        .takes(in_path("link", "Its id, as it was made or is listed.", ID))
        .gives("200", "The link as it was.", named("Link"), link())
        .refuses(problems::not_found("link that waits"))
}

fn create() -> Operation {
    let summary = "Invite a user to connect an account";
    link_to_make(operation(HttpMethod::Post, "/admin/v1/links", "create_link_as_admin", summary))
        .about(
            "A one-time link, shown this once, by which a user connects an account in a browser.",
        )
}

/// What both doors to links have in common.
pub(in crate::api::openapi) fn link_to_make(operation: Operation) -> Operation {
    let new = json!({ "app": "demo", "label": "for Alice", "expires": "2h" });
    let created = json!({
        "id": ID, "url": "https://countersign.example.com/connect/…", "app": "demo", "label": "for Alice",
        "user_id": null, "return_to": null, "expires_at": "2026-03-10T23:15:30Z",
    });
    operation
        .reads(Content::json(named("NewLink"), new))
        .gives("201", "The link.", named("CreatedLink"), created)
        .refuses(problems::of_bodies())
        .refuses(problems::of_field("/label", "must be 1 to 100 printable characters"))
        .refuses(problems::of_apps())
}

fn link() -> Value {
    json!({
        "id": ID, "app": "demo", "label": "for Alice", "user_id": null, "return_to": null,
        "created_at": "2026-03-10T21:15:30Z", "expires_at": "2026-03-10T23:15:30Z",
    })
}
