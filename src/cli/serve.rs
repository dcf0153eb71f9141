//! `countersign serve`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use rustix::system::uname;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::cli::assemble::{self, Deployment};
use crate::cli::failure::{self, Failure};
use crate::cli::open_files::fit_connections;
use crate::cli::reload::follow_settings;
use crate::config::{Config, LogFormat, load_log, parse_address};
use crate::gateway::Gateway;
use crate::server;
use crate::server::{Life, Listener, Listeners};
use crate::telemetry;
use crate::vault::Vault;

/// How many connections may wait to be accepted; the kernel has a limit of its own.
const BACKLOG: u32 = 4096;

#[derive(Args)]
pub(super) struct Arguments {
    /// Address of the callers' listener; overrides `server.listen`
    #[arg(long, value_name = "IP:PORT", value_parser = parse_address)]
    listen: Option<SocketAddr>,
    /// Address of the operators' listener; overrides `admin.listen`
    #[arg(long, value_name = "IP:PORT", value_parser = parse_address)]
    admin_listen: Option<SocketAddr>,
}

pub(super) fn run(path: Option<&Path>, arguments: &Arguments) -> Result<(), Failure> {
    let config = assemble::settings_with_ring(path);
    let log = config.as_ref().map_or_else(|_| load_log(path), |config| config.log.clone());
    let _logs = telemetry::start_logs(&log);
    telemetry::log_panics();
    let served = config.and_then(|config| start(config, path, arguments));
    served.map_err(|failure| if log.format == LogFormat::Json { logged(failure) } else { failure })
}

/// The failure as a line of the log, for whoever reads that line by line as JSON.
fn logged(failure: Failure) -> Failure {
    error!(error = failure.text(), exit_code = failure.code, "serve failed");
    Failure { is_logged: true, ..failure }
}

fn start(mut config: Config, path: Option<&Path>, arguments: &Arguments) -> Result<(), Failure> {
    config.server.listen = arguments.listen.unwrap_or(config.server.listen);
    config.admin.listen = arguments.admin_listen.unwrap_or(config.admin.listen);
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    let path = path.map(Path::to_owned);
    assemble::runtime(config.server.workers)?.block_on(serve(config, path))
}

