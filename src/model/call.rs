//! A call that was made or refused, as shown to people afterwards.

use std::borrow::Cow;
use std::time::Duration;

use time::OffsetDateTime;

use crate::model::{AuthKind, Cause, Endpoint, Metric, UserId};

/// What was requested, with which credentials, and what came back; never a body or a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// Assigned when the call is stored; 0 before that.
    pub id: i64,
    pub at: OffsetDateTime,
    /// Shared by the calls of one question.
    pub request_id: String,
    pub app: String,
    pub key_id: String,
    /// For a page's question: the subject of its token, if it has one.
    pub subject: Option<String>,
    /// The user whose token signed.
    pub account: Option<UserId>,
    /// `None` for a question that was refused before any call was made.
    pub endpoint: Option<Endpoint>,
    /// `None` if the call was refused before that was decided.
    pub auth: Option<AuthKind>,
    pub posts: usize,
    pub metrics: Vec<Metric>,
    /// The status that the caller got; for a part of a question, the upstream's, if it answered.
    pub status: Option<u16>,
    /// The code of the gateway's own error.
    pub code: Option<String>,
    /// Why it failed, if it did.
    pub cause: Option<Cause>,
    /// What X said, if it refused the call.
    pub said: Option<Said>,
    /// Requests sent to X.
    pub attempts: u32,
    /// These requests, in order; empty if another caller's call was shared.
    pub tries: Vec<Attempt>,
    pub time: Duration,
    pub upstream_time: Duration,
    /// Bytes of the answer's body.
    pub bytes: u64,
}

impl Call {
    /// Calls of earlier programs have no cause.
    pub fn went_well(&self) -> bool {
        self.cause.is_none() && self.status.is_some_and(|status| status < 400)
    }
}

/// One request sent to X.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Attempt {
    /// `None` if no answer began.
    pub status: Option<u16>,
    /// Until the last byte of the answer; `None` if nobody waited for that.
    pub time: Option<Duration>,
}

/// What X said when it refused a call: never its own words, but those that the reference has for them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// The code of the first error, if it has one.
    pub code: Option<u16>,
    /// The reference's text, with `…` for what varies; else how long an unknown one was.
    pub text: Cow<'static, str>,
    /// What kind of body it was.
    pub form: Cow<'static, str>,
}

/// A filter on how calls ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallOutcome {
    /// With a status below 400.
    Ok,
    /// With any other status, or with none.
    Failed,
}

/// A filter on calls by one status or a class of them. A call without an answer has no status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Statuses {
    pub first: u16,
    pub last: u16,
}

impl Statuses {
    /// Reads a status such as `429`, or a class such as `5xx` in either case; from 100 to 599.
    pub fn parse(text: &str) -> Option<Statuses> {
        let (class, rest) = text.split_at_checked(1)?;
        let class = class
            .parse()
            .ok()
            .filter(|class| (1..=5).contains(class))
            .map(|digit: u16| digit * 100)?;
        if rest.eq_ignore_ascii_case("xx") {
            return Some(Statuses { first: class, last: class + 99 });
        }
        let is_number = rest.len() == 2 && rest.bytes().all(|byte| byte.is_ascii_digit());
        let status =
            is_number.then(|| rest.parse().ok()).flatten().map(|number: u16| class + number)?;
        Some(Statuses { first: status, last: status })
    }
}

/// How a call ended, in words.
pub fn ended(status: Option<u16>, code: Option<&str>) -> String {
    match (status, code) {
        (_, Some(code)) => code.replace('_', " "),
        (None, None) => "X did not answer".to_owned(),
        (Some(status @ ..400), None) => format!("answered ({status})"),
        (Some(401), None) => "X rejected the token (401)".to_owned(),
        (Some(429), None) => "X's rate limit was exceeded (429)".to_owned(),
        (Some(status @ 400..500), None) => format!("X rejected the call ({status})"),
        (Some(status), None) => format!("X failed to answer ({status})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_one_or_a_class() {
        for (text, expected) in [
            ("429", Some((429, 429))),
            ("5xx", Some((500, 599))),
            ("2XX", Some((200, 299))),
            ("100", Some((100, 100))),
            ("599", Some((599, 599))),
            ("", None),
            ("4", None),
            ("42", None),
            ("4290", None),
            ("4x9", None),
            ("6xx", None),
            ("0xx", None),
            ("099", None),
            ("+29", None),
            ("4+9", None),
            ("xx", None),
            ("４29", None),
        ] {
            let found = Statuses::parse(text).map(|statuses| (statuses.first, statuses.last));
            assert_eq!(found, expected, "{text}");
        }
    }
}
