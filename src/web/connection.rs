//! One connection: its requests are answered one by one until the client or the server has had enough.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::web::client_address::Peer;
use crate::web::connection_limits::Slot;
use crate::web::host::{Host, Routes};
use crate::web::observe::{PROBES, observe};
use crate::web::pacing::{Paced, Progress};
use crate::web::problem::Problem;
use crate::web::unread::Unread;

/// How long a connection on a spare place may take to send its header.
const SPARE_HEADER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a draining server still accepts requests on open connections.
const LAST_REQUEST: Duration = Duration::from_millis(500);

/// What the requests of one connection share.
pub(crate) struct Connection {
    host: Host,
    routes: Routes,
    peer: Peer,
    place: Slot,
    progress: Progress,
    unread: Unread,
}

impl Connection {
    pub(crate) fn new(host: &Host, routes: &Routes, peer: Peer, place: Slot) -> Connection {
        let (host, routes) = (host.clone(), routes.clone());
        let (progress, unread) = (Progress::default(), Unread::default());
        Connection { host, routes, peer, place, progress, unread }
    }

    /// Serves until either end closes. Once the server drains, idle connections are closed.
    pub(crate) async fn serve(self, stream: TcpStream) -> hyper::Result<()> {
        let (limits, life) = (self.host.limits().clone(), self.host.lifecycle().clone());
        let progress = self.progress.clone();
        let mut stream = Paced::new(stream, &limits, progress.clone());
        if self.place.is_spare() {
            stream.hurry(SPARE_HEADER_TIMEOUT);
        }
        let mut http = http1::Builder::new();
        http.max_buf_size(limits.header_bytes).max_headers(limits.headers).half_close(false);
        let shared = Arc::new(self);
        let service = service_fn(move |request| {
            shared.progress.begin();
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(shared.answer(request).await) }
        });
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = &mut connection => return ended,
            () = life.draining() => (),
        }
        tokio::select! {
            biased;
            ended = &mut connection => return ended,
            () = tokio::time::sleep(LAST_REQUEST) => (),
        }
        // A request that has begun to arrive is answered; the answer says that the connection closes.
        if !progress.is_in_head() {
            connection.as_mut().graceful_shutdown();
        }
        connection.await
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> Response {
        let (head, body) = request.into_parts();
        let body = self.unread.lend(&head.headers, body);
        let request = Request::from_parts(head, body);
        let refusal = self.refusal(&request);
        let mut response =
            observe(&self.host, self.routes.clone(), &self.peer, request, refusal).await;
        let is_to_come = self.unread.is_to_come().await;
        if is_to_come || self.place.is_spare() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if !is_to_come {
            self.progress.finish();
        }
        response
    }

    /// The answer if the connection has no place for such a request.
    fn refusal(&self, request: &Request<Body>) -> Option<Problem> {
        if PROBES.contains(&request.uri().path()) {
            return None;
        }
        let full = self.place.admit(self.peer.named(request.headers())).err()?;
        Some(Problem::too_many_connections(full))
    }
}
