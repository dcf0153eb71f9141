//! `/console/accounts`.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::console::admin::accounts::{self as pages, Listed};
use crate::console::admin::{Section, time};
use crate::gateway::{AccountFilter, Session, Verified};
use crate::model::{self, AccountRef, AccountState, UserId};
use crate::server::Host;
use crate::server::admin::{Path, Query};
use crate::server::console::{chrome, see_other, with_query};
use crate::server::pages::page;
use crate::server::problem::Problem;

const PATH: &str = "/console/accounts";
const ROWS: u32 = 50;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    state: String,
    #[serde(default)]
    after: String,
}

#[derive(Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

pub(super) async fn list(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let after = asked.after.split_once('/').and_then(|(app, id)| Some((app, UserId::parse(id)?)));
    let state = AccountState::from_name(&asked.state);
    let after = after.map(|it| (it.0.to_owned(), it.1));
    let filter = AccountFilter { app: None, state, after, limit: ROWS };
    let accounts = host.0.gateway.list_accounts(&filter).await?;
    let is_full = accounts.len() == ROWS as usize;
    let next = accounts.last().filter(|_| is_full).map(|it| {
        let after = format!("{}/{}", it.app, it.user_id);
        with_query(PATH, &[("state", &asked.state), ("after", &after)])
    });
    let listed: Vec<Listed> = accounts.iter().map(listed).collect();
    let chrome = chrome(&session, Section::Accounts, None);
    Ok(page(StatusCode::OK, pages::list(&chrome, &listed, state, next.as_deref())))
}

pub(super) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path((app, account)): Path<(String, String)>,
    Query(done): Query<Done>,
) -> Result<Response, Problem> {
    let account = host.0.gateway.show_account(Some(&app), &named(&account)?).await?;
    let done = match &*done.done {
        "works" => Some("X was asked: the account's token works."),
        "ended" => Some("X was asked: the account's token does not work."),
        "unknown" => Some("X was asked, and it cannot be said whether the token works."),
        _ => None,
    };
    let chrome = chrome(&session, Section::Accounts, done);
    Ok(page(StatusCode::OK, pages::show(&chrome, &listed(&account))))
}

pub(super) async fn verify(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path((app, account)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let named = named(&account)?;
    let verified = host.0.gateway.verify_account(Some(&app), &named, &session.actor()).await?;
    let done = match verified {
        Verified::Works(_) => "works",
        Verified::Marked(_) => "ended",
        Verified::NotTheAccount(_) => "unknown",
    };
    Ok(see_other(&with_query(&format!("{PATH}/{app}/{account}"), &[("done", done)])))
}

fn named(text: &str) -> Result<AccountRef, Problem> {
    crate::server::admin::account_ref(text)
}

fn listed(it: &model::Account) -> Listed {
    Listed {
        app: it.app.clone(),
        user_id: it.user_id,
        screen_name: it.screen_name.clone(),
        state: it.state,
        since: time(it.state_since),
        connected_at: time(it.connected_at),
    }
}
