//! The client on the path of every relayed call: hyper's connections, kept and lent by a pool of our own. Everything
//! about that choice is in this file.
//!
//! Measured: with hyper-util's pooled client, which reqwest is built on, a call takes 1.05 times the instructions.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::http::{HeaderName, HeaderValue, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tower::{Service, ServiceExt};

use crate::config;
use crate::model::{Clock, Endpoint};
use crate::upstream::counted::{Counted, Received};
use crate::upstream::error::causes;
use crate::upstream::{Error, SetupError, tls};

const MAX_HEADER_BYTES: usize = 64 * 1024;
/// A request must arrive before the upstream's own idle timeout, which started when it sent its last byte.
const BEFORE_IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections beyond this are closed after use.
const MOST_IDLE: usize = 1024;
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("countersign/", env!("CARGO_PKG_VERSION")));

/// A pool of connections to the one host that serves engagement calls.
pub(super) struct Relay {
    /// The connection used last is lent first, so that unneeded ones age together at the front.
    idle: Mutex<VecDeque<Idle>>,
    connector: HttpsConnector<HttpConnector>,
    origin: Uri,
    host: HeaderValue,
    /// The URL of each endpoint, as it is signed.
    urls: [String; 3],
    keep: Duration,
    age: Duration,
    first_byte: Duration,
    clock: Arc<dyn Clock>,
}

/// A connection on loan. [`Relay::put_back`] returns it once the whole answer is read; otherwise it is closed.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    received: Received,
    born: Instant,
    /// How long it may be idle and still be lent.
    keep: Duration,
}

