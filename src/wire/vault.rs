//! The vault's status in JSON: what its keys have sealed, and the replicas that hold them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::gateway;
use crate::wire::time::rfc3339;

/// How many records each vault key has sealed, and the replicas that hold the keys.
#[derive(Clone, Debug, Serialize)]
pub struct Vault {
    pub active: String,
    pub records: BTreeMap<String, u64>,
    pub unopened: Vec<String>,
    pub resealed: u64,
    /// Until when tokens in browsers need a vault key, by its id.
    pub tokens_until: BTreeMap<String, String>,
    pub replicas: Vec<Replica>,
}

/// A gateway that runs on the same database.
#[derive(Clone, Debug, Serialize)]
pub struct Replica {
    pub id: String,
    pub host: String,
    pub version: String,
    pub started_at: String,
    /// Seconds since its last heartbeat.
    pub heard_ago: u64,
    /// The ids of its vault keys.
    pub vault_keys: Vec<String>,
    /// The id of the vault key that it seals with.
    pub vault_active: String,
}

impl Vault {
    pub fn new(status: gateway::VaultStatus, replicas: Vec<(gateway::Replica, Duration)>) -> Vault {
        let gateway::VaultStatus { active, records, unopened, resealed, tokens_until } = status;
        let replicas = replicas.into_iter().map(Replica::from).collect();
        let tokens_until =
            tokens_until.into_iter().map(|(vault_key, end)| (vault_key, rfc3339(end))).collect();
        Vault { active, records, unopened, resealed, tokens_until, replicas }
    }
}

impl From<(gateway::Replica, Duration)> for Replica {
    fn from((replica, heard_ago): (gateway::Replica, Duration)) -> Replica {
        Replica {
            id: replica.id,
            host: replica.host,
            version: replica.version,
            started_at: rfc3339(replica.started_at),
            heard_ago: heard_ago.as_secs(),
            vault_keys: replica.vault_keys,
            vault_active: replica.vault_active,
        }
    }
}
