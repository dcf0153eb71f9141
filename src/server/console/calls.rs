//! `/console/calls`.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::console::admin::Section;
use crate::console::admin::calls::{self as pages, Filter, Listed, Pages};
use crate::gateway::{CallFilter, KeyNames, Session};
use crate::model::call::{Call, Ended};
use crate::model::{Endpoint, UserId};
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
    let Some(filter) = asked.filter() else {
        let wrong = Some("An account is named by its user id: a number of 1 to 19 digits.");
        let text = pages::list(&chrome, &shown, wrong, &[], Pages::default());
        return Ok(page(StatusCode::BAD_REQUEST, text));
    };
    let newest = filter.before.map(|_| asked.link(""));
    let (calls, names) = host.0.gateway.browse_calls(filter).await?;
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
    let names = found.key_name.map(|it| (found.call.key_id.clone(), it)).into_iter().collect();
    let others = listed(found.others, &names);
    let chrome = chrome(&session, Section::Calls, None);
    Ok(page(StatusCode::OK, pages::show(&chrome, &one(found.call, &names), &others, &all)))
}

impl Asked {
    /// `None` where the account is none.
    fn filter(&self) -> Option<CallFilter> {
        let given = |it: &str| Some(it.trim().to_owned()).filter(|it| !it.is_empty());
        let account = given(&self.account).map(|it| UserId::parse(&it));
        Some(CallFilter {
            app: None,
            key_id: given(&self.key),
            account: match account {
                Some(None) => return None,
                account => account.flatten(),
            },
            endpoint: Endpoint::from_name(&self.endpoint),
            ended: match &*self.ended {
                "well" => Some(Ended::Well),
                "badly" => Some(Ended::Badly),
                _ => None,
            },
            request_id: given(&self.request_id),
            before: self.before.parse().ok(),
            limit: ROWS,
        })
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

fn listed(calls: Vec<Call>, names: &KeyNames) -> Vec<Listed> {
    calls.into_iter().map(|it| one(it, names)).collect()
}

fn one(call: Call, names: &KeyNames) -> Listed {
    let key = names.get(&call.key_id).unwrap_or(&call.key_id).clone();
    Listed { call, key }
}
