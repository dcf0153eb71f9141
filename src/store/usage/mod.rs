//! Usage: sums that processes add to, the accounts used in each month, and which process has written up to when.

pub(super) mod read;
pub(super) mod series;
pub(super) mod write;

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::model::UserId;
use crate::model::usage::{Aspect, Line, Month, Sums, hour_of};
use crate::store::database::dialect::Work;
use crate::store::usage::write::{UsedAccount, whole};
use crate::store::{Error, Store, whole_seconds};

/// Usage that one process adds at once. Writing the same `number` again adds nothing.
#[derive(Clone, Debug)]
pub struct UsageBatch {
    pub writer_id: String,
    /// Counted from 1 for each writer.
    pub number: i64,
    pub lines: Vec<(Line, Sums)>,
    pub used: Vec<UsedAccount>,
    /// Calls that were not kept, in total.
    pub lost_calls: u64,
    /// Calls that were counted, in total.
    pub counted_calls: u64,
    /// Whether nothing is left to write.
    pub is_settled: bool,
}

/// A process that added to the sums.
#[derive(Clone, Debug, Eq, FromRow, PartialEq)]
pub struct UsageWriter {
    #[sqlx(rename = "writer_id")]
    pub id: String,
    pub started_at: OffsetDateTime,
    pub written_at: OffsetDateTime,
    pub settled_at: Option<OffsetDateTime>,
    /// Calls that it could not keep until they were written.
    pub lost_calls: i64,
    /// Calls that it reported as counted but has not written, including the lost ones.
    pub unwritten_calls: i64,
}

impl Store {
    /// Adds a batch in one transaction, once.
    pub async fn write_usage(&self, batch: &UsageBatch, now: OffsetDateTime) -> Result<(), Error> {
        self.write(|| async {
            let mut work = self.begin().await?;
            if !count_write(&mut work, batch, now).await? {
                return Ok((work, ()));
            }
            write::add_lines(&mut work, &batch.lines).await?;
            write::add_used(&mut work, &batch.used).await?;
            Ok((work, ()))
        })
        .await
    }

    /// Records how many calls a process has counted so far, so that calls it may never write are known.
    pub async fn update_counted_calls(
        &self,
        writer_id: &str,
        counted_calls: u64,
    ) -> Result<(), Error> {
        let sql = "update usage_writer set counted_calls = $2
             where writer_id = $1 and counted_calls < $2";
        self.execute(self.query(sql).bind(writer_id).bind(whole(counted_calls))).await.map(drop)
    }

    /// How many accounts each app used in each month since `from`, newest month first.
    pub async fn count_used_accounts(
        &self,
        from: Month,
    ) -> Result<Vec<(Month, String, u64)>, Error> {
        let sql = "select month, app, count(*) from account_month where month >= $1
             group by month, app order by month desc, app";
        let query = self.query(sql).bind(from.to_string());
        let rows: Vec<(String, String, i64)> = self.fetch_all(query).await?;
        let read = |(month, app, count): (String, String, i64)| {
            Some((Month::parse(&month)?, app, u64::try_from(count).unwrap_or_default()))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// The accounts that an app used in a month.
    pub async fn list_used_accounts(&self, app: &str, month: Month) -> Result<Vec<UserId>, Error> {
        let sql = "select user_id from account_month
             where month = $1 and app = $2 order by user_id";
        let query = self.query(sql).bind(month.to_string()).bind(app);
        let rows: Vec<(String,)> = self.fetch_all(query).await?;
        Ok(rows.iter().filter_map(|(user,)| UserId::parse(user)).collect())
    }

    /// Processes that wrote since `since`, the latest first.
    pub async fn list_usage_writers(
        &self,
        since: OffsetDateTime,
    ) -> Result<Vec<UsageWriter>, Error> {
        let sql = "select writer_id, started_at, written_at, settled_at, lost_calls,
                 counted_calls - written_calls as unwritten_calls
             from usage_writer where written_at >= $1 order by written_at desc, writer_id";
        self.fetch_all(self.query(sql).bind(whole_seconds(since))).await
    }

    /// Deletes what lies before `before`; sums by whole days, since hourly and daily sums must agree.
    pub async fn prune_usage(&self, before: OffsetDateTime) -> Result<(), Error> {
        self.write(|| async {
            let mut work = self.begin().await?;
            let day = hour_of(before).div_euclid(24);
            let at = whole_seconds(before);
            let month = Month::of(before).to_string();
            let hours = work.query("delete from usage_hour where hour < $1");
            work.execute(hours.bind(day * 24)).await?;
            let days = work.query("delete from usage_day where day < $1");
            work.execute(days.bind(day)).await?;
            let first_day = Month::of(before).begin() / 24;
            let months = work.query("delete from usage_month where month < $1");
            // Finding old months in the other table takes a scan of all of it.
            if work.execute(months.bind(first_day)).await? > 0 {
                let by_aspect = work.query("delete from usage_month_by_aspect where month < $1");
                work.execute(by_aspect.bind(first_day)).await?;
            }
            for aspect in Aspect::ALL {
                let by_aspect =
                    work.query("delete from usage_day_by_aspect where aspect = $1 and day < $2");
                work.execute(by_aspect.bind(aspect.name()).bind(day)).await?;
            }
            let accounts = work.query("delete from account_month where month < $1");
            work.execute(accounts.bind(month)).await?;
            let writers = work.query("delete from usage_writer where written_at < $1");
            work.execute(writers.bind(at)).await?;
            Ok((work, ()))
        })
        .await
    }
}

/// Whether this batch was not written before.
async fn count_write(
    work: &mut Work,
    batch: &UsageBatch,
    now: OffsetDateTime,
) -> Result<bool, Error> {
    let sql = "insert into usage_writer
             (writer_id, started_at, written_at, settled_at, writes, lost_calls, written_calls,
              counted_calls)
         values ($1, $2, $2, $3, $4, $5, $6, $7)
         on conflict (writer_id) do update set
             written_at = excluded.written_at, settled_at = excluded.settled_at,
             writes = excluded.writes, lost_calls = excluded.lost_calls,
             written_calls = usage_writer.written_calls + excluded.written_calls,
             counted_calls = excluded.counted_calls
         where usage_writer.writes < excluded.writes";
    let now = whole_seconds(now);
    let query = work
        .query(sql)
        .bind(&batch.writer_id)
        .bind(now)
        .bind(batch.is_settled.then_some(now))
        .bind(batch.number)
        .bind(whole(batch.lost_calls))
        .bind(whole(batch.lines.iter().map(|(_, sums)| sums.calls).sum()))
        .bind(whole(batch.counted_calls));
    Ok(work.execute(query).await? > 0)
}
