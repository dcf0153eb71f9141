//! `/admin/v1/links`: operators list, create and withdraw the links with which users connect accounts.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

use crate::api::openapi::for_operators::{LINK, after, creates_link, in_path, limit, operation};
use crate::api::openapi::operation::Operation;
use crate::api::openapi::problems;
use crate::api::openapi::shape::{page_of, shape};
use crate::api::operators::guard::Actor;
use crate::gateway::{Detail, Error, LinkId, LinkPlace};
use crate::web::extract;
use crate::web::extract::{Path, Query};
use crate::web::host::Host;
use crate::web::paging::{Limit, page};
use crate::web::problem::Problem;
use crate::wire::{CreatedLink, Link, NewLink};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    after: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// The descriptions of this file's handlers.
pub(crate) fn operations() -> Vec<Operation> {
    vec![describe_list(), describe_withdraw(), describe_create()]
}

/// Links not used yet, newest first; `next` is the `after` of the next page.
pub(crate) async fn list(
    State(host): State<Host>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let after = query.after.as_deref().map(LinkPlace::parse);
    if after == Some(None) {
        let detail = Detail::in_query("after must be the next of the page before");
        return Err(Problem::invalid(vec![detail]));
    }
    let links = host.gateway().list_links(None, after.flatten(), query.limit.0).await?;
    Ok(page::<_, Link, _>("links", links, &query.limit, |link| link.place().to_string()))
}

fn describe_list() -> Operation {
    let listed = json!({ "links": [link_example()], "next": null });
    operation(HttpMethod::Get, "/admin/v1/links", "list_links", "List pending links")
        .takes(after("1773177330-4b1f6f0c7a2d9e83"))
        .takes(limit())
        .gives(
            "200",
            "The links that have not been used yet, newest first, without their URLs.",
            page_of::<Link>("links", "after", Type::String),
            listed,
        )
        .refuses(problems::of_queries())
}

/// Withdraws a link before it is used.
pub(crate) async fn withdraw(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path(link): Path,
) -> Result<Json<Link>, Problem> {
    let id = LinkId::parse(&link).ok_or(Error::NotFound("link that waits"))?;
    Ok(Json(host.gateway().withdraw_link(id, &actor.0).await?.into()))
}

fn describe_withdraw() -> Operation {
    operation(HttpMethod::Delete, "/admin/v1/links/{link}", "withdraw_link", "Withdraw a link")
        .about("A user who has already opened the link can no longer connect an account with it.")
        .takes(in_path("link", "The link's id.", LINK))
        .gives("200", "The link, as it was.", shape::<Link>(), link_example())
        .refuses(problems::not_found("link that waits"))
}

/// Creates a one-time link with which a user connects an account, and returns it (shown only once).
pub(crate) async fn create(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    request: Request,
) -> Result<Response, Problem> {
    let new: NewLink = extract::json(&host, request).await?;
    let new = new.read().map_err(Problem::invalid)?;
    let created = CreatedLink::from(host.gateway().create_link(new, &actor.0).await?);
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

fn describe_create() -> Operation {
    let summary = "Create a link for connecting an account";
    creates_link(operation(HttpMethod::Post, "/admin/v1/links", "create_link_as_admin", summary))
        .about(
            "Creates a one-time link with which a user connects an account in a browser. Its URL is shown only once.",
        )
}

fn link_example() -> Value {
    json!({
        "id": LINK, "app": "demo", "label": "for Alice", "user_id": null, "return_to": null,
        "created_at": "2026-03-10T21:15:30Z", "expires_at": "2026-03-10T23:15:30Z",
    })
}
