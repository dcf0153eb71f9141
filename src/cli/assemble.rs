//! Putting the program together from its settings.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use anyhow::anyhow;
use rustix::process::getuid;
use rustix::system::uname;
use time::OffsetDateTime;

use crate::cli::failure::{self, Failure};
use crate::cli::output;
use crate::config::{self, Config, Ring};
use crate::gateway::{self, Gateway, Replica};
use crate::model::audit::at_command_line;
use crate::model::{AccountRef, Clock, SystemClock};
use crate::store::Store;
use crate::vault::Vault;

/// A gateway with what it was made from.
pub(super) struct Deployment {
    pub(super) config: Config,
    pub(super) gateway: Gateway,
    pub(super) store: Store,
}

impl Deployment {
    /// Opens the database that the settings name; its schema must be this program's.
    pub(super) async fn open(config: Config) -> Result<Deployment, Failure> {
        let vault = Vault::new(&config.vault)?;
        let store = connect(&config).await?;
        store.check_schema().await.map_err(failure::of_store)?;
        Deployment::new(config, store, vault)
    }

    pub(super) fn new(config: Config, store: Store, vault: Vault) -> Result<Deployment, Failure> {
        let gateway =
            Gateway::new(&config, store.clone(), vault, clock()).map_err(Failure::config)?;
        Ok(Deployment { config, gateway, store })
    }

    /// Refuses to seal with a key that a replica which lives does not hold.
    pub(super) async fn require_known_key(&self) -> Result<(), Failure> {
        let without = self.gateway.replicas_lacking_key().await?;
        if without.is_empty() {
            return Ok(());
        }
        let name = |replica: &Replica| format!("{} ({})", output::plain(&replica.host), replica.id);
        let names: Vec<String> = without.iter().map(name).collect();
        Err(Failure::config(anyhow!(
            "the vault key that seals, {}, is not held by these replicas, so add it to their vault.keys first: {}",
            self.config.vault.active,
            names.join(", ")
        )))
    }

    /// Refuses a ring that does not fit what is stored: what it sealed, others could not open.
    pub(super) async fn require_fitting_ring(&self) -> Result<(), Failure> {
        match self.gateway.ring_fault().await? {
            None => Ok(()),
            Some(fault) => Err(Failure::config(anyhow!(fault.to_string()))),
        }
    }
}

/// What most commands need: the settings, and a gateway on a database whose schema is right.
pub(super) async fn open(config: Option<&Path>) -> Result<Deployment, Failure> {
    Deployment::open(settings_with_ring(config)?).await
}

/// The same for a command that seals, with a ring that everybody can open what it seals with.
pub(super) async fn open_to_seal(config: Option<&Path>) -> Result<Deployment, Failure> {
    let deployment = open(config).await?;
    deployment.require_fitting_ring().await?;
    deployment.require_known_key().await?;
    Ok(deployment)
}

/// The settings of a command that seals and opens nothing.
pub(super) fn settings(path: Option<&Path>) -> Result<Config, Failure> {
    Ok(config::load(path, Ring::NotNeeded)?)
}

/// The settings of a command that cannot do without the vault's keys.
pub(super) fn settings_with_ring(path: Option<&Path>) -> Result<Config, Failure> {
    Ok(config::load(path, Ring::Needed)?)
}

pub(super) async fn connect(config: &Config) -> Result<Store, Failure> {
    Store::connect(&config.database).await.map_err(failure::of_store)
}

pub(super) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(super) fn now() -> OffsetDateTime {
    SystemClock.now()
}

/// A whole listing, page by page; `ask` is given the last item so far and how many to bring.
pub(super) async fn all_pages<T>(
    ask: impl AsyncFn(Option<&T>, u32) -> Result<Vec<T>, gateway::Error>,
) -> Result<Vec<T>, Failure> {
    Ok(first(u32::MAX, ask).await?.0)
}

/// The first `most` items of a listing, and whether there are more; `ask` as for `all_pages`.
pub(super) async fn first<T>(
    most: u32,
    ask: impl AsyncFn(Option<&T>, u32) -> Result<Vec<T>, gateway::Error>,
) -> Result<(Vec<T>, bool), Failure> {
    const PAGE: usize = 1000;
    let most = most as usize;
    let mut items = Vec::new();
    while items.len() <= most {
        // One more than is given tells whether there are more.
        let size = PAGE.min((most - items.len()).saturating_add(1));
        let page = ask(items.last(), size.try_into().unwrap_or(u32::MAX)).await?;
        let is_last = page.len() < size;
        items.extend(page);
        if is_last {
            break;
        }
    }
    let is_more = items.len() > most;
    items.truncate(most);
    Ok((items, is_more))
}

/// An account as the command line names it.
pub(super) fn account_ref(text: &str) -> Result<AccountRef, Failure> {
    let form = "name the account as a user id of 1 to 19 digits or as @screen_name";
    AccountRef::parse(text).ok_or_else(|| Failure::general(anyhow!(form)))
}

/// Who acts, for the audit log: the user of the system and the machine.
pub(super) static ACTOR: LazyLock<String> = LazyLock::new(|| {
    let id = getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = user_name(&users, id).map_or_else(|| id.to_string(), str::to_owned);
    at_command_line(&user, &uname().nodename().to_string_lossy())
});

/// What a file of users calls that one.
fn user_name(users: &str, id: u32) -> Option<&str> {
    let mut lines = users.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    })
}

/// Runs a command that does one thing and ends.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    runtime(1)?.block_on(work)
}

/// A runtime with that many workers, 0 for one a core. One worker needs no stealing, so it gets the runtime without.
pub(super) fn runtime(workers: usize) -> Result<tokio::runtime::Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if workers == 0 { cores } else { workers };
    let mut builder = match workers {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(workers).enable_all().build().map_err(|error| {
        Failure::unavailable(anyhow!(error).context("the runtime could not be started"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nodd\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(user_name(users, 1000), Some("ada"));
        assert_eq!(user_name(users, 0), Some("root"));
        assert_eq!(user_name(users, 7), None);
    }
}
