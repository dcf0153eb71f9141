//! Usage: sums that processes add to, the accounts of each month, and who added up to when.

use time::OffsetDateTime;

use crate::model::UserId;
use crate::model::usage::{Aspect, Line, Month, Sums, begin_of, hour_of};
use crate::store::backend::{Work, on};
use crate::store::{Error, Store, survey, whole_seconds};

/// What one process adds at once. Writing the same `number` again adds nothing.
#[derive(Clone, Debug)]
pub struct UsageBatch {
    pub writer_id: String,
    /// Counted from 1 for each writer.
    pub number: i64,
    pub lines: Vec<(Line, Sums)>,
    pub used: Vec<UsedAccount>,
    /// Calls that were not kept, all told.
    pub lost_calls: u64,
    /// Whether nothing is left to write.
    pub is_settled: bool,
}

/// An account whose token an app used in a month.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsedAccount {
    pub month: Month,
    pub app: String,
    pub account: UserId,
    pub at: OffsetDateTime,
}

/// A process that added to the sums.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsageWriter {
    pub id: String,
    pub began_at: OffsetDateTime,
    pub written_at: OffsetDateTime,
    pub settled_at: Option<OffsetDateTime>,
    pub lost_calls: i64,
}

impl Store {
    /// Adds a batch in one transaction, once.
    pub async fn write_usage(&self, batch: &UsageBatch, now: OffsetDateTime) -> Result<(), Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let mut work = lease.begin().await?;
            if !count_write(&mut work, batch, now).await? {
                return Ok(());
            }
            for (line, sums) in &batch.lines {
                add_line(&mut work, line, *sums).await?;
                add_to_day(&mut work, line, *sums).await?;
                add_to_month(&mut work, line, *sums).await?;
            }
            survey::add_told(&mut work, &batch.lines).await?;
            for used in &batch.used {
                add_account(&mut work, used).await?;
            }
            work.commit().await
        })
        .await
    }

    /// How many accounts each app used in each month since `from`, newest month first.
    pub async fn count_used_accounts(
        &self,
        from: Month,
    ) -> Result<Vec<(Month, String, u64)>, Error> {
        let sql = "select month, app, count(*) from account_month where month >= $1
             group by month, app order by month desc, app";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<(String, String, i64)> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(from.to_string())
                .fetch_all(&mut **it)
                .await?);
            let read = |(month, app, count): (String, String, i64)| {
                Some((Month::parse(&month)?, app, u64::try_from(count).unwrap_or_default()))
            };
            Ok(rows.into_iter().filter_map(read).collect())
        })
        .await
    }

    /// The accounts that an app used in a month.
    pub async fn list_used_accounts(&self, app: &str, month: Month) -> Result<Vec<UserId>, Error> {
        let sql = "select user_id from account_month
             where month = $1 and app = $2 order by user_id";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<String> = on!(&mut lease, it => sqlx::query_scalar(sql)
                .bind(month.to_string())
                .bind(app)
                .fetch_all(&mut **it)
                .await?);
            Ok(rows.iter().filter_map(|it| UserId::parse(it)).collect())
        })
        .await
    }

    /// Processes that wrote since `since`, the latest first.
    pub async fn list_usage_writers(
        &self,
        since: OffsetDateTime,
    ) -> Result<Vec<UsageWriter>, Error> {
        type Row = (String, OffsetDateTime, OffsetDateTime, Option<OffsetDateTime>, i64);
        let sql = "select writer_id, began_at, written_at, settled_at, lost_calls from usage_writer
             where written_at >= $1 order by written_at desc, writer_id";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<Row> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(whole_seconds(since))
                .fetch_all(&mut **it)
                .await?);
            let read = |(id, began_at, written_at, settled_at, lost_calls): Row| UsageWriter {
                id,
                began_at,
                written_at,
                settled_at,
                lost_calls,
            };
            Ok(rows.into_iter().map(read).collect())
        })
        .await
    }

    /// Drops what lies before `before`; sums by whole days, since those of hours and of days shall agree.
    pub async fn prune_usage(&self, before: OffsetDateTime) -> Result<(), Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let mut work = lease.begin().await?;
            let day = hour_of(before).div_euclid(24);
            let at = whole_seconds(before);
            let month = Month::of(before).to_string();
            on!(&mut work, it => sqlx::query("delete from usage_hour where hour < $1").bind(day * 24).execute(&mut **it).await?.rows_affected());
            on!(&mut work, it => sqlx::query("delete from usage_day where day < $1").bind(day).execute(&mut **it).await?.rows_affected());
            let first_day = Month::of(before).begin() / 24;
            let months = on!(&mut work, it => sqlx::query("delete from usage_month where month < $1").bind(first_day).execute(&mut **it).await?.rows_affected());
            // Its months are found by looking at all.
            if months > 0 {
                on!(&mut work, it => sqlx::query("delete from usage_month_told where month < $1").bind(first_day).execute(&mut **it).await?.rows_affected());
            }
            for aspect in Aspect::ALL {
                let name = aspect.name();
                on!(&mut work, it => sqlx::query("delete from usage_day_told where aspect = $1 and day < $2").bind(name).bind(day).execute(&mut **it).await?.rows_affected());
            }
            on!(&mut work, it => sqlx::query("delete from account_month where month < $1").bind(&month).execute(&mut **it).await?.rows_affected());
            on!(&mut work, it => sqlx::query("delete from usage_writer where written_at < $1").bind(at).execute(&mut **it).await?.rows_affected());
            work.commit().await
        })
        .await
    }
}

