//! Assembling the program from its settings: database, vault, gateway and runtime.

use std::path::Path;
use std::pin::Pin;
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

/// A gateway with its settings and its database.
pub(super) struct Deployment {
    pub(super) config: Config,
    pub(super) gateway: Gateway,
    pub(super) store: Store,
}

impl Deployment {
    /// Opens the configured database, whose schema must be up to date.
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

    /// Fails if a running replica lacks the active vault key: it could not open what this process seals.
    pub(super) async fn require_known_key(&self) -> Result<(), Failure> {
        let lacking = self.gateway.list_replicas_lacking_key().await?;
        if lacking.is_empty() {
            return Ok(());
        }
        let name = |replica: &Replica| format!("{} ({})", output::plain(&replica.host), replica.id);
        let names: Vec<String> = lacking.iter().map(name).collect();
        Err(Failure::config(anyhow!(
            "these replicas do not have the active vault key {}; add it to their vault.keys first: {}",
            self.config.vault.active,
            names.join(", ")
        )))
    }

    /// Fails if the ring does not fit what is stored: others could not open what it seals.
    pub(super) async fn require_fitting_ring(&self) -> Result<(), Failure> {
        match self.gateway.find_ring_fault().await? {
            None => Ok(()),
            Some(fault) => Err(Failure::config(anyhow!(fault.to_string()))),
        }
    }
}

/// The deployment that most commands need, with a database whose schema is up to date.
pub(super) async fn open(config: Option<&Path>) -> Result<Deployment, Failure> {
    Deployment::open(settings_with_ring(config)?).await
}

/// The same for a command that seals, with a ring whose seals every replica can open.
pub(super) async fn open_to_seal(config: Option<&Path>) -> Result<Deployment, Failure> {
    let deployment = open(config).await?;
    deployment.require_fitting_ring().await?;
    deployment.require_known_key().await?;
    Ok(deployment)
}

/// The settings for a command that neither seals nor opens anything.
pub(super) fn settings(path: Option<&Path>) -> Result<Config, Failure> {
    Ok(config::load(path, Ring::NotNeeded)?)
}

/// The settings for a command that needs the vault's keys.
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

/// A whole listing, page by page; `fetch` takes the last item so far and the size of the next page.
pub(super) async fn all_pages<T>(
    fetch: impl AsyncFn(Option<&T>, u32) -> Result<Vec<T>, gateway::Error>,
) -> Result<Vec<T>, Failure> {
    Ok(first(u32::MAX, fetch).await?.0)
}

/// The first `most` items of a listing, and whether there are more; `fetch` is the same as for `all_pages`.
pub(super) async fn first<T>(
    most: u32,
    fetch: impl AsyncFn(Option<&T>, u32) -> Result<Vec<T>, gateway::Error>,
) -> Result<(Vec<T>, bool), Failure> {
    const PAGE: usize = 1000;
    let most = most as usize;
    let mut items = Vec::new();
    while items.len() <= most {
        // One extra item shows whether there are more.
        let size = PAGE.min((most - items.len()).saturating_add(1));
        let page = fetch(items.last(), size.try_into().unwrap_or(u32::MAX)).await?;
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

/// The account that an argument names.
pub(super) fn account_ref(text: &str) -> Result<AccountRef, Failure> {
    let detail = "the account must be a user id of 1 to 19 digits or @screen_name";
    AccountRef::parse(text).ok_or_else(|| Failure::general(anyhow!(detail)))
}

/// The actor for the audit log: the operating system's user and the machine.
pub(super) static ACTOR: LazyLock<String> = LazyLock::new(|| {
    let id = getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = user_name(&users, id).map_or_else(|| id.to_string(), str::to_owned);
    at_command_line(&user, &uname().nodename().to_string_lossy())
});

/// The name of the user with this id in the text of `/etc/passwd`.
fn user_name(users: &str, id: u32) -> Option<&str> {
    let mut lines = users.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    })
}

/// Runs a command that ends by itself, on one thread.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    // As a trait object, so that the runtime is not compiled once for each command.
    let work: Pin<Box<dyn Future<Output = _> + '_>> = Box::pin(work);
    runtime(1)?.block_on(work)
}

/// A runtime with this many workers; 0 means one per core. One worker does without the overhead of work stealing.
pub(super) fn runtime(workers: usize) -> Result<tokio::runtime::Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if workers == 0 { cores } else { workers };
    let mut builder = match workers {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder
        .worker_threads(workers)
        .enable_all()
        .build()
        .map_err(|error| Failure::unavailable(anyhow!(error).context("cannot start the runtime")))
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
