//! Live replicas: each writes a heartbeat to the database every few seconds, with the vault keys that it holds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{Mutex, Notify};
use tracing::debug;

use crate::gateway::{Error, Gateway};
use crate::store::{self, Replica};
use crate::vault;

const HEARTBEAT: Duration = Duration::from_secs(5);
/// A replica counts as dead once its last heartbeat is older than this.
const SILENCE: Duration = Duration::from_secs(20);
const DIGITS: usize = 12;

/// This process as the others see it.
pub(super) struct Presence {
    id: String,
    started_at: OffsetDateTime,
    host: OnceLock<String>,
    /// How many replicas were alive at the last heartbeat, this one included.
    alive: AtomicUsize,
    /// Notified when the next heartbeat should not wait.
    changed: Notify,
    /// Whether this replica was removed from the list; held while a heartbeat is written, so that none comes later.
    is_gone: Mutex<bool>,
}

impl Presence {
    pub(super) fn new(now: OffsetDateTime) -> Presence {
        let id = vault::random_digits::<DIGITS>().into_iter().map(char::from).collect();
        Presence {
            id,
            started_at: now,
            host: OnceLock::new(),
            alive: AtomicUsize::new(1),
            changed: Notify::new(),
            is_gone: Mutex::default(),
        }
    }

    /// This replica's id, once it has been written down.
    pub(super) fn registered(&self) -> Option<&str> {
        self.host.get().map(|_| &*self.id)
    }

    /// How many replicas were alive at the last heartbeat, this one included.
    pub(super) fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    pub(super) fn announce(&self) {
        self.changed.notify_one();
    }
}

impl Gateway {
    /// Writes the first heartbeat, as the replica on `host`, and takes its parts of quotas that others use.
    pub async fn register_replica(&self, host: &str) -> Result<(), Error> {
        self.0.presence.host.get_or_init(|| host.to_owned());
        self.heartbeat().await?;
        Ok(self.renew_leases().await?)
    }

    /// Writes heartbeats until every clone of this gateway is dropped. Call it once, after `register_replica`.
    pub fn send_heartbeats(&self) -> impl Future<Output = ()> + Send + use<> {
        let (inner, presence) = (Arc::downgrade(&self.0), Arc::clone(&self.0.presence));
        async move {
            loop {
                let _ = tokio::time::timeout(HEARTBEAT, presence.changed.notified()).await;
                let Some(inner) = inner.upgrade() else { return };
                let gateway = Gateway(inner, None);
                if let Err(error) = gateway.heartbeat().await {
                    // Following the change feed already logs that the database is away.
                    debug!(error = &error as &dyn std::error::Error, "no heartbeat was written");
                }
            }
        }
    }

    /// Removes this replica from the list, so that nobody waits until it counts as dead.
    pub async fn deregister_replica(&self) {
        let presence = &self.0.presence;
        let mut is_gone = presence.is_gone.lock().await;
        *is_gone = true;
        if let Err(error) = self.0.store.remove_replica(&presence.id).await {
            debug!(
                error = &error as &dyn std::error::Error,
                "could not remove this replica from the list"
            );
        }
    }

    /// Live replicas by host, each with the age of its last heartbeat.
    pub async fn list_replicas(&self) -> Result<Vec<(Replica, Duration)>, Error> {
        Ok(self.0.store.list_replicas(SILENCE).await?)
    }

    /// Live replicas that do not hold the vault key with which this process seals.
    pub async fn list_replicas_lacking_key(&self) -> Result<Vec<Replica>, Error> {
        let active = self.0.vault.active_id();
        let replicas = self.list_replicas().await?.into_iter().map(|(replica, _)| replica);
        Ok(replicas.filter(|replica| !replica.vault_keys.contains(&active)).collect())
    }

    async fn heartbeat(&self) -> Result<(), store::Error> {
        let presence = &self.0.presence;
        let is_gone = presence.is_gone.lock().await;
        let Some(host) = presence.host.get().filter(|_| !*is_gone) else { return Ok(()) };
        let replica = Replica {
            id: presence.id.clone(),
            host: host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: presence.started_at,
            vault_keys: self.0.vault.key_ids(),
            vault_active: self.0.vault.active_id(),
        };
        self.0.store.record_heartbeat(&replica).await?;
        self.0.store.prune_replicas(SILENCE).await?;
        drop(is_gone);
        let others = self.0.store.list_replicas(SILENCE).await?;
        presence.alive.store(others.len().max(1), Ordering::Relaxed);
        if others.iter().any(|(other, _)| !self.0.vault.has_key(&other.vault_active)) {
            self.survey_seals().await?;
        }
        Ok(())
    }
}
