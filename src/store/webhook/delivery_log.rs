//! Deliveries sent or waiting: listing them, making them due again, and pruning them.

use time::OffsetDateTime;

use crate::model::webhook::DeliveryState;
use crate::store::audit::{self, Line};
use crate::store::webhook::delivery::{Row, StoredDelivery, delivery_columns};
use crate::store::{Error, Store, webhook, whole_seconds};

/// Which deliveries of a webhook to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub webhook_id: String,
    pub state: Option<DeliveryState>,
    /// The number of the last delivery on the previous page.
    pub before: Option<i64>,
    pub limit: u32,
}

impl Store {
    /// A row that cannot be read does not hide the others.
    pub async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
    ) -> Result<Vec<StoredDelivery>, Error> {
        macro_rules! newest {
            ($of_state:literal) => {
                concat!(
                    "select ",
                    delivery_columns!(),
                    " from delivery where webhook_id = $1 and delivery_id < $2",
                    $of_state,
                    " order by delivery_id desc limit $3"
                )
            };
        }
        // Each state has its own index.
        let sql = match filter.state {
            None => newest!(""),
            Some(DeliveryState::Waiting) => newest!(" and attempt_at is not null"),
            Some(DeliveryState::Delivered) => {
                newest!(" and attempt_at is null and delivered_at is not null")
            }
            Some(DeliveryState::GivenUp) => {
                newest!(" and attempt_at is null and delivered_at is null")
            }
        };
        let query = self
            .query(sql)
            .bind(&filter.webhook_id)
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(i64::from(filter.limit));
        let rows: Vec<Row> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(StoredDelivery::from).collect())
    }

    /// Makes a delivery due at once, as if it had not been tried, and ends its receiver's rest; one being sent stays as
    /// it is. `None` when no delivery has that number. Audited as `webhook.resent`.
    pub async fn resend_delivery(
        &self,
        webhook_id: &str,
        number: i64,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<Option<StoredDelivery>, Error> {
        // The webhook before its deliveries: the order in which a sender locks them.
        let wake = "update webhook set paused_until = null where webhook_id = $1";
        let again = concat!(
            "update delivery
             set attempted_at = case when leased_until > $3 then attempted_at end,
                 attempt_at = case when leased_until > $3 then attempt_at else $3 end,
                 delivered_at = null
             where webhook_id = $1 and delivery_id = $2
             returning ",
            delivery_columns!()
        );
        // Those that were postponed until its next attempt; an import's event may be held back for another reason.
        let followers = "update delivery set attempt_at = $3
             where webhook_id = $1 and delivery_id > $2 and attempt_at > $3 and attempts = 0
                 and (app, user_id) = (
                     select app, user_id from delivery
                     where webhook_id = $1 and delivery_id = $2 and user_id <> '')";
        self.write(|| async {
            let mut work = self.begin().await?;
            work.execute(work.query(wake).bind(webhook_id)).await?;
            let query = work.query(followers).bind(webhook_id).bind(number);
            work.execute(query.bind(whole_seconds(now))).await?;
            let query = work.query(again).bind(webhook_id).bind(number).bind(whole_seconds(now));
            let row: Option<Row> = work.fetch_optional(query).await?;
            let Some(row) = row else { return Ok((work, None)) };
            let (subject, detail) = (webhook::subject(webhook_id), format!("delivery {number}"));
            let line = Line { actor, action: "webhook.resent", subject: &subject, detail: &detail };
            audit::record(&mut work, &line, now).await?;
            Ok((work, Some(row.into())))
        })
        .await
    }

    /// Deliveries of all webhooks that have a proof, by number, starting after `after`; for rotating the vault's key.
    pub async fn list_proven_deliveries(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredDelivery>, Error> {
        let sql = concat!(
            "select ",
            delivery_columns!(),
            " from delivery where delivery_id > $1 and sealed_proof is not null
             order by delivery_id limit $2"
        );
        let query = self.query(sql).bind(after).bind(i64::from(limit));
        let rows: Vec<Row> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(StoredDelivery::from).collect())
    }

    /// Stores a proof that was sealed again, unless it is no longer `previous`.
    pub async fn update_delivery_proof(
        &self,
        number: i64,
        new: &[u8],
        previous: &[u8],
    ) -> Result<bool, Error> {
        let sql = "update delivery set sealed_proof = $2
             where delivery_id = cast($1 as bigint) and sealed_proof = $3";
        self.reseal(sql, &[&number.to_string()], &[new, previous]).await
    }

    /// Deletes a batch of events from before `older_than` that are over, or whose webhook was removed meanwhile;
    /// returns how many.
    pub async fn prune_deliveries(&self, older_than: OffsetDateTime) -> Result<u64, Error> {
        let sql = "delete from delivery where delivery_id in (
                 select delivery_id from delivery where occurred_at < $1
                     and (attempt_at is null or webhook_id not in (select webhook_id from webhook))
                 order by occurred_at limit 1000
             )";
        self.execute(self.query(sql).bind(whole_seconds(older_than))).await
    }
}
