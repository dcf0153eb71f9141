//! `/admin/v1/keys`: operators list, create and revoke API keys.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;

use crate::api::operators::Actor;
use crate::gateway::Page;
use crate::model::key::Unreadable;
use crate::web::extract;
use crate::web::extract::{Limit, Path, Query, page};
use crate::web::host::Host;
use crate::web::problem::Problem;
use crate::wire::{CreatedKey, Key, NewKey};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    after: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// Keys by id; `next` is the `after` of the next page.
pub(crate) async fn list(
    State(host): State<Host>,
    Query(asked): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let wanted = Page { after: asked.after, limit: asked.limit.0 };
    let keys = host.gateway().list_keys(&wanted).await?;
    let id = |it: &Result<_, _>| Unreadable::id_of(it).to_owned();
    Ok(page::<_, Key, _>("keys", keys, &asked.limit, id))
}

/// Creates a key and returns its text (shown only once).
pub(crate) async fn create(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    request: Request,
) -> Result<Response, Problem> {
    let new: NewKey = extract::json(&host, request).await?;
    let new = new.read().map_err(Problem::invalid)?;
    let (key, secret) = host.gateway().create_key(new, &actor.0).await?;
    let created = CreatedKey { secret: secret.expose().to_owned(), key: key.into() };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// Revokes a key, given by id or name.
pub(crate) async fn revoke(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path(key): Path,
) -> Result<Json<Key>, Problem> {
    Ok(Json(host.gateway().revoke_key(&key, &actor.0).await?.into()))
}
