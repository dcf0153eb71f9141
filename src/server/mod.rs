//! What can be asked of a gateway over HTTP: every route is on this page.
//!
//! Callers' listener: the relay on the upstream's own paths, `/v1/engagement` for questions of any size, `/v1/links` for
//! keys that may invite users, and the pages under `/connect` by which these connect their accounts. Operators' listener:
//! `/metrics`, `/admin/v1`, which asks for an admin key, and the console's pages under `/console`. Both: `/livez`, `/readyz`, and the description of all this,
//! `/openapi.json` for programs and `/docs` for people.

mod admin;
mod body;
mod connect;
mod connection;
mod console;
mod encoding;
mod engagement;
mod export;
mod life;
mod lines;
mod links;
mod listen;
mod meter;
mod names;
mod observe;
pub mod openapi;
mod pages;
mod peer;
mod pieces;
mod places;
mod probe;
mod problem;
mod quota;
mod relay;
mod stream;
mod unread;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::response::Response;
use axum::routing::{delete, get, post};
use tower::Layer;
use tower_http::catch_panic::{CatchPanic, CatchPanicLayer};

pub use crate::server::life::Life;
pub use crate::server::listen::Listener;

use crate::config::Limits;
use crate::gateway::Gateway;
use crate::model::{Clock, Endpoint};
use crate::server::meter::Meters;
use crate::server::names::Names;
use crate::server::quota::Quotas;
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
    meters: Meters,
    names: Names,
    quotas: Quotas,
}

/// The routes of one listener.
#[derive(Clone)]
struct Routes {
    /// Whether the engagement endpoints are among them.
    relays: bool,
    /// A panic in one of them becomes an answer.
    all: Guarded,
}

type Guarded = CatchPanic<Router, fn(Box<dyn Any + Send>) -> Response>;

/// Serves both listeners until `life` ends and the last call is answered, at most `limits.drain` later.
pub async fn serve(
    callers: Listener,
    operators: Listener,
    gateway: Gateway,
    metrics: Metrics,
    limits: &Limits,
    clock: Arc<dyn Clock>,
    life: Life,
) {
    let limits = limits.clone();
    let names = Names::new(gateway.console_url(), gateway.admin_hosts());
    let (meters, quotas) = (Meters::new(), Quotas::default());
    let parts = Parts { gateway, metrics, limits, clock, life, meters, names, quotas };
    let host = Host(Arc::new(parts));
    let callers = listen::serve(callers, "callers", callers_routes(&host), &host);
    let operators = listen::serve(operators, "operators", operators_routes(&host), &host);
    tokio::select! {
        _ = async { tokio::join!(callers, operators) } => (),
        () = host.upkeep() => (),
    }
}

fn callers_routes(host: &Host) -> Routes {
    let mut routes = open();
    for endpoint in Endpoint::ALL {
        routes = routes.route(endpoint.path(), relay::route(endpoint));
    }
    routes = routes
        .route("/v1/engagement", post(engagement::answer))
        .route("/v1/engagement/plan", post(engagement::plan))
        .route("/v1/links", post(links::create))
        .merge(connect::routes());
    let offered = "the engagement endpoints are POST /insights/engagement/totals, /28hr and /historical; GET /docs tells of all";
    Routes { relays: true, all: finish(routes, offered, host) }
}

fn operators_routes(host: &Host) -> Routes {
    let admin = Router::new()
        .route("/admin/v1/overview", get(admin::overview::show))
        .route("/admin/v1/apps", get(admin::apps::list))
        .route("/admin/v1/accounts", get(admin::accounts::list).post(admin::accounts::import))
        .route(
            "/admin/v1/accounts/{account}",
            get(admin::accounts::show).delete(admin::accounts::remove),
        )
        .route("/admin/v1/accounts/{account}/verify", post(admin::accounts::verify))
        .route("/admin/v1/keys", get(admin::keys::list).post(admin::keys::create))
        .route("/admin/v1/keys/{key}", delete(admin::keys::revoke))
        .route("/admin/v1/links", get(admin::links::list).post(admin::links::create))
        .route("/admin/v1/links/{link}", delete(admin::links::withdraw))
        .route("/admin/v1/webhooks", get(admin::webhooks::list).post(admin::webhooks::add))
        .route("/admin/v1/webhooks/{webhook}", delete(admin::webhooks::remove))
        .route("/admin/v1/webhooks/{webhook}/deliveries", get(admin::webhooks::deliveries))
        .route(
            "/admin/v1/webhooks/{webhook}/deliveries/{delivery}/resend",
            post(admin::webhooks::resend),
        )
        .route("/admin/v1/webhooks/{webhook}/rotate", post(admin::webhooks::rotate))
        .route("/admin/v1/webhooks/{webhook}/test", post(admin::webhooks::test))
        .route("/admin/v1/calls", get(admin::calls::list))
        .route("/admin/v1/calls/{call}", get(admin::calls::show))
        .route("/admin/v1/usage", get(admin::usage::show))
        .route("/admin/v1/audit", get(admin::audit::list))
        .route_layer(axum::middleware::from_fn_with_state(host.clone(), admin::require_key));
    let offered = "operators find /metrics, /livez, /readyz and /admin/v1/overview, apps, accounts, keys, links, webhooks, calls, usage and audit here, and people the console at /console/; GET /docs tells of all";
    let guarded = admin.route("/metrics", get(probe::metrics));
    let named = axum::middleware::from_fn_with_state(host.clone(), names::require);
    let routes = open().merge(guarded.route_layer(named));
    Routes { relays: false, all: finish(routes.merge(console::routes(host)), offered, host) }
}

/// What both listeners have, and no key is asked for.
fn open() -> Router<Host> {
    Router::new()
        .route("/livez", get(probe::live))
        .route("/readyz", get(probe::ready))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(openapi::page))
        .route("/docs/style.css", get(openapi::style))
}

/// `offered` is told to whoever asks for anything else.
fn finish(routes: Router<Host>, offered: &'static str, host: &Host) -> Guarded {
    let routes = routes
        .fallback(async move |uri: Uri| problem::no_route(&uri, offered))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            problem::wrong_method(&method, &uri)
        })
        .with_state(host.clone());
    CatchPanicLayer::custom(problem::panicked as fn(_) -> _).layer(routes)
}

impl Host {
    /// Tells how much memory answers occupy, and keeps an unscraped gateway's samples from piling up.
    async fn upkeep(&self) {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(250));
        let memory = metrics::gauge!("countersign_answer_memory_bytes");
        loop {
            tick.tick().await;
            memory.set(f64::from(u32::try_from(self.0.gateway.memory_held()).unwrap_or(u32::MAX)));
            self.0.metrics.upkeep();
        }
    }
}
