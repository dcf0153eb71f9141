//! `/console/calls`.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::console::admin::Section;
use crate::console::admin::calls::{self as pages, Filter, Listed, Pages};
use crate::gateway::{CallFilter, CallNames, Session};
use crate::model::call::{Call, Ended};
use crate::model::{AccountRef, Endpoint};
use crate::server::Host;
use crate::server::admin::calls::call_id;
use crate::server::admin::{Path, Query};
use crate::server::console::{chrome, with_query};
use crate::server::pages::page;
use crate::server::problem::Problem;

const PATH: &str = "/console/calls";
const ROWS: u32 = 50;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    key: String,
    #[serde(default)]
    account: String,
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    ended: String,
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    before: String,
}

pub(super) async fn list(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let chrome = chrome(&session, Section::Calls, None);
    let shown = asked.shown();
    let account = AccountRef::parse(asked.account.trim());
    if account.is_none() && !asked.account.trim().is_empty() {
        let wrong =
            Some("A user id has 1 to 19 digits, and a name begins with @; Accounts lists them.");
        let text = pages::list(&chrome, &shown, wrong, &[], Pages::default());
        return Ok(page(StatusCode::BAD_REQUEST, text));
    }
    let filter = asked.filter();
    let newest = filter.before.map(|_| asked.link(""));
    let (calls, names) = host.0.gateway.browse_calls(filter, account.as_ref()).await?;
    let last = calls.last().filter(|_| calls.len() == ROWS as usize);
    let next = last.map(|it| asked.link(&it.id.to_string()));
    let at = Pages { newest: newest.as_deref(), next: next.as_deref() };
    Ok(page(StatusCode::OK, pages::list(&chrome, &shown, None, &listed(calls, &names), at)))
}

pub(super) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path,
) -> Result<Response, Problem> {
    let found = host.0.gateway.show_call_with_others(call_id(&id)?).await?;
    let all = with_query(PATH, &[("request_id", &found.call.request_id)]);
    let others = listed(found.others, &found.names);
    let chrome = chrome(&session, Section::Calls, None);
    Ok(page(StatusCode::OK, pages::show(&chrome, &one(found.call, &found.names), &others, &all)))
}

impl Asked {
    /// All but the account.
    fn filter(&self) -> CallFilter {
        let given = |it: &str| Some(it.trim().to_owned()).filter(|it| !it.is_empty());
        CallFilter {
            app: None,
            key_id: given(&self.key),
            account: None,
            endpoint: Endpoint::from_name(&self.endpoint),
            ended: match &*self.ended {
                "well" => Some(Ended::Well),
                "badly" => Some(Ended::Badly),
                _ => None,
            },
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
            ended: self.ended.clone(),
            request_id: self.request_id.clone(),
        }
    }

    fn link(&self, before: &str) -> String {
        let narrowed = [
            ("key", &*self.key),
            ("account", &self.account),
            ("endpoint", &self.endpoint),
            ("ended", &self.ended),
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
