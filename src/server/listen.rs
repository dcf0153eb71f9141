//! Accepting connections. axum's own `serve` sets none of hyper's limits, so half-open requests would stay for ever.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::config::Proxies;
use crate::gateway::Wanted;
use crate::server::observe::observe;
use crate::server::peer::Peer;
use crate::server::stream::{Paced, Progress};
use crate::server::{Host, Routes};

/// When the machine has no file descriptor left, asking at once for the next connection would only burn time.
const AFTER_A_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// Where connections are accepted, and which proxies there may say for whom they ask.
pub struct Listener {
    socket: TcpListener,
    trusted: Arc<Proxies>,
}

/// What the kernel keeps of an answer that its client does not read yet, for each connection. It would let that grow to
/// megabytes, which nobody has reserved.
const UNREAD: usize = 256 * 1024;

impl Listener {
    pub fn new(socket: TcpListener, trusted: &Proxies) -> Listener {
        // Connections have it from their listener; without it they only take more.
        if let Err(error) = rustix::net::sockopt::set_socket_send_buffer_size(&socket, UNREAD) {
            warn!(%error, "the size of send buffers was not set");
        }
        Listener { socket, trusted: Arc::new(trusted.clone()) }
    }
}

/// Serves `routes` until the host's life drains, then waits for calls in flight, at most `limits.drain`.
pub(super) async fn serve(Listener { socket, trusted }: Listener, routes: Routes, host: &Host) {
    let (limits, life) = (&host.0.limits, &host.0.life);
    let mut http = http1::Builder::new();
    http.max_buf_size(limits.header_bytes).max_headers(limits.headers).half_close(false);
    let room = Arc::new(Semaphore::new(limits.connections));
    let open = metrics::gauge!("countersign_connections");
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&socket, &room) => accepted,
            () = life.draining() => break,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let stream = Paced::new(stream, limits);
        let service = service(host, &routes, stream.progress(), Peer::new(peer.ip(), &trusted));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        let (open, host) = (open.clone(), host.clone());
        open.increment(1);
        tokio::spawn(async move {
            // A client that breaks off, stalls or speaks no HTTP is no event of ours.
            if let Err(error) = connection.await {
                if error.is_parse() {
                    let why = "what it sends is no HTTP";
                    host.0.gateway.note_refusal(Wanted::Connection, why, None, peer.ip());
                }
                debug!(%peer, error = &error as &dyn std::error::Error, "a connection ended early");
            }
            open.decrement(1);
            drop(place);
        });
    }
    drop(socket);
    if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
        warn!("calls were still in flight when the time to drain was over");
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, peer, place))
        }
        Err(error) => {
            warn!(%error, "a connection was not accepted");
            tokio::time::sleep(AFTER_A_FAILED_ACCEPT).await;
            None
        }
    }
}

fn service(
    host: &Host,
    routes: &Routes,
    progress: Progress,
    peer: Peer,
) -> impl hyper::service::Service<
    hyper::Request<Incoming>,
    Response = Response,
    Error = Infallible,
    Future: Send,
> + use<> {
    let (host, routes) = (host.clone(), routes.clone());
    hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        progress.begin();
        let (host, routes, progress) = (host.clone(), routes.clone(), progress.clone());
        let peer = peer.clone();
        async move {
            let response = observe(&host, routes, &peer, request.map(Body::new)).await;
            progress.finish();
            Ok(response)
        }
    })
}
