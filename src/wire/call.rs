//! Recent calls in JSON, and the query that selects them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::gateway::{CallFilter, CallNames, Detail, read_time};
use crate::model;
use crate::model::call::{CallOutcome, Statuses};
use crate::wire::schema::{Cause, Credentials, Endpoint, EngagementType, Time, UserId};
use crate::wire::time::rfc3339;

/// What was requested, with which credentials, and the outcome.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RecentCall)]
pub struct Call {
    pub id: i64,
    #[schema(value_type = Time)]
    pub at: String,
    /// Shared by the calls of one question.
    pub request_id: String,
    pub app: String,
    /// The key's id.
    pub key: String,
    /// For a page's question: the subject of its token; `null` without one.
    pub subject: Option<String>,
    /// The user whose token signed; `null` for app-only calls.
    #[schema(value_type = Option<UserId>)]
    pub account: Option<String>,
    /// Its name; `null` if it is not connected any more.
    pub screen_name: Option<String>,
    /// `null` for a question that was refused before any call was made.
    #[schema(value_type = Option<Endpoint>)]
    pub endpoint: Option<&'static str>,
    /// `app-only` or `user-context`; `null` if the call was refused before that was decided.
    #[schema(value_type = Option<Credentials>)]
    pub auth: Option<&'static str>,
    pub posts: usize,
    #[schema(value_type = Vec<EngagementType>)]
    pub engagement_types: Vec<&'static str>,
    /// The status that the caller got; for a part of a question, X's status. `null` if X did not answer.
    pub status: Option<u16>,
    /// The code of the gateway's own error; `null` if X answered.
    pub code: Option<String>,
    /// Why it failed, and what to do about it; `null` if it succeeded.
    pub cause: Option<Why>,
    /// What X said, if it refused the call; else `null`.
    pub x_said: Option<Said>,
    /// Requests sent to X.
    pub attempts: u32,
    /// These requests, in order; empty if another caller's call was shared.
    pub tries: Vec<Attempt>,
    /// The total time in milliseconds.
    pub ms: f64,
    /// X's share of the total time.
    pub upstream_ms: f64,
    /// The size of the answer's body.
    pub bytes: u64,
}

/// Why a call failed, and what to do about it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Why {
    #[schema(value_type = Cause)]
    pub cause: &'static str,
    pub text: &'static str,
    pub remedy: &'static str,
}

/// What X said when it refused a call: never its own words, but those that are publicly known, with `…` for what varies.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Said {
    /// X's code for the error; `null` if it gave none.
    pub code: Option<u16>,
    /// The known text, or how long an unknown one was.
    pub text: String,
    /// What kind of body it was, such as `errors in JSON`.
    pub form: String,
}

/// One request sent to X.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Attempt {
    /// `null` if no answer began.
    pub status: Option<u16>,
    /// Until the last byte of the answer, in milliseconds; `null` if nobody waited for that.
    pub ms: Option<f64>,
}

/// Which calls to list.
#[derive(Clone, Debug, Default)]
pub struct CallQuery {
    pub app: Option<String>,
    /// A key's id or its name.
    pub key: Option<String>,
    /// A user id.
    pub account: Option<String>,
    pub endpoint: Option<String>,
    /// `ok` or `failed`.
    pub outcome: Option<String>,
    /// A status such as `429`, or a class such as `5xx`.
    pub status: Option<String>,
    pub request_id: Option<String>,
    /// The name of a cause.
    pub cause: Option<String>,
    /// A day or time.
    pub from: Option<String>,
    /// A day or time, exclusive.
    pub until: Option<String>,
}

impl CallQuery {
    /// The filter that the query describes, or everything that is wrong with it.
    pub fn read(self) -> Result<CallFilter, Vec<Detail>> {
        let mut problems = Vec::new();
        let mut refuse = |detail: &str| problems.push(Detail::in_query(detail));
        let account = self.account.as_deref().map(model::UserId::parse);
        if account == Some(None) {
            refuse("account must be a user id of 1 to 19 digits");
        }
        let endpoint = self.endpoint.as_deref().map(model::Endpoint::from_name);
        if endpoint == Some(None) {
            refuse("endpoint must be totals, 28hr or historical");
        }
        let outcome = match self.outcome.as_deref() {
            None => None,
            Some("ok") => Some(CallOutcome::Ok),
            Some("failed") => Some(CallOutcome::Failed),
            Some(_) => {
                refuse("outcome must be ok or failed");
                None
            }
        };
        let statuses = self.status.as_deref().map(Statuses::parse);
        if statuses == Some(None) {
            refuse("status must be a status such as 429, or a class such as 5xx");
        }
        let mut time = |name: &str, text: Option<&str>| {
            let at = text.map(read_time);
            if at == Some(None) {
                refuse(&format!("{name} must be a date or a time such as 2026-03-01"));
            }
            at.flatten()
        };
        let from = time("from", self.from.as_deref());
        let until = time("until", self.until.as_deref());
        let cause = self.cause.as_deref().map(model::Cause::from_name);
        if cause == Some(None) {
            let causes = model::Cause::ALL.map(model::Cause::name).join(", ");
            refuse(&format!("cause must be one of {causes}"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(CallFilter {
            app: self.app,
            cause: cause.flatten(),
            from,
            until,
            key_id: self.key,
            account: account.flatten(),
            endpoint: endpoint.flatten(),
            outcome,
            statuses: statuses.flatten(),
            request_id: self.request_id,
            ..CallFilter::default()
        })
    }
}

impl Call {
    /// A call with the name of its account, if that is known.
    pub fn of(call: model::call::Call, names: &CallNames) -> Call {
        let account = call.account.and_then(|id| names.accounts.get(&(call.app.clone(), id)));
        let screen_name = account.cloned();
        Call {
            id: call.id,
            at: rfc3339(call.at),
            request_id: call.request_id,
            app: call.app,
            key: call.key_id,
            subject: call.subject,
            account: call.account.map(|id| id.to_string()),
            screen_name,
            endpoint: call.endpoint.map(model::Endpoint::name),
            auth: call.auth.map(model::AuthKind::name),
            posts: call.posts,
            engagement_types: call.metrics.iter().map(|metric| metric.name()).collect(),
            status: call.status,
            code: call.code,
            cause: call.cause.map(Why::from),
            x_said: call.said.map(|said| Said {
                code: said.code,
                text: said.text.into_owned(),
                form: said.form.into_owned(),
            }),
            attempts: call.attempts,
            tries: call.tries.into_iter().map(Attempt::from).collect(),
            ms: call.time.as_secs_f64() * 1000.0,
            upstream_ms: call.upstream_time.as_secs_f64() * 1000.0,
            bytes: call.bytes,
        }
    }
}

impl From<model::Cause> for Why {
    fn from(cause: model::Cause) -> Why {
        Why { cause: cause.name(), text: cause.what(), remedy: cause.remedy() }
    }
}

impl From<model::call::Attempt> for Attempt {
    fn from(attempt: model::call::Attempt) -> Attempt {
        let ms = attempt.time.map(|time| time.as_secs_f64() * 1000.0);
        Attempt { status: attempt.status, ms }
    }
}
