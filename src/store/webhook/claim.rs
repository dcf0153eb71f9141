//! Claims on deliveries: each is sent by one sender at a time, which renews its claim while it sends.

use std::time::Duration;

use time::OffsetDateTime;

use crate::store::database::dialect::Work;
use crate::store::webhook::delivery::{
    ClaimedDelivery, Row, StoredDelivery, UNREADABLE, delivery_columns,
};
use crate::store::{Error, Store, whole_seconds};

/// How far replicas' clocks may differ before a time that another has stored is ignored.
const SKEW: Duration = Duration::from_mins(5);
/// The longest time for which nothing is sent to a failing receiver.
const LONGEST_REST: Duration = Duration::from_hours(1);
/// How many events of a webhook are sent at a time, by all replicas together; to one that fails, one at a time.
const MOST_AT_ONCE: i64 = 8;

/// The deliveries of a webhook that are being sent.
macro_rules! count_sending {
    ($webhook:literal) => {
        concat!(
            "select count(*) from delivery where delivery.webhook_id = ",
            $webhook,
            " and leased_until > $1 and leased_until <= $2"
        )
    };
}

/// `select` for the numbers of deliveries that may be sent, each the first one of its account. The condition on
/// `head` is followed by what only this query wants.
macro_rules! heads {
    ($from:literal, $order:literal) => {
        concat!(
            "select head.delivery_id from ",
            $from,
            " head.webhook_id = $1 and head.attempt_at <= $2 and not exists (
                 select 1 from delivery as other
                 where other.webhook_id = head.webhook_id and other.app = head.app
                     and other.user_id = head.user_id and other.attempt_at is not null
                     and other.delivery_id <> head.delivery_id
                     and (other.delivery_id < head.delivery_id or other.leased_until > $2)
             ) order by ",
            $order,
            " limit $3"
        )
    };
}

