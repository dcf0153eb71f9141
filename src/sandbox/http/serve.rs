//! The listener: HTTP/1.1 by hand, because a fault may have to drop a connection before any header.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::sandbox::Sandbox;
use crate::sandbox::control;
use crate::sandbox::http::faults;
use crate::sandbox::http::routes;

/// How long calls in flight may take once the sandbox stops; after that they are dropped.
const DRAIN: Duration = Duration::from_secs(1);
/// A pause when no connection can be accepted, as when file descriptors run out.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until `shutdown` is ready. Dropping the future closes every connection at once.
pub async fn serve(
    listener: TcpListener,
    sandbox: Sandbox,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = sandbox.router();
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => (),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone(), stopping.clone()));
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            },
        }
    }
    drop(listener);
    let _ = stop.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, drained).await;
    Ok(())
}

async fn connection(stream: TcpStream, router: Router, mut stopping: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(router.clone(), request));
    let mut served =
        std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = &mut served => return,
        _ = stopping.wait_for(|is_stopping| *is_stopping) => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}

async fn answer(router: Router, request: Request<Incoming>) -> io::Result<Response> {
    let Ok(response) = router.oneshot(request.map(Body::new)).await;
    // An error from the service closes the connection with nothing written.
    match response.extensions().get::<faults::Reset>() {
        Some(faults::Reset) => Err(io::Error::other("a fault")),
        None => Ok(response),
    }
}

impl Sandbox {
    /// The upstream's routes and the sandbox's own, for a server that cannot drop connections; see [`serve`].
    pub fn router(&self) -> Router {
        control::router().fallback(routes::handle).with_state(self.clone())
    }
}
