//! `countersign sandbox`.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::info;

use crate::cli::assemble;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::serve::{bind, stop_on_signals, url};
use crate::config::{Log, LogFormat, LogLevel, parse_address};
use crate::model::{Clock, SetClock};
use crate::sandbox::serve;
use crate::sandbox::{Sandbox, Settings, Switches};
use crate::server::Life;
use crate::telemetry;

#[derive(Args)]
pub(super) struct Arguments {
    /// Address to listen on
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9090", value_parser = parse_address)]
    listen: SocketAddr,
    /// Seed of the invented data: the same seed gives the same users, tokens and numbers
    #[arg(long, value_name = "NUMBER", default_value_t = Settings::default().seed)]
    seed: u64,
    /// The sandbox's time at its start, such as `2026-03-10T21:15:30Z`; it goes on from there. With the same seed, users and
    /// posts, the same time gives the same numbers
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    now: Option<OffsetDateTime>,
    /// Number of ordinary users
    #[arg(long, value_name = "COUNT", default_value_t = Settings::default().users)]
    users: usize,
    /// Number of posts per user
    #[arg(long, value_name = "COUNT", default_value_t = Settings::default().posts_per_user)]
    posts: usize,
    /// Set a switch, such as `per_minute=30` or `echo_end=now` (repeatable). `GET /sandbox/switches` lists the names; a
    /// value is JSON or a plain word
    #[arg(long = "switch", value_name = "NAME=VALUE")]
    switches: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let switches = switches(&arguments.switches)?;
    let _logs = telemetry::start_logs(&Log { format: LogFormat::Human, level: LogLevel::Info });
    telemetry::log_panics();
    assemble::runtime(0)?.block_on(async {
        let listener = bind(arguments.listen, "--listen")?;
        let settings = Settings {
            seed: arguments.seed,
            users: arguments.users,
            posts_per_user: arguments.posts,
            switches,
            ..Settings::default()
        };
        let clock: Arc<dyn Clock> = match arguments.now {
            Some(now) => Arc::new(SetClock::at(now)),
            None => assemble::clock(),
        };
        let sandbox = Sandbox::new(settings, clock);
        let at = url(&listener);
        // Before the address is printed, since whoever reads it may stop the process at once.
        let life = Life::default();
        let end = stop_on_signals(life.clone(), std::time::Duration::ZERO)?;
        output::line(&format!(
            "the sandbox is listening on {at}; for its users, tokens and posts: curl {at}/sandbox/world"
        ));
        let drained = async move { life.draining().await };
        tokio::select! {
            served = serve(listener, sandbox, drained) => served.map_err(Failure::unavailable)?,
            () = end => (),
        }
        info!("stopped");
        Ok(())
    })
}

fn parse_time(text: &str) -> Result<OffsetDateTime, String> {
    let expected = |_| "expected a time such as 2026-03-10T21:15:30Z".to_owned();
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(expected)?;
    // The oldest posts are five years older, and have ids by which their time is known.
    if (2017..2100).contains(&at.year()) {
        Ok(at)
    } else {
        Err("expected a year from 2017 to 2099".to_owned())
    }
}

fn switches(given: &[String]) -> Result<Switches, Failure> {
    let mut changes = Map::new();
    for switch in given {
        let Some((name, value)) = switch.split_once('=') else {
            return Err(Failure::config(anyhow!("--switch {switch}: expected NAME=VALUE")));
        };
        // A word that is not JSON counts as a string, so that a shell needs no quotes within quotes.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        changes.insert(name.to_owned(), value);
    }
    let switches = Switches::default().with(&Value::Object(changes));
    switches.map_err(|error| Failure::config(anyhow!("--switch {error}")))
}
