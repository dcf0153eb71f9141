//! `/admin/v1/webhooks`: operators manage webhooks and see what was delivered to them.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

use crate::api::openapi::examples::USER_ID;
use crate::api::openapi::for_operators::{before, in_path, limit, operation, query, with};
use crate::api::openapi::operation::{Content, Operation};
use crate::api::openapi::problems;
use crate::api::openapi::shape::{listing_of, page_of, shape};
use crate::api::operators::guard::Actor;
use crate::gateway::{self, DeliveryFilter, Detail};
use crate::model;
use crate::model::webhook::{DeliveryState, Unreadable};
use crate::web::extract;
use crate::web::extract::{Path, Query};
use crate::web::host::Host;
use crate::web::paging::{Before, Limit, page};
use crate::web::problem::Problem;
use crate::wire::schema::one_of;
use crate::wire::webhook::{
    Delivery, ListedWebhook, NewWebhook, Rotation, Tested, Webhook, WebhookSecret,
};

/// The id of a webhook in examples.
const ID: &str = "kP3vN8sT2xQa";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveryQuery {
    state: Option<String>,
    before: Option<Before>,
    #[serde(default)]
    limit: Limit,
}

/// The descriptions of this file's handlers.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        describe_list(),
        describe_add(),
        describe_test(),
        describe_rotate(),
        describe_deliveries(),
        describe_resend(),
        describe_remove(),
    ]
}

/// All webhooks by id, with the deliveries pending for each.
pub(crate) async fn list(State(host): State<Host>) -> Result<Json<Value>, Problem> {
    let webhooks = host.gateway().list_webhooks().await?;
    let webhooks: Vec<ListedWebhook> = webhooks.into_iter().map(ListedWebhook::from).collect();
    Ok(Json(json!({ "webhooks": webhooks })))
}