async fn serve(config: Config, path: Option<PathBuf>) -> Result<(), Failure> {
    let callers = bind(config.server.listen, "server.listen")?;
    let operators = bind(config.admin.listen, "admin.listen")?;
    let metrics = telemetry::start_metrics();
    let mut deployment = prepare(config).await?;
    fit_connections(&mut deployment.config);
    // Before the addresses are logged, since whoever reads them may stop the process at once.
    let life = Life::default();
    let notice = deployment.config.limits.drain_notice;
    let end = stop_on_signals(life.clone(), notice)?;
    let hangups = listen(SignalKind::hangup())?;
    let (gateway, files) = (deployment.gateway.clone(), deployment.config.files.clone());
    let following = tokio::spawn(follow_settings(path, gateway, files, hangups));
    info!(
        callers = address(&callers),
        operators = address(&operators),
        database = deployment.store.kind(),
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    let (mut tasks, working) =
        background_work(&deployment.gateway, &life, deployment.config.limits.drain);
    let listeners = Listeners {
        callers: Listener::new(callers, &deployment.config.server.trusted_proxies),
        operators: Listener::new(operators, &deployment.config.admin.trusted_proxies),
        front: None,
    };
    let serving = server::serve(
        listeners,
        deployment.gateway.clone(),
        metrics,
        &deployment.config.limits,
        assemble::clock(),
        life,
    );
    tokio::select! {
        _ = async { tokio::join!(serving, working) } => info!("stopped"),
        () = end => warn!("stopped at once by a second signal"),
    }
    following.abort();
    deployment.gateway.settle_usage().await;
    if let Err(error) = deployment.gateway.settle_refusals().await {
        let error = &error as &dyn std::error::Error;
        warn!(error, "the latest refusals are missing from the audit log");
    }
    // Or it would register again, and miss the database once that is closed.
    tasks.shutdown().await;
    deployment.gateway.deregister_replica().await;
    deployment.store.close().await;
    Ok(())
}

/// Starts the background work. Once `life` ends, the returned future waits at most `drain` for events in flight; the rest
/// goes on until the returned set is shut down.
pub(super) fn background_work(
    gateway: &Gateway,
    life: &Life,
    drain: Duration,
) -> (JoinSet<()>, impl Future<Output = ()> + use<>) {
    let mut tasks = JoinSet::new();
    tasks.spawn(gateway.follow());
    tasks.spawn(gateway.check_accounts());
    tasks.spawn(gateway.write_usage());
    tasks.spawn(gateway.watch());
    tasks.spawn(gateway.write_pages());
    tasks.spawn(gateway.send_heartbeats());
    tasks.spawn(gateway.share_quotas());
    let (life, stop) = (life.clone(), life.clone());
    let (sent, sending) = oneshot::channel();
    let deliver = gateway.deliver_events(async move { stop.draining().await });
    tasks.spawn(async move {
        deliver.await;
        let _ = sent.send(());
    });
    let drained = async move {
        life.draining().await;
        if tokio::time::timeout(drain, sending).await.is_err() {
            warn!(
                "the delivery of an event was interrupted; it will be sent again by another replica or after the next start"
            );
        }
    };
    (tasks, drained)
}

/// Opens the vault and the database, migrates the schema, fills the caches and registers this replica.
pub(super) async fn prepare(config: Config) -> Result<Deployment, Failure> {
    let vault = Vault::new(&config.vault)?;
    let store = assemble::connect(&config).await?;
    if config.database.migrate {
        let applied = store.migrate(assemble::now()).await.map_err(failure::of_store)?;
        if !applied.is_empty() {
            info!(migrations = applied.len(), "the schema was brought up to date");
        }
    } else {
        store.check_schema().await.map_err(failure::of_store)?;
    }
    let deployment = Deployment::new(config, store, vault)?;
    deployment.require_fitting_ring().await?;
    deployment.gateway.catch_up_once().await?;
    deployment.gateway.load_used_accounts().await?;
    deployment.gateway.warm_up().await;
    deployment.gateway.register_replica(&host()).await?;
    Ok(deployment)
}

/// Listens on an address; the error names it and the setting it comes from.
pub(super) fn bind(at: SocketAddr, name: &str) -> Result<TcpListener, Failure> {
    let listen = || {
        let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(at)?;
        // With a full backlog a client's first packet is dropped, and only sent again a second later.
        socket.listen(BACKLOG)
    };
    listen().map_err(|error: std::io::Error| {
        Failure::unavailable(anyhow!("cannot listen on {at} ({name}): {error}"))
    })
}

pub(super) fn address(listener: &TcpListener) -> String {
    listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
}

/// The URL under which this machine can reach a listener.
pub(super) fn url(listener: &TcpListener) -> String {
    let at = listener.local_addr().map(|address| reachable(address).to_string());
    format!("http://{}", at.unwrap_or_default())
}

/// The address to connect to for a listener: loopback if it listens on all addresses.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Ends `life` on SIGTERM after a notice to clients, or on SIGINT at once; the future ends at a second signal.
pub(super) fn stop_on_signals(
    life: Life,
    notice: Duration,
) -> Result<impl Future<Output = ()>, Failure> {
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        let terminated = first(&mut term, &mut int).await;
        life.close();
        if terminated {
            info!(
                notice_seconds = notice.as_secs(),
                "stopping: clients are told to reconnect elsewhere"
            );
            tokio::select! {
                () = tokio::time::sleep(notice) => (),
                _ = first(&mut term, &mut int) => return,
            }
        }
        life.drain();
        first(&mut term, &mut int).await;
    })
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::unavailable(anyhow!(error)))
}

/// The name of this machine or container, for operators who have several.
fn host() -> String {
    uname().nodename().to_string_lossy().into_owned()
}

/// Whether the next signal is SIGTERM.
async fn first(term: &mut Signal, int: &mut Signal) -> bool {
    tokio::select! {
        _ = term.recv() => true,
        _ = int.recv() => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_at_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.7:80", "10.0.0.7:80"),
            ("[fd00::7]:80", "[fd00::7]:80"),
        ] {
            let at = reachable(listen.parse().expect("an address"));
            assert_eq!(at.to_string(), expected);
        }
    }
}
