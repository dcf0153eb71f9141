//! The operators' API. Every route asks for an admin key before it looks at anything else.

pub(super) mod accounts;
pub(super) mod apps;
pub(super) mod audit;
pub(super) mod calls;
pub(super) mod keys;
pub(super) mod links;
pub(super) mod overview;
pub(super) mod usage;
pub(super) mod webhooks;

use axum::Json;
use axum::extract::{FromRequestParts, Request, State, rejection::QueryRejection};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::gateway::{self, Problem as Detail};
use crate::model::AccountRef;
use crate::model::audit::holder_at;
use crate::model::key::Kind;
use crate::server::peer::Client;
use crate::server::problem::Problem;
use crate::server::{Host, body, relay};

/// An import of some thousand accounts.
const MOST_BYTES: usize = 4 * 1024 * 1024;
pub(super) const MOST_ITEMS: u32 = 1000;
pub(super) const ITEMS: u32 = 100;

/// Who acts and from where, for the audit log.
#[derive(Clone)]
pub(super) struct Actor(pub(super) String);

/// Lets holders of an admin key through, and nobody else.
pub(super) async fn require_key(
    State(host): State<Host>,
    mut request: Request,
    next: Next,
) -> Response {
    let from = Client::address(&request);
    let admin = relay::check_key(&host, request.headers(), Kind::Admin, from).await;
    let changes = !request.method().is_safe();
    let admin = admin.and_then(|it| {
        if changes && it.key.scopes.looks {
            return Err(
                gateway::Error::NotAllowed("it may look, and change nothing".to_owned()).into()
            );
        }
        Ok(it)
    });
    match admin {
        Ok(admin) => {
            let actor = holder_at(&admin.key.id, from);
            request.extensions_mut().insert(Actor(actor));
            let mut response = next.run(request).await;
            // Some answers show a secret, this once.
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// Which app is meant; may be left out where only one is configured.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfApp {
    app: Option<String>,
}

/// axum's own, but for a refusal in the shape of every other answer.
pub(super) struct Query<T>(pub(super) T);

/// The same, for what stands in a path: one text where nothing else is said.
pub(super) struct Path<T = String>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query<T>, Problem> {
        // PostgreSQL has no text with it.
        if parts.uri.query().is_some_and(|it| it.contains("%00")) {
            return Err(Problem::invalid(vec![Detail::in_query("must hold no NUL")]));
        }
        let read = axum::extract::Query::try_from_uri(&parts.uri);
        read.map(|it| Query(it.0)).map_err(|it| wrong_query(&it))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Path<T>, Problem> {
        if parts.uri.path().contains("%00") {
            return Err(Problem::invalid(vec![Detail::in_path("must hold no NUL")]));
        }
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|it| Path(it.0))
            .map_err(|_| Problem::invalid(vec![Detail::in_path("must be UTF-8 once decoded")]))
    }
}

/// What the parser says of a query names the parameter, and never its value.
fn wrong_query(rejection: &QueryRejection) -> Problem {
    let said = std::error::Error::source(rejection).map(ToString::to_string);
    let said = said.unwrap_or_else(|| "cannot be read".to_owned());
    Problem::invalid(vec![Detail::in_query(said)])
}

/// How many items of a listing to give at most: 1 to 1000, or 100 where nothing is said.
pub(super) struct Limit(u32);

impl Default for Limit {
    fn default() -> Limit {
        Limit(ITEMS)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
        let limit = String::deserialize(deserializer)?.parse().ok();
        let limit = limit.filter(|it| (1..=MOST_ITEMS).contains(it)).map(Limit);
        let expected = format!("must be a whole number from 1 to {MOST_ITEMS}");
        limit.ok_or_else(|| D::Error::custom(expected))
    }
}

/// The `next` of the page before, where a listing is numbered.
pub(super) struct Before(i64);

impl<'de> Deserialize<'de> for Before {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Before, D::Error> {
        let id = String::deserialize(deserializer)?.parse().map(Before);
        id.map_err(|_| D::Error::custom("must be the next of the page before"))
    }
}

/// A part of a listing under its `name`. `next` is where the next part begins, after the last item of one that is full.
fn page<T, W: From<T> + Serialize, N: Serialize>(
    name: &str,
    items: Vec<T>,
    limit: &Limit,
    place: impl Fn(&T) -> N,
) -> Json<Value> {
    let last = items.last().filter(|_| items.len() == limit.0 as usize);
    let next = last.map(place);
    let items: Vec<W> = items.into_iter().map(W::from).collect();
    Json(json!({ name: items, "next": next }))
}

pub(super) fn account_ref(text: &str) -> Result<AccountRef, Problem> {
    let detail = "the account must be a user id of 1 to 19 digits or @screen_name";
    AccountRef::parse(text).ok_or_else(|| Problem::invalid(vec![Detail::in_path(detail)]))
}

async fn json<T: DeserializeOwned + Send + 'static>(
    host: &Host,
    request: Request,
) -> Result<T, Problem> {
    body::json(&read(host, request).await?).await
}

/// The same, where there may be no body at all.
async fn json_or_default<T: DeserializeOwned + Default + Send + 'static>(
    host: &Host,
    request: Request,
) -> Result<T, Problem> {
    let body = read(host, request).await?;
    if body.is_empty() { Ok(T::default()) } else { body::json(&body).await }
}

async fn read(host: &Host, request: Request) -> Result<Bytes, Problem> {
    body::require_json(request.headers())?;
    let (parts, body) = request.into_parts();
    body::read(&parts.headers, body, MOST_BYTES, &host.0.limits).await
}
