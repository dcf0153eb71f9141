//! The operators' API. Every route asks for an admin key before it looks at anything else.

pub(super) mod accounts;
pub(super) mod apps;
pub(super) mod audit;
pub(super) mod keys;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::gateway::Problem as Detail;
use crate::model::AccountRef;
use crate::model::key::Kind;
use crate::server::problem::Problem;
use crate::server::{Host, body, relay};

/// An import of some thousand accounts.
const MOST_BYTES: usize = 4 * 1024 * 1024;
const MOST_ITEMS: u32 = 1000;
const ITEMS: u32 = 100;

/// Who acts, for the audit log.
#[derive(Clone)]
pub(super) struct Actor(pub(super) String);

/// Lets holders of an admin key through, and nobody else.
pub(super) async fn require_key(
    State(host): State<Host>,
    mut request: Request,
    next: Next,
) -> Response {
    let admin = match relay::key(request.headers()) {
        Ok(key) => host.0.gateway.check_key(key, Kind::Admin).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    match admin {
        Ok(admin) => {
            request.extensions_mut().insert(Actor(format!("key:{}", admin.key.id)));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Which app is meant; may be left out where only one is configured.
#[derive(Deserialize)]
pub(super) struct OfApp {
    app: Option<String>,
}

/// A `limit` within bounds.
fn limit(wanted: Option<u32>) -> u32 {
    wanted.unwrap_or(ITEMS).clamp(1, MOST_ITEMS)
}

fn account_ref(text: &str) -> Result<AccountRef, Problem> {
    let detail = "the account in the path must be a user id of 1 to 19 digits or @screen_name";
    AccountRef::parse(text).ok_or_else(|| Problem::invalid(vec![Detail::at("", detail)]))
}

async fn json<T: DeserializeOwned>(host: &Host, request: Request) -> Result<T, Problem> {
    body::require_json(request.headers())?;
    let body = body::read(request, MOST_BYTES, &host.0.limits).await?;
    serde_json::from_slice(&body)
        .map_err(|error| Problem::invalid(vec![Detail::at("", error.to_string())]))
}
