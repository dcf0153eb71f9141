//! Health checks and metrics, for orchestrators and monitoring.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::web::host::Host;

/// Says that the process runs and its runtime makes progress.
pub(crate) async fn live() -> Response {
    axum::Json(json!({ "status": "live" })).into_response()
}

/// Says whether calls can be served: 200, or 503 with the reasons. A degraded gateway is ready and says what is wrong.
pub(crate) async fn ready(State(host): State<Host>) -> Response {
    let health = host.gateway().health();
    let ready = health.ready && !host.lifecycle().is_closing();
    let mut degraded: Vec<String> = health.degraded.iter().map(ToString::to_string).collect();
    if host.lifecycle().is_closing() {
        degraded.push("the gateway is stopping".to_owned());
    }
    let word = match (ready, degraded.is_empty()) {
        (true, true) => "ready",
        (true, false) => "degraded",
        (false, _) => "not ready",
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({ "status": word, "reasons": degraded }))).into_response()
}

/// All metrics, in Prometheus's text format.
pub(crate) async fn metrics(State(host): State<Host>) -> Response {
    host.gateway().measure_quotas();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], host.metrics().render())
        .into_response()
}
