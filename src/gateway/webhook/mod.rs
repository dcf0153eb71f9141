//! Webhooks: adding, listing, testing and removing them, and giving them new secrets.

pub(super) mod deliver;

use std::time::Duration;

use serde_json::json;
use time::format_description::well_known::Rfc3339;

use crate::gateway::key::whole_second;
use crate::gateway::webhook::deliver::{DISTRUSTED, Proof, message};
use crate::gateway::{Detail, Error, Gateway};
use crate::model::Secret;
use crate::model::webhook::{Delivery, Unreadable, Webhook};
use crate::store::{self, Backlog, DeliveryFilter, StoredDelivery, StoredWebhook};
use crate::upstream::NotReceived;
use crate::vault::{self, Seal};

/// Digits of a webhook's id.
const DIGITS: usize = 12;
/// How long an old secret signs beside the new one by default.
const OVERLAP: Duration = Duration::from_hours(24);
const LONGEST_OVERLAP: Duration = Duration::from_hours(30 * 24);

/// The properties of a new webhook.
#[derive(Clone, Debug, Default)]
pub struct NewWebhook {
    pub url: String,
    /// The app whose accounts' events it receives; `None` for all apps.
    pub app: Option<String>,
}

impl Gateway {
    /// Adds a receiver; its signing secret is shown only once.
    pub async fn add_webhook(
        &self,
        new: NewWebhook,
        actor: &str,
    ) -> Result<(Webhook, Secret), Error> {
        let mut problems = Vec::new();
        let url = self.0.upstream.receiver(&new.url);
        if let Err(detail) = &url {
            problems.push(Detail::at("/url", *detail));
        }
        if new.app.is_some() {
            problems.extend(self.app(new.app.as_deref()).err());
        }
        let (Ok(url), true) = (url, problems.is_empty()) else {
            return Err(Error::InvalidRequest(problems));
        };
        let webhook = Webhook {
            id: vault::random_digits::<DIGITS>().into_iter().map(char::from).collect(),
            url,
            app: new.app,
            created_at: whole_second(self.now()),
            old_secret_until: None,
        };
        let secret = vault::generate_signing_secret();
        let place = Seal::webhook_secret(&webhook);
        let sealed_secret = self.0.vault.seal(&place, secret.expose().as_bytes())?;
        let stored = StoredWebhook { webhook, sealed_secret, sealed_old_secret: None };
        self.0.store.insert_webhook(&stored, actor).await.map_err(|error| match error {
            store::Error::AlreadyExists => {
                Error::AlreadyExists("a webhook with this URL".to_owned())
            }
            other => other.into(),
        })?;
        Ok((stored.webhook, secret))
    }

    /// All webhooks by id, each with its backlog.
    pub async fn list_webhooks(&self) -> Result<Vec<(Webhook, Backlog)>, Error> {
        let stored = self.0.store.list_webhooks().await?;
        let mut backlogs: std::collections::HashMap<String, Backlog> =
            self.0.store.list_backlogs().await?.into_iter().collect();
        let with_backlog = |stored: StoredWebhook| {
            let backlog = backlogs.remove(&stored.webhook.id).unwrap_or_default();
            (stored.webhook, backlog)
        };
        Ok(stored.into_iter().map(with_backlog).collect())
    }

    /// One webhook with its backlog.
    pub async fn get_webhook(&self, id: &str) -> Result<(Webhook, Backlog), Error> {
        let webhook = self.get_stored_webhook(id).await?.webhook;
        let backlogs = self.0.store.list_backlogs().await?;
        let backlog = backlogs.into_iter().find(|(webhook_id, _)| webhook_id == id);
        Ok((webhook, backlog.map(|(_, backlog)| backlog).unwrap_or_default()))
    }

