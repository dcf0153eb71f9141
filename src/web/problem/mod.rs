//! The gateway's own error answers: as `application/problem+json` (RFC 9457), in X's form for clients of X's API, or as
//! a page for people's browsers. `table` is the one status table.

mod nothing_answered;
mod table;

use std::any::Any;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::gateway::{Detail, Error, Location, NamedAccount, Reconnect, Token};
use crate::model::key::{Kind, Presented};
use crate::web::connection_limits::Full;
use crate::wire;
use crate::wire::rfc3339;

/// The media type (RFC 9457).
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Tells a caller that the answer is the gateway's own, and why.
pub(crate) const ERROR_HEADER: HeaderName = HeaderName::from_static("countersign-error");

/// Names the URL where the user of an inactive account connects again.
pub(crate) const RECONNECT_HEADER: HeaderName =
    HeaderName::from_static("countersign-reconnect-url");

const SOON: Duration = Duration::from_secs(1);

/// An answer of the gateway's own. It becomes a body in the request-log layer, which knows the request's id.
#[derive(Clone)]
pub(crate) struct Problem(Arc<Parts>);

struct Parts {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    problems: Vec<Detail>,
    retry_after: Option<Duration>,
    cause: Option<Error>,
    /// The public part of the key that it is about.
    key_id: Option<String>,
    /// The token that it is about.
    token: Option<Arc<Token>>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Problem {
        Problem(Arc::new(Parts {
            status,
            code,
            title,
            detail: detail.into(),
            problems: Vec::new(),
            retry_after: None,
            cause: None,
            key_id: None,
            token: None,
        }))
    }

    pub(crate) fn missing_key(kind: Kind) -> Problem {
        let prefix = kind.prefix();
        let detail = format!(
            "send a Countersign key as `Authorization: Bearer {prefix}…` or `X-Api-Key: {prefix}…`"
        );
        Problem::new(StatusCode::UNAUTHORIZED, "missing_key", "Missing key", detail)
    }

