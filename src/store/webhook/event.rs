//! Events, written in the same transactions as the changes they report.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::model::UserId;
use crate::model::webhook::{Delivery, Event};
use crate::store::database::dialect::Work;
use crate::store::webhook::prover::Prove;
use crate::store::{Error, NewAccount, Store, whole_seconds};

/// An event about to be written.
pub(crate) struct NewEvent<'a> {
    pub(crate) event: Event,
    pub(crate) app: &'a str,
    pub(crate) user_id: UserId,
    pub(crate) screen_name: &'a str,
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
        event: &NewEvent<'_>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let sql =
            "insert into delivery (webhook_id, event, app, user_id, screen_name, reason, occurred_at,
                 attempt_at)
             select webhook_id, $1, $2, $3, $4, $5, $6, $6 from webhook
             where app is null or app = $2 order by webhook_id
             returning delivery_id, webhook_id";
        let prove = "update delivery set sealed_proof = $2 where delivery_id = $1";
        let query = work
            .query(sql)
            .bind(event.event.name())
            .bind(event.app)
            .bind(event.user_id.to_string())
            .bind(event.screen_name)
            .bind(event.reason)
            .bind(whole_seconds(now));
        let rows: Vec<(i64, String)> = work.fetch_all(query).await?;
        for (number, webhook_id) in rows {
            let Some(prover) = self.prover.load_full() else { continue };
            let proof = prover(&event.delivery(number, webhook_id, now)).ok_or(Error::NotProven)?;
            work.execute(work.query(prove).bind(number).bind(proof)).await?;
        }
        Ok(())
    }

    /// Writes the event of an account that got a token.
    pub(crate) async fn insert_connected_event(
        &self,
        work: &mut Work,
        new: &NewAccount,
        reason: &str,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let NewAccount { app, user_id, screen_name, .. } = new;
        let event =
            NewEvent { event: Event::Connected, app, user_id: *user_id, screen_name, reason };
        self.insert_event(work, &event, now).await
    }
}

impl NewEvent<'_> {
    /// The delivery as stored in the database.
    fn delivery(&self, number: i64, webhook_id: String, now: OffsetDateTime) -> Delivery {
        Delivery {
            number,
            webhook_id,
            event: self.event,
            app: self.app.to_owned(),
            user_id: self.user_id,
            screen_name: self.screen_name.to_owned(),
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
