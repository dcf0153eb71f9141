//! Key rotation: everything sealed is sealed again with the active key, row by row, while the gateway serves. What was
//! done stays done, so an interrupted rotation is begun again without harm.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::gateway::account::token::open_token;
use crate::gateway::webhook::deliver::Proof;
use crate::gateway::{Error, Gateway};
use crate::store::{
    KeyFilter, StoredAccount, StoredBearer, StoredKey, StoredLink, StoredSession, StoredWebhook,
};
use crate::vault::{self, Seal};

const BATCH: u32 = 200;

/// How many records each key of the ring has sealed, and how many do not open.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VaultStatus {
    pub active: String,
    /// Records by the id of the key that sealed them.
    pub records: BTreeMap<String, u64>,
    /// Descriptions of the records that do not open.
    pub unopened: Vec<String>,
    /// Records that this run sealed anew.
    pub resealed: u64,
    /// Until when tokens in browsers need a vault key, by its id.
    pub tokens_until: BTreeMap<String, OffsetDateTime>,
}

impl Gateway {
    /// Opens everything that is stored and counts it by key.
    pub async fn get_vault_status(&self) -> Result<VaultStatus, Error> {
        self.walk(false).await
    }

    /// Seals again every record that a key other than the active one had sealed.
    pub async fn rotate_vault(&self, actor: &str) -> Result<VaultStatus, Error> {
        let status = self.walk(true).await?;
        if status.resealed > 0 {
            let detail = format!("{} records sealed with {}", status.resealed, status.active);
            self.0.store.insert_audit(actor, "vault.rotated", "vault", &detail, self.now()).await?;
        }
        Ok(status)
    }

    async fn walk(&self, reseal: bool) -> Result<VaultStatus, Error> {
        let mut status = VaultStatus { active: self.0.vault.active_id(), ..VaultStatus::default() };
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
        self.walk_sessions(reseal, &mut status).await?;
        let now = self.now();
        for (vault_key, until) in self.0.store.list_token_seals().await? {
            let until = OffsetDateTime::from_unix_timestamp(until).ok();
            status.tokens_until.extend(until.filter(|end| *end > now).map(|end| (vault_key, end)));
        }
        Ok(status)
    }

    async fn walk_account(
        &self,
        stored: StoredAccount,
        reseal: bool,
        status: &mut VaultStatus,
    ) -> Result<(), Error> {
        let (app, user_id) = (&stored.account.app, stored.account.user_id);
        let token = match open_token(&self.0.vault, &stored) {
            Ok(token) => token,
            Err(error) => {
                status.note_unopened(format!("account {app}/{user_id}"), &error);
                return Ok(());
            }
        };
        let current = [&stored.sealed_token, &stored.sealed_token_secret]
            .iter()
            .all(|record| self.0.vault.is_current(record));
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
        if stored.is_void() {
            return Ok(());
        }
        let name = format!("key {}", stored.id());
        let Ok(key) = &stored.key else {
            status.unopened.push(name);
            return Ok(());
        };
        let (place, record) = (Seal::key(key), &stored.sealed_verifier);
        if let Some(anew) = self.reseal(&place, record, reseal, name, status)?
            && self.0.store.update_key_verifier(stored.id(), &anew, record).await?
        {
            status.resealed += 1;
        }
        Ok(())
    }

    async fn walk_bearers(&self, reseal: bool, status: &mut VaultStatus) -> Result<(), Error> {
        for stored in self.0.store.list_bearers().await? {
            let place = Seal::bearer(&stored.app);
            let name = format!("bearer of {}", stored.app);
            let record = stored.sealed_token.clone();
            let Some(sealed_token) = self.reseal(&place, &record, reseal, name, status)? else {
                continue;
            };
            let anew = StoredBearer { sealed_token, ..stored };
            if self.0.store.update_bearer_seal(&anew, &record).await? {
                status.resealed += 1;
            }
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
            let old = old.map(|record| self.0.vault.open(&old_place, record)).transpose();
            let (secret, old) = match secret.and_then(|secret| Ok((secret, old?))) {
                Ok(opened) => opened,
                Err(error) => {
                    status.note_unopened(format!("webhook {}", webhook.id), &error);
                    continue;
                }
            };
            let records = [Some(&stored.sealed_secret), stored.sealed_old_secret.as_ref()];
            if !reseal || records.iter().flatten().all(|record| self.0.vault.is_current(record)) {
                records.iter().flatten().for_each(|record| status.count(record));
                continue;
            }
            let anew = StoredWebhook {
                sealed_secret: self.0.vault.seal(&place, &secret)?,
                sealed_old_secret: old
                    .map(|plain| self.0.vault.seal(&old_place, &plain))
                    .transpose()?,
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
            for StoredLink { hash, link, sealed_proof, .. } in links {
                let name = format!("link {:?}", link.label);
                let Some(anew) =
                    self.reseal(&Seal::link(&hash, &link), &sealed_proof, reseal, name, status)?
                else {
                    continue;
                };
                if self.0.store.update_link_proof(&hash, &anew, &sealed_proof).await? {
                    status.resealed += 1;
                }
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
                let proof = stored
                    .delivery
                    .map(|delivery| (self.proof_of(&delivery, Some(&previous)), delivery));
                let delivery = match proof {
                    Ok((Proof::Right, delivery)) => delivery,
                    // Whatever key it names, it will never be sent.
                    Ok((Proof::Wrong, _)) => continue,
                    // Written by a later version, which can prove it as long as the active key stays.
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
    async fn walk_sessions(&self, reseal: bool, status: &mut VaultStatus) -> Result<(), Error> {
        let mut after = Vec::new();
        loop {
            let sessions = self.0.store.list_sessions(&after, BATCH).await?;
            let Some(last) = sessions.last() else { return Ok(()) };
            after.clone_from(&last.hash);
            for StoredSession { hash, key_id, started_at, sealed_proof, .. } in sessions {
                let place = Seal::session(&hash, &key_id, started_at);
                let name = format!("session of key {key_id}");
                let Some(anew) = self.reseal(&place, &sealed_proof, reseal, name, status)? else {
                    continue;
                };
                if self.0.store.update_session_proof(&hash, &anew, &sealed_proof).await? {
                    status.resealed += 1;
                }
            }
        }
    }

    /// Counts a record; returns it sealed again if that is wanted and has not been done.
    fn reseal(
        &self,
        place: &Seal,
        record: &[u8],
        reseal: bool,
        name: String,
        status: &mut VaultStatus,
    ) -> Result<Option<Vec<u8>>, Error> {
        let plain = match self.0.vault.open(place, record) {
            Ok(plain) => plain,
            Err(error) => {
                status.note_unopened(name, &error);
                return Ok(None);
            }
        };
        if !reseal || self.0.vault.is_current(record) {
            status.count(record);
            return Ok(None);
        }
        let anew = self.0.vault.seal(place, &plain)?;
        status.count(&anew);
        Ok(Some(anew))
    }
}

impl VaultStatus {
    fn count(&mut self, record: &[u8]) {
        let id = vault::key_id(record).unwrap_or("?").to_owned();
        *self.records.entry(id).or_default() += 1;
    }

    fn note_unopened(&mut self, name: String, error: &vault::Error) {
        self.unopened.push(match error {
            vault::Error::KeyMissing(id) => format!("{name} (sealed with {id})"),
            _ => name,
        });
    }
}