    pub(crate) fn not_acceptable(detail: &'static str) -> Problem {
        Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "Not acceptable", detail)
    }

    pub(crate) fn body_too_large(most: usize) -> Problem {
        let detail = format!(
            "the body is larger than {most} bytes, the most that is accepted; split the request"
        );
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "The body is too large",
            detail,
        )
    }

    pub(crate) fn starting(detail: &'static str) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The gateway is busy", detail)
            .retry(SOON)
    }

    pub(crate) fn not_for_tokens() -> Problem {
        let detail = "a token for browsers is good for POST /v1/engagement alone";
        Problem::new(StatusCode::FORBIDDEN, "not_allowed", "Not allowed", detail)
    }

    pub(crate) fn wrong_type(detail: &'static str) -> Problem {
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", "The body is not JSON", detail)
    }

    pub(crate) fn body_timeout() -> Problem {
        let detail = "the body did not arrive in time";
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "The request took too long",
            detail,
        )
    }

    pub(crate) fn too_many_connections(full: Full) -> Problem {
        let detail = match full {
            Full::Listener => "the gateway has reached limits.connections",
            Full::Address => {
                "your address has three quarters of limits.connections open, the most that one address may have"
            }
        };
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_connections",
            "Too many connections",
            detail,
        )
        .retry(SOON)
    }

    pub(crate) fn unknown_name(name: &str) -> Problem {
        let name: String = name.chars().filter(char::is_ascii_graphic).take(100).collect();
        let detail = format!(
            "/metrics and /admin are not served under the name {name:?}: list it in admin.hosts, or set admin.public_url if browsers use it"
        );
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown_name", "Unknown host name", detail)
    }

    pub(crate) fn invalid(problems: Vec<Detail>) -> Problem {
        Problem::from(Error::InvalidRequest(problems))
    }

    pub(crate) fn code(&self) -> &'static str {
        self.0.code
    }

    /// Title and detail.
    pub(crate) fn words(&self) -> (&'static str, &str) {
        (self.0.title, &self.0.detail)
    }

    /// Notes the id of the presented key, which is public if its checksum is right.
    pub(crate) fn about_key(self, text: &str) -> Problem {
        let key_id = Presented::parse(text).map(|key| key.id.to_owned());
        self.change(|parts| parts.key_id = key_id)
    }

    /// Notes the token with which a page asked.
    pub(crate) fn about_token(self, token: Arc<Token>) -> Problem {
        self.change(|parts| parts.token = Some(token))
    }

    pub(crate) fn token(&self) -> Option<&Arc<Token>> {
        self.0.token.as_ref()
    }

    pub(crate) fn key_id(&self) -> Option<&str> {
        self.0.key_id.as_deref()
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The chain of causes, in one line; `None` if the answer says it all.
    pub(crate) fn causes(&self) -> Option<String> {
        let mut source = self.0.cause.as_ref().and_then(StdError::source);
        let mut chain = Vec::new();
        while let Some(cause) = source {
            chain.push(cause.to_string());
            source = cause.source();
        }
        (!chain.is_empty()).then(|| chain.join(": "))
    }

    /// The error of a use case, if it is one.
    pub(crate) fn error(&self) -> Option<&Error> {
        self.0.cause.as_ref()
    }

    pub(crate) fn is_gateway_error(&self) -> bool {
        self.0.cause.is_some()
    }

    /// The status for clients of X's API. One of them takes 409 for success, and X sends neither that nor 415.
    pub(crate) fn status_as_x(&self) -> StatusCode {
        match self.0.status {
            StatusCode::CONFLICT => StatusCode::FORBIDDEN,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => StatusCode::BAD_REQUEST,
            status => status,
        }
    }

    /// The body for clients of X's API: X's form and no other member, since one of them takes every member for a list.
    pub(crate) fn body_as_x(&self) -> Vec<u8> {
        json!({ "errors": [self.0.detail] }).to_string().into_bytes()
    }

    /// The body as problem+json, for the request with that id.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        let parts = &self.0;
        let mut body = json!({
            "type": format!("urn:countersign:problem:{}", parts.code),
            "title": parts.title,
            "status": parts.status.as_u16(),
            "code": parts.code,
            "detail": parts.detail,
            "request_id": request_id,
            "errors": [parts.detail],
            "problems": parts.problems.iter().map(describe).collect::<Vec<_>>(),
        });
        if let (Some(reconnect), Some(body)) = (self.reconnect(), body.as_object_mut()) {
            body.insert("reconnect_url".to_owned(), reconnect.url.expose().into());
            body.insert("reconnect_until".to_owned(), rfc3339(reconnect.until).into());
        }
        if let (Some(account), Some(body)) = (self.account(), body.as_object_mut()) {
            let NamedAccount { user_id, screen_name } = account;
            let account = json!({ "id": user_id.to_string(), "screen_name": screen_name });
            body.insert("account".to_owned(), account);
        }
        if let (Some(missing), Some(body)) = (self.missing(), body.as_object_mut()) {
            body.insert("missing".to_owned(), json!(missing));
        }
        body.to_string().into_bytes()
    }

    fn missing(&self) -> Option<Vec<wire::question::Missing>> {
        match &self.0.cause {
            Some(Error::NothingAnswered { missing, .. }) => {
                Some(missing.iter().map(Into::into).collect())
            }
            _ => None,
        }
    }

    /// The account that cannot be used: one that the key may use, else it would be told of none.
    fn account(&self) -> Option<&NamedAccount> {
        match &self.0.cause {
            Some(Error::AccountNotActive { account, .. }) => Some(account),
            _ => None,
        }
    }

    fn reconnect(&self) -> Option<&Reconnect> {
        match &self.0.cause {
            Some(Error::AccountNotActive { reconnect, .. }) => reconnect.as_ref(),
            _ => None,
        }
    }

    fn retry(self, after: Duration) -> Problem {
        self.change(|parts| parts.retry_after = Some(after))
    }

    fn change(mut self, change: impl FnOnce(&mut Parts)) -> Problem {
        if let Some(parts) = Arc::get_mut(&mut self.0) {
            change(parts);
        }
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(ERROR_HEADER, HeaderValue::from_static(self.0.code));
        if let Some(reconnect) = self.reconnect() {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if let Ok(mut url) = HeaderValue::from_str(reconnect.url.expose()) {
                url.set_sensitive(true);
                headers.insert(RECONNECT_HEADER, url);
            }
        }
        if let Some(after) = self.0.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"countersign\""));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The answer to an unknown path; `offered` says what the listener serves.
pub(crate) fn no_route(uri: &Uri, offered: &str) -> Problem {
    let detail = format!("there is nothing at {}; {offered}", shown_path(uri));
    Problem::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
}

pub(crate) fn wrong_method(method: &Method, uri: &Uri) -> Problem {
    let path = shown_path(uri);
    let method: String = method.as_str().chars().take(20).collect();
    let detail = format!("{path} does not accept {method}; see the header Allow");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", detail)
}

/// A path that is safe to log and repeat. Parts are cut to the length of a user id or a screen name, since a key or a
/// token may stand where its id should.
pub(crate) fn shown_path(uri: &Uri) -> String {
    const MOST_OF_A_PART: usize = 21;
    let parts = uri.path().split('/').map(|part| match part.char_indices().nth(MOST_OF_A_PART) {
        Some((end, _)) => format!("{}…", part.get(..end).unwrap_or_default()),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/").chars().take(100).collect()
}

/// The answer to a panic. Its own text was logged by the hook and may hold a value, so it goes no further.
pub(crate) fn panicked(_: Box<dyn Any + Send>) -> Response {
    let detail = "something went wrong inside the gateway";
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "Something went wrong in the gateway",
        detail,
    )
    .into_response()
}

fn describe(problem: &Detail) -> serde_json::Value {
    match &problem.place {
        Location::Body(pointer) => json!({ "pointer": pointer, "detail": problem.detail }),
        Location::Line(number) => json!({ "line": number, "detail": problem.detail }),
        Location::Header(name) => json!({ "header": name, "detail": problem.detail }),
        Location::Path => json!({ "part": "path", "detail": problem.detail }),
        Location::Query => json!({ "part": "query", "detail": problem.detail }),
    }
}
