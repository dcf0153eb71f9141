//! Claims on deliveries: each is sent by one sender at a time, which renews its claim while it sends.

use std::time::Duration;

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::store::database::dialect::Work;
use crate::store::database::query::tuples;
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
/// How many due deliveries a claim looks at.
const MOST_LOOKED_AT: i64 = 100;

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

/// `select` for due deliveries of accounts that none is being sent of, each beside the first one that waits. Those to
/// look at are found first, by an index alone, since PostgreSQL may not know yet how many there are.
macro_rules! due {
    ($only:literal) => {
        concat!(
            "select due.delivery_id, first.delivery_id as first_id, first.attempt_at as first_at
             from (
                 select delivery_id, attempt_at from delivery
                 where webhook_id = $1 and attempt_at is not null and attempt_at <= $2",
            $only,
            "    order by attempt_at, delivery_id limit $3
             ) as looked_at
             join delivery as due on due.delivery_id = looked_at.delivery_id
             join delivery as first on first.delivery_id = (
                 select min(other.delivery_id) from delivery as other
                 where other.webhook_id = due.webhook_id and other.app = due.app
                     and other.user_id = due.user_id and other.attempt_at is not null)
             where not exists (
                 select 1 from delivery as other
                 where other.webhook_id = due.webhook_id and other.app = due.app
                     and other.user_id = due.user_id and other.attempt_at is not null
                     and other.leased_until > $2)
             order by looked_at.attempt_at, looked_at.delivery_id"
        )
    };
}

/// A due delivery, and the first one of its account that waits for the same webhook: itself, or one before.
#[derive(FromRow)]
struct Due {
    delivery_id: i64,
    first_id: i64,
    first_at: OffsetDateTime,
}

/// What a look at a webhook's due deliveries gave.
enum Claim {
    Done(Vec<ClaimedDelivery>),
    /// None that was looked at could be sent, and none of them will be looked at again soon: there may be others.
    AllPostponed,
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
        let mut failed = None;
        for webhook_id in self.list_claimable_webhooks(now, until).await? {
            loop {
                match self.claim(&webhook_id, most, now, until).await {
                    Ok(Claim::Done(claimed)) if claimed.is_empty() => break,
                    Ok(Claim::Done(claimed)) => return Ok(claimed),
                    Ok(Claim::AllPostponed) => (),
                    // What one webhook runs into is in no other's way.
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
        }
        failed.map_or(Ok(Vec::new()), Err)
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
    ) -> Result<Claim, Error> {
        // Locks the webhook, so that of many replicas one claims at a time.
        let lock = "update webhook set leased_until = $2 where webhook_id = $1
             returning failing_since, paused_until";
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work.query(lock).bind(webhook_id).bind(whole_seconds(now));
            let webhook: Option<(Option<OffsetDateTime>, Option<OffsetDateTime>)> =
                work.fetch_optional(query).await?;
            let Some((failing_since, paused_until)) = webhook else {
                return Ok((work, Claim::Done(Vec::new())));
            };
            // A rest that began since it was listed.
            if paused_until.is_some_and(|until| now < until && until <= now + LONGEST_REST) {
                return Ok((work, Claim::Done(Vec::new())));
            }
            let query = work
                .query(count_sending!("$3"))
                .bind(whole_seconds(now))
                .bind(whole_seconds(until + SKEW))
                .bind(webhook_id);
            let (sending,): (i64,) = work.fetch_one(query).await?;
            let at_once = if failing_since.is_some() { 1 } else { MOST_AT_ONCE };
            let room = usize::try_from(at_once - sending).unwrap_or_default().min(most);
            let (numbers, postponed) = find_due(&mut work, webhook_id, room, now).await?;
            let mut claimed = Vec::with_capacity(numbers.len());
            for number in &numbers {
                claimed.extend(begin_attempt(&mut work, *number, failing_since, now, until).await?);
            }
            if claimed.is_empty() && (postponed || !numbers.is_empty()) {
                return Ok((work, Claim::AllPostponed));
            }
            Ok((work, Claim::Done(claimed)))
        })
        .await
    }
}

/// The numbers of the deliveries to send next, at most `room`. Those that wait for an earlier one of their account are
/// postponed until that is due, so that however many there are, none of them is looked at again before; the second value
/// says whether there were any.
async fn find_due(
    work: &mut Work,
    webhook_id: &str,
    room: usize,
    now: OffsetDateTime,
) -> Result<(Vec<i64>, bool), Error> {
    let of_endings = due!(
        " and event in ('account.revoked', 'account.blocked', 'account.quarantined', 'account.removed')"
    );
    let (mut numbers, mut postponed) = (Vec::new(), false);
    for sql in [of_endings, due!("")] {
        if numbers.len() >= room {
            break;
        }
        let query = work.query(sql).bind(webhook_id).bind(whole_seconds(now)).bind(MOST_LOOKED_AT);
        let found: Vec<Due> = work.fetch_all(query).await?;
        for due in found.iter().filter(|due| due.first_at <= now) {
            if !numbers.contains(&due.first_id) && numbers.len() < room {
                numbers.push(due.first_id);
            }
        }
        let blocked: Vec<&Due> = found.iter().filter(|due| due.first_at > now).collect();
        postponed |= !blocked.is_empty();
        postpone(work, &blocked).await?;
    }
    Ok((numbers, postponed))
}

async fn postpone(work: &mut Work, blocked: &[&Due]) -> Result<(), Error> {
    if blocked.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "update delivery set attempt_at = later.column2
         from (values {}) as later where delivery_id = later.column1",
        tuples(1, 2, blocked.len())
    );
    let query = work.query_of_many(sql);
    let query = blocked
        .iter()
        .fold(query, |query, due| query.bind(due.delivery_id).bind(whole_seconds(due.first_at)));
    work.execute(query).await.map(drop)
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
