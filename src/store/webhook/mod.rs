//! Webhooks: the receivers of events, and the sealed secrets that sign for them.

pub(super) mod claim;
pub(super) mod delivery;
pub(super) mod delivery_log;
pub(super) mod event;
pub(super) mod prover;

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::model::webhook::Webhook;
use crate::store::audit::{self, Line};
use crate::store::{Error, Store, whole_seconds};

/// A webhook as stored. No `Debug`, so that no log line fills up with ciphertext.
#[derive(Clone, Eq, PartialEq)]
pub struct StoredWebhook {
    pub webhook: Webhook,
    pub sealed_secret: Vec<u8>,
    /// The previous secret, sealed again as the old one.
    pub sealed_old_secret: Option<Vec<u8>>,
}

/// The deliveries that wait for a webhook.
#[derive(Clone, Debug, Default, Eq, FromRow, PartialEq)]
pub struct Backlog {
    pub waiting: i64,
    /// When the oldest waiting event occurred.
    pub since: Option<OffsetDateTime>,
    /// Why the last attempt of a waiting delivery failed, if any did.
    pub failure: Option<String>,
}

/// The columns of `webhook` but those of its sender.
macro_rules! columns {
    () => {
        "webhook_id, url, app, created_at, sealed_secret, sealed_old_secret, old_secret_until"
    };
}

/// A row of `webhook`.
#[derive(FromRow)]
struct Row {
    webhook_id: String,
    url: String,
    app: Option<String>,
    created_at: OffsetDateTime,
    sealed_secret: Vec<u8>,
    sealed_old_secret: Option<Vec<u8>>,
    old_secret_until: Option<OffsetDateTime>,
}

#[derive(FromRow)]
struct BacklogRow {
    webhook_id: String,
    #[sqlx(flatten)]
    backlog: Backlog,
}

impl Store {
    /// `AlreadyExists` when a webhook has the same URL and app. Audited as `webhook.added`.
    pub async fn insert_webhook(&self, stored: &StoredWebhook, actor: &str) -> Result<(), Error> {
        let sql =
            "insert into webhook (webhook_id, url, app, created_at, sealed_secret, leased_until)
             values ($1, $2, $3, $4, $5, $4)";
        let webhook = &stored.webhook;
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work
                .query(sql)
                .bind(&webhook.id)
                .bind(&webhook.url)
                .bind(&webhook.app)
                .bind(whole_seconds(webhook.created_at))
                .bind(&stored.sealed_secret);
            work.execute_unique(query, "webhook_url").await?;
            let subject = subject(&webhook.id);
            let line =
                Line { actor, action: "webhook.added", subject: &subject, detail: webhook.host() };
            audit::record(&mut work, &line, webhook.created_at).await?;
            Ok((work, ()))
        })
        .await
    }

    pub async fn find_webhook(&self, id: &str) -> Result<Option<StoredWebhook>, Error> {
        let sql = concat!("select ", columns!(), " from webhook where webhook_id = $1");
        let row: Option<Row> = self.fetch_optional(self.query(sql).bind(id)).await?;
        Ok(row.map(StoredWebhook::from))
    }

    /// All webhooks: an operator has only a few.
    pub async fn list_webhooks(&self) -> Result<Vec<StoredWebhook>, Error> {
        let sql = concat!("select ", columns!(), " from webhook order by webhook_id");
        let rows: Vec<Row> = self.fetch_all(self.query(sql)).await?;
        Ok(rows.into_iter().map(StoredWebhook::from).collect())
    }

    /// The backlog of each webhook that has one, ordered by id.
    pub async fn list_backlogs(&self) -> Result<Vec<(String, Backlog)>, Error> {
        // Deliveries are numbered in the order of their events. Only the first thousand are searched for a failure.
        let sql = "select webhook_id, waiting,
                 (select occurred_at from delivery where delivery_id = first) as since,
                 (select failure from (
                      select delivery_id, failure from delivery
                      where delivery.webhook_id = backlog.webhook_id and attempt_at is not null
                      order by delivery_id limit 1000) as early
                  where failure is not null order by delivery_id limit 1) as failure
             from (select webhook_id, count(*) as waiting, min(delivery_id) as first
                   from delivery where attempt_at is not null group by webhook_id) as backlog
             where webhook_id in (select webhook_id from webhook)
             order by webhook_id";
        let rows: Vec<BacklogRow> = self.fetch_all(self.query(sql)).await?;
        Ok(rows.into_iter().map(|row| (row.webhook_id, row.backlog)).collect())
    }

    /// Gives a webhook a new secret; the old one also signs for a while. False when somebody else has changed the one
    /// being replaced. Audited as `webhook.rotated`.
    pub async fn rotate_webhook(
        &self,
        rotated: &StoredWebhook,
        previous_sealed_secret: &[u8],
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let sql = "update webhook
             set sealed_secret = $2, sealed_old_secret = $3, old_secret_until = $4
             where webhook_id = $1 and sealed_secret = $5";
        let webhook = &rotated.webhook;
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work
                .query(sql)
                .bind(&webhook.id)
                .bind(&rotated.sealed_secret)
                .bind(&rotated.sealed_old_secret)
                .bind(webhook.old_secret_until.map(whole_seconds))
                .bind(previous_sealed_secret);
            if work.execute(query).await? == 0 {
                return Ok((work, false));
            }
            let subject = subject(&webhook.id);
            let line = Line {
                actor,
                action: "webhook.rotated",
                subject: &subject,
                detail: webhook.host(),
            };
            audit::record(&mut work, &line, now).await?;
            Ok((work, true))
        })
        .await
    }

    /// Stores secrets that were sealed again, unless they have changed since `previous_sealed_secret` was read.
    pub async fn update_webhook_secrets(
        &self,
        stored: &StoredWebhook,
        previous_sealed_secret: &[u8],
    ) -> Result<bool, Error> {
        let sql = "update webhook set sealed_secret = $2, sealed_old_secret = nullif($3, $4)
             where webhook_id = $1 and sealed_secret = $5";
        let old = stored.sealed_old_secret.as_deref().unwrap_or_default();
        let seals = [&*stored.sealed_secret, old, &[], previous_sealed_secret];
        self.reseal(sql, &[&stored.webhook.id], &seals).await
    }

    /// Also removes the webhook's deliveries; false when it does not exist. Audited as `webhook.removed`.
    pub async fn remove_webhook(
        &self,
        webhook: &Webhook,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        self.write(|| async {
            let mut work = self.begin().await?;
            let mut removed = 0;
            // The webhook before its deliveries: the order in which a sender locks them.
            for sql in [
                "delete from webhook where webhook_id = $1",
                "delete from delivery where webhook_id = $1",
            ] {
                removed += work.execute(work.query(sql).bind(&webhook.id)).await?;
                if removed == 0 {
                    return Ok((work, false));
                }
            }
            let subject = subject(&webhook.id);
            let line = Line {
                actor,
                action: "webhook.removed",
                subject: &subject,
                detail: webhook.host(),
            };
            audit::record(&mut work, &line, now).await?;
            Ok((work, true))
        })
        .await
    }
}

pub(crate) fn subject(id: &str) -> String {
    format!("webhook:{id}")
}

impl From<Row> for StoredWebhook {
    fn from(row: Row) -> StoredWebhook {
        let webhook = Webhook {
            id: row.webhook_id,
            url: row.url,
            app: row.app,
            created_at: row.created_at,
            old_secret_until: row.old_secret_until,
        };
        let Row { sealed_secret, sealed_old_secret, .. } = row;
        StoredWebhook { webhook, sealed_secret, sealed_old_secret }
    }
}
