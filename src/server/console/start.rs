//! `/console/start`.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::console::admin::Section;
use crate::console::admin::start::{self as pages, Progress};
use crate::gateway::Session;
use crate::model::Endpoint;
use crate::server::Host;
use crate::server::console::{chrome, keys};
use crate::server::pages::page;
use crate::server::problem::Problem;

pub(super) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
) -> Result<Response, Problem> {
    let gateway = &host.0.gateway;
    let there = gateway.look_at_progress().await?;
    let apps: Vec<String> = gateway.apps().map(|it| it.0.to_owned()).collect();
    let progress = Progress {
        done: [!apps.is_empty(), there.has_account, there.has_key, there.has_call],
        apps,
        has_links: gateway.public_url().is_some(),
        curl: keys::call(&host, Endpoint::Totals, "", "csk_…"),
    };
    Ok(page(StatusCode::OK, pages::start(&chrome(&session, Section::Start, None), &progress)))
}
