//! Recent calls, newest first.

use std::time::Duration;

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::model::call::{Call, CallOutcome, Statuses};
use crate::model::{AuthKind, Endpoint, Metric, UserId};
use crate::store::database::dialect::Work;
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

/// The columns of `call` but its number.
macro_rules! columns {
    () => {
        "called_at, request_id, app, key_id, user_id, endpoint, auth, posts, metrics, status, code,
         attempts, micros, upstream_micros, bytes, subject"
    };
}

/// A row of `call`.
#[derive(FromRow)]
struct Row {
    call_id: i64,
    called_at: OffsetDateTime,
    request_id: String,
    app: String,
    key_id: String,
    user_id: String,
    endpoint: String,
    auth: String,
    posts: i64,
    metrics: String,
    status: i64,
    code: String,
    attempts: i64,
    micros: i64,
    upstream_micros: i64,
    bytes: i64,
    subject: String,
}

impl Store {
    /// Stores calls in this order, and drops all but the newest `kept`.
    pub async fn insert_calls(&self, calls: &[Call], kept: i64) -> Result<(), Error> {
        self.write(|| async {
            let mut work = self.begin().await?;
            for call in calls {
                insert(&mut work, call).await?;
            }
            let prune = "delete from call where call_id <= (select max(call_id) from call) - $1";
            work.execute(work.query(prune).bind(kept)).await?;
            Ok((work, ()))
        })
        .await
    }

    pub async fn find_call(&self, id: i64) -> Result<Option<Call>, Error> {
        let sql = concat!("select call_id, ", columns!(), " from call where call_id = $1");
        let row: Option<Row> = self.fetch_optional(self.query(sql).bind(id)).await?;
        Ok(row.and_then(call))
    }

    /// Up to `limit` calls, newest first, all older than `before`.
    pub async fn list_calls(&self, filter: &CallFilter) -> Result<Vec<Call>, Error> {
        let sql = concat!(
            "select call_id, ",
            columns!(),
            " from call
             where call_id < $1 and ($2 = '' or key_id = $2) and ($3 = '' or user_id = $3)
                 and ($4 = '' or endpoint = $4) and ($5 = '' or request_id = $5)
                 and ($6 = 0 or ($6 = 1 and status > 0 and status < 400)
                     or ($6 = 2 and (status = 0 or status >= 400)))
                 and ($8 = '' or app = $8) and status between $9 and $10
             order by call_id desc limit $7"
        );
        let account = filter.account.map(|user| user.to_string()).unwrap_or_default();
        let outcome: i64 = match filter.outcome {
            None => 0,
            Some(CallOutcome::Ok) => 1,
            Some(CallOutcome::Failed) => 2,
        };
        let (first, last) =
            filter.statuses.map_or((0, u16::MAX), |statuses| (statuses.first, statuses.last));
        let query = self
            .query(sql)
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(filter.key_id.as_deref().unwrap_or_default())
            .bind(account)
            .bind(filter.endpoint.map_or("", Endpoint::name))
            .bind(filter.request_id.as_deref().unwrap_or_default())
            .bind(outcome)
            .bind(i64::from(filter.limit))
            .bind(filter.app.as_deref().unwrap_or_default())
            .bind(i64::from(first))
            .bind(i64::from(last));
        let rows: Vec<Row> = self.fetch_all(query).await?;
        Ok(rows.into_iter().filter_map(call).collect())
    }
}

async fn insert(work: &mut Work, call: &Call) -> Result<(), Error> {
    let sql = concat!(
        "insert into call (",
        columns!(),
        ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
    );
    let metrics: Vec<&str> = call.metrics.iter().map(|metric| metric.name()).collect();
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let query = work
        .query(sql)
        .bind(whole_seconds(call.at))
        .bind(&call.request_id)
        .bind(&call.app)
        .bind(&call.key_id)
        .bind(call.account.map(|user| user.to_string()).unwrap_or_default())
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
        .bind(call.subject.as_deref().unwrap_or_default());
    work.execute(query).await.map(drop)
}

/// `None` for a row whose endpoint this program does not know.
fn call(row: Row) -> Option<Call> {
    let time = |micros: i64| Duration::from_micros(micros.try_into().unwrap_or_default());
    Some(Call {
        id: row.call_id,
        at: row.called_at,
        request_id: row.request_id,
        app: row.app,
        key_id: row.key_id,
        subject: Some(row.subject).filter(|subject| !subject.is_empty()),
        account: UserId::parse(&row.user_id),
        endpoint: Endpoint::from_name(&row.endpoint)?,
        auth: AuthKind::from_name(&row.auth),
        posts: row.posts.try_into().unwrap_or_default(),
        metrics: row.metrics.split(',').filter_map(Metric::from_name).collect(),
        status: u16::try_from(row.status).ok().filter(|status| *status > 0),
        code: Some(row.code).filter(|code| !code.is_empty()),
        attempts: row.attempts.try_into().unwrap_or_default(),
        time: time(row.micros),
        upstream_time: time(row.upstream_micros),
        bytes: row.bytes.try_into().unwrap_or_default(),
    })
}
