//! `/admin/v1/webhooks`.

use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

use crate::api::openapi::examples::USER_ID;
use crate::api::openapi::operation::{Content, Operation};
use crate::api::openapi::operators::parameters::{before, in_path, limit, operation, query, with};
use crate::api::openapi::problems;
use crate::api::openapi::schemas::named;
use crate::api::openapi::schemas::{listing, page};
use crate::model::webhook::DeliveryState;
use crate::wire::schema::one_of;

const ID: &str = "kP3vN8sT2xQa";

pub(super) fn operations() -> Vec<Operation> {
    vec![list(), add(), remove(), test(), rotate(), deliveries(), resend()]
}

fn list() -> Operation {
    let waiting = with(with(webhook(), "waiting", 0), "waiting_since", Value::Null);
    let listed = with(waiting, "failure", Value::Null);
    let summary = "List webhooks";
    operation(HttpMethod::Get, "/admin/v1/webhooks", "list_webhooks", summary).gives(
        "200",
        "The webhooks, each with its pending deliveries.",
        listing("webhooks", "ListedWebhook"),
        json!({ "webhooks": [listed] }),
    )
}

fn add() -> Operation {
    let new = json!({ "url": "https://hooks.example.com/countersign", "app": "demo" });
    operation(HttpMethod::Post, "/admin/v1/webhooks", "add_webhook", "Add a webhook")
        .about(
            "The URL receives an event whenever an account changes its state. The secret that signs events is shown only once.",
        )
        .reads(Content::json(named("NewWebhook"), new))
        .gives("201", "The webhook, with its secret.", named("WebhookSecret"), with_secret())
        .refuses(problems::of_bodies())
        .refuses(problems::of_field("/url", "must be an https URL"))
        .refuses(vec![problems::already_exists("webhook", "a webhook with this URL")])
}

fn remove() -> Operation {
    one(HttpMethod::Delete, "/admin/v1/webhooks/{webhook}", "remove_webhook", "Delete a webhook")
        .about("Deletes its pending deliveries as well.")
        .gives("200", "The webhook, as it was.", named("Webhook"), webhook())
}

fn test() -> Operation {
    let tested = json!({ "received": true, "status": 204, "failure": null });
    let (path, summary) = ("/admin/v1/webhooks/{webhook}/test", "Send a test event");
    one(HttpMethod::Post, path, "test_webhook", summary)
        .about("Waits for the receiver's response. If it accepts the event, pending deliveries are sent immediately.")
        .gives("200", "The receiver's response.", named("Tested"), tested)
}

fn rotate() -> Operation {
    let rotated = with(with_secret(), "old_secret_until", "2026-03-11T21:15:30Z");
    let (path, summary) = ("/admin/v1/webhooks/{webhook}/rotate", "Rotate a webhook's secret");
    one(HttpMethod::Post, path, "rotate_webhook", summary)
        .about("The new secret is shown only once. Events are also signed with the old one for a day or for `overlap`; with `0s` only the new one signs.")
        .may_read(Content::json(named("Rotation"), json!({ "overlap": "24h" })))
        .gives("200", "The webhook, with its new secret.", named("WebhookSecret"), rotated)
        .refuses(problems::of_bodies())
        .refuses(problems::of_field("/overlap", "must be at most 30 days"))
        .refuses(vec![problems::already_exists("old_secret", "an old secret that still signs")])
}

fn deliveries() -> Operation {
    let listed = json!({ "deliveries": [delivery()], "next": null });
    let (path, summary) =
        ("/admin/v1/webhooks/{webhook}/deliveries", "List a webhook's deliveries");
    let shape = page("deliveries", "Delivery", "before", Type::Integer);
    let states = one_of("", DeliveryState::ALL.map(DeliveryState::name));
    one(HttpMethod::Get, path, "list_deliveries", summary)
        .takes(query("state", "Only deliveries in this state.", states.into(), "delivered".into()))
        .takes(before(17))
        .takes(limit())
        .gives("200", "The deliveries of the last 30 days, newest first.", shape, listed)
        .refuses(problems::of_queries())
}

fn resend() -> Operation {
    let path = "/admin/v1/webhooks/{webhook}/deliveries/{delivery}/resend";
    let again = with(with(delivery(), "state", "waiting"), "delivered_at", Value::Null);
    let again = with(again, "attempt_at", "2026-03-10T21:20:00Z");
    one(HttpMethod::Post, path, "resend_delivery", "Send an event again")
        .about("Sends the event again under the same id, even if it was delivered or given up. Pending events of the same account that happened later are sent after it.")
        .takes(in_path("delivery", "The delivery's number.", "17"))
        .gives("200", "The delivery, which is pending again.", named("Delivery"), again)
        .refuses(problems::not_found("delivery"))
}

fn one(
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    operation(method, path, id, summary)
        .takes(in_path("webhook", "The webhook's id.", ID))
        .refuses(problems::not_found("webhook"))
}

fn with_secret() -> Value {
    with(webhook(), "secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
}

fn webhook() -> Value {
    json!({
        "id": ID, "url": "https://hooks.example.com/countersign", "app": "demo",
        "created_at": "2026-03-10T21:15:30Z", "old_secret_until": null,
    })
}

fn delivery() -> Value {
    json!({
        "id": format!("evt_{ID}_1773177330_17"), "number": 17, "event": "account.revoked",
        "app": "demo", "user_id": USER_ID, "screen_name": "alice",
        "reason": "X answered twice that the access token is not valid any more",
        "occurred_at": "2026-03-10T21:15:30Z", "state": "delivered", "attempts": 1,
        "attempt_at": null, "delivered_at": "2026-03-10T21:15:31Z", "status": 204, "failure": null,
    })
}
