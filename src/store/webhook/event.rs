//! Events, written in the same transactions as the changes they report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::model::webhook::{Delivery, Event, Subject, figures_text};
use crate::store::database::dialect::Work;
use crate::store::database::query::{MOST_ITEMS, tuples};
use crate::store::webhook::delivery::{Row, StoredDelivery, delivery_columns};
use crate::store::webhook::prover::Prove;
use crate::store::{Error, NewAccount, Store, whole_seconds};

/// For how long the event of an import waits for another part of it.
const HELD: Duration = Duration::from_mins(1);

/// An event about to be written.
pub(crate) struct NewEvent<'a> {
    pub(crate) event: Event,
    pub(crate) app: &'a str,
    pub(crate) subject: Subject,
    pub(crate) reason: &'a str,
}

/// What an event is about, as stored.
#[derive(Default)]
struct Columns<'a> {
    /// Empty unless it is about one account.
    user_id: String,
    /// The account's name, or the cause of what needs attention.
    screen_name: &'a str,
    added: Option<i64>,
    replaced: Option<i64>,
    figures: String,
}

/// Accounts that were imported together.
pub(crate) struct Import<'a> {
    pub(crate) app: &'a str,
    pub(crate) added: u64,
    pub(crate) replaced: u64,
    pub(crate) reason: &'a str,
}

impl Store {
    /// Sets the function that proves events from now on; events written before that are not sent.
    pub fn prove_events_by(&self, prove: Box<Prove>) {
        self.prover.store(Some(Arc::new(prove)));
    }

    /// Writes an event for each webhook that wants it, into the transaction that makes the change. The account's row is
    /// locked by then, so an account's events are numbered in their order.
    pub(crate) async fn insert_event(
        &self,
        work: &mut Work,
        event: NewEvent<'_>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        self.insert_events(work, &[event], now).await
    }

    /// Writes the event of an account that got a token.
    pub(crate) async fn insert_connected_event(
        &self,
        work: &mut Work,
        new: &NewAccount,
        reason: &str,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        self.insert_event(work, NewEvent::of_token(new, reason), now).await
    }

