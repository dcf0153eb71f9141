//! The command line: the program's commands, and the only code that prints.

mod account;
mod assemble;
mod audit;
mod calls;
mod check;
mod connect;
mod demo;
mod failure;
mod key;
mod open_files;
mod openapi;
mod output;
mod query;
mod reload;
mod sandbox;
mod serve;
mod usage;
mod vault;
mod webhook;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand, value_parser};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

pub use crate::cli::failure::Failure;
use crate::store::{Migration, Store};

/// A gateway that holds the credentials for X's enterprise Engagement API and signs each call with the right one.
#[derive(Parser)]
#[command(name = "countersign", version, about, propagate_version = true)]
pub struct Command {
    /// Configuration file (or set `COUNTERSIGN_CONFIG`)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run the gateway, for callers and operators
    Serve(serve::Arguments),
    /// Try the whole product on one machine, with the sandbox in place of X; nothing to configure
    Demo(demo::Arguments),
    /// Run the sandbox, which stands in for X: the Engagement API's rules, with invented numbers
    Sandbox(sandbox::Arguments),
    /// Query metrics from a running gateway, for any number of posts and any period
    Query(query::arguments::Arguments),
    /// Manage connected accounts
    #[command(subcommand)]
    Account(account::Task),
    /// Manage the keys of callers and admins
    #[command(subcommand)]
    Key(key::Task),
    /// Manage webhooks for account events
    #[command(subcommand)]
    Webhook(webhook::Task),
    /// Show usage totals, and the accounts billed by X each month
    Usage(usage::Arguments),
    /// Show recent calls, newest first: who called what, with which credentials, and the outcome
    Calls(calls::Arguments),
    /// Show the audit log: who changed what, and from where
    Audit(audit::Arguments),
    /// Manage the keys that seal stored secrets
    #[command(subcommand)]
    Vault(vault::Task),
    /// Bring the database schema up to date
    Migrate {
        /// Print the SQL that would run and change nothing
        #[arg(long)]
        plan: bool,
    },
    /// Check the deployment: settings, database, vault, X credentials, clock
    Check {
        /// Print a JSON array of what each check found
        #[arg(long)]
        json: bool,
    },
    /// Check whether the running gateway is ready, for container health checks
    Healthcheck,
    /// Print every setting with its meaning and default
    Config,
    /// Print the OpenAPI description of the HTTP API
    Openapi(openapi::Arguments),
}

/// Runs the command.
pub fn run(command: Command) -> Result<(), Failure> {
    forbid_dumps();
    let config = command.config.as_deref();
    match command.task {
        Task::Serve(arguments) => serve::run(config, &arguments),
        Task::Demo(arguments) => demo::run(arguments),
        Task::Sandbox(arguments) => sandbox::run(&arguments),
        Task::Query(arguments) => query::run(&arguments),
        Task::Account(task) => assemble::block_on(account::run(config, task)),
        Task::Key(task) => assemble::block_on(key::run(config, task)),
        Task::Webhook(task) => assemble::block_on(webhook::run(config, task)),
        Task::Usage(arguments) => assemble::block_on(usage::run(config, arguments)),
        Task::Calls(arguments) => assemble::block_on(calls::run(config, arguments)),
        Task::Audit(arguments) => assemble::block_on(audit::run(config, arguments)),
        Task::Vault(task) => vault::run(config, &task),
        Task::Migrate { plan } => assemble::block_on(migrate(config, plan)),
        Task::Check { json } => assemble::block_on(check::run(config, json)),
        Task::Healthcheck => assemble::block_on(check::health(config)),
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

async fn migrate(config: Option<&std::path::Path>, plan: bool) -> Result<(), Failure> {
    let config = assemble::settings(config)?;
    let store = assemble::connect(&config).await?;
    if plan {
        return print_plan(&store).await;
    }
    let applied = store.migrate(assemble::now()).await.map_err(failure::of_store)?;
    let schema = store.schema().await.map_err(failure::of_store)?;
    match applied.len() {
        0 => output::line(&format!("the schema is up to date (version {})", schema.found)),
        count => output::line(&format!(
            "applied {}; the schema is now at version {}",
            output::count(count, "migration", "migrations"),
            schema.known
        )),
    }
    Ok(())
}

/// The SQL of what `migrate` would do; as a comment before each step, which programs may serve beside it.
async fn print_plan(store: &Store) -> Result<(), Failure> {
    let pending = store.pending_migrations().await.map_err(failure::of_store)?;
    if pending.is_empty() {
        store.check_schema().await.map_err(failure::of_store)?;
    }
    for migration in &pending {
        let Migration { version, name, oldest_program, .. } = migration;
        output::line(&format!(
            "-- Schema version {version}, {name}: programs that need version {oldest_program} or later work on it."
        ));
        output::line(migration.sql(store).trim_end());
    }
    output::note(&match pending.len() {
        0 => "the schema is up to date; nothing would change".to_owned(),
        count => format!("{} would be applied", output::count(count, "migration", "migrations")),
    });
    Ok(())
}

impl Command {
    /// Parses the program's arguments. `--help` and mistakes are answered here, and end the process.
    pub fn read() -> Command {
        let mut rules = Command::command()
            .mut_subcommand("demo", without_config)
            .mut_subcommand("sandbox", without_config)
            .mut_subcommand("query", without_config)
            .mut_subcommand("config", without_config)
            .mut_subcommand("openapi", without_config)
            .mut_subcommand("vault", |vault| vault.mut_subcommand("generate-key", without_config));
        let command = Command::from_arg_matches(&rules.get_matches_mut());
        let command = command.unwrap_or_else(|error| error.format(&mut rules).exit());
        if command.config.is_some() && !command.task.reads_settings() {
            let detail = "this command does not read settings, so it does not take '--config'";
            rules.error(ErrorKind::ArgumentConflict, detail).exit();
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

/// Prevents core dumps and other processes' reading of this one's memory: nearly every command holds a secret.
fn forbid_dumps() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Hides the global `--config` from the help of a command that reads no settings.
fn without_config(task: clap::Command) -> clap::Command {
    let file = Arg::new("config").long("config").value_name("FILE");
    task.arg(file.value_parser(value_parser!(PathBuf)).hide(true))
}
