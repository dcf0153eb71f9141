//! Why an engagement call was refused, as far as something can be done about it (reference 4.1).

use hyper::StatusCode;
use serde::Deserialize;

use crate::model::{AuthKind, Cause};
use crate::upstream::failure::Failure;
use crate::upstream::{Answer, Verdict};

const FORBIDDEN: &str = "Forbidden to access tweets";

/// The reason that an answer without numbers gives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// These posts are not by the user whose token signed; the others would have been answered. Empty if the text names
    /// none.
    Foreign(Vec<u64>),
    /// These posts are deleted or protected; without them nothing is left of the request.
    Unavailable(Vec<u64>),
    /// The user's token does not work.
    Account,
    Quota,
    /// Anything else, in the upstream's words if there are any.
    Other(String),
}

#[derive(Default, Deserialize)]
struct Unavailable {
    #[serde(default)]
    unavailable_tweet_ids: Vec<Id>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(u64),
}

impl Answer {
    /// Why X refused a call with that kind of credentials; `None` if it did not.
    pub fn cause(&self, auth: AuthKind) -> Option<Cause> {
        let of_verdict = match self.verdict {
            Verdict::Fine => None,
            Verdict::BearerRejected => Some(Cause::BearerRejected),
            Verdict::AccountRevoked => Some(Cause::AccountRevoked),
            Verdict::AccountBlocked => Some(Cause::AccountBlocked),
            Verdict::AppRejected => Some(Cause::AppRejected),
            Verdict::AppNotEnabled => Some(Cause::AppNotEnabled),
            Verdict::ClockRejected => Some(Cause::ClockRejected),
        };
        let of_refusal = || match self.refusal()? {
            Refusal::Foreign(_) => Some(Cause::ForeignPosts),
            Refusal::Unavailable(_) => Some(Cause::PostsUnavailable),
            Refusal::Other(_) if Failure::read(self.text()).says("forbidden to access metrics") => {
                Some(Cause::MetricsForbidden)
            }
            Refusal::Account | Refusal::Quota | Refusal::Other(_) => {
                Some(Cause::of_status(self.status.as_u16(), auth))
            }
        };
        if self.status.is_success() { None } else { of_verdict.or_else(of_refusal) }
    }

    /// `None` for an answer with numbers.
    pub fn refusal(&self) -> Option<Refusal> {
        if self.status == StatusCode::OK {
            return None;
        }
        if matches!(self.verdict, Verdict::AccountRevoked | Verdict::AccountBlocked) {
            return Some(Refusal::Account);
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            return Some(Refusal::Quota);
        }
        let failure = Failure::read(self.text());
        let texts: Vec<&str> = failure.texts().collect();
        if texts.iter().any(|text| text.starts_with(FORBIDDEN)) {
            return Some(Refusal::Foreign(texts.iter().flat_map(|text| foreign(text)).collect()));
        }
        let unavailable: Unavailable = serde_json::from_slice(self.text()).unwrap_or_default();
        if !unavailable.unavailable_tweet_ids.is_empty() {
            let ids = unavailable.unavailable_tweet_ids.into_iter();
            let read = |id: Id| match id {
                Id::Text(text) => text.trim().parse().ok(),
                Id::Number(number) => Some(number),
            };
            return Some(Refusal::Unavailable(ids.filter_map(read).collect()));
        }
        let detail: String = texts.first().unwrap_or(&"").chars().take(200).collect();
        let status = self.status.as_u16();
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        Some(Refusal::Other(format!("X answered with status {status}{detail}")))
    }
}

/// The posts that a text names, in either wording: all at once, or a text for each author.
fn foreign(text: &str) -> Vec<u64> {
    let named = text.strip_prefix(FORBIDDEN).and_then(|rest| rest.rsplit_once(':'));
    let parts = named.map_or("", |(_, ids)| ids).split([',', ';', ' ']);
    parts.filter_map(|id| id.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_wordings_name_their_posts() {
        for (text, posts) in [
            ("Forbidden to access tweets: 12, 34", &[12, 34][..]),
            ("Forbidden to access tweets: 12, 34;", &[12, 34]),
            (
                "Forbidden to access tweets for author id 1114564404: 640022366307745792",
                &[640_022_366_307_745_792],
            ),
            ("Forbidden to access tweets", &[]),
            ("Forbidden to access metrics: 12", &[]),
        ] {
            assert_eq!(foreign(text), posts, "{text}");
        }
    }
}
