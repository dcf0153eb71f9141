//! `/admin/v1/links`: operators list, create and withdraw the links with which users connect accounts.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;

use crate::api::operators::Actor;
use crate::gateway::{Error, LinkId, LinkPlace, Problem as Detail};
use crate::web::extract;
use crate::web::extract::{Limit, Path, Query, page};
use crate::web::host::Host;
use crate::web::problem::Problem;
use crate::wire::{CreatedLink, Link, NewLink};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    after: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// Links not used yet, newest first; `next` is the `after` of the next page.
pub(crate) async fn list(
    State(host): State<Host>,
    Query(asked): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let after = asked.after.as_deref().map(LinkPlace::parse);
    if after == Some(None) {
        let detail = Detail::in_query("after must be the next of the page before");
        return Err(Problem::invalid(vec![detail]));
    }
    let links = host.gateway().list_links(None, after.flatten(), asked.limit.0).await?;
    Ok(page::<_, Link, _>("links", links, &asked.limit, |link| link.place().to_string()))
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