/// Which connections a request may take.
#[derive(Clone, Copy)]
pub(super) enum Connections {
    KeptOrNew,
    New,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// Why no answer's head arrived.
pub(super) enum Failure {
    /// A kept connection ended without a byte of an answer: the other end was closing it, as healthy upstreams do too.
    Lost(Error),
    /// The upstream cannot have acted on the request, or repeating it does no harm.
    Retryable(Error),
    Final(Error),
}

impl Relay {
    pub(super) fn new(
        settings: &config::Upstream,
        limits: &config::Limits,
        clock: &Arc<dyn Clock>,
    ) -> Result<Relay, SetupError> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(limits.upstream_connect));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let tls = tls::tls(tls::uses_tls(settings))?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
        let builder =
            if settings.allow_http { builder.https_or_http() } else { builder.https_only() };
        let url = || SetupError::Url(settings.data_url.clone());
        let origin: Uri = settings.data_url.parse().map_err(|_| url())?;
        let host = origin.authority().ok_or_else(url)?.as_str();
        Ok(Relay {
            idle: Mutex::default(),
            connector: builder.enable_http1().wrap_connector(tcp),
            host: HeaderValue::from_str(host).map_err(|_| url())?,
            urls: Endpoint::ALL.map(|endpoint| format!("{}{}", settings.data_url, endpoint.path())),
            origin,
            keep: limits.upstream_idle,
            age: limits.upstream_connection_age,
            first_byte: limits.upstream_first_byte,
            clock: Arc::clone(clock),
        })
    }

    /// The URL that a signature for `endpoint` has to cover.
    pub(super) fn url(&self, endpoint: Endpoint) -> &str {
        let [totals, hours, historical] = &self.urls;
        match endpoint {
            Endpoint::Totals => totals,
            Endpoint::TwentyEightHours => hours,
            Endpoint::Historical => historical,
        }
    }

    /// Posts `body` and waits for the answer's head, at most for the first-byte limit.
    pub(super) async fn post(
        &self,
        endpoint: Endpoint,
        authorization: HeaderValue,
        body: Bytes,
        connections: Connections,
    ) -> Result<(Response<Incoming>, Connection), Failure> {
        let sent = self.send(self.request(endpoint, authorization, body), connections);
        match tokio::time::timeout(self.first_byte, sent).await {
            Ok(outcome) => {
                let (response, mut connection) = outcome?;
                if let Some(timeout) = idle_timeout(response.headers()) {
                    connection.keep = self.keep.min(timeout.saturating_sub(BEFORE_IDLE_TIMEOUT));
                }
                Ok((response, connection))
            }
            Err(_) => Err(Failure::Final(Error::Timeout("no first byte"))),
        }
    }

    /// Takes back a connection whose answer was read to its end.
    pub(super) fn put_back(&self, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let now = self.clock.instant();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while idle
            .front()
            .is_some_and(|oldest| idle.len() >= MOST_IDLE || self.is_stale(oldest, now))
        {
            idle.pop_front();
        }
        idle.push_back(Idle { connection, since: now });
    }

    fn request(
        &self,
        endpoint: Endpoint,
        authorization: HeaderValue,
        body: Bytes,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = Uri::from_static(endpoint.path());
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // Without gzip the upstream answers 406 (reference 1.2).
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(USER_AGENT, AGENT);
        request
    }

    /// Sends on a kept connection, or on a new one when none is left that still takes requests.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        connections: Connections,
    ) -> Result<(Response<Incoming>, Connection), Failure> {
        while let Some(mut connection) = self.lend(connections) {
            if connection.sender.ready().await.is_err() {
                continue;
            }
            let received = connection.received.bytes();
            match connection.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, connection)),
                Err(mut error) => {
                    let Some(unsent) = error.take_message() else {
                        let is_silent = connection.received.bytes() == received;
                        return Err(classify(error.into_error().into()).on_kept(is_silent));
                    };
                    // The upstream closed it before anything was sent.
                    request = unsent;
                }
            }
        }
        let mut connection = Box::pin(self.connect()).await.map_err(classify)?;
        match connection.sender.send_request(request).await {
            Ok(response) => Ok((response, connection)),
            Err(error) => Err(classify(error.into())),
        }
    }

    /// The connection used last, if it is not too old.
    fn lend(&self, connections: Connections) -> Option<Connection> {
        if let Connections::New = connections {
            return None;
        }
        let now = self.clock.instant();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let last = idle.pop_back()?;
            if !self.is_stale(&last, now) && !last.connection.sender.is_closed() {
                return Some(last.connection);
            }
        }
    }

    /// Whether a connection has idled too long, or is so old that a moved upstream would not be found.
    fn is_stale(&self, idle: &Idle, now: Instant) -> bool {
        now.saturating_duration_since(idle.since) >= idle.connection.keep
            || now.saturating_duration_since(idle.connection.born) >= self.age
    }

    async fn connect(&self) -> Result<Connection, Box<dyn StdError + Send + Sync>> {
        let mut connector = self.connector.clone();
        let stream = connector.ready().await?.call(self.origin.clone()).await?;
        let received = Received::default();
        let stream = TokioIo::new(Counted::new(TokioIo::new(stream), received.clone()));
        let (sender, driver) =
            http1::Builder::new().max_buf_size(MAX_HEADER_BYTES).handshake(stream).await?;
        // An error that ends the connection early also reaches the request that waits on it.
        tokio::spawn(async move { drop(driver.await) });
        Ok(Connection { sender, received, born: self.clock.instant(), keep: self.keep })
    }
}

impl Failure {
    /// The same failure on a connection that was used before; `is_silent` means that no byte of an answer came.
    fn on_kept(self, is_silent: bool) -> Failure {
        match self {
            Failure::Retryable(error) if is_silent => Failure::Lost(error),
            other => other,
        }
    }
}

/// How long the upstream keeps an idle connection, if it says so: `Keep-Alive: timeout=5, max=100`.
fn idle_timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(KEEP_ALIVE)?.to_str().ok()?;
    let mut parameters = value.split(',').filter_map(|part| part.split_once('='));
    let timeout =
        parameters.find(|parameter| parameter.0.trim().eq_ignore_ascii_case("timeout"))?;
    timeout.1.trim().parse().ok().map(Duration::from_secs)
}

fn classify(error: Box<dyn StdError + Send + Sync>) -> Failure {
    let is_wrong = |cause: &(dyn StdError + 'static)| {
        cause.is::<rustls::Error>()
            || cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
    };
    // A certificate or an answer that is wrong now will be wrong again.
    let malformed = causes(&*error).any(is_wrong);
    let error = Error::of_connection(error);
    if malformed { Failure::Final(error) } else { Failure::Retryable(error) }
}
