//! How calls ended, by minute, app and cause, and whose calls failed.

use std::collections::BTreeMap;

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::model::tally::{Minute, Tally};
use crate::model::{Cause, UserId};
use crate::store::database::dialect::Work;
use crate::store::database::query::tuples;
use crate::store::{Error, Store, whole_seconds};

/// How long tallies are kept: for a comparison with the same hour of the day before.
const KEPT: Minute = 26 * 60;

/// The calls of an app that ended in one way, over some time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndedCalls {
    pub app: String,
    /// Why they failed; `None` for those that succeeded.
    pub cause: Option<Cause>,
    pub calls: u64,
    /// When the last of them ended, in seconds since 1970.
    pub last_at: i64,
}

/// Calls that failed with one key and account, of those that are listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FailedBy {
    pub key_id: String,
    pub account: Option<UserId>,
    pub calls: u64,
}

#[derive(FromRow)]
struct FailedRow {
    key_id: String,
    user_id: String,
    calls: i64,
    listed: i64,
}

#[derive(FromRow)]
struct Row {
    app: String,
    cause: String,
    calls: i64,
    last_at: i64,
}

/// Adds tallies to those of other replicas, in the same order in each, and drops old ones.
pub(super) async fn add(work: &mut Work, tallies: &[Tally]) -> Result<(), Error> {
    let key = |tally: &Tally| {
        (tally.minute, tally.app.clone(), tally.cause.map_or("", Cause::name).to_owned())
    };
    let rows: BTreeMap<_, &Tally> = tallies.iter().map(|tally| (key(tally), tally)).collect();
    let Some(newest) = rows.keys().next_back().map(|(minute, ..)| *minute) else { return Ok(()) };
    let sql = format!(
        "insert into call_tally (minute, app, cause, calls, last_at) values {}
         on conflict (minute, app, cause) do update set calls = call_tally.calls + excluded.calls,
             last_at = case when call_tally.last_at > excluded.last_at
                 then call_tally.last_at else excluded.last_at end",
        tuples(1, 5, rows.len())
    );
    let mut query = work.query_of_many(sql);
    for ((minute, app, cause), tally) in rows {
        let calls = i64::try_from(tally.calls).unwrap_or(i64::MAX);
        query = query.bind(minute).bind(app).bind(cause).bind(calls).bind(tally.last_at);
    }
    work.execute(query).await?;
    let prune = work.query("delete from call_tally where minute < $1").bind(newest - KEPT);
    work.execute(prune).await.map(drop)
}

impl Store {
    /// How the calls of these minutes ended, the last one included, by app and cause.
    pub async fn list_ended_calls(
        &self,
        (first, last): (Minute, Minute),
    ) -> Result<Vec<EndedCalls>, Error> {
        let sql = "select app, cause, cast(sum(calls) as bigint) as calls, max(last_at) as last_at
             from call_tally where minute between $1 and $2 group by app, cause
             order by app, cause";
        let rows: Vec<Row> = self.fetch_all(self.query(sql).bind(first).bind(last)).await?;
        // A newer program may know causes that this one does not.
        let cause = |name: &str| match name {
            "" => None,
            name => Some(Cause::from_name(name).unwrap_or(Cause::Other)),
        };
        let ended = |row: Row| EndedCalls {
            cause: cause(&row.cause),
            app: row.app,
            calls: row.calls.try_into().unwrap_or_default(),
            last_at: row.last_at,
        };
        Ok(rows.into_iter().map(ended).collect())
    }

    /// By key and account, how many of an app's listed calls have failed for a cause since then, the largest first, at
    /// most 200; and how many these are in all.
    pub async fn list_failed_by(
        &self,
        app: &str,
        cause: Cause,
        since: OffsetDateTime,
    ) -> Result<(Vec<FailedBy>, u64), Error> {
        let sql = "select key_id, user_id, count(*) as calls,
                 cast(sum(count(*)) over () as bigint) as listed from call
             where cause = $1 and cause <> '' and app = $2 and called_at >= $3
             group by key_id, user_id order by calls desc, key_id, user_id limit 200";
        let query = self.query(sql).bind(cause.name()).bind(app).bind(whole_seconds(since));
        let rows: Vec<FailedRow> = self.fetch_all(query).await?;
        let failed = |row: FailedRow| FailedBy {
            account: UserId::parse(&row.user_id),
            key_id: row.key_id,
            calls: row.calls.try_into().unwrap_or_default(),
        };
        let listed = rows.first().map_or(0, |row| row.listed.try_into().unwrap_or_default());
        Ok((rows.into_iter().map(failed).collect(), listed))
    }
}
