//! The command line: what can be asked of the program, and the only printing.

mod account;
mod audit;
mod calls;
mod check;
mod connect;
mod demo;
mod failure;
mod files;
mod key;
mod openapi;
mod output;
mod parts;
mod query;
mod reload;
mod sandbox;
mod serve;
mod tour;
mod usage;
mod vault;
mod webhook;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand, value_parser};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

pub use crate::cli::failure::Failure;

/// A gateway that holds the credentials for X's enterprise Engagement API and signs each call with the right one.
#[derive(Parser)]
#[command(name = "countersign", version, about, propagate_version = true)]
pub struct Command {
    /// The configuration file; `COUNTERSIGN_CONFIG` names it too
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Serve callers and operators
    Serve(serve::Arguments),
    /// The whole product on one machine, with the sandbox as upstream, ready to try
    Demo(demo::Arguments),
    /// The stand-in upstream: the Engagement API's rules with invented numbers
    Sandbox(sandbox::Arguments),
    /// Ask a running gateway how posts perform, however many and however long
    Query(query::arguments::Arguments),
    /// Connected accounts
    #[command(subcommand)]
    Account(account::Task),
    /// The keys that callers and admins hold
    #[command(subcommand)]
    Key(key::Task),
    /// Where events are sent that tell what becomes of accounts
    #[command(subcommand)]
    Webhook(webhook::Task),
    /// What calls on the upstream add up to, and how many accounts X bills
    Usage(usage::Arguments),
    /// Recent calls, newest first: who asked what, with which credentials, and what came back
    Calls(calls::Arguments),
    /// Who changed what, and from where
    Audit(audit::Arguments),
    /// The keys that seal what is stored
    #[command(subcommand)]
    Vault(vault::Task),
    /// Bring the database's schema up to date
    Migrate,
    /// Say whether this deployment is sound, a line each
    Check,
    /// Ask the running gateway whether it is ready; for containers
    Healthcheck,
    /// Print every setting with its meaning and default
    Config,
    /// Print the description of the HTTP API (OpenAPI 3.1)
    Openapi(openapi::Arguments),
}

/// Does what the command line asks.
pub fn run(command: Command) -> Result<(), Failure> {
    forbid_dumps();
    let config = command.config.as_deref();
    match command.task {
        Task::Serve(arguments) => serve::run(config, &arguments),
        Task::Demo(arguments) => demo::run(arguments),
        Task::Sandbox(arguments) => sandbox::run(&arguments),
        Task::Query(arguments) => query::run(&arguments),
        Task::Account(task) => parts::block_on(account::run(config, task)),
        Task::Key(task) => parts::block_on(key::run(config, task)),
        Task::Webhook(task) => parts::block_on(webhook::run(config, task)),
        Task::Usage(arguments) => parts::block_on(usage::run(config, arguments)),
        Task::Calls(arguments) => parts::block_on(calls::run(config, arguments)),
        Task::Audit(arguments) => parts::block_on(audit::run(config, arguments)),
        Task::Vault(task) => vault::run(config, &task),
        Task::Migrate => parts::block_on(migrate(config)),
        Task::Check => parts::block_on(check::run(config)),
        Task::Healthcheck => parts::block_on(check::health(config)),
        Task::Config => {
            output::line(crate::config::describe().trim_end());
            Ok(())
        }
        Task::Openapi(arguments) => {
            openapi::run(&arguments);
            Ok(())
        }
    }
}

async fn migrate(config: Option<&std::path::Path>) -> Result<(), Failure> {
    let config = parts::settings(config)?;
    let store = parts::connect(&config).await?;
    let applied = store.migrate(parts::now()).await.map_err(failure::of_store)?;
    let schema = store.schema().await.map_err(failure::of_store)?;
    match applied.len() {
        0 => output::line(&format!("the schema is up to date, at version {}", schema.known)),
        count => output::line(&format!(
            "applied {}; the schema is at version {}",
            output::count(count, "migration", "migrations"),
            schema.known
        )),
    }
    Ok(())
}

impl Command {
    /// Reads the program's arguments; clap answers `--help` and mistakes itself.
    pub fn read() -> Command {
        let mut rules = Command::command()
            .mut_subcommand("demo", without_config)
            .mut_subcommand("sandbox", without_config)
            .mut_subcommand("query", without_config)
            .mut_subcommand("config", without_config)
            .mut_subcommand("openapi", without_config)
            .mut_subcommand("vault", |it| it.mut_subcommand("generate-key", without_config));
        let command = Command::from_arg_matches(&rules.get_matches_mut());
        let command = command.unwrap_or_else(|error| error.format(&mut rules).exit());
        if command.config.is_some() && !command.task.reads_settings() {
            let told = "this command reads no settings, so it takes no '--config'";
            rules.error(ErrorKind::ArgumentConflict, told).exit();
        }
        command
    }
}

impl Task {
    fn reads_settings(&self) -> bool {
        let alone = matches!(
            self,
            Task::Demo(_) | Task::Sandbox(_) | Task::Query(_) | Task::Config | Task::Openapi(_)
        ) || matches!(self, Task::Vault(vault::Task::GenerateKey));
        !alone
    }
}

/// No core dumps and no reading of this process's memory by others: nearly every command holds a secret.
fn forbid_dumps() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Keeps the global option out of the help of a command that has no use for it.
fn without_config(task: clap::Command) -> clap::Command {
    let file = Arg::new("config").long("config").value_name("FILE");
    task.arg(file.value_parser(value_parser!(PathBuf)).hide(true))
}