fn describe_list() -> Operation {
    let waiting = with(with(webhook_example(), "waiting", 0), "waiting_since", Value::Null);
    let listed = with(waiting, "failure", Value::Null);
    let summary = "List webhooks";
    operation(HttpMethod::Get, "/admin/v1/webhooks", "list_webhooks", summary).gives(
        "200",
        "The webhooks, each with its pending deliveries.",
        listing_of::<ListedWebhook>("webhooks"),
        json!({ "webhooks": [listed] }),
    )
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

fn describe_add() -> Operation {
    let new = json!({ "url": "https://hooks.example.com/countersign", "app": "demo" });
    operation(HttpMethod::Post, "/admin/v1/webhooks", "add_webhook", "Add a webhook")
        .about(
            "The URL receives an event whenever an account is connected or removed, or its state changes. The secret that signs events is shown only once.",
        )
        .reads(Content::json(shape::<NewWebhook>(), new))
        .gives("201", "The webhook, with its secret.", shape::<WebhookSecret>(), webhook_example_with_secret())
        .refuses(problems::of_bodies())
        .refuses(problems::of_field("/url", "must be an https URL"))
        .refuses(vec![problems::already_exists("webhook", "a webhook with this URL")])
}

/// Sends a test event, about no account, at once and reports the receiver's response.
pub(crate) async fn test(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path(webhook): Path,
) -> Result<Json<Tested>, Problem> {
    Ok(Json(host.gateway().test_webhook(&webhook, &actor.0).await?.into()))
}

fn describe_test() -> Operation {
    let tested = json!({ "received": true, "status": 204, "failure": null });
    let (path, summary) = ("/admin/v1/webhooks/{webhook}/test", "Send a test event");
    describe_one(HttpMethod::Post, path, "test_webhook", summary)
        .about("Waits for the receiver's response. If it accepts the event, pending deliveries are sent immediately.")
        .gives("200", "The receiver's response.", shape::<Tested>(), tested)
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

fn describe_rotate() -> Operation {
    let rotated = with(webhook_example_with_secret(), "old_secret_until", "2026-03-11T21:15:30Z");
    let (path, summary) = ("/admin/v1/webhooks/{webhook}/rotate", "Rotate a webhook's secret");
    describe_one(HttpMethod::Post, path, "rotate_webhook", summary)
        .about("The new secret is shown only once. Events are also signed with the old one for a day or for `overlap`; with `0s` only the new one signs.")
        .may_read(Content::json(shape::<Rotation>(), json!({ "overlap": "24h" })))
        .gives("200", "The webhook, with its new secret.", shape::<WebhookSecret>(), rotated)
        .refuses(problems::of_bodies())
        .refuses(problems::of_field("/overlap", "must be at most 30 days"))
        .refuses(vec![problems::already_exists("old_secret", "an old secret that still signs")])
}

/// Events for a webhook, newest first; `next` is the `before` of the next page.
pub(crate) async fn deliveries(
    State(host): State<Host>,
    Path(webhook): Path,
    Query(query): Query<DeliveryQuery>,
) -> Result<Json<Value>, Problem> {
    let before = query.before.map(|number| number.0);
    let state = query.state.as_deref().map(DeliveryState::from_name);
    if state == Some(None) {
        let detail = "state must be waiting, delivered or given_up";
        return Err(Problem::invalid(vec![Detail::in_query(detail)]));
    }
    let (state, limit) = (state.flatten(), query.limit.0);
    let filter = DeliveryFilter { webhook_id: webhook, state, before, limit };
    let deliveries = host.gateway().list_deliveries(&filter).await?;
    Ok(page::<_, Delivery, _>("deliveries", deliveries, &query.limit, number))
}

fn describe_deliveries() -> Operation {
    let listed = json!({ "deliveries": [delivery_example()], "next": null });
    let (path, summary) =
        ("/admin/v1/webhooks/{webhook}/deliveries", "List a webhook's deliveries");
    let shape = page_of::<Delivery>("deliveries", "before", Type::Integer);
    let states = one_of("", DeliveryState::ALL.map(DeliveryState::name));
    describe_one(HttpMethod::Get, path, "list_deliveries", summary)
        .takes(query("state", "Only deliveries in this state.", states.into(), "delivered".into()))
        .takes(before(17))
        .takes(limit())
        .gives("200", "The deliveries of the last 30 days, newest first.", shape, listed)
        .refuses(problems::of_queries())
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

fn describe_resend() -> Operation {
    let path = "/admin/v1/webhooks/{webhook}/deliveries/{delivery}/resend";
    let again = with(with(delivery_example(), "state", "waiting"), "delivered_at", Value::Null);
    let again = with(again, "attempt_at", "2026-03-10T21:20:00Z");
    describe_one(HttpMethod::Post, path, "resend_delivery", "Send an event again")
        .about("Sends the event again under the same id, even if it was delivered or given up. Pending events of the same account that happened later are sent after it.")
        .takes(in_path("delivery", "The delivery's number.", "17"))
        .gives("200", "The delivery, which is pending again.", shape::<Delivery>(), again)
        .refuses(problems::not_found("delivery"))
}

/// Deletes a webhook and all its deliveries.
pub(crate) async fn remove(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path(webhook): Path,
) -> Result<Json<Webhook>, Problem> {
    Ok(Json(host.gateway().remove_webhook(&webhook, &actor.0).await?.into()))
}

fn describe_remove() -> Operation {
    describe_one(
        HttpMethod::Delete,
        "/admin/v1/webhooks/{webhook}",
        "remove_webhook",
        "Delete a webhook",
    )
    .about("Deletes all its deliveries as well, pending ones too.")
    .gives("200", "The webhook, as it was.", shape::<Webhook>(), webhook_example())
}

fn number(delivery: &Result<model::webhook::Delivery, Unreadable>) -> i64 {
    delivery.as_ref().map_or_else(|unreadable| unreadable.number, |delivery| delivery.number)
}

fn describe_one(
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    operation(method, path, id, summary)
        .takes(in_path("webhook", "The webhook's id.", ID))
        .refuses(problems::not_found("webhook"))
}

fn webhook_example_with_secret() -> Value {
    with(webhook_example(), "secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
}

fn webhook_example() -> Value {
    json!({
        "id": ID, "url": "https://hooks.example.com/countersign", "app": "demo",
        "created_at": "2026-03-10T21:15:30Z", "old_secret_until": null,
    })
}

fn delivery_example() -> Value {
    json!({
        "id": format!("evt_{ID}_1773177330_17"), "number": 17, "event": "account.revoked",
        "app": "demo", "user_id": USER_ID, "screen_name": "alice", "added": null, "replaced": null,
        "reason": "X answered twice that the access token is not valid any more",
        "occurred_at": "2026-03-10T21:15:30Z", "state": "delivered", "attempts": 1,
        "attempt_at": null, "delivered_at": "2026-03-10T21:15:31Z", "status": 204, "failure": null,
    })
}
