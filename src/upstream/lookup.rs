//! Asking X's API v2 with the app's bearer token, and looking posts up by id to learn their authors: `GET /2/tweets`, in
//! either of its two vocabularies (reference 8.1).

use std::collections::HashMap;

use hyper::{HeaderMap, StatusCode};
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::model::{Secret, UserId};
use crate::upstream::engage::bearer;
use crate::upstream::pool::Failure;
use crate::upstream::{Error, Upstream, UpstreamEffort};

/// Posts that one look-up may name.
pub const MOST_LOOKED_UP: usize = 100;

/// Both vocabularies' ways to ask for the author: X's guides have `author_id` as a field, its newest description as an
/// expansion alone.
const AUTHOR: &str = "tweet.fields=author_id&expansions=author_id";

/// A hundred posts come with their texts, at most 280 characters of up to 12 bytes each, and their authors with names.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Why a look-up failed.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    #[error("X does not accept the app's bearer token")]
    BearerRejected,
    #[error("X does not allow the app to look posts up")]
    Forbidden,
    /// The user does not exist, is suspended, or shows posts to followers alone.
    #[error("X does not show this account's posts to the app")]
    NotShown,
    #[error("the app's quota of look-ups is used up")]
    Quota {
        /// By X's clock.
        until: Option<OffsetDateTime>,
    },
    #[error("X answered the look-up with status {0} and without posts")]
    Odd(u16),
    #[error(transparent)]
    Upstream(#[from] Error),
}

/// Posts that cannot be shown are reported in `errors`; either list is missing if it would be empty.
#[derive(Deserialize)]
struct Found {
    data: Option<Vec<Post>>,
    includes: Option<Included>,
    errors: Option<Value>,
}

#[derive(Deserialize)]
struct Post {
    id: String,
    author_id: Option<String>,
    /// Listed by the newest description beside `author_id`.
    username: Option<String>,
}

/// The objects that the expansion adds: each author once.
#[derive(Deserialize)]
struct Included {
    users: Option<Vec<User>>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    username: Option<String>,
}

/// What version 2 of the API is asked for with a bearer token.
pub trait Resource: Sync {
    type Found: Send;

    /// Its path below the version, with a query.
    fn path(&self) -> String;

    /// What a successful answer says.
    fn read(&self, body: &[u8]) -> Result<Self::Found, LookUpError>;
}

/// The authors of at most [`MOST_LOOKED_UP`] posts. Posts that X does not find or may not show are left out.
pub struct AuthorsOf<'a>(pub &'a [u64]);

impl Resource for AuthorsOf<'_> {
    type Found = HashMap<u64, UserId>;

    fn path(&self) -> String {
        let ids: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        format!("tweets?ids={}&{AUTHOR}", ids.join(","))
    }

    fn read(&self, body: &[u8]) -> Result<HashMap<u64, UserId>, LookUpError> {
        authors(body, self.0).ok_or(LookUpError::Odd(200))
    }
}

impl Upstream {
    /// Makes one request.
    pub async fn look_up<R: Resource>(
        &self,
        wanted: &R,
        token: &Secret,
        effort: &mut UpstreamEffort,
    ) -> Result<R::Found, LookUpError> {
        let url = format!("{}/2/{}", self.api_url, wanted.path());
        let request = self.tokens.get(url).header(AUTHORIZATION, bearer(token));
        effort.attempts += 1;
        effort.status = None;
        let begun = self.clock.instant();
        let outcome = self.ask_for(request, MAX_ANSWER_BYTES).await;
        let time = self.clock.instant().saturating_duration_since(begun);
        effort.time += time;
        self.meters.lookup.seconds.record(time.as_secs_f64());
        let outcome = outcome.map_err(|error| match error {
            Error::Unreachable(_) => Failure::Retryable(error),
            _ => Failure::Final(error),
        });
        self.meters.lookup.count(outcome.as_ref().map(|(status, ..)| *status));
        let (status, headers, body) = outcome.map_err(Failure::into_error)?;
        effort.status = Some(status.as_u16());
        match status {
            StatusCode::OK => wanted.read(&body),
            StatusCode::UNAUTHORIZED => Err(LookUpError::BearerRejected),
            StatusCode::FORBIDDEN => Err(LookUpError::Forbidden),
            StatusCode::TOO_MANY_REQUESTS => Err(LookUpError::Quota { until: reset(&headers) }),
            other => Err(LookUpError::Odd(other.as_u16())),
        }
    }
}

