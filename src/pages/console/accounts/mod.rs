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
use crate::model::{AccountRef, AccountState, UserId};
use crate::pages::console::accounts::view::{Event, Listed, Narrowed, One};
use crate::pages::console::address::{see_other, with_query};
use crate::pages::console::form::typed;
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::{Section, second, time};
use crate::pages::console::links;
use crate::web::extract::{Path, Query, account_ref};
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;

const PATH: &str = "/console/accounts";
const ROWS: u32 = 50;

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
    Query(asked): Query<ListQuery>,
) -> Result<Response, Problem> {
    let filter = filter(&asked);
    let accounts = host.gateway().list_accounts_of_any_app(&filter).await?;
    let is_full = accounts.len() == ROWS as usize;
    let next = accounts.last().filter(|_| is_full).map(|it| {
        let after = format!("{}/{}", it.account.app, it.account.user_id);
        let narrowed = [("app", &asked.app), ("state", &asked.state), ("search", &asked.search)];
        let narrowed = narrowed.map(|(name, value)| (name, value.as_str()));
        with_query(PATH, &[&narrowed[..], &[("after", &after)]].concat())
    });
    let narrowed = Narrowed {
        apps: host.gateway().apps().map(|it| it.0.to_owned()).collect(),
        app: asked.app,
        state: filter.state,
        search: asked.search,
        is_whole: filter == AccountFilter { limit: ROWS, ..AccountFilter::default() },
    };
    let listed: Vec<Listed> = accounts.iter().map(listed).collect();
    let done = (asked.done == "removed").then_some("The account is removed, and its token gone.");
    let chrome = chrome(&session, Section::Accounts, done);
    Ok(page(StatusCode::OK, view::list(&chrome, &listed, &narrowed, next.as_deref())))
}

pub(crate) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path((app, account)): Path<(String, String)>,
    Query(done): Query<Done>,
) -> Result<Response, Problem> {
    let (seen, history) = host.gateway().get_account_page(&app, &account_ref(&account)?).await?;
    let done = match &*done.done {
        "works" => Some("X was asked: the account's token works."),
        "ended" => Some("X was asked: the account's token does not work."),
        "unknown" => Some("X was asked, and it cannot be said whether the token works."),
        _ => None,
    };
    let one = One {
        account: listed(&seen),
        events: history.entries.into_iter().map(event).collect(),
        calls: history.calls.iter().map(asked).collect(),
        has_links: host.gateway().public_url().is_some(),
    };
    Ok(page(StatusCode::OK, view::show(&chrome(&session, Section::Accounts, done), &one)))
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

pub(crate) async fn ask_to_remove(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path((app, account)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (seen, _) = host.gateway().get_account_page(&app, &account_ref(&account)?).await?;
    let chrome = chrome(&session, Section::Accounts, None);
    Ok(page(StatusCode::OK, view::remove(&chrome, &listed(&seen))))
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

fn filter(asked: &ListQuery) -> AccountFilter {
    let given = |text: &str| Some(typed(text)).filter(|it| !it.is_empty());
    let after = typed(&asked.after);
    let after = after.split_once('/');
    AccountFilter {
        app: given(&asked.app),
        state: AccountState::from_name(&asked.state),
        search: given(asked.search.trim_start_matches([' ', '@'])),
        after: after.and_then(|(app, id)| Some((app.to_owned(), UserId::parse(id)?))),
        limit: ROWS,
    }
}

fn listed(seen: &AccountWithLastCall) -> Listed {
    let (it, last) = (&seen.account, &seen.last);
    let words = |it: &Failure| format!("{}, {}", ended(it.status, it.code.as_deref()), time(it.at));
    Listed {
        app: it.app.clone(),
        user_id: it.user_id,
        screen_name: it.screen_name.clone(),
        state: it.state,
        since: time(it.state_since),
        connected_at: time(it.connected_at),
        last_call: last.at.map(time),
        last_error: last.failed.as_ref().map(words),
        is_configured: seen.is_configured,
    }
}

fn event(it: Entry) -> Event {
    let what = it.action.strip_prefix("account.").unwrap_or(&it.action).replace('_', " ");
    let who = match &*it.actor {
        "gateway" => "Countersign".to_owned(),
        "cli" => "the command line".to_owned(),
        other => other.replacen("key:", "key ", 1),
    };
    Event { at: second(it.at), what, who, detail: it.detail }
}

fn asked(it: &Call) -> view::LatestCall {
    let went_well = it.status.is_some_and(|it| it < 400);
    view::LatestCall {
        at: second(it.at),
        endpoint: it.endpoint.name(),
        posts: it.posts,
        went_well,
        ended: ended(it.status, it.code.as_deref()),
    }
}
