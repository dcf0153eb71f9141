//! `countersign sandbox`.

use std::net::SocketAddr;

use clap::Args;
use tracing::info;

use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::parts;
use crate::cli::serve::{address, bind, stop_on_signals};
use crate::config::{Log, LogFormat, LogLevel};
use crate::sandbox::{Sandbox, Settings, serve};
use crate::server::Life;
use crate::telemetry;

#[derive(Args)]
pub(super) struct Arguments {
    /// Where it listens
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// The world to invent: the same seed gives the same users, tokens and numbers
    #[arg(long, value_name = "NUMBER", default_value_t = Settings::default().seed)]
    seed: u64,
    /// How many ordinary users the world has
    #[arg(long, value_name = "COUNT", default_value_t = Settings::default().users)]
    users: usize,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let _logs = telemetry::start_logs(&Log { format: LogFormat::Human, level: LogLevel::Info });
    telemetry::log_panics();
    parts::runtime(0)?.block_on(async {
        let listener = bind(arguments.listen, "--listen")?;
        let settings = Settings { seed: arguments.seed, users: arguments.users, ..Settings::default() };
        let sandbox = Sandbox::new(settings, parts::clock());
        let at = address(&listener);
        // Before anybody is told that it serves, who may then stop it.
        let life = Life::default();
        let end = stop_on_signals(life.clone(), std::time::Duration::ZERO)?;
        output::line(&format!("the sandbox listens on http://{at}; its users, tokens and posts: curl http://{at}/sandbox/world"));
        let drained = async move { life.draining().await };
        tokio::select! {
            served = serve(listener, sandbox, drained) => served.map_err(Failure::unavailable)?,
            () = end => (),
        }
        info!("stopped");
        Ok(())
    })
}
