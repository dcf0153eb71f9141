//! Events on their way to webhooks: each is kept until it has arrived or is given up.

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::model::UserId;
use crate::model::webhook::{Delivery, Event, Subject, Unreadable, read_figures};
use crate::store::database::query::Query;
use crate::store::{Error, Store, whole_seconds};

pub(super) const UNREADABLE: &str = "its row cannot be read by this program";

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

/// A delivery that one sender holds alone, while it renews its claim. No `Debug`, so that no log line fills up with ciphertext.
#[derive(Clone, Eq, PartialEq)]
pub struct ClaimedDelivery {
    pub delivery: Delivery,
    pub sealed_proof: Option<Vec<u8>>,
    pub sealed_link: Option<Vec<u8>>,
    /// Since when its receiver has failed every delivery.
    pub failing_since: Option<OffsetDateTime>,
}

/// What an attempt showed of the receiver.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Receiver {
    /// Nothing: it was not asked.
    #[default]
    NotAsked,
    Answers,
    /// It has failed every delivery since then, and nothing is sent to it until then.
    Fails {
        since: OffsetDateTime,
        until: OffsetDateTime,
    },
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
    pub receiver: Receiver,
}

macro_rules! delivery_columns {
    () => {
        "delivery_id, webhook_id, event, app, user_id, screen_name, added, replaced, figures, reason,
         occurred_at, attempts, attempted_at, attempt_at, delivered_at, status, failure, sealed_link, sealed_proof"
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
    added: Option<i64>,
    replaced: Option<i64>,
    figures: String,
    reason: String,
    occurred_at: OffsetDateTime,
    attempts: i64,
    attempted_at: Option<OffsetDateTime>,
    attempt_at: Option<OffsetDateTime>,
    delivered_at: Option<OffsetDateTime>,
    status: Option<i64>,
    failure: Option<String>,
    pub(super) sealed_link: Option<Vec<u8>>,
    sealed_proof: Option<Vec<u8>>,
}

impl Store {
    /// Stores the link that a delivery carries, before it is sent.
    pub async fn update_delivery_link(&self, number: i64, sealed_link: &[u8]) -> Result<(), Error> {
        let sql = "update delivery set sealed_link = $2 where delivery_id = $1";
        self.execute(self.query(sql).bind(number).bind(sealed_link)).await.map(drop)
    }

    /// Records how an attempt ended, and what it showed of the receiver, unless a later attempt has begun.
    pub async fn settle_delivery(
        &self,
        claimed: &ClaimedDelivery,
        outcome: &Outcome,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let settle = "update delivery
             set attempt_at = $3, delivered_at = $4, status = $5, failure = $6, leased_until = null,
                 sealed_link = case when $3 is null then null else sealed_link end
             where delivery_id = $1 and attempts = $2";
        let arrived = outcome.failure.is_none().then(|| whole_seconds(now));
        let (number, attempts) = (claimed.delivery.number, i64::from(claimed.delivery.attempts));
        self.write(|| async {
            let mut work = self.begin().await?;
            // The webhook before its delivery: the order in which a claim locks them.
            if let Some(query) = self.of_receiver(claimed, outcome.receiver) {
                work.execute(query).await?;
            }
            let query = work
                .query(settle)
                .bind(number)
                .bind(attempts)
                .bind(outcome.again_at.map(whole_seconds))
                .bind(arrived)
                .bind(outcome.status.map(i64::from))
                .bind(&outcome.failure);
            work.execute(query).await?;
            Ok((work, ()))
        })
        .await
    }

    /// Stores what an attempt showed of its receiver; nothing is written while a receiver goes on answering.
    fn of_receiver(&self, claimed: &ClaimedDelivery, receiver: Receiver) -> Option<Query> {
        let answers = "update webhook set failing_since = null, paused_until = null
             where webhook_id = $1 and (failing_since is not null or paused_until is not null)
                 and exists (select 1 from delivery where delivery_id = $2 and attempts = $3)";
        let fails = "update webhook
             set failing_since = coalesce(failing_since, $4), paused_until = $5
             where webhook_id = $1
                 and exists (select 1 from delivery where delivery_id = $2 and attempts = $3)";
        let of_attempt = |sql| {
            let Delivery { webhook_id, number, attempts, .. } = &claimed.delivery;
            self.query(sql).bind(webhook_id).bind(number).bind(i64::from(*attempts))
        };
        match receiver {
            Receiver::NotAsked => None,
            Receiver::Answers => Some(of_attempt(answers)),
            Receiver::Fails { since, until } => {
                Some(of_attempt(fails).bind(whole_seconds(since)).bind(whole_seconds(until)))
            }
        }
    }

    /// Gives up a batch of deliveries that have waited for a webhook since before `older_than`; returns how many.
    pub async fn give_up_deliveries(
        &self,
        webhook_id: &str,
        older_than: OffsetDateTime,
        failure: &str,
    ) -> Result<u64, Error> {
        let sql = "update delivery set attempt_at = null, failure = $3, sealed_link = null
             where delivery_id in (
                 select delivery_id from delivery
                 where webhook_id = $1 and attempt_at is not null and occurred_at <= $2
                 order by delivery_id limit 1000
             )";
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
                 and (leased_until is null or leased_until <= $2)";
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
        let event = Event::from_name(&row.event);
        let subject = match (event, row.added, row.replaced) {
            (Some(Event::Imported), Some(added), Some(replaced)) => {
                let counts = u64::try_from(added).ok().zip(u64::try_from(replaced).ok());
                counts.map(|(added, replaced)| Subject::Import { added, replaced })
            }
            (Some(Event::Imported), ..) => None,
            (Some(Event::GatewayDegraded | Event::GatewayRecovered), ..) => {
                Some(Subject::Gateway {
                    cause: row.screen_name,
                    figures: read_figures(&row.figures),
                })
            }
            _ => UserId::parse(&row.user_id)
                .map(|user_id| Subject::Account { user_id, screen_name: row.screen_name }),
        };
        let delivery = match event.zip(subject) {
            Some((event, subject)) => Ok(Delivery {
                number: row.delivery_id,
                webhook_id: row.webhook_id,
                event,
                app: row.app,
                subject,
                reason: row.reason,
                occurred_at: row.occurred_at,
                attempts,
                attempted_at: row.attempted_at,
                attempt_at: row.attempt_at,
                delivered_at: row.delivered_at,
                status: row.status.and_then(|status| u16::try_from(status).ok()),
                failure: row.failure,
            }),
            None => Err(Unreadable {
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
