//! `/admin/v1/accounts`: operators list, import, verify and remove connected accounts.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::operators::Actor;
use crate::gateway::{self, AccountFilter, Detail, read_aside};
use crate::model::{AccountState, UserId};
use crate::web::body;
use crate::web::extract::{Limit, MOST_BYTES, OfApp, Path, Query, account_ref, page};
use crate::web::host::Host;
use crate::web::problem::Problem;
use crate::wire;
use crate::wire::{Account, SeenAccount, read_imports};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    app: Option<String>,
    state: Option<String>,
    after: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// Accounts by app and user id; `next` is the `after` of the next page.
pub(crate) async fn list(
    State(host): State<Host>,
    Query(asked): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let filter = filter(&asked)?;
    let accounts = host.gateway().list_accounts_with_last_call(&filter).await?;
    let place =
        |it: &gateway::AccountWithLastCall| format!("{}/{}", it.account.app, it.account.user_id);
    Ok(page::<_, SeenAccount, _>("accounts", accounts, &asked.limit, place))
}

/// Stores the accounts of a body of JSON lines, all or none.
pub(crate) async fn import(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Query(of): Query<OfApp>,
    request: Request,
) -> Result<Response, Problem> {
    let types = ["application/x-ndjson", "application/jsonl", "application/json"];
    body::require_type(
        request.headers(),
        &types,
        "send JSON lines as Content-Type: application/x-ndjson",
    )?;
    let (parts, body) = request.into_parts();
    let body = body::read(&parts.headers, body, MOST_BYTES, host.limits()).await?;
    let read = |body: &[u8]| std::str::from_utf8(body).map(read_imports);
    let imports = read_aside(&body, read)
        .await
        .map_err(|_| Problem::wrong_type("the body is not UTF-8"))?
        .map_err(Problem::invalid)?;
    let imported = host.gateway().import_accounts(of.app.as_deref(), &imports, &actor.0).await?;
    Ok((StatusCode::CREATED, Json(json!({ "imported": imported }))).into_response())
}

pub(crate) async fn show(
    State(host): State<Host>,
    Path(account): Path,
    Query(of): Query<OfApp>,
) -> Result<Json<SeenAccount>, Problem> {
    let account = account_ref(&account)?;
    Ok(Json(host.gateway().get_account_with_last_call(of.app.as_deref(), &account).await?.into()))
}

/// Asks X whether the account's token works.
pub(crate) async fn verify(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path(account): Path,
    Query(of): Query<OfApp>,
) -> Result<Json<Value>, Problem> {
    let account = account_ref(&account)?;
    let verified = host.gateway().verify_account(of.app.as_deref(), &account, &actor.0).await?;
    Ok(Json(wire::verified(&verified)))
}

pub(crate) async fn remove(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path(account): Path,
    Query(of): Query<OfApp>,
) -> Result<Json<Account>, Problem> {
    let account = account_ref(&account)?;
    Ok(Json(host.gateway().remove_account(of.app.as_deref(), &account, &actor.0).await?.into()))
}

fn filter(asked: &ListQuery) -> Result<AccountFilter, Problem> {
    let wrong = |name: &str, detail: &str| {
        Problem::invalid(vec![Detail::in_query(format!("{name} {detail}"))])
    };
    let state = match asked.state.as_deref() {
        None => None,
        Some(name) => Some(
            AccountState::from_name(name)
                .ok_or_else(|| wrong("state", "must be active, revoked, blocked or quarantined"))?,
        ),
    };
    let after = match asked.after.as_deref() {
        None => None,
        Some(text) => {
            let (app, id) = text.split_once('/').unwrap_or_default();
            let id = UserId::parse(id)
                .ok_or_else(|| wrong("after", "must be the next of the page before"))?;
            Some((app.to_owned(), id))
        }
    };
    Ok(AccountFilter { app: asked.app.clone(), state, search: None, after, limit: asked.limit.0 })
}
