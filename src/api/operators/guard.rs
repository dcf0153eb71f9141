//! Who may use the operators' API. Under a known name, every route requires an admin key before it looks at anything else.

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, HOST};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::gateway;
use crate::model::audit::holder_at;
use crate::model::key::Kind;
use crate::model::permission::{self, Access, Area};
use crate::web::client_address::Client;
use crate::web::host::Host;
use crate::web::presented_key;
use crate::web::problem::Problem;

/// Who acts and from where, for the audit log.
#[derive(Clone)]
pub(crate) struct Actor(pub(crate) String);

/// Lets holders of an admin key through to whom that area is open far enough, and nobody else.
pub(crate) async fn require_key(
    State((host, area)): State<(Host, Area)>,
    mut request: Request,
    next: Next,
) -> Response {
    let from = Client::address(&request);
    let gateway = host.gateway();
    let admin = presented_key::check_key(gateway, request.headers(), Kind::Admin, from).await;
    let needed = if request.method().is_safe() { Access::View } else { Access::Full };
    let admin = admin.and_then(|known| {
        if permission::access(&known.key, area) < needed {
            let why = permission::refusal(&known.key).to_owned();
            return Err(gateway::Error::NotAllowed(why).into());
        }
        Ok(known)
    });
    match admin {
        Ok(admin) => {
            let actor = holder_at(&admin.key.id, from);
            request.extensions_mut().insert(Actor(actor));
            let mut response = next.run(request).await;
            // Some answers show a secret, which no cache may keep.
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// Refuses requests for unknown host names. A request without any host name comes from no browser.
pub(crate) async fn require_known_name(
    State(host): State<Host>,
    request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(HOST).map(HeaderValue::as_bytes);
    let named = match request.uri().authority() {
        Some(authority) => Some(Some(authority.clone())),
        None => header.filter(|host| !host.is_empty()).map(|host| Authority::try_from(host).ok()),
    };
    match named {
        None => next.run(request).await,
        Some(Some(it)) if host.names().have(&it) => next.run(request).await,
        Some(other) => {
            Problem::unknown_name(other.as_ref().map_or("", Authority::host)).into_response()
        }
    }
}
