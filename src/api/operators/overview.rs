//! `/admin/v1/overview`: operators see the state of the deployment at a glance.

use axum::Json;
use axum::extract::State;
use serde_json::json;
use utoipa::openapi::HttpMethod;

use crate::api::openapi::examples::USER_ID;
use crate::api::openapi::for_operators::{KEY, operation};
use crate::api::openapi::operation::Operation;
use crate::api::openapi::shape::shape;
use crate::model::Cause;
use crate::web::host::Host;
use crate::web::problem::Problem;
use crate::wire::overview::Overview;

/// The descriptions of this file's handlers.
pub(crate) fn operations() -> Vec<Operation> {
    vec![describe_show()]
}

/// The present state, and the last day's calls.
pub(crate) async fn show(State(host): State<Host>) -> Result<Json<Overview>, Problem> {
    Ok(Json(host.gateway().get_overview().await?.into()))
}

fn describe_show() -> Operation {
    let hour = |auth: &str, calls: u64, failed: u64| json!({ "at": "2026-03-10T21:00:00Z", "auth": auth, "calls": calls, "failed": failed });
    let webhook = json!({
        "id": "kP3vN8sT2xQa", "url": "https://hooks.example.com/countersign", "app": "demo",
        "created_at": "2026-03-01T09:00:00Z", "old_secret_until": null,
        "waiting": 3, "waiting_since": "2026-03-10T20:00:00Z", "failure": "it answered with status 500",
    });
    let quota = json!({
        "app": "demo", "pool": "app-only totals", "mode": "enforce", "limit": 600, "used": 600,
        "ends_at": "2026-03-10T21:16:00Z", "free_at": "2026-03-10T21:16:00Z", "waiting": 4,
        "keys": [{ "key": KEY, "name": "dashboard", "calls": 580, "waiting": 4 }],
        "other_keys": { "keys": 0, "calls": 0, "waiting": 0 }, "other_calls": 20,
    });
    let attention = json!({
        "cause": Cause::AppRejected.name(), "app": "demo", "since": "2026-03-10T21:06:00Z",
        "text": "App demo: X rejects its consumer key and secret, or has suspended it.",
        "remedy": Cause::AppRejected.remedy(),
        "figures": { "failed": 3, "calls": 94, "listed": 3, "failed_yesterday": 0, "calls_yesterday": 310 },
        "keys": [{ "key": KEY, "name": "dashboard", "calls": 3 }],
        "accounts": [{ "account": USER_ID, "screen_name": "alice", "calls": 3 }],
    });
    let overview = json!({
        "attention": [attention],
        "lately": { "calls": 94, "failed": 3, "calls_yesterday": 310, "failed_yesterday": 0 },
        "degraded": ["app demo: X refuses its consumer key and secret, or has suspended it"],
        "accounts": { "active": 17, "revoked": 1, "blocked": 0, "quarantined": 0 },
        "since": "2026-03-09T22:00:00Z", "calls": 1204, "failed": 3,
        "hours": [hour("app-only", 1100, 0), hour("user-context", 104, 3)],
        "latency": { "calls": 1000, "median_ms": 214.5, "p95_ms": 820.25 },
        "webhooks": [webhook],
        "events_waiting": 3,
        "events_waiting_since": "2026-03-10T20:00:00Z",
        "gaps": [{ "since": "2026-03-09T02:10:05Z", "lost_calls": 0, "killed": true }],
        "accounts_used": [{ "app": "demo", "accounts": 17, "account_limit": 100, "over_limit": "warn" }],
        "quotas": [quota],
    });
    let summary = "Get an overview";
    operation(HttpMethod::Get, "/admin/v1/overview", "show_overview", summary)
        .about("The contents of the console's first page: what needs attention, and figures of the last 24 hours.")
        .gives("200", "The overview.", shape::<Overview>(), overview)
}
