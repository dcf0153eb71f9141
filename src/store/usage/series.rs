//! The largest sums of usage, and sums over time. Whole days and months of everybody are read from separate tables,
//! whose sums are grouped by a single aspect.

use std::collections::BTreeMap;

use sqlx_macros::FromRow;

use crate::model::usage::{Aspect, Hour, Sums};
use crate::store::database::query::Query;
use crate::store::usage::read::{SumsRow, bound, lines, narrowed, sum_columns};
use crate::store::{Error, Store, UsageFilter};

/// Sums over time, grouped by the largest values of an aspect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsageOfTime {
    pub hour: Hour,
    /// The aspect's value as stored; `None` for all that are not among the largest.
    pub value: Option<String>,
    pub sums: Sums,
}

/// The most values of an aspect that one query can show separately.
pub const MOST_SEPARATE: usize = 5;

/// An aspect, and the values of it that are listed separately.
type Separate<'a> = (Aspect, &'a [String]);

/// The sums of an aspect's value.
#[derive(FromRow)]
struct ValueRow {
    value: String,
    #[sqlx(flatten)]
    sums: SumsRow,
}

#[derive(FromRow)]
struct HourRow {
    hour: i64,
    is_separate: i64,
    #[sqlx(flatten)]
    row: ValueRow,
}

#[derive(FromRow)]
struct DayRow {
    day: i64,
    #[sqlx(flatten)]
    row: ValueRow,
}

/// The column that $10 names.
macro_rules! aspect {
    () => {
        "case $10 when 'app' then app when 'key' then key_id when 'account' then user_id
             when 'endpoint' then endpoint when 'auth' then auth when 'outcome' then outcome
             else '' end"
    };
}

