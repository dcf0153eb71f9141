//! `/console/accounts`: admins search, check, reconnect and remove connected accounts.

mod view;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::gateway::{AccountFilter, AccountWithLastCall, Failure, Session, Verified};
use crate::model::audit::Entry;
use crate::model::call::{Call, ended};
use crate::model::{AccountRef, AccountState, Endpoint, UserId};
use crate::pages::console::accounts::view::{Details, Event, Filter, Row};
use crate::pages::console::address::{see_other, with_query};
use crate::pages::console::form::search_text;
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::{Section, second, time};
use crate::pages::console::links;
use crate::pages::console::listing::{ROWS, next_page};
use crate::web::extract::{Path, Query, account_ref};
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;

const PATH: &str = "/console/accounts";

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default)]
    app: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    search: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    done: String,
}

#[derive(Deserialize)]
pub(crate) struct Done {
    #[serde(default)]
    done: String,
}

pub(crate) async fn list(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let wanted = account_filter(&query);
    let accounts = host.gateway().list_accounts_of_any_app(&wanted).await?;
    let parameters = [("app", &*query.app), ("state", &*query.state), ("search", &*query.search)];
    let next = next_page(&accounts, PATH, &parameters, |last| {
        ("after", format!("{}/{}", last.account.app, last.account.user_id))
    });
    let filter = Filter {
        apps: host.gateway().apps().map(|app| app.0.to_owned()).collect(),
        app: query.app,
        state: wanted.state,
        search: query.search,
        is_whole: wanted == AccountFilter { limit: ROWS, ..AccountFilter::default() },
    };
    let rows: Vec<Row> = accounts.iter().map(row).collect();
    let done =
        (query.done == "removed").then_some("The account was removed and its token deleted.");
    let chrome = chrome(&session, Section::Accounts, done);
    Ok(page(StatusCode::OK, view::list(&chrome, &rows, &filter, next.as_deref())))
}

pub(crate) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path((app, account)): Path<(String, String)>,
    Query(done): Query<Done>,
) -> Result<Response, Problem> {
    let (seen, history) = host.gateway().get_account_page(&app, &account_ref(&account)?).await?;
    let done = match &*done.done {
        "works" => Some("Checked with X: the account's token works."),
        "ended" => Some("Checked with X: the account's token does not work."),
        "unknown" => Some("X's response did not show whether the account's token works."),
        _ => None,
    };
    let details = Details {
        account: row(&seen),
        events: history.entries.into_iter().map(event).collect(),
        calls: history.calls.iter().map(latest_call).collect(),
        has_links: host.gateway().public_url().is_some(),
    };
    Ok(page(StatusCode::OK, view::show(&chrome(&session, Section::Accounts, done), &details)))
}

pub(crate) async fn verify(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path((app, account)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let named = account_ref(&account)?;
    let verified = host.gateway().verify_account(Some(&app), &named, &session.actor()).await?;
    let done = match verified {
        Verified::Works(_) => "works",
        Verified::Marked(_) => "ended",
        Verified::NotTheAccount(_) => "unknown",
    };
    Ok(see_other(&with_query(&format!("{PATH}/{app}/{account}"), &[("done", done)])))
}

/// Creates a link for the account's user and shows it (only once).
pub(crate) async fn reconnect(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path((app, account)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (gateway, named) = (host.gateway(), account_ref(&account)?);
    let created = gateway.create_reconnect_link(&app, &named, &session.actor()).await?;
    let back = format!("{PATH}/{app}/{account}");
    Ok(links::shown_once(&chrome(&session, Section::Accounts, None), created, back))
}

pub(crate) async fn confirm_remove(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path((app, account)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (seen, _) = host.gateway().get_account_page(&app, &account_ref(&account)?).await?;
    let chrome = chrome(&session, Section::Accounts, None);
    Ok(page(StatusCode::OK, view::remove(&chrome, &row(&seen))))
}

pub(crate) async fn remove(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path((app, account)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let named: AccountRef = account_ref(&account)?;
    host.gateway().remove_account(Some(&app), &named, &session.actor()).await?;
    Ok(see_other(&with_query(PATH, &[("done", "removed")])))
}

fn account_filter(query: &ListQuery) -> AccountFilter {
    let given = |text: &str| Some(search_text(text)).filter(|text| !text.is_empty());
    let after = search_text(&query.after);
    let after = after.split_once('/');
    AccountFilter {
        app: given(&query.app),
        state: AccountState::from_name(&query.state),
        search: given(query.search.trim_start_matches([' ', '@'])),
        after: after.and_then(|(app, id)| Some((app.to_owned(), UserId::parse(id)?))),
        limit: ROWS,
    }
}

fn row(seen: &AccountWithLastCall) -> Row {
    let (account, last) = (&seen.account, &seen.last);
    let words = |failure: &Failure| {
        format!("{}, {}", ended(failure.status, failure.code.as_deref()), time(failure.at))
    };
    Row {
        app: account.app.clone(),
        user_id: account.user_id,
        screen_name: account.screen_name.clone(),
        state: account.state,
        since: time(account.state_since),
        connected_at: time(account.connected_at),
        last_call: last.at.map(time),
        last_error: last.failed.as_ref().map(words),
        is_configured: seen.is_configured,
    }
}

fn event(entry: Entry) -> Event {
    let what = entry.action.strip_prefix("account.").unwrap_or(&entry.action).replace('_', " ");
    let who = match &*entry.actor {
        "gateway" => "Countersign".to_owned(),
        "cli" => "the command line".to_owned(),
        other => other.replacen("key:", "key ", 1),
    };
    Event { at: second(entry.at), what, who, detail: entry.detail }
}

fn latest_call(call: &Call) -> view::LatestCall {
    let went_well = call.went_well();
    view::LatestCall {
        at: second(call.at),
        endpoint: call.endpoint.map_or("", Endpoint::name),
        posts: call.posts,
        went_well,
        ended: ended(call.status, call.code.as_deref()),
    }
}
