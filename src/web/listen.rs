//! Accepting connections. axum's own `serve` sets none of hyper's limits, so half-open requests would stay for ever.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::config::Proxies;
use crate::gateway::Wanted;
use crate::web::client_address::Peer;
use crate::web::connection::Connection;
use crate::web::connection_limits::{Places, Room};
use crate::web::host::{Host, Routes};

/// When the machine has no file descriptor left, accepting again at once would only burn time.
const AFTER_A_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// A socket that accepts connections, and the proxies that are trusted to name their clients.
pub struct Listener {
    socket: TcpListener,
    trusted: Arc<Proxies>,
}

/// How many bytes of an unread answer the kernel keeps for each connection. It would let that grow to megabytes, which
/// nobody has reserved.
const UNREAD: usize = 256 * 1024;

impl Listener {
    pub fn new(socket: TcpListener, trusted: &Proxies) -> Listener {
        // Connections inherit it from their listener; without it they only take more memory.
        if let Err(error) = rustix::net::sockopt::set_socket_send_buffer_size(&socket, UNREAD) {
            warn!(%error, "the size of send buffers was not set");
        }
        Listener { socket, trusted: Arc::new(trusted.clone()) }
    }
}

/// Serves `routes` until the host's life drains, then waits for calls in flight, at most `limits.drain`.
pub(crate) async fn serve(
    Listener { socket, trusted }: Listener,
    name: &'static str,
    routes: Routes,
    host: &Host,
) {
    let limits = host.limits();
    let places = Places::new(name, limits.connections);
    let (open, ended) = watch::channel(());
    let start = |(stream, address, room): Accepted| {
        let peer = Peer::new(address.ip(), &trusted);
        let Some(place) = room.take(peer.counted()) else { return };
        let connection = Connection::new(host, &routes, peer, place);
        let (ended, host) = (ended.clone(), host.clone());
        tokio::spawn(async move {
            // A client that disconnects, stalls or does not speak HTTP is no failure of ours.
            if let Err(error) = connection.serve(stream).await {
                if error.is_parse() {
                    let why = "it does not speak HTTP";
                    host.gateway().record_refusal(Wanted::Connection, why, None, address.ip());
                }
                debug!(%address, error = &error as &dyn std::error::Error, "a connection ended early");
            }
            drop(ended);
        });
    };
    loop {
        tokio::select! {
            accepted = accept(&socket, &places) => { accepted.map(start); }
            () = host.lifecycle().draining() => break,
        }
    }
    // Closing the socket would reset the connections that wait to be accepted.
    waiting(socket, &places).for_each(start);
    drop(ended);
    if tokio::time::timeout(limits.drain, open.closed()).await.is_err() {
        warn!("calls were still in flight when the time to drain was over");
    }
}

type Accepted = (TcpStream, SocketAddr, Room);

async fn accept(socket: &TcpListener, places: &Places) -> Option<Accepted> {
    let room = places.room().await?;
    match socket.accept().await {
        Ok((stream, address)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, address, room))
        }
        Err(error) => {
            warn!(%error, "a connection was not accepted");
            tokio::time::sleep(AFTER_A_FAILED_ACCEPT).await;
            None
        }
    }
}

/// The connections that wait by now, as far as there is room; the socket closes after them.
fn waiting(socket: TcpListener, places: &Places) -> impl Iterator<Item = Accepted> {
    let socket = socket.into_std().ok();
    std::iter::from_fn(move || {
        let room = places.room_now()?;
        let (stream, address) = socket.as_ref()?.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        let _ = stream.set_nodelay(true);
        Some((TcpStream::from_std(stream).ok()?, address, room))
    })
}