impl Store {
    /// The largest values of an aspect by calls, as stored.
    pub async fn list_largest_usage(
        &self,
        filter: &UsageFilter,
        aspect: Aspect,
    ) -> Result<Vec<(String, Sums)>, Error> {
        let query = if let Some((first, last)) = whole_days(filter) {
            let sql = if filter.months {
                concat!(
                    "select value, ",
                    sum_columns!(),
                    " from usage_month_by_aspect where aspect = $1 and month >= $2 and month < $3
                     group by value order by 2 desc, 1 limit $4"
                )
            } else {
                concat!(
                    "select value, ",
                    sum_columns!(),
                    " from usage_day_by_aspect where aspect = $1 and day >= $2 and day < $3
                     group by value order by 2 desc, 1 limit $4"
                )
            };
            self.query(sql).bind(aspect.name()).bind(first).bind(last)
        } else {
            let sql = narrowed!(
                filter,
                [
                    "select value, ",
                    sum_columns!(),
                    "
                  from (select ",
                    aspect!(),
                    " as value, calls, posts, bytes, saved from ("
                ][") as line) as value_line group by 1 order by 2 desc, 1 limit $11"]
            );
            bound(self.query(sql), filter).bind(aspect.name())
        };
        let rows: Vec<ValueRow> = self.fetch_all(query.bind(i64::from(filter.limit))).await?;
        Ok(rows.into_iter().map(|row| (row.value, row.sums.into())).collect())
    }

    /// Sums over time in steps of the filter's hours; given an aspect, its values in `separate` are listed separately.
    pub async fn list_usage_over_time(
        &self,
        filter: &UsageFilter,
        separate: Option<Separate<'_>>,
    ) -> Result<Vec<UsageOfTime>, Error> {
        if let Some(days) = whole_days(filter).filter(|_| filter.months || filter.by.hours == 24) {
            return self.list_days_over_time(days, filter.months, separate).await;
        }
        let sql = narrowed!(
            filter,
            [
                "select hour / $11 * $11 as hour,
                  cast(case when value in ($12, $13, $14, $15, $16) then 1 else 0 end as bigint)
                      as is_separate,
                  case when value in ($12, $13, $14, $15, $16) then value else '' end as value, ",
                sum_columns!(),
                " from (select hour, ",
                aspect!(),
                " as value, calls, posts, bytes, saved from ("
            ][") as line) as value_line group by 1, 2, 3 order by 1, 2, 3"]
        );
        let query = bound(self.query(sql), filter)
            .bind(separate.map_or("", |(aspect, _)| aspect.name()))
            .bind(if filter.months { 1 } else { filter.by.hours.max(1) });
        let query = names(separate).into_iter().fold(query, Query::bind);
        let rows: Vec<HourRow> = self.fetch_all(query).await?;
        let read = |HourRow { hour, is_separate, row }| UsageOfTime {
            hour,
            value: (is_separate == 1).then_some(row.value),
            sums: row.sums.into(),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// The same for everybody, by days or months: the totals of all apps, and from these the values listed separately.
    async fn list_days_over_time(
        &self,
        (first, last): (i64, i64),
        months: bool,
        separate: Option<Separate<'_>>,
    ) -> Result<Vec<UsageOfTime>, Error> {
        let (totals, parts) =
            if months { (MONTH_TOTALS, MONTH_PARTS) } else { (DAY_TOTALS, DAY_PARTS) };
        let query = self.query(totals).bind(first).bind(last);
        let (totals, parts): (Vec<DayRow>, Vec<DayRow>) = self
            .read(|| async {
                let mut lease = self.reader(self.wait).await?;
                let totals = lease.fetch_all(query.clone()).await?;
                let Some((aspect, _)) = separate else { return Ok((totals, Vec::new())) };
                let query = lease.query(parts).bind(first).bind(last).bind(aspect.name());
                let query = names(separate).into_iter().fold(query, Query::bind);
                Ok((totals, lease.fetch_all(query).await?))
            })
            .await?;
        let mut by_day: BTreeMap<i64, Vec<(String, Sums)>> = BTreeMap::new();
        for DayRow { day, row } in parts {
            by_day.entry(day).or_default().push((row.value, row.sums.into()));
        }
        let mut found = Vec::new();
        for DayRow { day, row } in totals {
            let (hour, total) = (day * 24, Sums::from(row.sums));
            if separate.is_none() {
                found.push(UsageOfTime { hour, value: Some(row.value), sums: total });
                continue;
            }
            let parts = by_day.remove(&day).unwrap_or_default();
            let others = parts.iter().fold(total, |left, (_, sums)| left.less(*sums));
            if others.calls + others.saved > 0 {
                found.push(UsageOfTime { hour, value: None, sums: others });
            }
            let part = |(value, sums)| UsageOfTime { hour, value: Some(value), sums };
            found.extend(parts.into_iter().map(part));
        }
        Ok(found)
    }
}

const DAY_TOTALS: &str = concat!(
    "select day, '' as value, ",
    sum_columns!(),
    " from usage_day_by_aspect where aspect = 'app' and day >= $1 and day < $2
     group by day order by day"
);
/// By the first day of each month.
const MONTH_TOTALS: &str = concat!(
    "select month as day, '' as value, ",
    sum_columns!(),
    " from usage_month_by_aspect where aspect = 'app' and month >= $1 and month < $2
     group by month order by month"
);
const DAY_PARTS: &str = "select day, value, calls, posts, bytes, saved from usage_day_by_aspect
     where aspect = $3 and day >= $1 and day < $2 and value in ($4, $5, $6, $7, $8)
     order by value";
const MONTH_PARTS: &str =
    "select month as day, value, calls, posts, bytes, saved from usage_month_by_aspect
     where aspect = $3 and value in ($4, $5, $6, $7, $8) and month >= $1 and month < $2
     order by value";

/// The first day and the one after the last, if the filter covers only whole days and everybody.
fn whole_days(filter: &UsageFilter) -> Option<(i64, i64)> {
    let UsageFilter { from, until, app, key_id, account, .. } = filter;
    let is_narrow = app.is_some() || key_id.is_some() || account.is_some();
    (!is_narrow && from % 24 == 0 && until % 24 == 0).then_some((from / 24, until / 24))
}

/// Pads with the first name, since a name given twice is found once.
fn names(separate: Option<Separate<'_>>) -> [&str; MOST_SEPARATE] {
    let names = separate.map_or(&[][..], |(_, names)| names);
    std::array::from_fn(|index| names.get(index).or(names.first()).map_or("", String::as_str))
}
