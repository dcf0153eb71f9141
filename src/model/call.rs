//! A call that was made or refused, as people look at it afterwards.

use std::time::Duration;

use time::OffsetDateTime;

use crate::model::{AuthKind, Endpoint, Metric, UserId};

/// What was asked, with which credentials, and what came back; never a body or a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// Numbered as they are stored; 0 before that.
    pub id: i64,
    pub at: OffsetDateTime,
    /// Shared by the calls of one question.
    pub request_id: String,
    pub app: String,
    pub key_id: String,
    /// Whose token signed.
    pub account: Option<UserId>,
    pub endpoint: Endpoint,
    /// `None` where the call was refused before that was decided.
    pub auth: Option<AuthKind>,
    pub posts: usize,
    pub metrics: Vec<Metric>,
    /// What the caller was told; for a part of a question, what the upstream answered, if it did.
    pub status: Option<u16>,
    /// The gateway's own error, by its code.
    pub code: Option<String>,
    pub attempts: u32,
    pub time: Duration,
    pub upstream_time: Duration,
    /// Of the answer's body.
    pub bytes: u64,
}

/// How a listing of calls is narrowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// With a status below 400.
    Well,
    /// With another one, or with none.
    Badly,
}

/// How a call ended, in words.
pub fn ended(status: Option<u16>, code: Option<&str>) -> String {
    match (status, code) {
        (_, Some(code)) => code.replace('_', " "),
        (None, None) => "X did not answer".to_owned(),
        (Some(status @ ..400), None) => format!("answered ({status})"),
        (Some(401), None) => "X did not take the token (401)".to_owned(),
        (Some(429), None) => "X was asked too often (429)".to_owned(),
        (Some(status @ 400..500), None) => format!("X refused the call ({status})"),
        (Some(status), None) => format!("X had trouble of its own ({status})"),
    }
}
