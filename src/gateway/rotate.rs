//! Key rotation: everything sealed is sealed again with the active key, row by row, while the gateway serves. What was
//! done stays done, so an interrupted rotation is begun again without harm.

use std::collections::BTreeMap;

use crate::gateway::deliver::Proof;
use crate::gateway::{Error, Gateway};
use crate::store::{KeyFilter, StoredAccount, StoredBearer, StoredKey, StoredWebhook};
use crate::vault::{self, Place as Seal};

const BATCH: u32 = 200;
const SAMPLE: u32 = 20;

/// How many records each key of the ring has sealed, and how many do not open.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VaultStatus {
    pub active: String,
    /// Records by the id of the key that sealed them.
    pub records: BTreeMap<String, u64>,
    /// In words, what does not open.
    pub unopened: Vec<String>,
    /// Records that this run sealed anew.
    pub resealed: u64,
}

impl Gateway {
    /// Opens everything that is stored and counts it by key.
    pub async fn vault_status(&self) -> Result<VaultStatus, Error> {
        self.walk(false).await
    }

    /// Seals everything anew that another key than the active one had sealed.
    pub async fn rotate_vault(&self, actor: &str) -> Result<VaultStatus, Error> {
        let status = self.walk(true).await?;
        if status.resealed > 0 {
            let detail = format!("{} records sealed with {}", status.resealed, status.active);
            self.0.store.insert_audit(actor, "vault.rotated", "vault", &detail, self.now()).await?;
        }
        Ok(status)
    }

    /// The ids of the vault keys that sealed what is stored.
    pub async fn sealing_keys(&self) -> Result<Vec<String>, Error> {
        Ok(self.0.store.list_sealing_keys().await?)
    }

    /// Whether the ring opens any of a sample of what is stored; also when nothing is. A key of the right id may be another.
    pub async fn opens_what_is_stored(&self) -> Result<bool, Error> {
        let filter = KeyFilter { after: None, limit: SAMPLE };
        let keys = self.0.store.list_keys(&filter).await?;
        let accounts = self.0.store.list_sealed_accounts(None, SAMPLE).await?;
        let is_empty = keys.is_empty() && accounts.is_empty();
        let opened = keys.iter().any(|it| self.open_verifier(it).is_some())
            || accounts.iter().any(|it| self.open_token(it).is_some());
        Ok(is_empty || opened)
    }

    pub fn has_vault_key(&self, id: &str) -> bool {
        self.0.vault.has_key(id)
    }

    async fn walk(&self, reseal: bool) -> Result<VaultStatus, Error> {
        let mut status =
            VaultStatus { active: self.0.vault.active_id().to_owned(), ..VaultStatus::default() };
        let mut after = None;
        loop {
            let accounts = self.0.store.list_sealed_accounts(after.as_ref(), BATCH).await?;
            let Some(last) = accounts.last() else { break };
            after = Some((last.account.app.clone(), last.account.user_id));
            for stored in accounts {
                self.walk_account(stored, reseal, &mut status).await?;
            }
        }
        let mut after = None;
        loop {
            let keys = self.0.store.list_keys(&KeyFilter { after, limit: BATCH }).await?;
            let Some(last) = keys.last() else { break };
            after = Some(last.id().to_owned());
            for stored in keys {
                self.walk_key(&stored, reseal, &mut status).await?;
            }
        }
        self.walk_bearers(reseal, &mut status).await?;
        self.walk_webhooks(reseal, &mut status).await?;
        self.walk_links(reseal, &mut status).await?;
        self.walk_deliveries(reseal, &mut status).await?;
        Ok(status)
    }

    async fn walk_account(
        &self,
        stored: StoredAccount,
        reseal: bool,
        status: &mut VaultStatus,
    ) -> Result<(), Error> {
        let (app, user_id) = (&stored.account.app, stored.account.user_id);
        let Some(token) = self.open_token(&stored) else {
            status.unopened.push(format!("account {app}/{user_id}"));
            return Ok(());
        };
        let current = [&stored.sealed_token, &stored.sealed_token_secret]
            .iter()
            .all(|it| self.0.vault.is_current(it));
        if current || !reseal {
            status.count(&stored.sealed_token);
            status.count(&stored.sealed_token_secret);
            return Ok(());
        }
        let seal = |place: Seal, text: &str| self.0.vault.seal(&place, text.as_bytes());
        let sealed_token = seal(Seal::access_token(app, user_id), token.token.expose())?;
        let sealed_token_secret =
            seal(Seal::access_token_secret(app, user_id), token.secret.expose())?;
        let anew =
            StoredAccount { account: stored.account.clone(), sealed_token, sealed_token_secret };
        // False when the account was imported again meanwhile, which sealed it with the active key.
        if self.0.store.update_account_tokens(&anew, &stored.sealed_token).await? {
            status.resealed += 2;
        }
        status.count(&anew.sealed_token);
        status.count(&anew.sealed_token_secret);
        Ok(())
    }

