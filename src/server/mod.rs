//! The HTTP server: every route of both listeners is in this file.
//!
//! Callers' listener: the relay on the upstream's own paths, `/v1/engagement` for questions of any size, `/v1/links`
//! for keys that may invite users, `/v1/key`, `/v1/accounts` and `/v1/usage` for what services may see of their keys, and
//! the pages under `/connect` where users connect their accounts.
//! Operators' listener: `/metrics`, which requires no key; `/admin/v1`, which requires an admin key; and the console's
//! pages under `/console`, which require signing in with one. Which areas of both a key opens is in `model/permission.rs`.
//! Both: `/livez`, `/readyz`, and the API description, `/openapi.json` for programs and `/docs` for people.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use tower::Layer;
use tower_http::catch_panic::CatchPanicLayer;

pub use crate::pages::front::{Front, SignInLink};
pub use crate::web::lifecycle::Life;
pub use crate::web::listen::Listener;

use crate::api::callers::{
    accounts, browser_tokens, client_module, engagement, key, links, relay, usage,
};
use crate::api::openapi::Api;
use crate::api::{openapi, operators, probes};
use crate::config::Limits;
use crate::gateway::Gateway;
use crate::model::permission::Area;
use crate::model::{Clock, Endpoint};
use crate::pages::console::{address, guard, layout};
use crate::pages::{connect, console, docs, front, home};
use crate::telemetry::Metrics;
use crate::web::call_metrics::Meters;
use crate::web::cross_origin;
use crate::web::host::{Guarded, Host, Parts, Routes};
use crate::web::host_names::Names;
use crate::web::html::Face;
use crate::web::quota::Quotas;
use crate::web::{html, listen, problem};

/// The groups of pages that people open in a browser.
const FACES: &[Face] = &[connect::FACE, guard::FACE];

/// What is served where.
pub struct Listeners {
    pub callers: Listener,
    pub operators: Listener,
    /// The front end of a demo.
    pub front: Option<(Listener, Front)>,
}

/// Serves all listeners until `life` ends and the last call is answered, at most `limits.drain` later.
pub async fn serve(
    Listeners { callers, operators, front }: Listeners,
    gateway: Gateway,
    metrics: Metrics,
    limits: &Limits,
    clock: Arc<dyn Clock>,
    life: Life,
) {
    let limits = limits.clone();
    let names = Names::new(gateway.console_url(), gateway.admin_hosts());
    let (meters, quotas) = (Meters::new(), Quotas::default());
    let parts = Parts { gateway, metrics, limits, clock, lifecycle: life, meters, names, quotas };
    let host = Host::new(parts);
    let callers = listen::serve(callers, "callers", callers_routes(&host), &host);
    let operators = listen::serve(operators, "operators", operators_routes(&host), &host);
    let front = async {
        if let Some((listener, front)) = front {
            listen::serve(listener, "front", front_routes(front, &host), &host).await;
        }
    };
    tokio::select! {
        _ = async { tokio::join!(callers, operators, front) } => (),
        () = host.upkeep() => (),
    }
}

fn callers_routes(host: &Host) -> Routes {
    let offered = "the engagement endpoints are POST /insights/engagement/totals, /28hr and /historical; GET /docs lists everything";
    let mut routes = open(Api::Callers, offered);
    for endpoint in Endpoint::ALL {
        routes = routes.route(endpoint.path(), relay::route(endpoint));
    }
    routes = routes
        .route("/v1/engagement", post(engagement::answer).options(cross_origin::preflight))
        .route("/v1/browser-tokens", post(browser_tokens::create))
        .route("/v1/client.js", get(async |headers: HeaderMap| client_module::client(&headers)))
        .route("/v1/client.d.ts", get(async |headers: HeaderMap| client_module::types(&headers)))
        .route("/v1/engagement/plan", post(engagement::plan))
        .route("/v1/links", post(links::create))
        .route("/v1/key", get(key::show))
        .route("/v1/accounts", get(accounts::list))
        .route("/v1/usage", get(usage::show))
        .merge(connect_routes());
    Routes { relays: true, faces: FACES, all: finish(routes, offered, host) }
}

