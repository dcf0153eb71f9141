//! What can be asked of a gateway over HTTP: every route is on this page.
//!
//! Callers' listener: the relay on the upstream's own paths, `/livez`, `/readyz`. Operators' listener: the same probes,
//! `/metrics`, and `/admin/v1`, which asks for an admin key.

mod admin;
mod body;
mod encoding;
mod life;
mod listen;
mod observe;
mod probe;
mod problem;
mod relay;
mod stream;
pub mod wire;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, delete, get, post};
use tokio::net::TcpListener;

pub use crate::server::life::Life;

use crate::config::Limits;
use crate::gateway::Gateway;
use crate::model::{Clock, Endpoint};
use crate::telemetry::Metrics;

/// What every handler may use; a cheap clone.
#[derive(Clone)]
struct Host(Arc<Parts>);

struct Parts {
    gateway: Gateway,
    metrics: Metrics,
    limits: Limits,
    clock: Arc<dyn Clock>,
    life: Life,
}

/// Serves both listeners until `life` ends and the last call is answered, at most `limits.drain` later.
pub async fn serve(
    callers: TcpListener,
    operators: TcpListener,
    gateway: Gateway,
    metrics: Metrics,
    limits: &Limits,
    clock: Arc<dyn Clock>,
    life: Life,
) {
    let parts = Parts { gateway, metrics, limits: limits.clone(), clock, life: life.clone() };
    let host = Host(Arc::new(parts));
    let callers = listen::serve(callers, callers_routes(&host), limits, life.clone());
    let operators = listen::serve(operators, operators_routes(&host), limits, life.clone());
    let upkeep = host.upkeep();
    tokio::select! {
        _ = async { tokio::join!(callers, operators) } => (),
        () = upkeep => (),
    }
}

fn callers_routes(host: &Host) -> Router {
    let mut routes = probes();
    for endpoint in Endpoint::ALL {
        routes = routes.route(endpoint.path(), relay::route(endpoint));
    }
    finish(routes, host)
}

fn operators_routes(host: &Host) -> Router {
    let admin = Router::new()
        .route("/admin/v1/apps", get(admin::apps::list))
        .route("/admin/v1/accounts", get(admin::accounts::list).post(admin::accounts::import))
        .route(
            "/admin/v1/accounts/{account}",
            get(admin::accounts::show).delete(admin::accounts::remove),
        )
        .route("/admin/v1/accounts/{account}/verify", post(admin::accounts::verify))
        .route("/admin/v1/keys", get(admin::keys::list).post(admin::keys::create))
        .route("/admin/v1/keys/{key}", delete(admin::keys::revoke))
        .route("/admin/v1/audit", get(admin::audit::list))
        .route_layer(axum::middleware::from_fn_with_state(host.clone(), admin::require_key));
    finish(probes().route("/metrics", get(probe::metrics)).merge(admin), host)
}

fn probes() -> Router<Host> {
    let live: MethodRouter<Host> = get(probe::live);
    Router::new().route("/livez", live).route("/readyz", get(probe::ready))
}

fn finish(routes: Router<Host>, host: &Host) -> Router {
    routes
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(problem::panicked))
        .layer(axum::middleware::from_fn_with_state(host.clone(), observe::observe))
        .with_state(host.clone())
}

impl Host {
    /// Keeps an unscraped gateway's samples from piling up.
    async fn upkeep(&self) {
        let mut tick = tokio::time::interval(std::time::Duration::from_secs(5));
        loop {
            tick.tick().await;
            self.0.metrics.upkeep();
        }
    }
}