    async fn walk_key(
        &self,
        stored: &StoredKey,
        reseal: bool,
        status: &mut VaultStatus,
    ) -> Result<(), Error> {
        let Some((place, plain)) = self.open_verifier(stored) else {
            status.unopened.push(format!("key {}", stored.id()));
            return Ok(());
        };
        if !reseal || self.0.vault.is_current(&stored.sealed_verifier) {
            status.count(&stored.sealed_verifier);
            return Ok(());
        }
        let anew = self.0.vault.seal(&place, &plain)?;
        if self.0.store.update_key_verifier(stored.id(), &anew, &stored.sealed_verifier).await? {
            status.resealed += 1;
        }
        status.count(&anew);
        Ok(())
    }

    async fn walk_bearers(&self, reseal: bool, status: &mut VaultStatus) -> Result<(), Error> {
        for stored in self.0.store.list_bearers().await? {
            let place = Seal::bearer(&stored.app);
            let Ok(plain) = self.0.vault.open(&place, &stored.sealed_token) else {
                status.unopened.push(format!("bearer of {}", stored.app));
                continue;
            };
            if !reseal || self.0.vault.is_current(&stored.sealed_token) {
                status.count(&stored.sealed_token);
                continue;
            }
            let anew = self.0.vault.seal(&place, &plain)?;
            let previous = stored.sealed_token.clone();
            let anew = StoredBearer { sealed_token: anew, ..stored };
            if self.0.store.update_bearer_seal(&anew, &previous).await? {
                status.resealed += 1;
            }
            status.count(&anew.sealed_token);
        }
        Ok(())
    }

    async fn walk_webhooks(&self, reseal: bool, status: &mut VaultStatus) -> Result<(), Error> {
        for stored in self.0.store.list_webhooks().await? {
            let webhook = &stored.webhook;
            let (place, old_place) =
                (Seal::webhook_secret(webhook), Seal::webhook_old_secret(webhook));
            let secret = self.0.vault.open(&place, &stored.sealed_secret);
            let old = stored.sealed_old_secret.as_ref();
            let old = old.map(|it| self.0.vault.open(&old_place, it)).transpose();
            let (Ok(secret), Ok(old)) = (secret, old) else {
                status.unopened.push(format!("webhook {}", webhook.id));
                continue;
            };
            let records = [Some(&stored.sealed_secret), stored.sealed_old_secret.as_ref()];
            if !reseal || records.iter().flatten().all(|it| self.0.vault.is_current(it)) {
                records.iter().flatten().for_each(|it| status.count(it));
                continue;
            }
            let anew = StoredWebhook {
                sealed_secret: self.0.vault.seal(&place, &secret)?,
                sealed_old_secret: old.map(|it| self.0.vault.seal(&old_place, &it)).transpose()?,
                webhook: webhook.clone(),
            };
            let records = [Some(&anew.sealed_secret), anew.sealed_old_secret.as_ref()];
            let resealed =
                self.0.store.update_webhook_secrets(&anew, &stored.sealed_secret).await?;
            for record in records.into_iter().flatten() {
                status.count(record);
                status.resealed += u64::from(resealed);
            }
        }
        Ok(())
    }

    async fn walk_links(&self, reseal: bool, status: &mut VaultStatus) -> Result<(), Error> {
        let mut after = Vec::new();
        loop {
            let links = self.0.store.list_links(&after, BATCH, self.now()).await?;
            let Some(last) = links.last() else { return Ok(()) };
            after.clone_from(&last.hash);
            for stored in links {
                let place = Seal::link(&stored.hash, &stored.link);
                let Ok(plain) = self.0.vault.open(&place, &stored.sealed_proof) else {
                    status.unopened.push(format!("link {:?}", stored.link.label));
                    continue;
                };
                if !reseal || self.0.vault.is_current(&stored.sealed_proof) {
                    status.count(&stored.sealed_proof);
                    continue;
                }
                let anew = self.0.vault.seal(&place, &plain)?;
                let (hash, previous) = (&stored.hash, &stored.sealed_proof);
                if self.0.store.update_link_proof(hash, &anew, previous).await? {
                    status.resealed += 1;
                }
                status.count(&anew);
            }
        }
    }

    async fn walk_deliveries(&self, reseal: bool, status: &mut VaultStatus) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let deliveries = self.0.store.list_proven_deliveries(after, BATCH).await?;
            let Some(last) = deliveries.last() else { return Ok(()) };
            after = last.number();
            for stored in deliveries {
                let (number, previous) = (stored.number(), stored.sealed_proof.unwrap_or_default());
                let proof = stored.delivery.map(|it| (self.proof_of(&it, Some(&previous)), it));
                let delivery = match proof {
                    Ok((Proof::Right, delivery)) => delivery,
                    // Whatever key it names, nobody will send it.
                    Ok((Proof::Wrong, _)) => continue,
                    // Of a later version, which proves it as long as the active key stays.
                    Err(_) if self.0.vault.is_current(&previous) => continue,
                    _ => {
                        status.unopened.push(format!("delivery {number}"));
                        continue;
                    }
                };
                if !reseal || self.0.vault.is_current(&previous) {
                    status.count(&previous);
                    continue;
                }
                let anew = self.0.vault.seal(&Seal::delivery(&delivery), &[])?;
                if self.0.store.update_delivery_proof(number, &anew, &previous).await? {
                    status.resealed += 1;
                }
                status.count(&anew);
            }
        }
    }
}

impl VaultStatus {
    fn count(&mut self, record: &[u8]) {
        let id = vault::key_id(record).unwrap_or("?").to_owned();
        *self.records.entry(id).or_default() += 1;
    }
}
