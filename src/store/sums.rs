//! Sums of usage: listed by what they are told apart by, in the course of time, and by size.

use crate::model::usage::{Aspect, Hour, Outcome, Sums};
use crate::model::{AuthKind, Endpoint, UserId};
use crate::store::backend::on;
use crate::store::{Error, Store};

/// Which sums to list.
#[derive(Clone, Debug, Default)]
pub struct UsageFilter {
    pub from: Hour,
    /// Not included.
    pub until: Hour,
    pub app: Option<String>,
    pub key_id: Option<String>,
    pub account: Option<UserId>,
    pub by: Grain,
    /// Whether time is told apart by months; both ends have to be begins of some.
    pub months: bool,
    pub limit: u32,
}

/// What sums are told apart by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each of them is a column that counts or does not"
)]
pub struct Grain {
    /// Hours that make one line; 0 for all time.
    pub hours: i64,
    pub app: bool,
    pub key: bool,
    pub account: bool,
    pub endpoint: bool,
    pub auth: bool,
    pub outcome: bool,
}

/// A line of a listing. What it is not told apart by is `None`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsageRow {
    pub hour: Option<Hour>,
    pub app: Option<String>,
    pub key_id: Option<String>,
    /// The inner one is `None` for app-only calls.
    pub account: Option<Option<UserId>>,
    pub endpoint: Option<Endpoint>,
    pub auth: Option<AuthKind>,
    pub outcome: Option<Outcome>,
    pub sums: Sums,
}

/// Sums in the course of time, told apart by the largest of an aspect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsageOfTime {
    pub hour: Hour,
    /// As the database has it; `None` for all that are not among the largest.
    pub told: Option<String>,
    pub sums: Sums,
}

/// That are told apart at once.
pub const MOST_TOLD: usize = 5;

type Row = (i64, String, String, String, String, String, String, i64, i64, i64);

/// What lies between $1 and $8, of an app $3, a key $4 and an account $5 where these are not empty: whole days of the days'
/// sums, or months of the months' where $9 says so, from $6 to $7, hours from $1 to $2 before them, and hours after them.
macro_rules! lines {
    () => {
        "select hour, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes
         from usage_hour where hour >= $1 and hour < $2
             and ($3 = '' or app = $3) and ($4 = '' or key_id = $4) and ($5 = '' or user_id = $5)
         union all
         select day * 24, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes
         from usage_day where not $9 and day >= $6 and day < $7
             and ($3 = '' or app = $3) and ($4 = '' or key_id = $4) and ($5 = '' or user_id = $5)
         union all
         select month * 24, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes
         from usage_month where $9 and month >= $6 and month < $7
             and ($3 = '' or app = $3) and ($4 = '' or key_id = $4) and ($5 = '' or user_id = $5)
         union all
         select hour, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes
         from usage_hour where hour >= $7 * 24 and hour < $8
             and ($3 = '' or app = $3) and ($4 = '' or key_id = $4) and ($5 = '' or user_id = $5)"
    };
}

/// Gives a query what `lines` takes.
macro_rules! bound {
    ($query:expr, $filter:expr) => {{
        let (first, last) = whole_days($filter);
        $query
            .bind($filter.from)
            .bind($filter.until.min(first * 24))
            .bind($filter.app.as_deref().unwrap_or_default())
            .bind($filter.key_id.as_deref().unwrap_or_default())
            .bind($filter.account.map(|it| it.to_string()).unwrap_or_default())
            .bind(first)
            .bind(last)
            .bind($filter.until)
            .bind($filter.months)
    }};
}

/// The column that $10 names.
macro_rules! told {
    () => {
        "case $10 when 'app' then app when 'key' then key_id when 'account' then user_id
             when 'endpoint' then endpoint when 'auth' then auth when 'outcome' then outcome
             else '' end"
    };
}

