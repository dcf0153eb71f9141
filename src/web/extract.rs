//! Extractors of paths, queries and bodies whose refusals are problems.

use axum::extract::{FromRequestParts, Request, rejection::QueryRejection};
use axum::http::request::Parts;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::gateway::{Deadline, Detail};
use crate::model::{AccountRef, AccountState};
use crate::web::body;
use crate::web::host::Host;
use crate::web::problem::Problem;

/// The largest body, enough to import some thousand accounts.
pub(crate) const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Which app is meant; optional if only one is configured.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfApp {
    pub(crate) app: Option<String>,
}

/// axum's `Query`, except that its refusals are problems.
pub(crate) struct Query<T>(pub(crate) T);

/// axum's `Path`, except that its refusals are problems; by default, it is one text.
pub(crate) struct Path<T = String>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query<T>, Problem> {
        // PostgreSQL cannot store NUL in a text.
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(Problem::invalid(vec![Detail::in_query("must not contain NUL")]));
        }
        let read = axum::extract::Query::try_from_uri(&parts.uri);
        read.map(|query| Query(query.0)).map_err(|rejection| invalid_query(&rejection))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Path<T>, Problem> {
        if parts.uri.path().contains("%00") {
            return Err(Problem::invalid(vec![Detail::in_path("must not contain NUL")]));
        }
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|path| Path(path.0))
            .map_err(|_| Problem::invalid(vec![Detail::in_path("must be UTF-8 once decoded")]))
    }
}

/// A refusal in the parser's words, which name the parameter, and never its value.
fn invalid_query(rejection: &QueryRejection) -> Problem {
    let message = std::error::Error::source(rejection).map(ToString::to_string);
    let message = message.unwrap_or_else(|| "cannot be read".to_owned());
    Problem::invalid(vec![Detail::in_query(message)])
}

pub(crate) fn account_ref(text: &str) -> Result<AccountRef, Problem> {
    let detail = "the account must be a user id of 1 to 19 digits or @screen_name";
    AccountRef::parse(text).ok_or_else(|| Problem::invalid(vec![Detail::in_path(detail)]))
}

/// The state that a query names, if it names one.
pub(crate) fn account_state(name: Option<&str>) -> Result<Option<AccountState>, Problem> {
    let Some(name) = name else { return Ok(None) };
    let detail = "state must be active, revoked, blocked or quarantined";
    let state = AccountState::from_name(name);
    state.map(Some).ok_or_else(|| Problem::invalid(vec![Detail::in_query(detail)]))
}

pub(crate) async fn json<T: DeserializeOwned + Send + 'static>(
    host: &Host,
    request: Request,
) -> Result<T, Problem> {
    body::json(&read(host, request).await?).await
}

/// The body as JSON, or the default value if there is none.
pub(crate) async fn json_or_default<T: DeserializeOwned + Default + Send + 'static>(
    host: &Host,
    request: Request,
) -> Result<T, Problem> {
    let body = read(host, request).await?;
    if body.is_empty() { Ok(T::default()) } else { body::json(&body).await }
}

pub(crate) async fn read(host: &Host, request: Request) -> Result<Bytes, Problem> {
    body::require_json(request.headers())?;
    let (parts, body) = request.into_parts();
    let deadline = Deadline::within(host.limits().request_deadline);
    body::read(&parts.headers, body, MOST_BYTES, host.limits(), deadline).await
}
