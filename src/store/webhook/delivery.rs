//! Events on their way to webhooks: each is sent by one sender at a time, and kept until it has arrived or is given up.

use std::time::Duration;

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::model::UserId;
use crate::model::webhook::{Delivery, Event, Unreadable};
use crate::store::database::dialect::Work;
use crate::store::{Error, Store, whole_seconds};

/// How far replicas' clocks may differ before a time that another has stored is ignored.
const SKEW: Duration = Duration::from_mins(5);
/// The longest time for which nothing is sent to a failing receiver.
const LONGEST_REST: Duration = Duration::from_hours(1);
const UNREADABLE: &str = "its row cannot be read by this program";

/// A delivery as stored, whether it can be read or not. No `Debug`, so that no log line fills up with ciphertext.
#[derive(Clone, Eq, PartialEq)]
pub struct StoredDelivery {
    pub delivery: Result<Delivery, Unreadable>,
    /// Covers the event's content, its webhook and its number.
    pub sealed_proof: Option<Vec<u8>>,
}

impl StoredDelivery {
    pub fn number(&self) -> i64 {
        self.delivery
            .as_ref()
            .map_or_else(|unreadable| unreadable.number, |delivery| delivery.number)
    }
}

/// A delivery that one sender holds alone, until `until`. No `Debug`, so that no log line fills up with ciphertext.
#[derive(Clone, Eq, PartialEq)]
pub struct ClaimedDelivery {
    pub delivery: Delivery,
    pub sealed_proof: Option<Vec<u8>>,
    pub sealed_link: Option<Vec<u8>>,
    /// Since when its receiver has failed every delivery.
    pub failing_since: Option<OffsetDateTime>,
    pub until: OffsetDateTime,
}

/// How an attempt ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why it failed; `None` when the event arrived.
    pub failure: Option<String>,
    /// When to try again, if it failed and is not given up.
    pub again_at: Option<OffsetDateTime>,
    /// Since when the receiver has failed every delivery, and until when nothing is sent to it.
    pub rest: Option<(OffsetDateTime, OffsetDateTime)>,
}

macro_rules! delivery_columns {
    () => {
        "delivery_id, webhook_id, event, app, user_id, screen_name, reason, occurred_at, attempts,
         attempted_at, attempt_at, delivered_at, status, failure, sealed_link, sealed_proof"
    };
}
pub(super) use delivery_columns;

/// A row of `delivery`.
#[derive(FromRow)]
pub(super) struct Row {
    delivery_id: i64,
    webhook_id: String,
    event: String,
    app: String,
    user_id: String,
    screen_name: String,
    reason: String,
    occurred_at: OffsetDateTime,
    attempts: i64,
    attempted_at: Option<OffsetDateTime>,
    attempt_at: Option<OffsetDateTime>,
    delivered_at: Option<OffsetDateTime>,
    status: Option<i64>,
    failure: Option<String>,
    sealed_link: Option<Vec<u8>>,
    sealed_proof: Option<Vec<u8>>,
}

