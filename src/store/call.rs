//! Recent calls, newest first.

use std::time::Duration;

use time::OffsetDateTime;

use crate::model::call::{Call, CallOutcome, Statuses};
use crate::model::{AuthKind, Endpoint, Metric, UserId};
use crate::store::database::dialect::{Work, on};
use crate::store::{Error, Store, whole_seconds};

/// Which calls to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    pub app: Option<String>,
    pub key_id: Option<String>,
    pub account: Option<UserId>,
    pub endpoint: Option<Endpoint>,
    pub outcome: Option<CallOutcome>,
    pub statuses: Option<Statuses>,
    pub request_id: Option<String>,
    /// The number of the last call on the previous page.
    pub before: Option<i64>,
    pub limit: u32,
}

type Row = (
    i64,
    OffsetDateTime,
    String,
    String,
    String,
    String,
    String,
    String,
    i64,
    String,
    i64,
    String,
    i64,
    i64,
    i64,
    i64,
);

impl Store {
    /// Stores calls in this order, and drops all but the newest `kept`.
    pub async fn insert_calls(&self, calls: &[Call], kept: i64) -> Result<(), Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let mut work = lease.begin().await?;
            for call in calls {
                insert(&mut work, call).await?;
            }
            let prune = "delete from call where call_id <= (select max(call_id) from call) - $1";
            on!(&mut work, it => sqlx::query(prune).bind(kept).execute(&mut **it).await?.rows_affected());
            work.commit().await
        })
        .await
    }

    pub async fn find_call(&self, id: i64) -> Result<Option<Call>, Error> {
        let sql = "select call_id, called_at, request_id, app, key_id, user_id, endpoint, auth,
                 posts, metrics, status, code, attempts, micros, upstream_micros, bytes
             from call where call_id = $1";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let row: Option<Row> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(id)
                .fetch_optional(&mut **it)
                .await?);
            Ok(row.and_then(|it| read(&it)))
        })
        .await
    }

    /// Up to `limit` calls, newest first, all older than `before`.
    pub async fn list_calls(&self, filter: &CallFilter) -> Result<Vec<Call>, Error> {
        let sql = "select call_id, called_at, request_id, app, key_id, user_id, endpoint, auth,
                 posts, metrics, status, code, attempts, micros, upstream_micros, bytes
             from call
             where call_id < $1 and ($2 = '' or key_id = $2) and ($3 = '' or user_id = $3)
                 and ($4 = '' or endpoint = $4) and ($5 = '' or request_id = $5)
                 and ($6 = 0 or ($6 = 1 and status > 0 and status < 400)
                     or ($6 = 2 and (status = 0 or status >= 400)))
                 and ($8 = '' or app = $8) and status between $9 and $10
             order by call_id desc limit $7";
        let account = filter.account.map(|it| it.to_string()).unwrap_or_default();
        let outcome: i64 = match filter.outcome {
            None => 0,
            Some(CallOutcome::Ok) => 1,
            Some(CallOutcome::Failed) => 2,
        };
        let (first, last) = filter.statuses.map_or((0, u16::MAX), |it| (it.first, it.last));
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<Row> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(filter.before.unwrap_or(i64::MAX))
                .bind(filter.key_id.as_deref().unwrap_or_default())
                .bind(&account)
                .bind(filter.endpoint.map_or("", Endpoint::name))
                .bind(filter.request_id.as_deref().unwrap_or_default())
                .bind(outcome)
                .bind(i64::from(filter.limit))
                .bind(filter.app.as_deref().unwrap_or_default())
                .bind(i64::from(first))
                .bind(i64::from(last))
                .fetch_all(&mut **it)
                .await?);
            Ok(rows.into_iter().filter_map(|it| read(&it)).collect())
        })
        .await
    }
}

async fn insert(work: &mut Work<'_>, call: &Call) -> Result<(), Error> {
    let sql =
        "insert into call (called_at, request_id, app, key_id, user_id, endpoint, auth, posts,
             metrics, status, code, attempts, micros, upstream_micros, bytes)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    let metrics: Vec<&str> = call.metrics.iter().map(|it| it.name()).collect();
    let micros = |it: Duration| i64::try_from(it.as_micros()).unwrap_or(i64::MAX);
    on!(work, it => sqlx::query(sql)
        .bind(whole_seconds(call.at))
        .bind(&call.request_id)
        .bind(&call.app)
        .bind(&call.key_id)
        .bind(call.account.map(|it| it.to_string()).unwrap_or_default())
        .bind(call.endpoint.name())
        .bind(call.auth.map_or("", AuthKind::name))
        .bind(i64::try_from(call.posts).unwrap_or(i64::MAX))
        .bind(metrics.join(","))
        .bind(i64::from(call.status.unwrap_or_default()))
        .bind(call.code.as_deref().unwrap_or_default())
        .bind(i64::from(call.attempts))
        .bind(micros(call.time))
        .bind(micros(call.upstream_time))
        .bind(i64::try_from(call.bytes).unwrap_or(i64::MAX))
        .execute(&mut **it)
        .await?.rows_affected());
    Ok(())
}

/// `None` for a row whose endpoint this program does not know.
fn read(row: &Row) -> Option<Call> {
    let (id, at, request_id, app, key_id, user_id, endpoint, auth, posts, metrics, ..) = row;
    let (.., status, code, attempts, micros, upstream_micros, bytes) = row;
    let time = |micros: &i64| Duration::from_micros((*micros).try_into().unwrap_or_default());
    Some(Call {
        id: *id,
        at: *at,
        request_id: request_id.clone(),
        app: app.clone(),
        key_id: key_id.clone(),
        account: UserId::parse(user_id),
        endpoint: Endpoint::from_name(endpoint)?,
        auth: AuthKind::from_name(auth),
        posts: (*posts).try_into().unwrap_or_default(),
        metrics: metrics.split(',').filter_map(Metric::from_name).collect(),
        status: u16::try_from(*status).ok().filter(|it| *it > 0),
        code: Some(code.clone()).filter(|it| !it.is_empty()),
        attempts: (*attempts).try_into().unwrap_or_default(),
        time: time(micros),
        upstream_time: time(upstream_micros),
        bytes: (*bytes).try_into().unwrap_or_default(),
    })
}