/// The routes of a demo's front end, which are in `pages/front`.
fn front_routes(front: Front, host: &Host) -> Routes {
    let offered = "the page is at /";
    Routes { relays: false, faces: &[], all: finish(front::routes(front), offered, host) }
}

fn connect_routes() -> Router<Host> {
    Router::new()
        .route("/connect/style.css", get(connect::style))
        .route("/connect/callback", get(connect::callback))
        .route("/connect/{link}", get(connect::show))
        .route("/connect/{link}/begin", get(connect::back).post(connect::begin))
}

fn operators_routes(host: &Host) -> Routes {
    let admin = Router::new()
        .route("/admin/v1/overview", get(operators::overview::show))
        .route("/admin/v1/apps", get(operators::apps::list))
        .route(
            "/admin/v1/accounts",
            get(operators::accounts::list).post(operators::accounts::import),
        )
        .route(
            "/admin/v1/accounts/{account}",
            get(operators::accounts::show).delete(operators::accounts::remove),
        )
        .route("/admin/v1/accounts/{account}/verify", post(operators::accounts::verify))
        .route("/admin/v1/keys", get(operators::keys::list).post(operators::keys::create))
        .route(
            "/admin/v1/keys/{key}",
            delete(operators::keys::revoke).patch(operators::keys::update),
        )
        .route("/admin/v1/keys/{key}/subjects", get(operators::keys::subjects))
        .route("/admin/v1/keys/{key}/withdraw-tokens", post(operators::keys::withdraw_tokens))
        .route("/admin/v1/links", get(operators::links::list).post(operators::links::create))
        .route("/admin/v1/links/{link}", delete(operators::links::withdraw))
        .route("/admin/v1/webhooks", get(operators::webhooks::list).post(operators::webhooks::add))
        .route("/admin/v1/webhooks/{webhook}", delete(operators::webhooks::remove))
        .route("/admin/v1/webhooks/{webhook}/deliveries", get(operators::webhooks::deliveries))
        .route(
            "/admin/v1/webhooks/{webhook}/deliveries/{delivery}/resend",
            post(operators::webhooks::resend),
        )
        .route("/admin/v1/webhooks/{webhook}/rotate", post(operators::webhooks::rotate))
        .route("/admin/v1/webhooks/{webhook}/test", post(operators::webhooks::test))
        .route("/admin/v1/calls", get(operators::calls::list))
        .route("/admin/v1/calls/{call}", get(operators::calls::show))
        .route("/admin/v1/audit", get(operators::audit::list));
    let usage = Router::new().route("/admin/v1/usage", get(operators::usage::show));
    let keyed = |routes: Router<Host>, area| {
        let state = (host.clone(), area);
        routes.route_layer(from_fn_with_state(state, operators::guard::require_key))
    };
    let admin = keyed(admin, Area::Administration).merge(keyed(usage, Area::Usage));
    let guarded = admin.route("/metrics", get(probes::metrics));
    let named = from_fn_with_state(host.clone(), operators::guard::require_known_name);
    let offered = "this listener serves /metrics, /livez, /readyz, the API under /admin/v1 and the console at /console/; GET /docs lists everything";
    let routes = open(Api::Operators, offered).merge(guarded.route_layer(named));
    Routes {
        relays: false,
        faces: FACES,
        all: finish(routes.merge(console_routes(host)), offered, host),
    }
}