/// Whether this batch was not written before.
async fn count_write(
    work: &mut Work<'_>,
    batch: &UsageBatch,
    now: OffsetDateTime,
) -> Result<bool, Error> {
    let sql = "insert into usage_writer
             (writer_id, began_at, written_at, settled_at, writes, lost_calls)
         values ($1, $2, $2, $3, $4, $5)
         on conflict (writer_id) do update set
             written_at = excluded.written_at, settled_at = excluded.settled_at,
             writes = excluded.writes, lost_calls = excluded.lost_calls
         where usage_writer.writes < excluded.writes";
    let now = whole_seconds(now);
    let written = on!(work, it => sqlx::query(sql)
        .bind(&batch.writer_id)
        .bind(now)
        .bind(batch.is_settled.then_some(now))
        .bind(batch.number)
        .bind(whole(batch.lost_calls))
        .execute(&mut **it)
        .await?.rows_affected());
    Ok(written > 0)
}

async fn add_line(work: &mut Work<'_>, line: &Line, sums: Sums) -> Result<(), Error> {
    let sql = "insert into usage_hour
             (hour, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (hour, app, key_id, user_id, endpoint, auth, outcome) do update set
             calls = usage_hour.calls + excluded.calls, posts = usage_hour.posts + excluded.posts,
             bytes = usage_hour.bytes + excluded.bytes";
    add(work, sql, line.hour, line, sums).await
}

/// The sums of whole days and months, so that those of a year need not be made of all its hours.
async fn add_to_day(work: &mut Work<'_>, line: &Line, sums: Sums) -> Result<(), Error> {
    let sql = "insert into usage_day
             (day, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (day, app, key_id, user_id, endpoint, auth, outcome) do update set
             calls = usage_day.calls + excluded.calls, posts = usage_day.posts + excluded.posts,
             bytes = usage_day.bytes + excluded.bytes";
    add(work, sql, line.hour.div_euclid(24), line, sums).await
}

async fn add_to_month(work: &mut Work<'_>, line: &Line, sums: Sums) -> Result<(), Error> {
    let sql = "insert into usage_month
             (month, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (month, app, key_id, user_id, endpoint, auth, outcome) do update set
             calls = usage_month.calls + excluded.calls,
             posts = usage_month.posts + excluded.posts,
             bytes = usage_month.bytes + excluded.bytes";
    let first_day = Month::of(begin_of(line.hour)).begin() / 24;
    add(work, sql, first_day, line, sums).await
}

async fn add(
    work: &mut Work<'_>,
    sql: &'static str,
    time: i64,
    line: &Line,
    sums: Sums,
) -> Result<(), Error> {
    on!(work, it => sqlx::query(sql)
        .bind(time)
        .bind(&line.app)
        .bind(&line.key_id)
        .bind(line.account.map(|it| it.to_string()).unwrap_or_default())
        .bind(line.endpoint.name())
        .bind(line.auth.name())
        .bind(line.outcome.name())
        .bind(whole(sums.calls))
        .bind(whole(sums.posts))
        .bind(whole(sums.bytes))
        .execute(&mut **it)
        .await?.rows_affected());
    Ok(())
}

async fn add_account(work: &mut Work<'_>, used: &UsedAccount) -> Result<(), Error> {
    let sql = "insert into account_month (month, app, user_id, first_used_at)
         values ($1, $2, $3, $4) on conflict (month, app, user_id) do nothing";
    on!(work, it => sqlx::query(sql)
        .bind(used.month.to_string())
        .bind(&used.app)
        .bind(used.account.to_string())
        .bind(whole_seconds(used.at))
        .execute(&mut **it)
        .await?.rows_affected());
    Ok(())
}

pub(super) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
