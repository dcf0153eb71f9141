//! What orchestrators and monitoring ask.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::server::Host;

/// Asked every few seconds by machines: not logged, and answered where nothing else is.
pub(super) const PATHS: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// The process runs and its runtime turns.
pub(super) async fn live() -> Response {
    axum::Json(json!({ "status": "live" })).into_response()
}

/// Calls can be served: 200, or 503 with the reasons. A degraded gateway is ready and says what is wrong.
pub(super) async fn ready(State(host): State<Host>) -> Response {
    let health = host.0.gateway.health();
    let ready = health.ready && !host.0.life.is_closing();
    let mut degraded: Vec<String> = health.degraded.iter().map(ToString::to_string).collect();
    if host.0.life.is_closing() {
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

/// Everything counted, in Prometheus's text format.
pub(super) async fn metrics(State(host): State<Host>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], host.0.metrics.render())
        .into_response()
}