    /// Writes events of one app, each of another account.
    pub(crate) async fn insert_events(
        &self,
        work: &mut Work,
        events: &[NewEvent<'_>],
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let Some(first) = events.first() else { return Ok(()) };
        let receivers = list_receivers(work, first.app).await?;
        self.insert_deliveries(work, events, &receivers, now, now).await.map(drop)
    }

    /// Adds a part of an import to the events of the parts before, and writes one for each webhook that has none, or
    /// whose was sent meanwhile. Returns their numbers. Unless this is the last part they are held back for a while: if
    /// the import dies, they say how far it got.
    pub(crate) async fn add_to_summary(
        &self,
        work: &mut Work,
        part: &Import<'_>,
        held: &[i64],
        is_last: bool,
        now: OffsetDateTime,
    ) -> Result<Vec<i64>, Error> {
        let due = if is_last { now } else { now + HELD };
        let extend = concat!(
            "update delivery set added = added + $2, replaced = replaced + $3, attempt_at = $4
             where delivery_id = $1 and attempts = 0 and attempt_at is not null
             returning ",
            delivery_columns!()
        );
        let (mut numbers, mut extended) = (Vec::new(), Vec::new());
        for number in held {
            let query = work
                .query(extend)
                .bind(number)
                .bind(stored_count(part.added))
                .bind(stored_count(part.replaced))
                .bind(whole_seconds(due));
            let row: Option<Row> = work.fetch_optional(query).await?;
            let Some(Ok(delivery)) = row.map(|row| StoredDelivery::from(row).delivery) else {
                continue;
            };
            self.prove(work, std::slice::from_ref(&delivery)).await?;
            numbers.push(*number);
            extended.push(delivery.webhook_id);
        }
        let Import { app, added, replaced, reason } = *part;
        let subject = Subject::Import { added, replaced };
        let event = NewEvent { event: Event::Imported, app, subject, reason };
        let mut receivers = list_receivers(work, app).await?;
        receivers.retain(|webhook_id| !extended.contains(webhook_id));
        numbers.extend(self.insert_deliveries(work, &[event], &receivers, due, now).await?);
        Ok(numbers)
    }

    /// Writes each event for each of the webhooks; returns their numbers.
    async fn insert_deliveries(
        &self,
        work: &mut Work,
        events: &[NewEvent<'_>],
        receivers: &[String],
        due: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<Vec<i64>, Error> {
        let mut numbers = Vec::new();
        for webhook_id in receivers {
            for events in events.chunks(MOST_ITEMS) {
                let sql = format!(
                    "insert into delivery (webhook_id, event, app, user_id, screen_name, added,
                         replaced, figures, reason, occurred_at, attempt_at)
                     values {}
                     returning delivery_id, user_id",
                    tuples(1, 11, events.len())
                );
                let query = work.query_of_many(sql);
                let query = events.iter().fold(query, |query, event| {
                    let Columns { user_id, screen_name, added, replaced, figures } =
                        event.columns();
                    query
                        .bind(webhook_id)
                        .bind(event.event.name())
                        .bind(event.app)
                        .bind(user_id)
                        .bind(screen_name)
                        .bind(added)
                        .bind(replaced)
                        .bind(figures)
                        .bind(event.reason)
                        .bind(whole_seconds(now))
                        .bind(whole_seconds(due))
                });
                let rows: Vec<(i64, String)> = work.fetch_all(query).await?;
                let by_user: BTreeMap<String, &NewEvent<'_>> =
                    events.iter().map(|event| (event.columns().user_id, event)).collect();
                let delivery = |(number, user_id): &(i64, String)| {
                    Some(by_user.get(user_id)?.delivery(*number, webhook_id.clone(), now))
                };
                let written: Vec<Delivery> = rows.iter().filter_map(delivery).collect();
                self.prove(work, &written).await?;
                numbers.extend(rows.into_iter().map(|(number, _)| number));
            }
        }
        Ok(numbers)
    }

    async fn prove(&self, work: &mut Work, deliveries: &[Delivery]) -> Result<(), Error> {
        let Some(prover) = self.prover.load_full() else { return Ok(()) };
        for deliveries in deliveries.chunks(MOST_ITEMS) {
            let sql = format!(
                "update delivery set sealed_proof = proof.column2
                 from (values {}) as proof where delivery_id = proof.column1",
                tuples(1, 2, deliveries.len())
            );
            let mut query = work.query_of_many(sql);
            for delivery in deliveries {
                let proof = prover(delivery).ok_or(Error::NotProven)?;
                query = query.bind(delivery.number).bind(proof);
            }
            work.execute(query).await?;
        }
        Ok(())
    }
}

/// The webhooks that want an app's events.
async fn list_receivers(work: &mut Work, app: &str) -> Result<Vec<String>, Error> {
    let sql = "select webhook_id from webhook where app is null or app = $1 order by webhook_id";
    let rows: Vec<(String,)> = work.fetch_all(work.query(sql).bind(app)).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl<'a> NewEvent<'a> {
    /// Of an account that got a token.
    pub(crate) fn of_token(new: &'a NewAccount, reason: &'a str) -> NewEvent<'a> {
        let NewAccount { app, user_id, screen_name, .. } = new;
        let subject = Subject::Account { user_id: *user_id, screen_name: screen_name.clone() };
        NewEvent { event: Event::Connected, app, subject, reason }
    }

    fn columns(&self) -> Columns<'_> {
        match &self.subject {
            Subject::Account { user_id, screen_name } => {
                Columns { user_id: user_id.to_string(), screen_name, ..Columns::default() }
            }
            Subject::Import { added, replaced } => Columns {
                added: Some(stored_count(*added)),
                replaced: Some(stored_count(*replaced)),
                ..Columns::default()
            },
            Subject::Gateway { cause, figures } => {
                Columns { screen_name: cause, figures: figures_text(figures), ..Columns::default() }
            }
        }
    }

    /// The delivery as stored in the database.
    fn delivery(&self, number: i64, webhook_id: String, now: OffsetDateTime) -> Delivery {
        Delivery {
            number,
            webhook_id,
            event: self.event,
            app: self.app.to_owned(),
            subject: self.subject.clone(),
            reason: self.reason.to_owned(),
            occurred_at: whole_seconds(now),
            attempts: 0,
            attempted_at: None,
            attempt_at: Some(whole_seconds(now)),
            delivered_at: None,
            status: None,
            failure: None,
        }
    }
}