impl Store {
    /// Claims up to `most` due deliveries of one webhook until `until`, and records an attempt for each. Webhooks take
    /// turns. What ends an account goes first, together with the earlier events of that account: an event never
    /// overtakes another of the same account that waits for the same webhook, and only one of them is sent at a time.
    pub async fn claim_deliveries(
        &self,
        most: usize,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<ClaimedDelivery>, Error> {
        for webhook_id in self.list_claimable_webhooks(now, until).await? {
            let claimed = self.claim(&webhook_id, most, now, until).await?;
            if !claimed.is_empty() {
                return Ok(claimed);
            }
        }
        Ok(Vec::new())
    }

    /// Keeps a claim until `until`; false when it is over, since somebody else has taken the delivery or removed it.
    pub async fn renew_claim(
        &self,
        claimed: &ClaimedDelivery,
        until: OffsetDateTime,
    ) -> Result<bool, Error> {
        let sql = "update delivery set attempt_at = $3, leased_until = $3
             where delivery_id = $1 and attempts = $2 and leased_until is not null";
        let query = self
            .query(sql)
            .bind(claimed.delivery.number)
            .bind(i64::from(claimed.delivery.attempts))
            .bind(whole_seconds(until));
        Ok(self.execute(query).await? > 0)
    }

    /// Webhooks with a due delivery, room for another sender and no rest; the longest-waiting first. Ignores stored
    /// times too far ahead for any clock to have meant them.
    async fn list_claimable_webhooks(
        &self,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<String>, Error> {
        let sql = concat!(
            "select webhook_id from webhook
             where (paused_until is null or paused_until <= $1 or paused_until > $3)
                 and exists (select 1 from delivery
                     where delivery.webhook_id = webhook.webhook_id and attempt_at <= $1)
                 and (",
            count_sending!("webhook.webhook_id"),
            ") < case when failing_since is null then $4 else 1 end
             order by webhook.leased_until, webhook_id"
        );
        let query = self
            .query(sql)
            .bind(whole_seconds(now))
            .bind(whole_seconds(until + SKEW))
            .bind(whole_seconds(now + LONGEST_REST))
            .bind(MOST_AT_ONCE);
        let rows: Vec<(String,)> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    async fn claim(
        &self,
        webhook_id: &str,
        most: usize,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<ClaimedDelivery>, Error> {
        // Locks the webhook, so that of many replicas one claims at a time.
        let lock =
            "update webhook set leased_until = $2 where webhook_id = $1 returning failing_since";
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work.query(lock).bind(webhook_id).bind(whole_seconds(now));
            let webhook: Option<(Option<OffsetDateTime>,)> = work.fetch_optional(query).await?;
            let Some((failing_since,)) = webhook else { return Ok((work, Vec::new())) };
            let query = work
                .query(count_sending!("$3"))
                .bind(whole_seconds(now))
                .bind(whole_seconds(until + SKEW))
                .bind(webhook_id);
            let (sending,): (i64,) = work.fetch_one(query).await?;
            let at_once = if failing_since.is_some() { 1 } else { MOST_AT_ONCE };
            let room = usize::try_from(at_once - sending).unwrap_or_default().min(most);
            let mut claimed = Vec::with_capacity(room);
            for number in find_due(&mut work, webhook_id, room, now).await? {
                claimed.extend(begin_attempt(&mut work, number, failing_since, now, until).await?);
            }
            Ok((work, claimed))
        })
        .await
    }
}

/// The numbers of the deliveries to send next, at most `room`.
async fn find_due(
    work: &mut Work,
    webhook_id: &str,
    room: usize,
    now: OffsetDateTime,
) -> Result<Vec<i64>, Error> {
    // The condition on `ending` is that of its index.
    let of_endings = heads!(
        "delivery as ending join delivery as head
             on head.webhook_id = ending.webhook_id and head.app = ending.app
             and head.user_id = ending.user_id
         where ending.webhook_id = $1 and ending.attempt_at is not null
             and ending.event in ('account.revoked', 'account.blocked', 'account.quarantined', 'account.removed')
             and ending.attempt_at <= $2 and",
        "ending.attempt_at, ending.delivery_id"
    );
    let of_any = heads!("delivery as head where", "head.attempt_at, head.delivery_id");
    let mut numbers = Vec::new();
    for sql in [of_endings, of_any] {
        if numbers.len() >= room {
            break;
        }
        let query = work
            .query(sql)
            .bind(webhook_id)
            .bind(whole_seconds(now))
            .bind(i64::try_from(room).unwrap_or(i64::MAX));
        let rows: Vec<(i64,)> = work.fetch_all(query).await?;
        for (number,) in rows {
            if !numbers.contains(&number) && numbers.len() < room {
                numbers.push(number);
            }
        }
    }
    Ok(numbers)
}

/// Records an attempt. `None` for a delivery that this program cannot read, such as an event of a later version, which
/// is postponed, so that it holds up only its own account.
async fn begin_attempt(
    work: &mut Work,
    number: i64,
    failing_since: Option<OffsetDateTime>,
    now: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Option<ClaimedDelivery>, Error> {
    let begin = concat!(
        "update delivery set attempts = attempts + 1, attempt_at = $2, leased_until = $2,
             attempted_at = coalesce(attempted_at, $3)
         where delivery_id = $1 and attempt_at <= $3
         returning ",
        delivery_columns!()
    );
    let postpone = "update delivery
         set attempts = attempts - 1, attempt_at = $2, leased_until = null, failure = $3,
             attempted_at = case when attempts > 1 then attempted_at end
         where delivery_id = $1";
    let query = work.query(begin).bind(number).bind(whole_seconds(until)).bind(whole_seconds(now));
    let row: Option<Row> = work.fetch_optional(query).await?;
    let Some(mut row) = row else { return Ok(None) };
    let sealed_link = row.sealed_link.take();
    let StoredDelivery { delivery, sealed_proof } = row.into();
    let Ok(delivery) = delivery else {
        let later = whole_seconds(now + LONGEST_REST);
        work.execute(work.query(postpone).bind(number).bind(later).bind(UNREADABLE)).await?;
        return Ok(None);
    };
    Ok(Some(ClaimedDelivery { delivery, sealed_proof, sealed_link, failing_since }))
}

#[cfg(test)]
mod tests {
    use crate::model::webhook::Event;

    /// The index and the query that it serves name them one by one.
    #[test]
    fn what_ends_an_account_is_what_goes_first() {
        let ending: Vec<String> = Event::ALL
            .into_iter()
            .filter(|event| event.ends_account())
            .map(|event| format!("'{}'", event.name()))
            .collect();
        let condition = format!("event in ({})", ending.join(", "));
        for text in [
            include_str!("claim.rs"),
            include_str!("../../../migrations/postgres/0002_events_in_parallel.sql"),
            include_str!("../../../migrations/sqlite/0002_events_in_parallel.sql"),
        ] {
            assert!(text.contains(&condition), "{condition}");
        }
    }
}
