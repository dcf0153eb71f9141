//! `/admin/v1/apps`: operators list the configured apps.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;

use crate::api::openapi::for_operators::operation;
use crate::api::openapi::operation::Operation;
use crate::api::openapi::shape::listing_of;
use crate::web::host::Host;
use crate::wire::App;

/// The descriptions of this file's handlers.
pub(crate) fn operations() -> Vec<Operation> {
    vec![describe_list()]
}

/// The configured apps.
pub(crate) async fn list(State(host): State<Host>) -> Json<Value> {
    let gateway = host.gateway();
    let apps: Vec<App> = gateway.apps().zip(gateway.list_accounts_used()).map(App::from).collect();
    Json(json!({ "apps": apps }))
}

fn describe_list() -> Operation {
    let app = json!({
        "name": "demo", "app_only": "bearer", "bearer_source": "minted",
        "accounts_used": 17, "account_limit": 100, "over_limit": "warn",
    });
    operation(HttpMethod::Get, "/admin/v1/apps", "list_apps", "List the configured apps").gives(
        "200",
        "The apps.",
        listing_of::<App>("apps"),
        json!({ "apps": [app] }),
    )
}
