//! Recent calls, newest first, and how all calls ended.

use std::time::Duration;

use sqlx_macros::FromRow;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::model::call::{Attempt, Call, CallOutcome, Said, Statuses};
use crate::model::tally::Tally;
use crate::model::{AuthKind, Cause, Endpoint, Metric, UserId};
use crate::store::database::dialect::Work;
use crate::store::{Error, Store, tally, whole_seconds};

/// Which calls to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    pub app: Option<String>,
    pub key_id: Option<String>,
    pub account: Option<UserId>,
    pub endpoint: Option<Endpoint>,
    pub outcome: Option<CallOutcome>,
    pub cause: Option<Cause>,
    pub statuses: Option<Statuses>,
    pub request_id: Option<String>,
    pub from: Option<OffsetDateTime>,
    /// Exclusive.
    pub until: Option<OffsetDateTime>,
    /// The number of the last call on the previous page.
    pub before: Option<i64>,
    pub limit: u32,
}

/// Before and after all calls.
const EARLIEST: OffsetDateTime = datetime!(1970-01-01 0:00 UTC);
const LATEST: OffsetDateTime = datetime!(9999-12-31 0:00 UTC);

/// The columns of `call` but its number.
macro_rules! columns {
    () => {
        "called_at, request_id, app, key_id, user_id, endpoint, auth, posts, metrics, status, code,
         attempts, micros, upstream_micros, bytes, subject, cause, said_code, said, said_form, tries"
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
    cause: String,
    said_code: i64,
    said: String,
    said_form: String,
    tries: String,
}

impl Store {
    /// Stores calls in this order, and drops all but the newest `kept`; and adds how calls ended.
    pub async fn insert_calls(
        &self,
        calls: &[Call],
        tallies: &[Tally],
        kept: i64,
    ) -> Result<(), Error> {
        self.write(|| async {
            let mut work = self.begin().await?;
            for call in calls {
                insert(&mut work, call).await?;
            }
            let prune = "delete from call where call_id <= (select max(call_id) from call) - $1";
            work.execute(work.query(prune).bind(kept)).await?;
            tally::add(&mut work, tallies).await?;
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
                 and ($6 = 0 or ($6 = 1 and cause = '' and status > 0 and status < 400)
                     or ($6 = 2 and (cause <> '' or status = 0 or status >= 400)))
                 and ($8 = '' or app = $8) and status between $9 and $10
                 and ($11 = '' or cause = $11) and called_at >= $12 and called_at < $13
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
            .bind(i64::from(last))
            .bind(filter.cause.map_or("", Cause::name))
            .bind(whole_seconds(filter.from.unwrap_or(EARLIEST)))
            .bind(whole_seconds(filter.until.unwrap_or(LATEST)));
        let rows: Vec<Row> = self.fetch_all(query).await?;
        Ok(rows.into_iter().filter_map(call).collect())
    }
}

async fn insert(work: &mut Work, call: &Call) -> Result<(), Error> {
    let sql = concat!(
        "insert into call (",
        columns!(),
        ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
             $21)"
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
        .bind(call.endpoint.map_or("", Endpoint::name))
        .bind(call.auth.map_or("", AuthKind::name))
        .bind(i64::try_from(call.posts).unwrap_or(i64::MAX))
        .bind(metrics.join(","))
        .bind(i64::from(call.status.unwrap_or_default()))
        .bind(call.code.as_deref().unwrap_or_default())
        .bind(i64::from(call.attempts))
        .bind(micros(call.time))
        .bind(micros(call.upstream_time))
        .bind(i64::try_from(call.bytes).unwrap_or(i64::MAX))
        .bind(call.subject.as_deref().unwrap_or_default())
        .bind(call.cause.map_or("", Cause::name))
        .bind(i64::from(call.said.as_ref().and_then(|said| said.code).unwrap_or_default()))
        .bind(call.said.as_ref().map_or("", |said| &*said.text))
        .bind(call.said.as_ref().map_or("", |said| &*said.form))
        .bind(written(&call.tries));
    work.execute(query).await.map(drop)
}

/// `None` for a row whose endpoint this program does not know.
fn call(row: Row) -> Option<Call> {
    let endpoint = match &*row.endpoint {
        "" => None,
        name => Some(Endpoint::from_name(name)?),
    };
    let said = (!row.said.is_empty()).then(|| Said {
        code: u16::try_from(row.said_code).ok().filter(|code| *code > 0),
        text: row.said.into(),
        form: row.said_form.into(),
    });
    let time = |micros: i64| Duration::from_micros(micros.try_into().unwrap_or_default());
    Some(Call {
        id: row.call_id,
        at: row.called_at,
        request_id: row.request_id,
        app: row.app,
        key_id: row.key_id,
        subject: Some(row.subject).filter(|subject| !subject.is_empty()),
        account: UserId::parse(&row.user_id),
        endpoint,
        auth: AuthKind::from_name(&row.auth),
        posts: row.posts.try_into().unwrap_or_default(),
        metrics: row.metrics.split(',').filter_map(Metric::from_name).collect(),
        status: u16::try_from(row.status).ok().filter(|status| *status > 0),
        code: Some(row.code).filter(|code| !code.is_empty()),
        cause: Cause::from_name(&row.cause),
        said,
        attempts: row.attempts.try_into().unwrap_or_default(),
        tries: row.tries.split(',').filter_map(attempt).collect(),
        time: time(row.micros),
        upstream_time: time(row.upstream_micros),
        bytes: row.bytes.try_into().unwrap_or_default(),
    })
}

/// Requests as text, such as `503:12000,200:9000`; 0 stands for no status, and nothing for no time.
fn written(tries: &[Attempt]) -> String {
    let written = |attempt: &Attempt| {
        let time = attempt.time.map(|time| time.as_micros().to_string()).unwrap_or_default();
        format!("{}:{time}", attempt.status.unwrap_or_default())
    };
    tries.iter().map(written).collect::<Vec<_>>().join(",")
}

fn attempt(text: &str) -> Option<Attempt> {
    let (status, micros) = text.split_once(':')?;
    let status = status.parse().ok().filter(|status| *status > 0);
    Some(Attempt { status, time: micros.parse().ok().map(Duration::from_micros) })
}
