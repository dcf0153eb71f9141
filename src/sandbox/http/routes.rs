//! The way of a request: recorded, struck by faults, and routed as the upstream does (reference 1.1).

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use crate::model::Endpoint;
use crate::sandbox::http::reply::{Reply, accepts_gzip};
use crate::sandbox::http::request::Arrival;
use crate::sandbox::http::{errors, faults};
use crate::sandbox::oauth::{bearer, connected_apps, pages, profile};
use crate::sandbox::oauth::{consent, exchange};
use crate::sandbox::{Sandbox, engagement, lookup, post_list};

/// Answers any request that is not for the sandbox's own interface.
pub async fn handle(State(sandbox): State<Sandbox>, request: Request) -> Response {
    let Some(arrival) = Arrival::read(request).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let ticket = sandbox.calls().record(&arrival);
    let strike = sandbox.faults().strike(&arrival.path);
    for delay in strike.delays {
        tokio::time::sleep(delay).await;
    }
    let respond = || route(&sandbox, &arrival);
    let zipped = accepts_gzip(&arrival.headers);
    let response = match strike.fault {
        Some(fault) => faults::respond(&fault, respond, zipped, sandbox.now()).await,
        None => respond().compressed(zipped).into_response(sandbox.now()),
    };
    if let Some(mut held) = strike.held {
        let _ = held.changed().await;
    }
    if response.extensions().get::<faults::Reset>().is_none() {
        sandbox.calls().answered(ticket, response.status().as_u16());
    }
    response
}

fn route(sandbox: &Sandbox, arrival: &Arrival) -> Reply {
    let endpoint = Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == arrival.path);
    let host = Host::of(arrival);
    match host {
        Host::Either if (&*arrival.method, &*arrival.path) == ("GET", "/") => {
            return pages::home(connected_apps::PATH);
        }
        Host::Api if endpoint.is_some() => return errors::coded(34).into(),
        Host::Data if endpoint.is_none() => return errors::no_route().into(),
        _ => (),
    }
    match (&*arrival.method, &*arrival.path, endpoint) {
        ("POST", _, Some(endpoint)) => engagement::reply(sandbox, arrival, endpoint),
        ("POST", "/oauth/request_token", _) => exchange::request_token(sandbox, arrival),
        ("GET", "/oauth/authorize" | "/oauth/authenticate", _) => consent::ask(sandbox, arrival),
        ("POST", "/oauth/authorize" | "/oauth/authenticate", _) => {
            consent::decide(sandbox, arrival)
        }
        ("POST", "/oauth/access_token", _) => exchange::access_token(sandbox, arrival),
        ("GET", connected_apps::PATH, _) => connected_apps::list(sandbox),
        ("POST", connected_apps::PATH, _) => connected_apps::revoke(sandbox, arrival),
        ("POST", "/1.1/oauth/invalidate_token" | "/1.1/oauth/invalidate_token.json", _) => {
            connected_apps::invalidate(sandbox, arrival)
        }
        ("POST", "/oauth2/token", _) => bearer::mint(sandbox, arrival),
        ("POST", "/oauth2/invalidate_token", _) => bearer::invalidate(sandbox, arrival),
        ("GET", "/2/tweets", _) => lookup::reply(sandbox, arrival),
        ("GET", path, _) if post_list::user_of(path).is_some() => {
            post_list::reply(sandbox, arrival)
        }
        ("GET", "/1.1/account/verify_credentials.json", _) => profile::reply(sandbox, arrival),
        (_, path, _) if is_coded(path, host) => errors::coded(34).into(),
        _ => errors::no_route().into(),
    }
}

/// Whether a path without a route is refused with a code; version 2 and the engagement endpoints' host say nothing.
fn is_coded(path: &str, host: Host) -> bool {
    let is_of_version_1 = path.starts_with("/1.1/") || path.starts_with("/oauth");
    is_of_version_1 || (host == Host::Api && !path.starts_with("/2/"))
}

/// Which of X's hosts the client addressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Host {
    /// The API's, such as `api.x.com`, which lacks the engagement endpoints.
    Api,
    /// The engagement endpoints', such as `data-api.x.com`, which has nothing else.
    Data,
    /// The sandbox's own address, at which it is both.
    Either,
}

impl Host {
    fn of(arrival: &Arrival) -> Host {
        match arrival.host().split('.').next() {
            Some("api") => Host::Api,
            Some("data-api") => Host::Data,
            _ => Host::Either,
        }
    }
}
