//! The gateway's own errors: each built by the code that answers with it, so that status, code, headers and text are
//! the real ones.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, Method, Uri};
use axum::response::IntoResponse;
use serde_json::Value;
use time::macros::datetime;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{
    ContentBuilder, Header, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder,
};

use crate::api::audit_export;
use crate::api::callers::engagement::NO_FORM;
use crate::api::openapi::examples::revoked_account;
use crate::api::openapi::schemas::named;
use crate::gateway::{Detail, Error, Missing, OverLimit, Reason};
use crate::model::key::Kind;
use crate::model::{Endpoint, Metric};
use crate::web::connection_limits::Full;
use crate::web::negotiation::NO_ENCODING;
use crate::web::problem;
use crate::web::problem::{Problem, RECONNECT_HEADER};

/// The component of a header, its name on the wire, and its meaning.
const HEADERS: [(&str, &str, &str); 13] = [
    (
        "RequestId",
        "X-Request-Id",
        "The request's own `X-Request-Id` if that is at most 64 plain characters, otherwise a new one. It is also in the gateway's log.",
    ),
    (
        "CountersignAuth",
        "Countersign-Auth",
        "Whose credentials the call used: `app-only` or `user-context`.",
    ),
    (
        "ServerTiming",
        "Server-Timing",
        "Milliseconds spent in X and in the gateway: `upstream;dur=81.204, gateway;dur=0.311`.",
    ),
    ("RateLimitPolicy", "RateLimit-Policy", "Your part of X's quota: `\"x\";q=300`."),
    ("RateLimit", "RateLimit", "What is left of it, and for how long: `\"x\";r=250;t=17`."),
    (
        "Complete",
        "Countersign-Complete",
        "`true`, or `false` if some results are missing. Not sent with `application/x-ndjson`.",
    ),
    (
        "Missing",
        "Countersign-Missing",
        "The number of posts missing for each reason, such as `unavailable=3, quota=250`. Not sent with `application/x-ndjson`.",
    ),
    (
        "Note",
        "Countersign-Note",
        "What of the question was read otherwise than it was written, such as an end in the future. Sent only then, and not with `application/x-ndjson`.",
    ),
    ("Age", "Age", "Seconds since the oldest kept numbers were asked for, if some were kept."),
    (
        "CountersignError",
        "Countersign-Error",
        "The problem's `code`. Only the gateway's own responses have this header: an error without it comes from X.",
    ),
    ("RetryAfter", "Retry-After", "Seconds to wait before retrying."),
    (
        "ReconnectUrl",
        "Countersign-Reconnect-Url",
        "With `account_not_active`, for keys that may create links: where the user can connect the account again.",
    ),
    ("Authenticate", "WWW-Authenticate", "`Bearer realm=\"countersign\"`."),
];

/// Headers that only some problems have.
const SOMETIMES: [(HeaderName, &str); 3] = [
    (RETRY_AFTER, "RetryAfter"),
    (WWW_AUTHENTICATE, "Authenticate"),
    (RECONNECT_HEADER, "ReconnectUrl"),
];

/// A problem and the name of its example: the code, or more if one code comes in several forms.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) problem: Problem,
}

impl<P: Into<Problem>> From<P> for Sample {
    fn from(problem: P) -> Sample {
        let problem = problem.into();
        Sample { name: problem.code().to_owned(), problem }
    }
}

impl Sample {
    fn called(name: &str, problem: Problem) -> Sample {
        Sample { name: name.to_owned(), problem }
    }

    /// The body of its response.
    pub(crate) fn body(&self) -> Value {
        serde_json::from_slice(&self.problem.body("4f2a90c1d7e35b68-17")).unwrap_or_default()
    }
}

pub(crate) fn of_everything() -> Vec<Sample> {
    vec![
        Error::Internal("a fault".into()).into(),
        Problem::too_many_connections(Full::Listener).into(),
    ]
}

pub(crate) fn of_keys(kind: Kind) -> Vec<Sample> {
    let missing = format!("missing_key_{}", kind.name());
    let other = if kind == Kind::Caller { Kind::Admin } else { Kind::Caller };
    let of_other_kind = format!("unknown_key_{}", other.name());
    let detail = "is not the key in Authorization; send only one of them";
    let mut samples = of_names(kind);
    samples.extend([
        Sample::called(&missing, Problem::missing_key(kind)),
        Error::UnknownKey.into(),
        Sample::called(&of_other_kind, Error::WrongKind { presented: other }.into()),
        Error::TooManyGuesses.into(),
        invalid("header", Detail::in_header("X-Api-Key", detail)),
        Error::StoreUnavailable("away".into()).into(),
        Error::VaultKeyUnavailable("k3y9f0qz".to_owned()).into(),
    ]);
    if kind == Kind::Caller {
        let retry_after = Duration::from_secs(17);
        samples.push(Error::KeyLimited(OverLimit::PerMinute { most: 60, retry_after }).into());
        let detail = "other answers occupy the memory that limits.answer_memory allows";
        samples.push(Error::Busy(detail.to_owned()).into());
    }
    samples
}

