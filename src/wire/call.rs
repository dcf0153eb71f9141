//! The shape of a recent call, and which ones are asked for.

use serde::Serialize;
use utoipa::ToSchema;

use crate::gateway::{CallFilter, Problem};
use crate::model;
use crate::model::call::{CallOutcome, Statuses};
use crate::wire::schema::{Credentials, Endpoint, EngagementType, Time, UserId};
use crate::wire::time::rfc3339;

/// What was asked, with which credentials, and what came back.
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
    /// Whose token signed; `null` for app-only calls.
    #[schema(value_type = Option<UserId>)]
    pub account: Option<String>,
    #[schema(value_type = Endpoint)]
    pub endpoint: &'static str,
    /// `app-only` or `user-context`; `null` where the call was refused before that was decided.
    #[schema(value_type = Option<Credentials>)]
    pub auth: Option<&'static str>,
    pub posts: usize,
    #[schema(value_type = Vec<EngagementType>)]
    pub engagement_types: Vec<&'static str>,
    /// What the caller was told; for a part of a question, what X answered. `null` where no answer came.
    pub status: Option<u16>,
    /// The gateway's own error; `null` for an answer of X.
    pub code: Option<String>,
    /// Requests that went out.
    pub attempts: u32,
    /// All told, and that X took of it.
    pub ms: f64,
    pub upstream_ms: f64,
    /// Of the answer's body.
    pub bytes: u64,
}

/// Which calls somebody asks for.
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
    /// The filter that it means, of any number of calls; or everything that is wrong with it.
    pub fn read(self) -> Result<CallFilter, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut wrong = |detail: &str| problems.push(Problem::in_query(detail));
        let account = self.account.as_deref().map(model::UserId::parse);
        if account == Some(None) {
            wrong("account must be a user id of 1 to 19 digits");
        }
        let endpoint = self.endpoint.as_deref().map(model::Endpoint::from_name);
        if endpoint == Some(None) {
            wrong("endpoint must be totals, 28hr or historical");
        }
        let outcome = match self.outcome.as_deref() {
            None => None,
            Some("ok") => Some(CallOutcome::Ok),
            Some("failed") => Some(CallOutcome::Failed),
            Some(_) => {
                wrong("outcome must be ok or failed");
                None
            }
        };
        let statuses = self.status.as_deref().map(Statuses::parse);
        if statuses == Some(None) {
            wrong("status must be a status such as 429, or a class such as 5xx");
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
    fn from(it: model::call::Call) -> Call {
        Call {
            id: it.id,
            at: rfc3339(it.at),
            request_id: it.request_id,
            app: it.app,
            key: it.key_id,
            account: it.account.map(|it| it.to_string()),
            endpoint: it.endpoint.name(),
            auth: it.auth.map(model::AuthKind::name),
            posts: it.posts,
            engagement_types: it.metrics.iter().map(|it| it.name()).collect(),
            status: it.status,
            code: it.code,
            attempts: it.attempts,
            ms: it.time.as_secs_f64() * 1000.0,
            upstream_ms: it.upstream_time.as_secs_f64() * 1000.0,
            bytes: it.bytes,
        }
    }
}
