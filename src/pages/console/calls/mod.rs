//! `/console/calls`: admins look through recent calls.

mod fields;
mod view;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::operators::calls::call_id;
use crate::gateway::{CallFilter, CallNames, Session, read_time};
use crate::model::call::{Call, CallOutcome, Statuses};
use crate::model::{AccountRef, Cause, Endpoint};
use crate::pages::console::address::with_query;
use crate::pages::console::calls::fields::ListQuery;
use crate::pages::console::calls::view::{Pages, Row};
use crate::pages::console::form_errors::FieldErrors;
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::Section;
use crate::pages::console::listing::{ROWS, next_page};
use crate::web::extract::{Path, Query};
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;

const PATH: &str = "/console/calls";

pub(crate) async fn list(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let chrome = chrome(&session, Section::Calls, None);
    let errors = query.errors();
    if !errors.is_empty() {
        let text = view::list(&chrome, &query, &errors, &[], Pages::default());
        return Ok(page(StatusCode::BAD_REQUEST, text));
    }
    let (filter, account) = (query.filter(), AccountRef::parse(query.account.trim()));
    let newest = filter.before.map(|_| with_query(PATH, &query.parameters()));
    let (calls, names) = host.gateway().list_calls_with_names(filter, account.as_ref()).await?;
    let next = next_page(&calls, PATH, &query.parameters(), |last| ("before", last.id.to_string()));
    let at = Pages { newest: newest.as_deref(), next: next.as_deref() };
    Ok(page(StatusCode::OK, view::list(&chrome, &query, &errors, &rows(calls, &names), at)))
}

pub(crate) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path,
) -> Result<Response, Problem> {
    let found = host.gateway().get_call_with_others(call_id(&id)?).await?;
    let all = with_query(PATH, &[("request_id", &found.call.request_id)]);
    let others = rows(found.others, &found.names);
    let chrome = chrome(&session, Section::Calls, None);
    Ok(page(StatusCode::OK, view::show(&chrome, &row(found.call, &found.names), &others, &all)))
}

impl ListQuery {
    /// The fields that cannot be parsed, with the reasons.
    fn errors(&self) -> FieldErrors {
        let (account, status) = (self.account.trim(), self.status.trim());
        let mut errors = FieldErrors::default();
        let mut refuse = |field: &str, why: &str| errors.0.push((field.to_owned(), why.to_owned()));
        if !account.is_empty() && AccountRef::parse(account).is_none() {
            refuse(
                "account",
                "Enter a user id (1 to 19 digits) or a name that starts with @; see Accounts.",
            );
        }
        if !self.from.trim().is_empty() && read_time(self.from.trim()).is_none() {
            refuse(
                "from",
                "Enter a day such as 2026-03-01, or a time such as 2026-03-01T12:00:00Z.",
            );
        }
        if !status.is_empty() && Statuses::parse(status).is_none() {
            refuse("status", "Enter a status such as 429, or a class such as 5xx.");
        }
        errors
    }

    /// The filter, without the account.
    fn filter(&self) -> CallFilter {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        CallFilter {
            app: given(&self.app),
            from: read_time(self.from.trim()),
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
            cause: Cause::from_name(&self.cause),
            before: self.before.parse().ok(),
            limit: ROWS,
            ..CallFilter::default()
        }
    }

    fn parameters(&self) -> [(&'static str, &str); 9] {
        [
            ("key", &*self.key),
            ("account", &self.account),
            ("endpoint", &self.endpoint),
            ("outcome", &self.outcome),
            ("status", &self.status),
            ("request_id", &self.request_id),
            ("cause", &self.cause),
            ("app", &self.app),
            ("from", &self.from),
        ]
    }
}

fn rows(calls: Vec<Call>, names: &CallNames) -> Vec<Row> {
    calls.into_iter().map(|call| row(call, names)).collect()
}

fn row(call: Call, names: &CallNames) -> Row {
    let key = names.keys.get(&call.key_id).unwrap_or(&call.key_id).clone();
    let account = call.account.map(|id| (call.app.clone(), id));
    let screen_name = account.and_then(|account| names.accounts.get(&account).cloned());
    Row { call, key, screen_name }
}
