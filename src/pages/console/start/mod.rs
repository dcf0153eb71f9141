//! `/console/start`: the first steps of a new installation.

mod view;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::gateway::Session;
use crate::model::Endpoint;
use crate::pages::console::guard::chrome;
use crate::pages::console::keys;
use crate::pages::console::layout::Section;
use crate::pages::console::start::view::Progress;
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;

pub(crate) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
) -> Result<Response, Problem> {
    let gateway = host.gateway();
    let steps = gateway.get_first_steps().await?;
    let apps: Vec<String> = gateway.apps().map(|app| app.0.to_owned()).collect();
    let progress = Progress {
        done: [!apps.is_empty(), steps.has_account, steps.has_key, steps.has_call],
        apps,
        has_links: gateway.public_url().is_some(),
        curl: keys::call(&host, Endpoint::Totals, "", "csk_…"),
    };
    Ok(page(StatusCode::OK, view::start(&chrome(&session, Section::Start, None), &progress)))
}
