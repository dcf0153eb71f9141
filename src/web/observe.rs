//! What surrounds every request: its id, its log line, its metrics, and the body of the gateway's own answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use axum::response::{IntoResponse, Response};
use tower::Service;
use tracing::{info, warn};

use crate::gateway::{CallTrace, Learnt, Token};
use crate::model::call::Call;
use crate::model::usage::Saving;
use crate::model::{AuthKind, Cause, Endpoint};
use crate::web::client_address::{Client, Peer};
use crate::web::cross_origin;
use crate::web::host::{Host, Routes};
use crate::web::html::Face;
use crate::web::negotiation::{Accepted, gzip, is_named};
use crate::web::problem::{PROBLEM_JSON, Problem, shown_path};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Paths that machines poll every few seconds: not logged, and answered even when all connections are taken.
pub(crate) const PROBES: [&str; 3] = ["/livez", "/readyz", "/metrics"];

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What the relay's handler leaves for the log line.
#[derive(Clone)]
pub(crate) struct Relayed {
    pub(crate) endpoint: Endpoint,
    pub(crate) trace: Arc<CallTrace>,
}

/// The token with which a page asked, which its handler leaves for the log line.
#[derive(Clone)]
pub(crate) struct HeldToken(pub(crate) Arc<Token>);

/// The id of a request, for handlers that need it.
#[derive(Clone)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    pub(crate) fn of(request: &Request) -> Arc<str> {
        request
            .extensions()
            .get::<RequestId>()
            .map_or_else(|| new_id().into(), |id| Arc::clone(&id.0))
    }
}

/// The parts of a request that its answer or its log line needs.
struct RequestSummary {
    id: String,
    accepted: Accepted,
    /// The form of the gateway's own answer, if there is one.
    form: Form,
    bytes: u64,
    client: IpAddr,
    method: Method,
    uri: Uri,
    /// The group of pages that its path belongs to.
    face: Option<&'static Face>,
    is_for_pages: bool,
    /// The origin that a browser names, where pages may ask.
    origin: Option<HeaderValue>,
}

/// How the gateway's own answers are written.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Form {
    Problem,
    /// As X writes errors: on X's own paths, unless the client names the other form.
    AsX,
}