impl Store {
    /// Claims one due delivery and records an attempt; nobody else has its webhook until `until`. Webhooks take turns.
    /// An event never overtakes another of the same account that waits for the same webhook.
    pub async fn claim_delivery(
        &self,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<ClaimedDelivery>, Error> {
        let find = "select delivery_id from delivery
             where webhook_id = $1 and attempt_at <= $2 and not exists (
                 select 1 from delivery as first
                 where first.webhook_id = delivery.webhook_id and first.app = delivery.app
                     and first.user_id = delivery.user_id and first.attempt_at is not null
                     and first.delivery_id < delivery.delivery_id
             )
             order by delivery_id limit 1";
        for webhook_id in self.list_free_webhooks(now, until).await? {
            let query = self.query(find).bind(&webhook_id).bind(whole_seconds(now));
            let row = self.fetch_optional(query).await?;
            let Some((number,)) = row else { continue };
            if let Some(claimed) = self.claim(number, &webhook_id, now, until).await? {
                return Ok(Some(claimed));
            }
        }
        Ok(None)
    }

    /// Webhooks with a due delivery, no current sender and no rest; the longest-waiting first. Ignores stored times too
    /// far ahead for any clock to have meant them.
    async fn list_free_webhooks(
        &self,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<String>, Error> {
        let sql = "select webhook_id from webhook
             where (leased_until <= $1 or leased_until > $2)
                 and (paused_until is null or paused_until <= $1 or paused_until > $3)
                 and exists (select 1 from delivery
                     where delivery.webhook_id = webhook.webhook_id and attempt_at <= $1)
             order by leased_until, webhook_id";
        let query = self
            .query(sql)
            .bind(whole_seconds(now))
            .bind(whole_seconds(until + SKEW))
            .bind(whole_seconds(now + LONGEST_REST));
        let rows: Vec<(String,)> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    async fn claim(
        &self,
        number: i64,
        webhook_id: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<ClaimedDelivery>, Error> {
        let claim = "update webhook set leased_until = $2
             where webhook_id = $1 and (leased_until <= $3 or leased_until > $4)
             returning failing_since";
        let begin = concat!(
            "update delivery set attempts = attempts + 1, attempt_at = $2,
                 attempted_at = coalesce(attempted_at, $3)
             where delivery_id = $1 and attempt_at <= $3
             returning ",
            delivery_columns!()
        );
        let (now, far) = (whole_seconds(now), whole_seconds(until + SKEW));
        let until = whole_seconds(until);
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work.query(claim).bind(webhook_id).bind(until).bind(now).bind(far);
            let webhook: Option<(Option<OffsetDateTime>,)> = work.fetch_optional(query).await?;
            let Some((failing_since,)) = webhook else { return Ok((work, None)) };
            let query = work.query(begin).bind(number).bind(until).bind(now);
            let row: Option<Row> = work.fetch_optional(query).await?;
            let Some(mut row) = row else { return Ok((work, None)) };
            let sealed_link = row.sealed_link.take();
            let StoredDelivery { delivery, sealed_proof } = row.into();
            let Ok(delivery) = delivery else {
                drop(work);
                return Ok((self.postpone(number, now).await?, None));
            };
            let claimed =
                ClaimedDelivery { delivery, sealed_proof, sealed_link, failing_since, until };
            Ok((work, Some(claimed)))
        })
        .await
    }

    /// Postpones a delivery that this program cannot read, such as an event of a later version, so that it holds up
    /// only its own account.
    async fn postpone(&self, number: i64, now: OffsetDateTime) -> Result<Work, Error> {
        let sql = "update delivery set attempt_at = $2, failure = $3 where delivery_id = $1";
        let mut work = self.begin().await?;
        let query = work.query(sql).bind(number).bind(now + LONGEST_REST).bind(UNREADABLE);
        work.execute(query).await?;
        Ok(work)
    }

    /// Stores the link that a delivery carries, before it is sent.
    pub async fn update_delivery_link(&self, number: i64, sealed_link: &[u8]) -> Result<(), Error> {
        let sql = "update delivery set sealed_link = $2 where delivery_id = $1";
        self.execute(self.query(sql).bind(number).bind(sealed_link)).await.map(drop)
    }

    /// Records how an attempt ended, and releases its webhook. The result of a later attempt is not overwritten.
    pub async fn settle_delivery(
        &self,
        claimed: &ClaimedDelivery,
        outcome: &Outcome,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let release = "update webhook set leased_until = $2, failing_since = $4, paused_until = $5
             where webhook_id = $1 and leased_until = $3";
        let settle = "update delivery
             set attempt_at = $3, delivered_at = $4, status = $5, failure = $6,
                 sealed_link = case when $3 is null then null else sealed_link end
             where delivery_id = $1 and attempts = $2";
        let arrived = outcome.failure.is_none().then(|| whole_seconds(now));
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work
                .query(release)
                .bind(&claimed.delivery.webhook_id)
                .bind(whole_seconds(now))
                .bind(whole_seconds(claimed.until))
                .bind(outcome.rest.map(|(since, _)| whole_seconds(since)))
                .bind(outcome.rest.map(|(_, until)| whole_seconds(until)));
            work.execute(query).await?;
            let query = work
                .query(settle)
                .bind(claimed.delivery.number)
                .bind(i64::from(claimed.delivery.attempts))
                .bind(outcome.again_at.map(whole_seconds))
                .bind(arrived)
                .bind(outcome.status.map(i64::from))
                .bind(&outcome.failure);
            work.execute(query).await?;
            Ok((work, ()))
        })
        .await
    }

    /// Gives up deliveries that have waited for a webhook since before `older_than`; returns how many.
    pub async fn give_up_deliveries(
        &self,
        webhook_id: &str,
        older_than: OffsetDateTime,
        failure: &str,
    ) -> Result<u64, Error> {
        let sql = "update delivery set attempt_at = null, failure = $3, sealed_link = null
             where webhook_id = $1 and attempt_at is not null and occurred_at <= $2";
        let query = self.query(sql).bind(webhook_id).bind(whole_seconds(older_than)).bind(failure);
        self.execute(query).await
    }

    /// Ends a webhook's rest, and makes all its waiting deliveries due, except one that is being sent.
    pub async fn hurry_deliveries(
        &self,
        webhook_id: &str,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let wake =
            "update webhook set failing_since = null, paused_until = null where webhook_id = $1";
        let hurry = "update delivery set attempt_at = $2
             where webhook_id = $1 and attempt_at > $2
                 and attempt_at <> (select leased_until from webhook where webhook_id = $1)";
        self.write(|| async {
            let mut work = self.begin().await?;
            work.execute(work.query(wake).bind(webhook_id)).await?;
            work.execute(work.query(hurry).bind(webhook_id).bind(whole_seconds(now))).await?;
            Ok((work, ()))
        })
        .await
    }
}

impl From<Row> for StoredDelivery {
    /// If the event or user cannot be read, the delivery holds only what can always be shown.
    fn from(row: Row) -> StoredDelivery {
        let attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
        let delivery = match (Event::from_name(&row.event), UserId::parse(&row.user_id)) {
            (Some(event), Some(user_id)) => Ok(Delivery {
                number: row.delivery_id,
                webhook_id: row.webhook_id,
                event,
                app: row.app,
                user_id,
                screen_name: row.screen_name,
                reason: row.reason,
                occurred_at: row.occurred_at,
                attempts,
                attempted_at: row.attempted_at,
                attempt_at: row.attempt_at,
                delivered_at: row.delivered_at,
                status: row.status.and_then(|status| u16::try_from(status).ok()),
                failure: row.failure,
            }),
            _ => Err(Unreadable {
                number: row.delivery_id,
                webhook_id: row.webhook_id,
                app: row.app,
                occurred_at: row.occurred_at,
                attempts,
                attempt_at: row.attempt_at,
                why: UNREADABLE.to_owned(),
            }),
        };
        StoredDelivery { delivery, sealed_proof: row.sealed_proof }
    }
}