fn console_routes(host: &Host) -> Router<Host> {
    let administration = Router::new()
        .route("/console/", get(console::overview::show))
        .route("/console/accounts", get(console::accounts::list))
        .route("/console/accounts/{app}/{account}", get(console::accounts::show))
        .route("/console/accounts/{app}/{account}/verify", post(console::accounts::verify))
        .route("/console/audit", get(console::audit::list))
        .route("/console/audit.jsonl", get(console::audit::export))
        .route("/console/webhooks", get(console::webhooks::list).post(console::webhooks::add))
        .route("/console/webhooks/{webhook}", get(console::webhooks::show))
        .route("/console/webhooks/{webhook}/test", post(console::webhooks::test))
        .route("/console/webhooks/{webhook}/rotate", post(console::webhooks::rotate))
        .route(
            "/console/webhooks/{webhook}/remove",
            get(console::webhooks::confirm_remove).post(console::webhooks::remove),
        )
        .route(
            "/console/webhooks/{webhook}/deliveries/{delivery}/resend",
            post(console::webhooks::resend),
        )
        .route("/console/calls", get(console::calls::list))
        .route("/console/calls/{call}", get(console::calls::show))
        .route("/console/accounts/{app}/{account}/reconnect", post(console::accounts::reconnect))
        .route(
            "/console/accounts/{app}/{account}/remove",
            get(console::accounts::confirm_remove).post(console::accounts::remove),
        )
        .route("/console/keys", get(console::keys::list).post(console::keys::create))
        .route("/console/keys/new", get(console::keys::new))
        .route(
            "/console/keys/{key}/limits",
            get(console::keys::limits).post(console::keys::change_limits),
        )
        .route(
            "/console/keys/{key}/tokens",
            get(console::keys::tokens::show).post(console::keys::tokens::withdraw),
        )
        .route(
            "/console/keys/{key}/revoke",
            get(console::keys::confirm_revoke).post(console::keys::revoke),
        )
        .route("/console/links", get(console::links::list).post(console::links::create))
        .route("/console/links/new", get(console::links::new))
        .route(
            "/console/links/{link}/withdraw",
            get(console::links::confirm_withdraw).post(console::links::withdraw),
        )
        .route("/console/start", get(console::start::show));
    let usage = Router::new()
        .route("/console/usage", get(console::usage::show))
        .route("/console/usage.csv", get(console::usage::download));
    let explore = Router::new()
        .route("/console/explore", get(console::explore::show).post(console::explore::run));
    let session = Router::new().route("/console/sign-out", post(console::sign_in::sign_out));
    let areas = [
        (administration, Area::Administration),
        (usage, Area::Usage),
        (explore, Area::Explore),
        (session, Area::Session),
    ];
    let signed_in = areas.into_iter().fold(Router::new(), |all, (pages, area)| {
        let state = (host.clone(), area);
        all.merge(pages.route_layer(from_fn_with_state(state, guard::require_session)))
    });
    let open = Router::new()
        .route("/console", get(async || address::see_other(address::ROOT)))
        .route("/console/style.css", get(async || html::style(layout::STYLE)))
        .route("/console/icon.svg", get(async || html::icon(layout::ICON)))
        .route("/console/sign-in", get(console::sign_in::show).post(console::sign_in::sign_in));
    signed_in.merge(open).route_layer(from_fn_with_state(host.clone(), guard::require_own_site))
}

/// The routes that both listeners have, which need no key; each listener describes its own API. `offered` says what there is
/// instead of what it has not.
fn open(api: Api, offered: &'static str) -> Router<Host> {
    Router::new()
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route(
            "/openapi.json",
            get(async move |headers: HeaderMap| openapi::document(api, &headers)),
        )
        .route(
            "/",
            get(async move |headers: HeaderMap| home::page(api, &headers))
                .fallback(async move |uri: Uri| problem::no_route(&uri, offered)),
        )
        .route(
            "/docs",
            get(async move |State(host): State<Host>, headers: HeaderMap| {
                docs::page(api, host.gateway(), &headers)
            }),
        )
        .route("/docs/style.css", get(docs::style))
}

/// Adds the answers to unknown paths and methods; `offered` says what there is instead.
fn finish(routes: Router<Host>, offered: &'static str, host: &Host) -> Guarded {
    let routes = routes
        .fallback(async move |uri: Uri| problem::no_route(&uri, offered))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            problem::wrong_method(&method, &uri)
        })
        .with_state(host.clone());
    CatchPanicLayer::custom(problem::panicked as fn(_) -> _).layer(routes)
}