/// Answers one request by `routes`, or with `refusal` if there is one, and logs and counts it.
pub(crate) async fn observe(
    host: &Host,
    mut routes: Routes,
    peer: &Peer,
    mut request: Request,
    refusal: Option<Problem>,
) -> Response {
    let begun = host.clock().instant();
    let is_of_x = routes.relays && is_of_x(request.uri().path());
    let is_call = is_of_x && refusal.is_none() && request.method() == Method::POST;
    let face = routes.faces.iter().find(|face| face.has(request.uri().path()));
    let is_for_pages = routes.relays && request.uri().path() == cross_origin::PATH;
    let summary = RequestSummary::of(&request, (is_of_x, is_for_pages), face, peer);
    request.extensions_mut().insert(Client(summary.client));
    // The relay's handlers leave what they know in their answers instead.
    if !is_call {
        request.extensions_mut().insert(RequestId(summary.id.as_str().into()));
    }
    let response = if let Some(refusal) = refusal {
        refusal.into_response()
    } else {
        let Ok(response) = routes.all.call(request).await;
        response.map(Body::new)
    };
    let elapsed = host.clock().instant().saturating_duration_since(begun);
    let mut response = finish(host, &summary, response, elapsed);
    if host.lifecycle().is_closing() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn is_of_x(path: &str) -> bool {
    Endpoint::ALL.iter().any(|endpoint| endpoint.path() == path)
}

impl RequestSummary {
    fn of(
        request: &Request,
        (is_of_x, is_for_pages): (bool, bool),
        face: Option<&'static Face>,
        peer: &Peer,
    ) -> RequestSummary {
        let headers = request.headers();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let length =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        RequestSummary {
            id: request_id(headers),
            accepted: Accepted::of(headers),
            form: if is_of_x && !is_named(headers, PROBLEM_JSON) {
                Form::AsX
            } else {
                Form::Problem
            },
            bytes: length.unwrap_or_default(),
            client: peer.client(headers),
            method,
            uri,
            face,
            is_for_pages,
            origin: headers.get(ORIGIN).filter(|_| is_for_pages).cloned(),
        }
    }
}

fn finish(
    host: &Host,
    summary: &RequestSummary,
    mut response: Response,
    elapsed: Duration,
) -> Response {
    let problem = response.extensions().get::<Problem>().cloned();
    if let Some(problem) = &problem {
        response = render(problem, response, summary);
    }
    let relayed = response.extensions_mut().remove::<Relayed>();
    let held = response.extensions_mut().remove::<HeldToken>();
    let headers = response.headers_mut();
    if let Some(face) = summary.face {
        face.guard(headers);
    }
    headers.insert(REQUEST_ID, HeaderValue::from_str(&summary.id).expect("an id is printable"));
    if let Some(relayed) = &relayed {
        let trace = &relayed.trace;
        let effort = trace.effort();
        let own = elapsed.saturating_sub(effort.time).saturating_sub(trace.waited);
        headers.insert(SERVER_TIMING, timing(effort.time, own));
        let meter = host.meters().of(relayed.endpoint, relayed.trace.auth);
        meter.count(response.status(), elapsed, own);
    }
    if let Some(problem) = &problem {
        metrics::counter!("countersign_refusals_total", "code" => problem.code()).increment(1);
    }
    if summary.is_for_pages {
        cross_origin::dress(host.gateway(), summary.origin.as_ref(), response.headers_mut());
    }
    let held = held.map(|held| held.0);
    let token = held.as_ref().or_else(|| problem.as_ref()?.token()).map(|token| &**token);
    log(summary, &response, (relayed.as_ref(), token), problem.as_ref(), elapsed);
    if let Some(relayed) = &relayed {
        note(host, summary, &response, relayed, problem.as_ref(), elapsed);
    }
    response
}

/// Adds a call with a known key to the recent calls that people can look through.
fn note(
    host: &Host,
    summary: &RequestSummary,
    response: &Response,
    Relayed { endpoint, trace }: &Relayed,
    problem: Option<&Problem>,
    elapsed: Duration,
) {
    let Some(key) = &trace.key else { return };
    let status = response.status().as_u16();
    let of_problem = || problem.map_or(Cause::Other, |problem| Cause::of_code(problem.code()));
    let cause = (status >= 400).then(|| trace.cause.unwrap_or_else(of_problem));
    let app = key.key.scopes.app.as_deref().unwrap_or_default();
    host.gateway().record_call(app, cause, || {
        let Learnt { tries, said } = trace.learnt();
        Call {
            id: 0,
            at: host.clock().now(),
            request_id: summary.id.clone(),
            app: app.to_owned(),
            key_id: key.key.id.clone(),
            subject: None,
            account: trace.account(),
            endpoint: Some(*endpoint),
            auth: trace.auth,
            posts: trace.posts,
            metrics: trace.metrics.clone(),
            status: Some(status),
            code: problem.map(|problem| problem.code().to_owned()),
            cause,
            said,
            attempts: trace.effort().attempts,
            tries,
            time: elapsed,
            upstream_time: trace.effort().time,
            bytes: response.body().size_hint().exact().unwrap_or_default(),
        }
    });
}

fn render(problem: &Problem, response: Response, summary: &RequestSummary) -> Response {
    let (mut parts, _) = response.into_parts();
    let mut body = if let Some(face) = summary.face {
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        (face.problem_page)(problem).into()
    } else if summary.form == Form::AsX {
        parts.status = problem.status_as_x();
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        problem.body_as_x()
    } else {
        problem.body(&summary.id)
    };
    let varies =
        if is_of_x(summary.uri.path()) { "accept, accept-encoding" } else { "accept-encoding" };
    parts.headers.insert(VARY, HeaderValue::from_static(varies));
    // Three public clients gunzip before they look at the status (reference 1.2).
    if summary.accepted.gzip {
        body = gzip(&body).into();
        parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

/// Milliseconds, written from whole microseconds: formatting a float costs as much as the rest of the header.
fn timing(upstream: Duration, own: Duration) -> HeaderValue {
    let mut text = String::with_capacity(48);
    for (name, duration) in [("upstream;dur=", upstream), (", gateway;dur=", own)] {
        let (micros, mut digits) = (micros(duration), itoa::Buffer::new());
        text.push_str(name);
        text.push_str(digits.format(micros / 1000));
        // The leading 1 keeps the zeros behind it.
        text.push('.');
        text.push_str(digits.format(1000 + micros % 1000).get(1..).unwrap_or_default());
    }
    HeaderValue::from_str(&text).expect("numbers are printable")
}

fn log(
    summary: &RequestSummary,
    response: &Response,
    (relayed, token): (Option<&Relayed>, Option<&Token>),
    problem: Option<&Problem>,
    elapsed: Duration,
) {
    let status = response.status().as_u16();
    let bytes_out = response.body().size_hint().exact().unwrap_or_default();
    let us = micros(elapsed);
    let (request_id, bytes_in) = (&*summary.id, summary.bytes);
    let code = problem.map(Problem::code);
    let key_id = problem.and_then(Problem::key_id);
    if let Some(Relayed { endpoint, trace }) = relayed {
        let key = trace.key.as_ref().map(|known| &*known.key.name);
        let effort = trace.effort();
        info!(
            request_id,
            endpoint = endpoint.name(),
            key,
            key_id,
            peer = key.is_none().then(|| summary.client.to_string()),
            account = trace.account().map(|id| id.to_string()),
            auth = trace.auth.map(AuthKind::name),
            status,
            code,
            upstream_status = effort.status,
            attempts = effort.attempts,
            us,
            upstream_us = micros(effort.time),
            quota_us = (!trace.waited.is_zero()).then(|| micros(trace.waited)),
            saved = trace.saved.map(Saving::name),
            bytes_in,
            bytes_out,
            "call"
        );
    } else if !PROBES.contains(&summary.uri.path()) {
        let path = shown_path(&summary.uri);
        let (method, peer) = (summary.method.as_str(), summary.client.to_string());
        let key_id = key_id.or(token.map(|token| &*token.key_id));
        let subject = token.and_then(Token::named_subject);
        let token = token.map(|token| &*token.id);
        info!(
            request_id,
            method,
            path,
            peer,
            key_id,
            token,
            subject,
            status,
            code,
            us,
            bytes_in,
            bytes_out,
            "request"
        );
    }
    if let Some(problem) = problem
        && problem.status().is_server_error()
    {
        let cause = problem.causes();
        warn!(request_id, code, cause, "answered with an error of the gateway's own");
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The caller's own id when it is short and plain, else a new one, unique among this machine's recent processes.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
    given.map_or_else(new_id, str::to_owned)
}

fn new_id() -> String {
    static PROCESS: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(std::process::id())
    });
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{:016x}{:08x}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed))
}