/// The authors of the requested posts that an answer contains; `None` when it is not a valid answer.
fn authors(body: &[u8], posts: &[u64]) -> Option<HashMap<u64, UserId>> {
    let found: Found = serde_json::from_slice(body).ok()?;
    if found.data.is_none() && found.errors.is_none() {
        return None;
    }
    let users = found.includes.and_then(|included| included.users).unwrap_or_default();
    let lacks_user = found.errors.as_ref().is_some_and(lacks_user);
    let author = |found: Post| {
        let post = found.id.parse().ok().filter(|post| posts.contains(post))?;
        let id = found.author_id.as_deref().or_else(|| match (&*users, &found.username) {
            (users, Some(name)) => named(users, name),
            ([only], None) if !lacks_user => Some(&only.id),
            _ => None,
        });
        Some((post, UserId::parse(id?)?))
    };
    Some(found.data.into_iter().flatten().filter_map(author).collect())
}

fn named<'a>(users: &'a [User], name: &str) -> Option<&'a str> {
    let is_it = |user: &&User| user.username.as_deref().is_some_and(|own| own == name);
    users.iter().find(is_it).map(|user| &*user.id)
}

/// Whether an author could not be included, so that the only one included need not be every post's.
fn lacks_user(errors: &Value) -> bool {
    let errors = errors.as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().any(|error| error.get("resource_type").is_some_and(|kind| kind == "user"))
}

/// When the quota is available again.
fn reset(headers: &HeaderMap) -> Option<OffsetDateTime> {
    let value = headers.get("x-rate-limit-reset")?.to_str().ok()?;
    OffsetDateTime::from_unix_timestamp(value.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_the_authors_of_what_was_asked_for() {
        let user = |id| UserId::parse(id).unwrap();
        for (body, expected) in [
            (
                r#"{"data":[{"id":"20","author_id":"12","text":"x"},{"id":"21","author_id":"13"}]}"#,
                Some([(20, user("12")), (21, user("13"))].into()),
            ),
            (
                r#"{"data":[{"id":"20","author_id":"12"}],"errors":[{"value":"21"}]}"#,
                Some([(20, user("12"))].into()),
            ),
            (r#"{"errors":[{"value":"20"}]}"#, Some(HashMap::new())),
            (r#"{"data":[{"id":"22","author_id":"12"}]}"#, Some(HashMap::new())),
            (r#"{"data":[{"id":"20"},{"id":"x","author_id":"12"}]}"#, Some(HashMap::new())),
            (r#"{"data":[{"id":"20","author_id":"0"}]}"#, Some(HashMap::new())),
            (
                r#"{"data":[{"id":"20","author_id":"12"}],"includes":{"users":[{"id":"13"}]}}"#,
                Some([(20, user("12"))].into()),
            ),
            (
                r#"{"data":[{"id":"20"},{"id":"21","author_id":null}],"includes":{"users":[{"id":"12"}]}}"#,
                Some([(20, user("12")), (21, user("12"))].into()),
            ),
            (
                r#"{"data":[{"id":"20","username":"b"},{"id":"21","username":"a"}],
                    "includes":{"users":[{"id":"12","username":"a"},{"id":"13","username":"b"}]}}"#,
                Some([(20, user("13")), (21, user("12"))].into()),
            ),
            (
                r#"{"data":[{"id":"20","username":"c"},{"id":"21"}],
                    "includes":{"users":[{"id":"12","username":"a"},{"id":"13"}]}}"#,
                Some(HashMap::new()),
            ),
            (
                r#"{"data":[{"id":"20"},{"id":"21"}],"includes":{"users":[{"id":"12"}]},
                    "errors":[{"resource_type":"user","value":"13"}]}"#,
                Some(HashMap::new()),
            ),
            (r#"{"data":[{"id":"20"}],"includes":{}}"#, Some(HashMap::new())),
            (r#"{"data":[{"id":20,"author_id":12}]}"#, None),
            (r#"{"data":{}}"#, None),
            ("{}", None),
            ("[]", None),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(authors(body.as_bytes(), &[20, 21]), expected, "{body}");
        }
    }

    #[test]
    fn a_reset_is_read_where_it_is_a_time() {
        for (value, expected) in [("1773177300", Some(1_773_177_300)), ("soon", None), ("", None)] {
            let headers = HeaderMap::from_iter([(
                hyper::header::HeaderName::from_static("x-rate-limit-reset"),
                value.parse().unwrap(),
            )]);
            assert_eq!(reset(&headers).map(OffsetDateTime::unix_timestamp), expected, "{value}");
        }
        assert_eq!(reset(&HeaderMap::new()), None);
    }
}
