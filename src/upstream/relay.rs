//! The client on the path of every relayed call: hyper-util's, which reqwest is built on and which costs less.
//! Everything about that choice is in this file.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use hyper::http::{HeaderValue, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config;
use crate::model::{Clock, Endpoint};
use crate::upstream::{Error, SetupError, token};

const MAX_HEADER_BYTES: usize = 64 * 1024;
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("countersign/", env!("CARGO_PKG_VERSION")));

type Pool = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A pool of connections that is begun anew once it is old, so that a moved upstream is found.
pub(super) struct Relay {
    pool: ArcSwap<(Pool, Instant)>,
    connector: HttpsConnector<HttpConnector>,
    targets: [Target; 3],
    idle: Duration,
    age: Duration,
    first_byte: Duration,
    clock: Arc<dyn Clock>,
}

/// An endpoint's URL, as called and as signed.
struct Target {
    uri: Uri,
    url: String,
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
        let builder = HttpsConnectorBuilder::new().with_tls_config(token::tls(settings)?);
        let builder =
            if settings.allow_http { builder.https_or_http() } else { builder.https_only() };
        let connector = builder.enable_http1().wrap_connector(tcp);
        let target = |endpoint: Endpoint| {
            let url = format!("{}{}", settings.data_url, endpoint.path());
            match url.parse() {
                Ok(uri) => Ok(Target { uri, url }),
                Err(_) => Err(SetupError::Url(url)),
            }
        };
        let pool = pool(&connector, limits.upstream_idle);
        Ok(Relay {
            pool: ArcSwap::from_pointee((pool, clock.instant())),
            connector,
            targets: [
                target(Endpoint::Totals)?,
                target(Endpoint::TwentyEightHours)?,
                target(Endpoint::Historical)?,
            ],
            idle: limits.upstream_idle,
            age: limits.upstream_connection_age,
            first_byte: limits.upstream_first_byte,
            clock: Arc::clone(clock),
        })
    }

    /// The URL that a signature for `endpoint` has to cover.
    pub(super) fn url(&self, endpoint: Endpoint) -> &str {
        &self.target(endpoint).url
    }

    /// Posts `body` and waits for the answer's head, at most the time to the first byte.
    pub(super) async fn post(
        &self,
        endpoint: Endpoint,
        authorization: HeaderValue,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self.target(endpoint).uri.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // Without gzip the upstream answers 406 (reference 1.2).
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(USER_AGENT, AGENT);
        let pending = self.pool().request(request);
        match tokio::time::timeout(self.first_byte, pending).await {
            Err(_) => Err(Failure::Final(Error::Timeout("no first byte"))),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(classify(error)),
        }
    }

    fn target(&self, endpoint: Endpoint) -> &Target {
        let [totals, hours, historical] = &self.targets;
        match endpoint {
            Endpoint::Totals => totals,
            Endpoint::TwentyEightHours => hours,
            Endpoint::Historical => historical,
        }
    }

    fn pool(&self) -> Pool {
        let (current, born) = &**self.pool.load();
        let now = self.clock.instant();
        if now.saturating_duration_since(*born) < self.age {
            return current.clone();
        }
        let fresh = pool(&self.connector, self.idle);
        self.pool.store(Arc::new((fresh.clone(), now)));
        fresh
    }
}

/// Why no head of an answer came.
pub(super) enum Failure {
    /// The upstream cannot have acted on it, or reading twice does no harm.
    Retryable(Error),
    Final(Error),
}

fn pool(connector: &HttpsConnector<HttpConnector>, idle: Duration) -> Pool {
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(idle)
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(MAX_HEADER_BYTES)
        .build(connector.clone())
}

fn classify(error: legacy::Error) -> Failure {
    let mut source = error.source();
    let mut malformed = false;
    while let Some(cause) = source {
        malformed |= cause.is::<rustls::Error>();
        malformed |= cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
        source = cause.source();
    }
    // A certificate or an answer that is wrong now will be wrong again.
    let error = Error::Unreachable(Box::new(error));
    if malformed { Failure::Final(error) } else { Failure::Retryable(error) }
}
