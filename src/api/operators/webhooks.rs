//! `/admin/v1/webhooks`: operators manage webhooks and see what was delivered to them.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::operators::Actor;
use crate::gateway::{self, DeliveryFilter, Problem as Detail};
use crate::model;
use crate::model::webhook::{DeliveryState, Unreadable};
use crate::web::extract;
use crate::web::extract::{Before, Limit, Path, Query, page};
use crate::web::host::Host;
use crate::web::problem::Problem;
use crate::wire::webhook::{
    Delivery, ListedWebhook, NewWebhook, Rotation, Tested, Webhook, WebhookSecret,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveryQuery {
    state: Option<String>,
    before: Option<Before>,
    #[serde(default)]
    limit: Limit,
}

/// All webhooks by id, with the deliveries pending for each.
pub(crate) async fn list(State(host): State<Host>) -> Result<Json<Value>, Problem> {
    let webhooks = host.gateway().list_webhooks().await?;
    let webhooks: Vec<ListedWebhook> = webhooks.into_iter().map(ListedWebhook::from).collect();
    Ok(Json(json!({ "webhooks": webhooks })))
}

/// Adds a webhook and returns its signing secret (shown only once).
pub(crate) async fn add(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    request: Request,
) -> Result<Response, Problem> {
    let new: NewWebhook = extract::json(&host, request).await?;
    let added = host.gateway().add_webhook(new.into(), &actor.0).await?;
    Ok((StatusCode::CREATED, Json(WebhookSecret::from(added))).into_response())
}

/// Sends a test event, about no account, at once and reports the receiver's response.
pub(crate) async fn test(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path(webhook): Path,
) -> Result<Json<Tested>, Problem> {
    Ok(Json(host.gateway().test_webhook(&webhook, &actor.0).await?.into()))
}

/// Gives a webhook a new secret (shown only once).
pub(crate) async fn rotate(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path(webhook): Path,
    request: Request,
) -> Result<Json<WebhookSecret>, Problem> {
    let rotation: Rotation = extract::json_or_default(&host, request).await?;
    let overlap = rotation.read().map_err(Problem::invalid)?;
    Ok(Json(host.gateway().rotate_webhook(&webhook, overlap, &actor.0).await?.into()))
}

/// Events for a webhook, newest first; `next` is the `before` of the next page.
pub(crate) async fn deliveries(
    State(host): State<Host>,
    Path(webhook): Path,
    Query(asked): Query<DeliveryQuery>,
) -> Result<Json<Value>, Problem> {
    let before = asked.before.map(|number| number.0);
    let state = asked.state.as_deref().map(DeliveryState::from_name);
    if state == Some(None) {
        let detail = "state must be waiting, delivered or given_up";
        return Err(Problem::invalid(vec![Detail::in_query(detail)]));
    }
    let (state, limit) = (state.flatten(), asked.limit.0);
    let filter = DeliveryFilter { webhook_id: webhook, state, before, limit };
    let deliveries = host.gateway().list_deliveries(&filter).await?;
    Ok(page::<_, Delivery, _>("deliveries", deliveries, &asked.limit, number))
}

/// Makes an event due again, at once.
pub(crate) async fn resend(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path((webhook, delivery)): Path<(String, String)>,
) -> Result<Json<Delivery>, Problem> {
    let number = delivery.parse().map_err(|_| gateway::Error::NotFound("delivery"))?;
    Ok(Json(host.gateway().resend_delivery(&webhook, number, &actor.0).await?.into()))
}

/// Deletes a webhook and its pending deliveries.
pub(crate) async fn remove(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path(webhook): Path,
) -> Result<Json<Webhook>, Problem> {
    Ok(Json(host.gateway().remove_webhook(&webhook, &actor.0).await?.into()))
}

fn number(it: &Result<model::webhook::Delivery, Unreadable>) -> i64 {
    it.as_ref().map_or_else(|unreadable| unreadable.number, |delivery| delivery.number)
}
