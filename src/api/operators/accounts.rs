//! `/admin/v1/accounts`: operators list, import, verify and remove connected accounts.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::api::openapi::examples::USER_ID;
use crate::api::openapi::for_operators::{
    after, in_path, limit, of_app, of_state, operation, query, with,
};
use crate::api::openapi::operation::{Content, Operation};
use crate::api::openapi::problems;
use crate::api::openapi::schemas::{closed, named};
use crate::api::openapi::shape::{page_of, shape};
use crate::api::operators::guard::Actor;
use crate::gateway::{self, AccountFilter, Deadline, Detail, ImportEvents, read_aside};
use crate::model::UserId;
use crate::web::body;
use crate::web::extract::{MOST_BYTES, OfApp, Path, Query, account_ref, account_state};
use crate::web::host::Host;
use crate::web::paging::{Limit, page};
use crate::web::problem::Problem;
use crate::wire;
use crate::wire::schema::{one_of, text};
use crate::wire::{Account, ImportLine, SeenAccount, read_imports};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportQuery {
    app: Option<String>,
    events: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    app: Option<String>,
    state: Option<String>,
    after: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// The descriptions of this file's handlers.
pub(crate) fn operations() -> Vec<Operation> {
    vec![describe_list(), describe_import(), describe_show(), describe_verify(), describe_remove()]
}

/// Accounts by app and user id; `next` is the `after` of the next page.
pub(crate) async fn list(
    State(host): State<Host>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let filter = filter(&query)?;
    let accounts = host.gateway().list_accounts_with_last_call(&filter).await?;
    let place = |seen: &gateway::AccountWithLastCall| {
        format!("{}/{}", seen.account.app, seen.account.user_id)
    };
    Ok(page::<_, SeenAccount, _>("accounts", accounts, &query.limit, place))
}

fn describe_list() -> Operation {
    let listed = json!({ "accounts": [account_example_with_last_calls()], "next": null });
    operation(HttpMethod::Get, "/admin/v1/accounts", "list_accounts", "List connected accounts")
        .takes(query("app", "Only accounts of this app.", text("").into(), "demo".into()))
        .takes(of_state())
        .takes(after(&format!("demo/{USER_ID}")))
        .takes(limit())
        .gives(
            "200",
            "The accounts, by app and user id.",
            page_of::<SeenAccount>("accounts", "after", Type::String),
            listed,
        )
        .refuses(problems::of_queries())
        .refuses(problems::of_app_parameters())
}

/// Stores the accounts of a body of JSON lines, none if a line is wrong.
pub(crate) async fn import(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<ImportQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let events =
        query.events.as_deref().map_or(Some(ImportEvents::default()), ImportEvents::from_name);
    let events = events.ok_or_else(|| {
        Problem::invalid(vec![Detail::in_query("events must be summary or each")])
    })?;
    let types = ["application/x-ndjson", "application/jsonl", "application/json"];
    body::require_type(
        request.headers(),
        &types,
        "send JSON lines as Content-Type: application/x-ndjson",
    )?;
    let (parts, body) = request.into_parts();
    let deadline = Deadline::within(host.limits().request_deadline);
    let body = body::read(&parts.headers, body, MOST_BYTES, host.limits(), deadline).await?;
    let read = |body: &[u8]| std::str::from_utf8(body).map(read_imports);
    let imports = read_aside(&body, read)
        .await
        .map_err(|_| Problem::wrong_type("the body is not UTF-8"))?
        .map_err(Problem::invalid)?;
    let imported = host
        .gateway()
        .import_accounts(query.app.as_deref(), &imports, events, &actor.0, |_| ())
        .await?;
    Ok((StatusCode::CREATED, Json(json!({ "imported": imported }))).into_response())
}

fn describe_import() -> Operation {
    let line = json!({
        "user_id": USER_ID, "screen_name": "alice",
        "access_token": format!("{USER_ID}-token"), "access_token_secret": "secret",
    });
    let lines = text("One JSON object per line, each an `ImportLine`.");
    let count = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let imported = ObjectBuilder::new().property("imported", count).required("imported");
    operation(HttpMethod::Post, "/admin/v1/accounts", "import_accounts", "Import access tokens")
        .about("One JSON object per line with the strings `user_id`, `screen_name`, `access_token` and `access_token_secret`. If a line is wrong, nothing is stored. Accounts are stored 1,000 at a time; `import_stopped` says how many were. The token of an account that is already stored is replaced.")
        .takes(of_app())
        .takes(query("events", "What webhooks are told: one `accounts.imported` with how many accounts there were (`account.connected` for a single one), or `account.connected` for each.", one_of("", ImportEvents::ALL.map(ImportEvents::name)).into(), "each".into()))
        .reads(Content::text("application/x-ndjson", lines, &format!("{line}\n")).of_lines(shape::<ImportLine>()))
        .gives("201", "All accounts are stored.", closed(imported), json!({ "imported": 1 }))
        .refuses(problems::of_bodies())
        .refuses(problems::of_imports())
        .refuses(problems::of_app_parameters())
}

pub(crate) async fn show(
    State(host): State<Host>,
    Path(account): Path,
    Query(of): Query<OfApp>,
) -> Result<Json<SeenAccount>, Problem> {
    let account = account_ref(&account)?;
    Ok(Json(host.gateway().get_account_with_last_call(of.app.as_deref(), &account).await?.into()))
}

fn describe_show() -> Operation {
    describe_one(HttpMethod::Get, "/admin/v1/accounts/{account}", "get_account", "Get an account")
        .gives(
            "200",
            "The account, without its token, and how its last calls ended.",
            shape::<SeenAccount>(),
            account_example_with_last_calls(),
        )
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

fn describe_verify() -> Operation {
    let verified =
        json!({ "works": true, "state": "active", "screen_name": "alice", "protected": false });
    let (path, summary) =
        ("/admin/v1/accounts/{account}/verify", "Check with X that an account's token works");
    describe_one(HttpMethod::Post, path, "verify_account", summary)
        .about("Updates the account's state accordingly.")
        .gives("200", "The result.", named("Verified"), verified)
        .refuses(problems::of_upstream())
        .refuses(problems::not_found("app in the configuration"))
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

fn describe_remove() -> Operation {
    describe_one(HttpMethod::Delete, "/admin/v1/accounts/{account}", "remove_account", "Remove an account")
        .about("Deletes the account's token from the gateway. At X the token stays valid until the user revokes the app's access.")
        .gives("200", "The account, as it was.", shape::<Account>(), account_example())
}

fn filter(query: &ListQuery) -> Result<AccountFilter, Problem> {
    let detail = "after must be the next of the page before";
    let wrong = || Problem::invalid(vec![Detail::in_query(detail)]);
    let state = account_state(query.state.as_deref())?;
    let after = match query.after.as_deref() {
        None => None,
        Some(text) => {
            let (app, id) = text.split_once('/').unwrap_or_default();
            let id = UserId::parse(id).ok_or_else(wrong)?;
            Some((app.to_owned(), id))
        }
    };
    Ok(AccountFilter { app: query.app.clone(), state, search: None, after, limit: query.limit.0 })
}

fn describe_one(
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    operation(method, path, id, summary)
        .takes(in_path("account", "A user id or `@screen_name`.", "@alice"))
        .takes(of_app())
        .refuses(problems::of_account_paths())
        .refuses(problems::of_app_parameters())
}

fn account_example_with_last_calls() -> Value {
    let account = with(account_example(), "last_call_at", "2026-03-10T21:15:30Z");
    let account = with(account, "last_error", "X rejected the call (403)");
    with(account, "last_error_at", "2026-03-09T08:00:00Z")
}

pub(crate) fn account_example() -> Value {
    json!({
        "app": "demo", "user_id": USER_ID, "screen_name": "alice", "state": "active",
        "state_since": "2026-03-01T09:00:00Z", "connected_at": "2026-03-01T09:00:00Z",
    })
}
