//! Sums of usage, listed by what they are grouped by.

use sqlx_macros::FromRow;

use crate::model::usage::{Hour, Outcome, Sums};
use crate::model::{AuthKind, Endpoint, UserId};
use crate::store::database::query::Query;
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
    /// Whether time is grouped by months; both bounds must then be the start of a month.
    pub months: bool,
    pub limit: u32,
}

/// What sums are grouped by.
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

/// A line of a listing. What it is not grouped by is `None`.
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

/// The columns of a `SumsRow`, over all lines of a group.
macro_rules! sum_columns {
    () => {
        "cast(sum(calls) as bigint) as calls, cast(sum(posts) as bigint) as posts,
         cast(sum(bytes) as bigint) as bytes, cast(sum(saved) as bigint) as saved"
    };
}

/// The sums of a row.
#[derive(FromRow)]
pub(super) struct SumsRow {
    calls: i64,
    posts: i64,
    bytes: i64,
    saved: i64,
}

#[derive(FromRow)]
struct Row {
    hour: i64,
    app: String,
    key_id: String,
    user_id: String,
    endpoint: String,
    auth: String,
    outcome: String,
    #[sqlx(flatten)]
    sums: SumsRow,
}

/// The lines between $1 and $8, of app $3 unless it is empty, limited by `$narrowed`: from $6 to $7 whole days from the
/// daily sums, or months from the monthly ones if $9; before them the hours from $1 to $2, and after them the rest.
macro_rules! lines {
    ($narrowed:literal) => {
        concat!(
            "select hour, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes, saved
             from usage_hour where hour >= $1 and hour < $2 and ($3 = '' or app = $3)",
            $narrowed,
            " union all
             select day * 24, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes, saved
             from usage_day where not $9 and day >= $6 and day < $7 and ($3 = '' or app = $3)",
            $narrowed,
            " union all
             select month * 24, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes, saved
             from usage_month where $9 and month >= $6 and month < $7 and ($3 = '' or app = $3)",
            $narrowed,
            " union all
             select hour, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes, saved
             from usage_hour where hour >= $7 * 24 and hour < $8 and ($3 = '' or app = $3)",
            $narrowed
        )
    };
}

/// A query over lines; those of a key $4 or an account $5 are found by their own indices.
macro_rules! narrowed {
    ($filter:expr, [$($before:tt)*] [$($after:tt)*]) => {
        match ($filter.key_id.is_some(), $filter.account.is_some()) {
            (false, false) => concat!($($before)*, lines!(""), $($after)*),
            (false, true) => concat!($($before)*, lines!(" and user_id = $5"), $($after)*),
            (true, _) => concat!(
                $($before)*,
                lines!(" and key_id = $4 and ($5 = '' or user_id = $5)"),
                $($after)*
            ),
        }
    };
}

pub(super) use {lines, narrowed, sum_columns};

impl Store {
    /// Sums in the order of what they are grouped by.
    pub async fn list_usage(&self, filter: &UsageFilter) -> Result<Vec<UsageRow>, Error> {
        let sql = narrowed!(
            filter,
            [
                "select
                  case when $10 > 0 then hour / $10 * $10 else 0 end as hour,
                  case when $11 then app else '' end as app,
                  case when $12 then key_id else '' end as key_id,
                  case when $13 then user_id else '' end as user_id,
                  case when $14 then endpoint else '' end as endpoint,
                  case when $15 then auth else '' end as auth,
                  case when $16 then outcome else '' end as outcome, ",
                sum_columns!(),
                " from ("
            ][") as line
              group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7 limit $17"]
        );
        let by = filter.by;
        let query = bound(self.query(sql), filter)
            .bind(by.hours)
            .bind(by.app)
            .bind(by.key)
            .bind(by.account)
            .bind(by.endpoint)
            .bind(by.auth)
            .bind(by.outcome)
            .bind(i64::from(filter.limit));
        let rows: Vec<Row> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(|row| read(row, by)).collect())
    }
}

/// Sets the parameters of a query made by `narrowed`.
pub(super) fn bound(query: Query, filter: &UsageFilter) -> Query {
    let (first, last) = whole_days(filter);
    query
        .bind(filter.from)
        .bind(filter.until.min(first * 24))
        .bind(filter.app.as_deref().unwrap_or_default())
        .bind(filter.key_id.as_deref().unwrap_or_default())
        .bind(filter.account.map(|user| user.to_string()).unwrap_or_default())
        .bind(first)
        .bind(last)
        .bind(filter.until)
        .bind(filter.months)
}

/// The first day that the filter covers whole, and the one after the last; both lie past the end when sums are grouped
/// by single hours.
fn whole_days(filter: &UsageFilter) -> (i64, i64) {
    let up = |hour: Hour| hour.div_euclid(24) + i64::from(hour.rem_euclid(24) > 0);
    let first =
        if filter.months || filter.by.hours % 24 == 0 { up(filter.from) } else { up(filter.until) };
    (first, filter.until.div_euclid(24).max(first))
}

fn read(row: Row, by: Grain) -> UsageRow {
    UsageRow {
        hour: (by.hours > 0).then_some(row.hour),
        app: by.app.then_some(row.app),
        key_id: by.key.then_some(row.key_id),
        account: by.account.then(|| UserId::parse(&row.user_id)),
        endpoint: Endpoint::from_name(&row.endpoint),
        auth: AuthKind::from_name(&row.auth),
        outcome: Outcome::from_name(&row.outcome),
        sums: row.sums.into(),
    }
}

impl From<SumsRow> for Sums {
    fn from(row: SumsRow) -> Sums {
        let sums = [row.calls, row.posts, row.bytes, row.saved];
        let [calls, posts, bytes, saved] = sums.map(|sum| u64::try_from(sum).unwrap_or_default());
        Sums { calls, posts, bytes, saved }
    }
}
