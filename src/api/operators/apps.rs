//! `/admin/v1/apps`: operators list the configured apps.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::web::host::Host;
use crate::wire::App;

/// The configured apps.
pub(crate) async fn list(State(host): State<Host>) -> Json<Value> {
    let gateway = host.gateway();
    let apps: Vec<App> = gateway.apps().zip(gateway.list_accounts_used()).map(App::from).collect();
    Json(json!({ "apps": apps }))
}