impl Store {
    /// Sums in the order of what they are told apart by.
    pub async fn list_usage(&self, filter: &UsageFilter) -> Result<Vec<UsageRow>, Error> {
        let sql = concat!(
            "select
                 case when $10 > 0 then hour / $10 * $10 else 0 end,
                 case when $11 then app else '' end, case when $12 then key_id else '' end,
                 case when $13 then user_id else '' end, case when $14 then endpoint else '' end,
                 case when $15 then auth else '' end, case when $16 then outcome else '' end,
                 cast(sum(calls) as bigint), cast(sum(posts) as bigint), cast(sum(bytes) as bigint)
             from (",
            lines!(),
            ") as line
             group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7 limit $17"
        );
        let by = filter.by;
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<Row> = on!(&mut lease, it => bound!(sqlx::query_as(sql), filter)
                .bind(by.hours)
                .bind(by.app)
                .bind(by.key)
                .bind(by.account)
                .bind(by.endpoint)
                .bind(by.auth)
                .bind(by.outcome)
                .bind(i64::from(filter.limit))
                .fetch_all(&mut **it)
                .await?);
            Ok(rows.into_iter().map(|it| read(it, by)).collect())
        })
        .await
    }

    /// The largest of an aspect by calls, as the database has them.
    pub async fn rank_usage(
        &self,
        filter: &UsageFilter,
        aspect: Aspect,
    ) -> Result<Vec<(String, Sums)>, Error> {
        let sql = concat!(
            "select told, cast(sum(calls) as bigint), cast(sum(posts) as bigint),
                 cast(sum(bytes) as bigint)
             from (select ",
            told!(),
            " as told, calls, posts, bytes
                 from (",
            lines!(),
            ") as line) as told_line
             group by 1 order by 2 desc, 1 limit $11"
        );
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<(String, i64, i64, i64)> = on!(&mut lease, it => bound!(sqlx::query_as(sql), filter)
                .bind(aspect.name())
                .bind(i64::from(filter.limit))
                .fetch_all(&mut **it)
                .await?);
            Ok(rows.into_iter().map(|(told, a, b, c)| (told, sums(a, b, c))).collect())
        })
        .await
    }

    /// Sums by the filter's hours, in the course of time; where an aspect is given, those that are `told` apart.
    pub async fn usage_over_time(
        &self,
        filter: &UsageFilter,
        told: Option<(Aspect, &[String])>,
    ) -> Result<Vec<UsageOfTime>, Error> {
        let sql = concat!(
            "select hour / $11 * $11,
                 cast(case when told in ($12, $13, $14, $15, $16) then 1 else 0 end as bigint),
                 case when told in ($12, $13, $14, $15, $16) then told else '' end,
                 cast(sum(calls) as bigint), cast(sum(posts) as bigint), cast(sum(bytes) as bigint)
             from (select hour, ",
            told!(),
            " as told, calls, posts, bytes
                 from (",
            lines!(),
            ") as line) as told_line
             group by 1, 2, 3 order by 1, 2, 3"
        );
        let (aspect, names) = told.map_or(("", &[][..]), |it| (it.0.name(), it.1));
        // What is given twice is found once.
        let name = |index: usize| names.get(index).or(names.first()).map_or("", |it| it.as_str());
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<(i64, i64, String, i64, i64, i64)> = on!(&mut lease, it => bound!(sqlx::query_as(sql), filter)
                .bind(aspect)
                .bind(if filter.months { 1 } else { filter.by.hours.max(1) })
                .bind(name(0))
                .bind(name(1))
                .bind(name(2))
                .bind(name(3))
                .bind(name(4))
                .fetch_all(&mut **it)
                .await?);
            let read = |(hour, is_told, told, calls, posts, bytes): (i64, i64, String, i64, i64, i64)| UsageOfTime {
                hour,
                told: (is_told == 1).then_some(told),
                sums: sums(calls, posts, bytes),
            };
            Ok(rows.into_iter().map(read).collect())
        })
        .await
    }
}

/// The first day that is asked for whole, and the one after the last; both lie behind all where single hours are told
/// apart.
fn whole_days(filter: &UsageFilter) -> (i64, i64) {
    let up = |hour: Hour| hour.div_euclid(24) + i64::from(hour.rem_euclid(24) > 0);
    let first =
        if filter.months || filter.by.hours % 24 == 0 { up(filter.from) } else { up(filter.until) };
    (first, filter.until.div_euclid(24).max(first))
}

fn read(row: Row, by: Grain) -> UsageRow {
    let (hour, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes) = row;
    UsageRow {
        hour: (by.hours > 0).then_some(hour),
        app: by.app.then_some(app),
        key_id: by.key.then_some(key_id),
        account: by.account.then(|| UserId::parse(&user_id)),
        endpoint: Endpoint::from_name(&endpoint),
        auth: AuthKind::from_name(&auth),
        outcome: Outcome::from_name(&outcome),
        sums: sums(calls, posts, bytes),
    }
}

fn sums(calls: i64, posts: i64, bytes: i64) -> Sums {
    let [calls, posts, bytes] =
        [calls, posts, bytes].map(|it| u64::try_from(it).unwrap_or_default());
    Sums { calls, posts, bytes }
}