    /// A webhook's events, newest first, whatever their outcome; an unreadable row hides no other event.
    pub async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
    ) -> Result<Vec<Result<Delivery, Unreadable>>, Error> {
        self.get_stored_webhook(&filter.webhook_id).await?;
        let stored = self.0.store.list_deliveries(filter).await?;
        Ok(stored.into_iter().map(|delivery| self.trusted_delivery(delivery)).collect())
    }

    /// Sends an event again at once, under its old id, whatever its outcome was. It goes before later events of the
    /// same account that still wait; an event that is too old gets only this attempt.
    pub async fn resend_delivery(
        &self,
        webhook_id: &str,
        number: i64,
        actor: &str,
    ) -> Result<Result<Delivery, Unreadable>, Error> {
        self.get_stored_webhook(webhook_id).await?;
        let again = self.0.store.resend_delivery(webhook_id, number, actor, self.now()).await?;
        self.0.events.notify_one();
        Ok(self.trusted_delivery(again.ok_or(Error::NotFound("delivery"))?))
    }

    /// Sends a test event, once and now; returns the status with which it was accepted, or why it was not. A
    /// receiver that accepts it also gets its pending events.
    pub async fn test_webhook(
        &self,
        id: &str,
        actor: &str,
    ) -> Result<Result<u16, NotReceived>, Error> {
        let stored = self.get_stored_webhook(id).await?;
        self.require_signing_keys(&stored)?;
        let now = self.now();
        // Before it is sent: what cannot be recorded is not done.
        let subject = format!("webhook:{id}");
        let host = stored.webhook.host();
        self.0.store.insert_audit(actor, "webhook.tested", &subject, host, now).await?;
        let number = String::from_utf8_lossy(&vault::random_digits::<DIGITS>()).into_owned();
        let body = message("webhook.test", whole_second(now), &json!({ "webhook_id": id }));
        let sent = self.send(&stored, &format!("evt_{id}_test_{number}"), body).await;
        if sent.is_ok() {
            self.0.store.hurry_deliveries(id, now).await?;
            self.0.events.notify_one();
        }
        Ok(sent)
    }

    /// Gives a webhook a new secret, shown only once; the old one signs beside it for a while, a day by default.
    pub async fn rotate_webhook(
        &self,
        id: &str,
        overlap: Option<Duration>,
        actor: &str,
    ) -> Result<(Webhook, Secret), Error> {
        let overlap = overlap.unwrap_or(OVERLAP);
        if overlap > LONGEST_OVERLAP {
            let problem = Detail::at("/overlap", "must be at most 30 days");
            return Err(Error::InvalidRequest(vec![problem]));
        }
        let stored = self.get_stored_webhook(id).await?;
        let now = whole_second(self.now());
        // Otherwise a receiver that still has the oldest of the three would refuse everything.
        if let Some(until) = stored.webhook.old_secret_until.filter(|until| *until > now)
            && !overlap.is_zero()
        {
            let until = until.format(&Rfc3339).unwrap_or_default();
            let detail = format!(
                "the previous secret still signs until {until}; wait until then, or give 0s to end both it and the current one at once"
            );
            return Err(Error::InvalidRequest(vec![Detail::at("/overlap", detail)]));
        }
        let old_secret_until = (!overlap.is_zero()).then(|| now + overlap);
        let webhook = Webhook { old_secret_until, ..stored.webhook };
        let old = self.0.vault.open(&Seal::webhook_secret(&webhook), &stored.sealed_secret)?;
        let secret = vault::generate_signing_secret();
        let seal = |place: Seal, plain: &[u8]| self.0.vault.seal(&place, plain);
        let rotated = StoredWebhook {
            sealed_secret: seal(Seal::webhook_secret(&webhook), secret.expose().as_bytes())?,
            sealed_old_secret: if overlap.is_zero() {
                None
            } else {
                Some(seal(Seal::webhook_old_secret(&webhook), &old)?)
            },
            webhook,
        };
        if !self.0.store.rotate_webhook(&rotated, &stored.sealed_secret, actor, now).await? {
            let detail = "a newer secret: somebody else has just rotated it";
            return Err(Error::AlreadyExists(detail.to_owned()));
        }
        Ok((rotated.webhook, secret))
    }

    /// Deletes a receiver and all its deliveries.
    pub async fn remove_webhook(&self, id: &str, actor: &str) -> Result<Webhook, Error> {
        let webhook = self.get_stored_webhook(id).await?.webhook;
        self.0.store.remove_webhook(&webhook, actor, self.now()).await?;
        Ok(webhook)
    }

    /// The secrets that sign events now: the current one, and the old one while valid. `None` if the row was altered.
    pub(super) fn signing_secrets(&self, stored: &StoredWebhook) -> Option<Vec<Secret>> {
        let webhook = &stored.webhook;
        let place = Seal::webhook_secret(webhook);
        let mut secrets = vec![self.0.vault.open_text(&place, &stored.sealed_secret).ok()?];
        if let Some(sealed) = &stored.sealed_old_secret
            && webhook.old_secret_until.is_some_and(|until| until > self.now())
        {
            let place = Seal::webhook_old_secret(webhook);
            secrets.push(self.0.vault.open_text(&place, sealed).ok()?);
        }
        Some(secrets)
    }

    /// The part of a delivery that may be shown, if its row is as this program wrote it.
    fn trusted_delivery(&self, stored: StoredDelivery) -> Result<Delivery, Unreadable> {
        let delivery = stored.delivery?;
        if self.proof_of(&delivery, stored.sealed_proof.as_deref()) != Proof::Wrong {
            return Ok(delivery);
        }
        let Delivery { number, webhook_id, app, occurred_at, attempts, attempt_at, .. } = delivery;
        let why = DISTRUSTED.to_owned();
        Err(Unreadable { number, webhook_id, app, occurred_at, attempts, attempt_at, why })
    }

    /// Refuses a webhook whose secrets are sealed with keys missing from this ring; such secrets need not be altered.
    pub(super) fn require_signing_keys(&self, stored: &StoredWebhook) -> Result<(), Error> {
        let records = [Some(&stored.sealed_secret), stored.sealed_old_secret.as_ref()];
        records.into_iter().flatten().try_for_each(|record| Ok(self.0.vault.require_key(record)?))
    }

    async fn get_stored_webhook(&self, id: &str) -> Result<StoredWebhook, Error> {
        self.0.store.find_webhook(id).await?.ok_or(Error::NotFound("webhook"))
    }
}
