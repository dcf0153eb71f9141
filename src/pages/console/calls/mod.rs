//! `/console/calls`: admins look through recent calls.

mod view;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::api::operators::calls::call_id;
use crate::gateway::{CallFilter, CallNames, Session};
use crate::model::call::{Call, CallOutcome, Statuses};
use crate::model::{AccountRef, Endpoint};
use crate::pages::console::address::with_query;
use crate::pages::console::calls::view::{Filter, Listed, Pages};
use crate::pages::console::form_errors::Wrong;
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::Section;
use crate::web::extract::{Path, Query};
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;

const PATH: &str = "/console/calls";
const ROWS: u32 = 50;

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default)]
    key: String,
    #[serde(default)]
    account: String,
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    before: String,
}

pub(crate) async fn list(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(asked): Query<ListQuery>,
) -> Result<Response, Problem> {
    let chrome = chrome(&session, Section::Calls, None);
    let shown = asked.shown();
    let wrong = asked.wrong();
    if wrong.is_any() {
        let text = view::list(&chrome, &shown, &wrong, &[], Pages::default());
        return Ok(page(StatusCode::BAD_REQUEST, text));
    }
    let (filter, account) = (asked.filter(), AccountRef::parse(asked.account.trim()));
    let newest = filter.before.map(|_| asked.link(""));
    let (calls, names) = host.gateway().list_calls_with_names(filter, account.as_ref()).await?;
    let last = calls.last().filter(|_| calls.len() == ROWS as usize);
    let next = last.map(|it| asked.link(&it.id.to_string()));
    let at = Pages { newest: newest.as_deref(), next: next.as_deref() };
    Ok(page(StatusCode::OK, view::list(&chrome, &shown, &wrong, &listed(calls, &names), at)))
}

pub(crate) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path,
) -> Result<Response, Problem> {
    let found = host.gateway().get_call_with_others(call_id(&id)?).await?;
    let all = with_query(PATH, &[("request_id", &found.call.request_id)]);
    let others = listed(found.others, &found.names);
    let chrome = chrome(&session, Section::Calls, None);
    Ok(page(StatusCode::OK, view::show(&chrome, &one(found.call, &found.names), &others, &all)))
}

impl ListQuery {
    /// The fields that cannot be parsed, with the reasons.
    fn wrong(&self) -> Wrong {
        let (account, status) = (self.account.trim(), self.status.trim());
        let mut wrong = Wrong::default();
        let mut refuse = |field: &str, why: &str| wrong.0.push((field.to_owned(), why.to_owned()));
        if !account.is_empty() && AccountRef::parse(account).is_none() {
            refuse(
                "account",
                "A user id has 1 to 19 digits, and a name begins with @; Accounts lists them.",
            );
        }
        if !status.is_empty() && Statuses::parse(status).is_none() {
            refuse("status", "A status is a number such as 429, or a class such as 5xx.");
        }
        wrong
    }

    /// The filter, without the account.
    fn filter(&self) -> CallFilter {
        let given = |it: &str| Some(it.trim().to_owned()).filter(|it| !it.is_empty());
        CallFilter {
            app: None,
            key_id: given(&self.key),
            account: None,
            endpoint: Endpoint::from_name(&self.endpoint),
            outcome: match &*self.outcome {
                "ok" => Some(CallOutcome::Ok),
                "failed" => Some(CallOutcome::Failed),
                _ => None,
            },
            statuses: Statuses::parse(self.status.trim()),
            request_id: given(&self.request_id),
            before: self.before.parse().ok(),
            limit: ROWS,
        }
    }

    fn shown(&self) -> Filter {
        Filter {
            key: self.key.clone(),
            account: self.account.clone(),
            endpoint: self.endpoint.clone(),
            outcome: self.outcome.clone(),
            status: self.status.clone(),
            request_id: self.request_id.clone(),
        }
    }

    fn link(&self, before: &str) -> String {
        let narrowed = [
            ("key", &*self.key),
            ("account", &self.account),
            ("endpoint", &self.endpoint),
            ("outcome", &self.outcome),
            ("status", &self.status),
            ("request_id", &self.request_id),
            ("before", before),
        ];
        with_query(PATH, &narrowed)
    }
}

fn listed(calls: Vec<Call>, names: &CallNames) -> Vec<Listed> {
    calls.into_iter().map(|it| one(it, names)).collect()
}

fn one(call: Call, names: &CallNames) -> Listed {
    let key = names.keys.get(&call.key_id).unwrap_or(&call.key_id).clone();
    let account = call.account.map(|it| (call.app.clone(), it));
    let screen_name = account.and_then(|it| names.accounts.get(&it).cloned());
    Listed { call, key, screen_name }
}