/// The operators' listener is served only under known names.
fn of_names(kind: Kind) -> Vec<Sample> {
    match kind {
        Kind::Caller => Vec::new(),
        Kind::Admin => vec![Problem::unknown_name("evil.example").into()],
    }
}

pub(crate) fn of_bodies() -> Vec<Sample> {
    let detail = "the Content-Type is not JSON; send the body as application/json";
    vec![
        Problem::wrong_type(detail).into(),
        Problem::body_too_large(65536).into(),
        Problem::body_timeout().into(),
    ]
}

/// What only requests that change something run into.
pub(crate) fn of_changes() -> Vec<Sample> {
    vec![Error::OutcomeUnknown("away".into()).into()]
}

pub(crate) fn of_requests() -> Vec<Sample> {
    let detail = "must be a post id of 1 to 19 digits, as a string or a whole number, not \"abc\"";
    vec![invalid("post_id", Detail::at("/tweet_ids/0", detail))]
}

/// An invalid field of a body.
pub(crate) fn of_field(pointer: &str, detail: &str) -> Vec<Sample> {
    vec![invalid(pointer.trim_start_matches('/'), Detail::at(pointer, detail))]
}

pub(crate) fn of_imports() -> Vec<Sample> {
    let detail = "access_token must begin with the user's id, 7588892-, and have no spaces";
    let cause = Box::new(Error::StoreUnavailable("away".into()));
    let stopped = Error::ImportStopped { stored: 1000, of: 2000, line: 1001, cause };
    vec![invalid("line", Detail::in_line(1, detail)), stopped.into()]
}

pub(crate) fn of_queries() -> Vec<Sample> {
    let detail = "limit: must be a whole number from 1 to 1000";
    vec![invalid("query", Detail::in_query(detail))]
}

pub(crate) fn of_account_paths() -> Vec<Sample> {
    let detail = "the account must be a user id of 1 to 19 digits or @screen_name";
    let mut samples = vec![invalid("path", Detail::in_path(detail))];
    samples.extend(not_found("account"));
    samples
}

pub(crate) fn of_upstream() -> Vec<Sample> {
    vec![
        Error::UpstreamUnreachable("away".into()).into(),
        Error::UpstreamCutShort("cut".into()).into(),
        Error::UpstreamTooLarge("large".into()).into(),
        Error::UpstreamTimeout("slow".into()).into(),
        Error::UpstreamOdd { source: "odd".into(), retry_after: None }.into(),
    ]
}

pub(crate) fn of_relay() -> Vec<Sample> {
    let (app, wait) = (|| "main".to_owned(), Duration::from_secs);
    let mut samples = vec![
        not_allowed("endpoint", "its scope leaves out the endpoint historical"),
        Error::AccountNotFound.into(),
        revoked_account().into(),
        Error::AccountLimitReached {
            app: app(),
            limit: 100,
            until: datetime!(2026-04-01 0:00 UTC),
            retry_after: Duration::from_hours(240),
        }
        .into(),
        Error::QuotaExhausted { app: app(), retry_after: wait(12) }.into(),
        Error::UpstreamDown { app: app(), endpoint: Endpoint::Totals, retry_after: wait(1) }.into(),
        Error::AppCredentialsRejected { app: app(), retry_after: wait(10) }.into(),
        Sample::called("not_acceptable_encoding", Problem::not_acceptable(NO_ENCODING)),
    ];
    samples.extend(of_upstream());
    samples
}

/// Those of questions, in addition to those of bodies.
pub(crate) fn of_questions() -> Vec<Sample> {
    let detail = "must be a duration above zero such as 20s";
    let mut samples = of_plans();
    samples.push(invalid("deadline", Detail::in_header("Countersign-Deadline", detail)));
    samples.push(Sample::called("not_acceptable_type", Problem::not_acceptable(NO_FORM)));
    samples
}

/// Those of operations that answer in more than one media type.
pub(crate) fn of_accepts() -> Vec<Sample> {
    vec![Sample::called("not_acceptable_list", Problem::not_acceptable(audit_export::NO_FORM))]
}

pub(crate) fn of_plans() -> Vec<Sample> {
    vec![not_allowed("endpoint", "its scope leaves out the endpoint historical")]
}

/// An unknown app, or none named although several are configured.
pub(crate) fn of_apps() -> Vec<Sample> {
    of_field("/app", "must name a configured app; these are: demo, main")
}

/// The same for the query parameter.
pub(crate) fn of_app_parameters() -> Vec<Sample> {
    let detail = "app: several apps are configured; name one of demo, main";
    vec![invalid("app_parameter", Detail::in_query(detail))]
}

/// A question without any results, for each reason.
pub(crate) fn of_nothing() -> Vec<Sample> {
    let sample = |reason: Reason| {
        let missing = Missing {
            posts: vec![1_560_000_000_000_000_000],
            metrics: vec![Metric::Impressions],
            windows: Vec::new(),
            reason,
            author: None,
            detail: String::new(),
        };
        let retry_after = match reason {
            Reason::Quota => Some(Duration::from_secs(42)),
            Reason::AccountLimit => Some(Duration::from_hours(240)),
            _ => None,
        };
        let missing = vec![missing];
        let problem = Problem::from(Error::NothingAnswered { missing, reason, retry_after });
        Sample::called(&format!("nothing_answered_{}", reason.name()), problem)
    };
    Reason::ALL.map(sample).to_vec()
}

