//! Events, written in the transactions that they tell of.

use time::OffsetDateTime;

use crate::model::UserId;
use crate::model::webhook::Event;
use crate::store::backend::{Work, on};
use crate::store::{Error, whole_seconds};

/// Something about to be told.
pub(crate) struct Told<'a> {
    pub(crate) event: Event,
    pub(crate) app: &'a str,
    pub(crate) user_id: UserId,
    pub(crate) screen_name: &'a str,
    pub(crate) reason: &'a str,
}

/// Writes an event for each webhook that wants it, into the transaction that makes the change. The account's row is
/// locked by then, so an account's events are numbered in their order.
pub(crate) async fn record(
    work: &mut Work<'_>,
    told: &Told<'_>,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let sql =
        "insert into delivery (webhook_id, event, app, user_id, screen_name, reason, occurred_at,
             attempt_at)
         select webhook_id, $1, $2, $3, $4, $5, $6, $6 from webhook
         where app is null or app = $2 order by webhook_id";
    on!(work, it => sqlx::query(sql)
        .bind(told.event.name())
        .bind(told.app)
        .bind(told.user_id.to_string())
        .bind(told.screen_name)
        .bind(told.reason)
        .bind(whole_seconds(now))
        .execute(&mut **it)
        .await?.rows_affected());
    Ok(())
}
