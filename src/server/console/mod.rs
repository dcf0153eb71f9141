//! The console: pages for admins on the operators' listener. Whoever is not signed in is led to sign in, and a form is
//! taken from our own pages alone.

mod accounts;
mod audit;
mod calls;
mod colours;
mod explore;
mod form;
mod keys;
mod links;
mod overview;
mod sign_in;
mod start;
mod usage;
mod webhooks;

use std::net::IpAddr;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{COOKIE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::console::admin::{self, Chrome, Section};
use crate::gateway::Session;
use crate::server::Host;
use crate::server::pages::{self, page};
use crate::server::peer::Client;
use crate::server::problem::Problem;

/// Scripts, styles and pictures our own, forms to ourselves, and never in a frame.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const ROOT: &str = "/console/";
const SIGN_IN: &str = "/console/sign-in";

pub(super) fn routes(host: &Host) -> Router<Host> {
    let pages = Router::new()
        .route("/console/", get(overview::show))
        .route("/console/accounts", get(accounts::list))
        .route("/console/accounts/{app}/{account}", get(accounts::show))
        .route("/console/accounts/{app}/{account}/verify", post(accounts::verify))
        .route("/console/explore", get(explore::show).post(explore::ask))
        .route("/console/audit", get(audit::list))
        .route("/console/audit.jsonl", get(audit::export))
        .route("/console/webhooks", get(webhooks::list).post(webhooks::add))
        .route("/console/webhooks/{webhook}", get(webhooks::show))
        .route("/console/webhooks/{webhook}/test", post(webhooks::test))
        .route("/console/webhooks/{webhook}/rotate", post(webhooks::rotate))
        .route("/console/webhooks/{webhook}/remove", get(webhooks::confirm).post(webhooks::remove))
        .route("/console/webhooks/{webhook}/deliveries/{delivery}/resend", post(webhooks::resend))
        .route("/console/calls", get(calls::list))
        .route("/console/calls/{call}", get(calls::show))
        .route("/console/usage", get(usage::show))
        .route("/console/usage.csv", get(usage::download))
        .route("/console/accounts/{app}/{account}/reconnect", post(accounts::reconnect))
        .route(
            "/console/accounts/{app}/{account}/remove",
            get(accounts::ask_to_remove).post(accounts::remove),
        )
        .route("/console/keys", get(keys::list).post(keys::create))
        .route("/console/keys/new", get(keys::new))
        .route("/console/keys/{key}/revoke", get(keys::ask_to_revoke).post(keys::revoke))
        .route("/console/links", get(links::list).post(links::create))
        .route("/console/links/new", get(links::new))
        .route("/console/links/{link}/withdraw", get(links::ask_to_withdraw).post(links::withdraw))
        .route("/console/start", get(start::show))
        .route("/console/sign-out", post(sign_in::sign_out))
        .route_layer(from_fn_with_state(host.clone(), require_session));
    let open = Router::new()
        .route("/console", get(async || see_other(ROOT)))
        .route("/console/style.css", get(async || pages::style(admin::STYLE)))
        .route("/console/icon.svg", get(async || pages::icon(admin::ICON)))
        .route("/console/sign-in", get(sign_in::show).post(sign_in::sign_in));
    pages.merge(open).route_layer(from_fn_with_state(host.clone(), require_own_site))
}

/// The page for what no handler has answered.
pub(super) fn problem_page(problem: &Problem) -> String {
    let said = admin::sentence(problem.words().1);
    let (title, what, advice) = match problem.status() {
        StatusCode::NOT_FOUND if problem.is_gateway_error() => {
            ("Nothing here", said, "It may have been removed meanwhile.")
        }
        // What else there is for programs helps nobody who looks for a page.
        StatusCode::NOT_FOUND => {
            let advice = "The address may be mistyped; the console leads to all its pages.";
            ("Nothing here", "There is no such page.".to_owned(), advice)
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            let what = "This page is not asked in this way.".to_owned();
            ("Nothing done", what, "Go on from the console itself.")
        }
        status if status.is_server_error() => ("Not possible now", said, "Try again in a moment."),
        _ => ("Not done", said, "Go back and mend it."),
    };
    admin::trouble(title, &[what], advice)
}

/// Nobody else's site may send a form here, and a page shows itself under our own name alone: else whoever has a name
/// that leads to this machine could read it.
async fn require_own_site(State(host): State<Host>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let Some(own) = own_origin(headers, host.0.gateway.console_url()) else {
        let what = "The console is served at loopback addresses and at admin.public_url alone.";
        let advice = "Set admin.public_url to how browsers reach it.";
        let text = admin::trouble("Not this address", &[what.to_owned()], advice);
        return page(StatusCode::MISDIRECTED_REQUEST, text);
    };
    if !request.method().is_safe() && !pages::is_same_origin(headers, Some(&own)) {
        let what = "Another site sent you here, so nothing was done.";
        let text = admin::trouble("Not done", &[what.to_owned()], "Go on from the console itself.");
        return page(StatusCode::FORBIDDEN, text);
    }
    next.run(request).await
}

/// Lets those in who are signed in, and those who may only look to pages alone.
async fn require_session(State(host): State<Host>, mut request: Request, next: Next) -> Response {
    let address = Client::address(&request);
    let session = match session(&host, request.headers(), address).await {
        Ok(Some(session)) => session,
        Ok(None) if request.method().is_safe() => {
            return sign_in::lead(request.uri());
        }
        Ok(None) => {
            let what = "You are signed out, so nothing was done.";
            let text = admin::trouble("Signed out", &[what.to_owned()], "Sign in again.");
            return page(StatusCode::UNAUTHORIZED, text);
        }
        Err(problem) => return problem.into_response(),
    };
    let leaves = request.uri().path() == "/console/sign-out";
    if !request.method().is_safe() && !session.may_act() && !leaves {
        let what = "The key that you signed in with may look at everything and change nothing.";
        let text = admin::trouble("Not done", &[what.to_owned()], "Ask somebody who may act.");
        return page(StatusCode::FORBIDDEN, text);
    }
    request.extensions_mut().insert(session);
    next.run(request).await
}

async fn session(
    host: &Host,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<Option<Session>, Problem> {
    let gateway = &host.0.gateway;
    let all = headers.get_all(COOKIE).iter().filter_map(|it| it.to_str().ok());
    let mut pairs = all.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
    let name = sign_in::cookie_name(gateway.console_url());
    match pairs.find(|it| it.0 == name) {
        Some((_, secret)) => Ok(gateway.find_session(secret, address).await?),
        None => Ok(None),
    }
}

/// Scheme and authority by which this request came, if pages may be shown there.
fn own_origin(headers: &HeaderMap, public_url: Option<&str>) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let public = public_url.filter(|it| it.split_once("://").is_some_and(|it| it.1 == host));
    if let Some(public) = public {
        return Some(public.to_owned());
    }
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|it| it.is_ascii_digit()) { name } else { host }
    });
    matches!(name, "127.0.0.1" | "localhost" | "[::1]").then(|| format!("http://{host}"))
}

/// Where callers are served, for commands to copy.
fn callers_url(host: &Host) -> &str {
    host.0.gateway.public_url().unwrap_or("http://127.0.0.1:8080")
}

/// What surrounds a page.
fn chrome<'a>(session: &'a Session, section: Section, done: Option<&'a str>) -> Chrome<'a> {
    Chrome { section, key_name: &session.key.key.name, may_act: session.may_act(), done }
}

fn see_other(url: &str) -> Response {
    pages::see_other(url.to_owned()).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

/// What somebody typed to look for; no name has the rest, and PostgreSQL takes no text with a zero in it.
fn typed(text: &str) -> String {
    text.trim().replace(char::is_control, "")
}

/// Where a page leads back to itself with other parameters.
fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let given = parameters.iter().filter(|it| !it.1.is_empty());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}