/// Those of keys that create links.
pub(crate) fn of_links() -> Vec<Sample> {
    let retry_after = Duration::from_hours(12);
    vec![
        not_allowed("links", "it may not make links"),
        Error::TooManyLinks { most: 1000, retry_after }.into(),
    ]
}

pub(crate) fn not_allowed(what: &str, detail: &str) -> Sample {
    Sample::called(&format!("not_allowed_{what}"), Error::NotAllowed(detail.to_owned()).into())
}

pub(crate) fn not_found(what: &'static str) -> Vec<Sample> {
    let name = format!("not_found_{}", what.split(' ').next().unwrap_or_default());
    vec![Sample::called(&name, Error::NotFound(what).into())]
}

pub(crate) fn already_exists(name: &str, what: &str) -> Sample {
    let problem = Error::AlreadyExists(what.to_owned()).into();
    Sample::called(&format!("already_exists_{name}"), problem)
}

/// Paths and methods that are not described.
pub(crate) fn of_unknown_routes() -> Vec<Sample> {
    let (here, elsewhere) =
        (Uri::from_static("/v1/engagement"), Uri::from_static("/v2/engagement"));
    let offered = "the engagement endpoints are …";
    vec![
        problem::no_route(&elsewhere, offered).into(),
        problem::wrong_method(&Method::GET, &here).into(),
    ]
}

fn invalid(name: &str, detail: Detail) -> Sample {
    let name = format!("invalid_request_{}", name.replace('/', "_"));
    Sample::called(&name, Problem::invalid(vec![detail]))
}

/// The responses with these problems, by status.
pub(crate) fn responses(samples: &[Sample]) -> BTreeMap<String, Response> {
    let mut by_status: BTreeMap<u16, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        by_status.entry(sample.problem.status().as_u16()).or_default().push(sample);
    }
    let response =
        |(status, samples): (u16, Vec<&Sample>)| (status.to_string(), response(&samples));
    by_status.into_iter().map(response).collect()
}

/// On X's own paths: problems have another status unless the client accepts problem documents by name.
pub(crate) fn also_as_x(responses: &mut BTreeMap<String, Response>) {
    for (status, as_x) in [("409", "403"), ("415", "400")] {
        let Some(problem) = responses.get(status).cloned() else { continue };
        if let Some(response) = responses.get_mut(as_x) {
            response.description = format!(
                "{} In X's form, also instead of {status}: {}",
                response.description, problem.description
            );
            response.headers.extend(problem.headers);
        }
    }
}

fn response(samples: &[&Sample]) -> Response {
    let mut about: Vec<String> = Vec::new();
    let mut sent = vec!["RequestId", "CountersignError"];
    for sample in samples {
        let line = format!("`{}`: {}.", sample.problem.code(), sample.problem.words().0);
        if !about.contains(&line) {
            about.push(line);
        }
        let response = sample.problem.clone().into_response();
        for (header, component) in SOMETIMES {
            if response.headers().contains_key(header) && !sent.contains(&component) {
                sent.push(component);
            }
        }
    }
    let examples = samples.iter().map(|sample| {
        let reference = format!("#/components/examples/{}", sample.name);
        (sample.name.clone(), RefOr::Ref(Ref::new(reference)))
    });
    let content = ContentBuilder::new().schema(Some(named("Problem"))).examples_from_iter(examples);
    let mut written = ResponseBuilder::new()
        .description(about.join(" "))
        .content(problem::PROBLEM_JSON, content.build());
    for (name, header) in headers(&sent) {
        written = written.header_ref(name, header);
    }
    written.build()
}

/// References to these components, by their names on the wire.
pub(crate) fn headers(components: &[&str]) -> impl Iterator<Item = (&'static str, Ref)> {
    HEADERS
        .iter()
        .filter(|(component, ..)| components.contains(component))
        .map(|(component, name, _)| (*name, Ref::new(format!("#/components/headers/{component}"))))
}

pub(crate) fn header_components() -> impl Iterator<Item = (&'static str, Header)> {
    HEADERS.iter().map(|(component, _, about)| {
        let kind = if *component == "RetryAfter" { Type::Integer } else { Type::String };
        let schema = ObjectBuilder::new().schema_type(kind);
        (*component, HeaderBuilder::new().schema(Some(schema)).description(Some(*about)).build())
    })
}

/// The examples, by name.
pub(crate) fn examples(
    samples: &[Sample],
) -> BTreeMap<String, RefOr<utoipa::openapi::example::Example>> {
    let example = |sample: &Sample| {
        let (title, _) = sample.problem.words();
        let example = ExampleBuilder::new().summary(title).value(Some(sample.body()));
        (sample.name.clone(), RefOr::T(example.build()))
    };
    samples.iter().map(example).collect()
}
