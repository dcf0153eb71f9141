//! Recent calls in JSON, and the query that selects them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::gateway::{CallFilter, Detail};
use crate::model;
use crate::model::call::{CallOutcome, Statuses};
use crate::wire::schema::{Credentials, Endpoint, EngagementType, Time, UserId};
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
    #[schema(value_type = Endpoint)]
    pub endpoint: &'static str,
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
    /// Requests sent to X.
    pub attempts: u32,
    /// The total time in milliseconds.
    pub ms: f64,
    /// X's share of the total time.
    pub upstream_ms: f64,
    /// The size of the answer's body.
    pub bytes: u64,
}

/// Which calls to list.
#[derive(Clone, Debug, Default)]
pub struct CallQuery {
    /// A key's id or its name.
    pub key: Option<String>,
    /// A user id.
    pub account: Option<String>,
    pub endpoint: Option<String>,
    /// `well` or `badly`.
    pub outcome: Option<String>,
    /// A status such as `429`, or a class such as `5xx`.
    pub status: Option<String>,
    pub request_id: Option<String>,
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
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(CallFilter {
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

impl From<model::call::Call> for Call {
    fn from(call: model::call::Call) -> Call {
        Call {
            id: call.id,
            at: rfc3339(call.at),
            request_id: call.request_id,
            app: call.app,
            key: call.key_id,
            subject: call.subject,
            account: call.account.map(|id| id.to_string()),
            endpoint: call.endpoint.name(),
            auth: call.auth.map(model::AuthKind::name),
            posts: call.posts,
            engagement_types: call.metrics.iter().map(|metric| metric.name()).collect(),
            status: call.status,
            code: call.code,
            attempts: call.attempts,
            ms: call.time.as_secs_f64() * 1000.0,
            upstream_ms: call.upstream_time.as_secs_f64() * 1000.0,
            bytes: call.bytes,
        }
    }
}
