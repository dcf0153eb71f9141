//! A request that arrived: read, recorded, struck by faults, and routed as the upstream routes it (reference 1.1).

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;

use crate::model::Endpoint;
use crate::sandbox::credentials::Credentials;
use crate::sandbox::handshake::{consent, exchange};
use crate::sandbox::reply::{Reply, takes_gzip};
use crate::sandbox::signature::{Pairs, form_pairs};
use crate::sandbox::{Sandbox, connected_apps, engagement, errors, faults, lookup, profile, token};

const MOST_BODY_BYTES: usize = 8 * 1024 * 1024;

/// A request with its whole body.
pub struct Arrival {
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub credentials: Credentials,
    /// What the client called this server.
    authority: String,
}

impl Arrival {
    async fn read(request: Request) -> Option<Arrival> {
        let (head, body) = request.into_parts();
        let host = head.headers.get(HOST).and_then(|it| it.to_str().ok());
        let named = head.uri.authority().map(ToString::to_string);
        Some(Arrival {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(ToOwned::to_owned),
            body: to_bytes(body, MOST_BODY_BYTES).await.ok()?,
            credentials: Credentials::read(&head.headers),
            authority: named.or(host.map(ToOwned::to_owned)).unwrap_or_default(),
            headers: head.headers,
        })
    }

    /// The URL that a signature covers: lower case, without a default port or a query (reference 6.2).
    pub fn signed_url(&self, scheme: &str) -> String {
        let port = if scheme == "https" { ":443" } else { ":80" };
        let authority = self.authority.to_ascii_lowercase();
        let host = authority.strip_suffix(port).unwrap_or(&authority);
        format!("{scheme}://{host}{}", self.path)
    }

    /// The body's parameters when it is a form, which a signature covers; any other body gives none.
    pub fn form(&self) -> Pairs {
        let text = std::str::from_utf8(&self.body).unwrap_or_default();
        if self.is_of_type("application/x-www-form-urlencoded") {
            form_pairs(text)
        } else {
            Vec::new()
        }
    }

    /// Whether the body is declared to be of that media type, whatever its parameters.
    pub fn is_of_type(&self, media_type: &str) -> bool {
        let declared = self.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let essence = declared.unwrap_or_default().split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(media_type)
    }
}

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
    let zipped = takes_gzip(&arrival.headers);
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
    let endpoint = Endpoint::ALL.into_iter().find(|it| it.path() == arrival.path);
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
        ("POST", "/oauth2/token", _) => token::mint(sandbox, arrival),
        ("POST", "/oauth2/invalidate_token", _) => token::invalidate(sandbox, arrival),
        ("GET", "/2/tweets", _) => lookup::reply(sandbox, arrival),
        ("GET", "/1.1/account/verify_credentials.json", _) => profile::reply(sandbox, arrival),
        (_, path, _) if path.starts_with("/1.1/") || path.starts_with("/oauth") => {
            errors::coded(34).into()
        }
        _ => errors::no_route().into(),
    }
}
