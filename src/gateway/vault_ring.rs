//! The vault's ring compared with what is stored: whether it fits, what it lacks, and replacing it while serving.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;

use tracing::info;

use crate::config;
use crate::gateway::account::token::open_token;
use crate::gateway::key::open_verifier;
use crate::gateway::{Error, Gateway};
use crate::store::{self, KeyFilter};
use crate::vault::{self, Vault};

/// Records of each kind that are opened to see whether a ring fits.
const SAMPLE: u32 = 20;

/// The result of the last survey of what is stored.
#[derive(Default)]
pub(super) struct Surveyed(Mutex<Survey>);

#[derive(Clone, Default)]
struct Survey {
    missing: Vec<String>,
    opens_nothing: bool,
}

/// Why a ring does not fit what is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RingFault {
    /// What each key that the ring lacks has sealed.
    Lacks(Vec<store::Seals>),
    /// The ring has a different key under this id than before.
    Replaced(String),
    /// This record does not open, nor does any other that was tried, at least of those sealed with the same new key.
    DoesNotOpen { record: String, vault_key: String },
}

impl fmt::Display for RingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RingFault::Lacks(seals) => {
                f.write_str("the database holds secrets sealed with vault keys that are not in vault.keys: ")?;
                f.write_str(&by_key(seals).join("; "))
            }
            RingFault::Replaced(id) => {
                write!(f, "vault.keys has a different key under the id {id} than before")
            }
            RingFault::DoesNotOpen { record, vault_key } => write!(
                f,
                "{record} cannot be opened: vault.keys has a different key under the id of the one that sealed it, {vault_key}"
            ),
        }
    }
}

/// Each missing key, with what it has sealed: `k3y9f0qz (account demo/7588892 and 5 more, key 3fGh…)`.
fn by_key(seals: &[store::Seals]) -> Vec<String> {
    let mut by_key: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for seal in seals {
        let more = seal.records.saturating_sub(1);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = format!("{} {}{more}", seal.kind, seal.example);
        by_key.entry(&seal.vault_key).or_default().push(named);
    }
    by_key.into_iter().map(|(id, named)| format!("{id} ({})", named.join(", "))).collect()
}

/// A stored record and whether a ring opens it.
struct Sample {
    name: String,
    vault_key: String,
    opens: bool,
}

impl Surveyed {
    pub(super) fn opens_nothing(&self) -> bool {
        self.read().opens_nothing
    }

    fn read(&self) -> Survey {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, survey: Survey) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = survey;
    }
}

impl Gateway {
    /// The ids of the vault keys that sealed what is stored.
    pub async fn list_sealing_keys(&self) -> Result<Vec<String>, Error> {
        let seals = self.0.store.list_seals(self.now()).await?;
        let ids: BTreeSet<String> = seals.into_iter().map(|seal| seal.vault_key).collect();
        Ok(ids.into_iter().collect())
    }

    /// Why this process's ring does not fit what is stored, if it does not.
    pub async fn find_ring_fault(&self) -> Result<Option<RingFault>, Error> {
        self.find_fault(&self.0.vault).await
    }

    /// Replaces the ring with one that fits what is stored; false when it is the same one.
    pub async fn replace_ring(
        &self,
        settings: &config::Vault,
    ) -> Result<Result<bool, RingFault>, Error> {
        let new = Vault::new(settings)?;
        if let Some(id) = self.0.vault.find_conflict(&new) {
            return Ok(Err(RingFault::Replaced(id)));
        }
        if self.0.vault.key_ids() == new.key_ids() && self.0.vault.active_id() == new.active_id() {
            return Ok(Ok(false));
        }
        if let Some(fault) = self.find_fault(&new).await? {
            return Ok(Err(fault));
        }
        self.0.vault.replace(&new);
        self.0.seal_needed.forget();
        // What did not open may open now.
        self.forget_everything();
        self.0.browsers_due.note();
        let _ = self.learn_due_browsers().await;
        self.survey_seals().await?;
        self.0.presence.announce();
        let (keys, active) = (new.key_ids().join(" "), new.active_id());
        info!(keys, active, "the vault keys were reloaded");
        Ok(Ok(true))
    }

    /// Compares the ring with the keys that are in use.
    pub(super) async fn survey_seals(&self) -> Result<(), store::Error> {
        let seals = self.0.store.list_seals(self.now()).await?;
        self.0.vault.settle_missing(seals.iter().map(|seal| &*seal.vault_key).filter(is_id));
        let opens_nothing =
            !seals.is_empty() && !seals.iter().any(|seal| self.0.vault.has_key(&seal.vault_key));
        let missing = self.0.vault.missing_keys();
        let count = f64::from(u32::try_from(missing.len()).unwrap_or(u32::MAX));
        metrics::gauge!("countersign_vault_keys_missing").set(count);
        self.0.surveyed.write(Survey { missing, opens_nothing });
        Ok(())
    }

    /// Surveys if the missing keys have changed since the last time, or if any is missing and a survey is `due`.
    pub(super) async fn survey_missing(&self, due: bool) -> Result<(), store::Error> {
        let (missing, before) = (self.0.vault.missing_keys(), self.0.surveyed.read().missing);
        if missing != before || (due && !missing.is_empty()) {
            self.survey_seals().await?;
        }
        Ok(())
    }

    async fn find_fault(&self, vault: &Vault) -> Result<Option<RingFault>, Error> {
        let seals = self.0.store.list_seals(self.now()).await?;
        let missing: Vec<_> = seals
            .into_iter()
            .filter(|seal| is_id(&&*seal.vault_key) && !vault.has_key(&seal.vault_key))
            .collect();
        if !missing.is_empty() {
            return Ok(Some(RingFault::Lacks(missing)));
        }
        let samples = self.open_samples(vault).await?;
        // A key that is here already has opened what it sealed; altered records may be all that is left of it.
        let is_new = |sample: &Sample| !self.0.vault.has_key(&sample.vault_key);
        let opens = |id: &str| samples.iter().any(|sample| sample.opens && sample.vault_key == id);
        let nothing_opens = !samples.iter().any(|sample| sample.opens);
        let unopened = samples
            .iter()
            .find(|sample| nothing_opens || (is_new(sample) && !opens(&sample.vault_key)));
        Ok(unopened.map(|sample| RingFault::DoesNotOpen {
            record: sample.name.clone(),
            vault_key: sample.vault_key.clone(),
        }))
    }

    async fn open_samples(&self, vault: &Vault) -> Result<Vec<Sample>, Error> {
        let keys = self.0.store.list_keys(&KeyFilter { after: None, limit: SAMPLE }).await?;
        let accounts = self.0.store.list_sealed_accounts(None, SAMPLE).await?;
        let id = |record| vault::key_id(record).unwrap_or("?").to_owned();
        let of_keys = keys.iter().filter(|key| !key.is_void()).map(|key| Sample {
            name: format!("key {}", key.id()),
            vault_key: id(&key.sealed_verifier),
            opens: open_verifier(vault, key).is_ok(),
        });
        let of_accounts = accounts.iter().map(|stored| Sample {
            name: format!("account {}/{}", stored.account.app, stored.account.user_id),
            vault_key: id(&stored.sealed_token),
            opens: open_token(vault, stored).is_ok(),
        });
        Ok(of_keys.chain(of_accounts).collect())
    }
}

/// Whether a text is a vault key's id; an altered record may contain anything.
fn is_id(id: &&str) -> bool {
    config::is_key_id(id)
}
