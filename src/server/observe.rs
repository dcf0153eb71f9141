//! Around every request: its id, its log line, its metrics, and the body of the gateway's own answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::{info, warn};

use crate::gateway::Trail;
use crate::model::{AuthKind, Endpoint};
use crate::server::Host;
use crate::server::encoding::{Accepted, gzip};
use crate::server::problem::{Problem, shown_path};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What the relay's handler leaves for the log line.
#[derive(Clone)]
pub(super) struct Relayed {
    pub(super) endpoint: Endpoint,
    pub(super) trail: Arc<Trail>,
}

/// What the request line and headers say that the log line repeats.
struct Asked {
    id: String,
    accepted: Accepted,
    bytes: u64,
    peer: Option<SocketAddr>,
    what: String,
}

pub(super) async fn observe(State(host): State<Host>, request: Request, next: Next) -> Response {
    let begun = host.0.clock.instant();
    let asked = Asked::of(&request);
    let life = &host.0.life;
    let response = if life.is_draining() {
        Problem::shutting_down().into_response()
    } else {
        next.run(request).await
    };
    let elapsed = host.0.clock.instant().saturating_duration_since(begun);
    let mut response = finish(&asked, response, elapsed);
    if life.is_closing() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl Asked {
    fn of(request: &Request) -> Asked {
        let headers = request.headers();
        let length = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
        let path = shown_path(request.uri());
        Asked {
            id: request_id(headers),
            accepted: Accepted::of(headers),
            bytes: length.unwrap_or_default(),
            peer: request.extensions().get::<ConnectInfo<SocketAddr>>().map(|it| it.0),
            what: format!("{} {path}", request.method()),
        }
    }
}

fn finish(asked: &Asked, mut response: Response, elapsed: Duration) -> Response {
    let problem = response.extensions().get::<Problem>().cloned();
    if let Some(problem) = &problem {
        response = render(problem, response, asked);
    }
    let relayed = response.extensions_mut().remove::<Relayed>();
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from_str(&asked.id).expect("an id is printable"));
    if let Some(relayed) = &relayed {
        let own = elapsed.saturating_sub(relayed.trail.upstream_time);
        headers.insert(SERVER_TIMING, timing(relayed.trail.upstream_time, own));
        count(relayed, response.status().as_u16(), elapsed, own);
    }
    if let Some(problem) = &problem {
        metrics::counter!("countersign_refusals_total", "code" => problem.code()).increment(1);
    }
    log(asked, &response, relayed.as_ref(), problem.as_ref(), elapsed);
    response
}

fn render(problem: &Problem, response: Response, asked: &Asked) -> Response {
    let (mut parts, _) = response.into_parts();
    let mut body = problem.body(&asked.id);
    parts.headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    // Three public clients gunzip before they look at the status (reference 1.2).
    if asked.accepted.gzip {
        body = gzip(&body).into();
        parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

fn timing(upstream: Duration, own: Duration) -> HeaderValue {
    let ms = |it: Duration| it.as_secs_f64() * 1000.0;
    let text = format!("upstream;dur={:.1}, gateway;dur={:.2}", ms(upstream), ms(own));
    HeaderValue::from_str(&text).expect("numbers are printable")
}

fn count(relayed: &Relayed, status: u16, elapsed: Duration, own: Duration) {
    let endpoint = relayed.endpoint.name();
    let auth = relayed.trail.auth.map_or("none", |it| it.name());
    metrics::counter!("countersign_calls_total", "endpoint" => endpoint, "auth" => auth, "status" => status_label(status))
        .increment(1);
    metrics::histogram!("countersign_call_seconds", "endpoint" => endpoint, "auth" => auth)
        .record(elapsed.as_secs_f64());
    metrics::histogram!("countersign_gateway_seconds").record(own.as_secs_f64());
}

/// The statuses that the reference names; the upstream may send any.
fn status_label(status: u16) -> &'static str {
    const TOLD_APART: [(u16, &str); 14] = [
        (200, "200"),
        (400, "400"),
        (401, "401"),
        (403, "403"),
        (404, "404"),
        (406, "406"),
        (409, "409"),
        (413, "413"),
        (415, "415"),
        (429, "429"),
        (500, "500"),
        (502, "502"),
        (503, "503"),
        (504, "504"),
    ];
    let named = TOLD_APART.iter().find(|it| it.0 == status).map(|it| it.1);
    named.unwrap_or(match status {
        ..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    })
}

fn log(
    asked: &Asked,
    response: &Response,
    relayed: Option<&Relayed>,
    problem: Option<&Problem>,
    elapsed: Duration,
) {
    let status = response.status().as_u16();
    let bytes_out = response.body().size_hint().exact().unwrap_or_default();
    let ms = elapsed.as_secs_f64() * 1000.0;
    let (request_id, what, bytes_in) = (&*asked.id, &*asked.what, asked.bytes);
    let code = problem.map(Problem::code);
    if let Some(Relayed { endpoint, trail }) = relayed {
        let key = trail.key.as_ref().map(|it| &*it.key.name);
        info!(
            request_id,
            endpoint = endpoint.name(),
            key,
            account = trail.account.as_deref(),
            auth = trail.auth.map(AuthKind::name),
            status,
            code,
            upstream_status = trail.upstream_status,
            attempts = trail.attempts,
            ms,
            upstream_ms = trail.upstream_time.as_secs_f64() * 1000.0,
            bytes_in,
            bytes_out,
            "call"
        );
    } else if !what.ends_with("/livez") && !what.ends_with("/readyz") && !what.ends_with("/metrics")
    {
        let peer = asked.peer.map(tracing::field::display);
        info!(request_id, what, peer, status, code, ms, bytes_in, bytes_out, "request");
    }
    if let Some(problem) = problem
        && problem.status().is_server_error()
    {
        let cause = problem.causes();
        warn!(request_id, code, cause, "answered with an error of the gateway's own");
    }
}

/// The caller's own id when it is short and plain, else a new one, unique among this machine's recent processes.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |it: &&str| {
        (1..=64).contains(&it.len())
            && it.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
    };
    let given = headers.get(REQUEST_ID).and_then(|it| it.to_str().ok()).filter(plain);
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
