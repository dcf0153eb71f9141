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
    operation(HttpMethod::Get, "/admin/v1/links", "list_links", "List pending links")
        .takes(after("1773177330-4b1f6f0c7a2d9e83"))
        .takes(limit())
        .gives(
            "200",
            "The links that have not been used yet, newest first, without their URLs.",
            page("links", "Link", "after", Type::String),
            listed,
        )
        .refuses(problems::of_queries())
}

fn withdraw() -> Operation {
    operation(HttpMethod::Delete, "/admin/v1/links/{link}", "withdraw_link", "Withdraw a link")
        .about("A user who has already opened the link can no longer connect an account with it.")
        .takes(in_path("link", "The link's id.", ID))
        .gives("200", "The link, as it was.", named("Link"), link())
        .refuses(problems::not_found("link that waits"))
}

fn create() -> Operation {
    let summary = "Create a link for connecting an account";
    creates_link(operation(HttpMethod::Post, "/admin/v1/links", "create_link_as_admin", summary))
        .about(
            "Creates a one-time link with which a user connects an account in a browser. Its URL is shown only once.",
        )
}

/// Describes the creation of a link, which both APIs offer.
pub(in crate::api::openapi) fn creates_link(operation: Operation) -> Operation {
    let new = json!({ "app": "demo", "label": "for Alice", "expires": "2h" });
    let created = json!({
        "id": ID, "url": "https://countersign.example.com/connect/…", "app": "demo", "label": "for Alice",
        "user_id": null, "return_to": null, "expires_at": "2026-03-10T23:15:30Z",
    });
    operation
        .reads(Content::json(named("NewLink"), new))
        .gives("201", "The link, with its URL.", named("CreatedLink"), created)
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
