//! The largest sums of usage, and sums over time. Whole days and months of everybody are read from separate tables,
//! whose sums are grouped by a single aspect.

use std::collections::BTreeMap;

use crate::model::usage::{Aspect, Hour, Sums};
use crate::store::database::dialect::on;
use crate::store::usage::read::{bound, lines, narrowed, sums};
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
pub const MOST_LISTED: usize = 5;

/// A day, an aspect's value, and sums.
type SeriesRow = (i64, String, i64, i64, i64);

/// The column that $10 names.
macro_rules! aspect_value {
    () => {
        "case $10 when 'app' then app when 'key' then key_id when 'account' then user_id
             when 'endpoint' then endpoint when 'auth' then auth when 'outcome' then outcome
             else '' end"
    };
}

impl Store {
    /// The largest values of an aspect by calls, as stored.
    pub async fn rank_usage(
        &self,
        filter: &UsageFilter,
        aspect: Aspect,
    ) -> Result<Vec<(String, Sums)>, Error> {
        let limit = i64::from(filter.limit);
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<(String, i64, i64, i64)> = if let Some((first, last)) = whole_days(filter) {
                let sql = if filter.months {
                    "select value, cast(sum(calls) as bigint), cast(sum(posts) as bigint),
                         cast(sum(bytes) as bigint)
                     from usage_month_by_aspect where aspect = $1 and month >= $2 and month < $3
                     group by value order by 2 desc, 1 limit $4"
                } else {
                    "select value, cast(sum(calls) as bigint), cast(sum(posts) as bigint),
                         cast(sum(bytes) as bigint)
                     from usage_day_by_aspect where aspect = $1 and day >= $2 and day < $3
                     group by value order by 2 desc, 1 limit $4"
                };
                let name = aspect.name();
                on!(&mut lease, it => sqlx::query_as(sql).bind(name).bind(first).bind(last).bind(limit).fetch_all(&mut **it).await?)
            } else {
                let sql = narrowed!(filter,
                    ["select value, cast(sum(calls) as bigint), cast(sum(posts) as bigint),
                          cast(sum(bytes) as bigint)
                      from (select ", aspect_value!(), " as value, calls, posts, bytes from ("]
                    [") as line) as told_line group by 1 order by 2 desc, 1 limit $11"]
                );
                on!(&mut lease, it => bound!(sqlx::query_as(sql), filter).bind(aspect.name()).bind(limit).fetch_all(&mut **it).await?)
            };
            Ok(rows.into_iter().map(|(value, a, b, c)| (value, sums(a, b, c))).collect())
        })
        .await
    }

    /// Sums over time in steps of the filter's hours; given an aspect, those in `listed` are listed separately.
    pub async fn usage_over_time(
        &self,
        filter: &UsageFilter,
        listed: Option<(Aspect, &[String])>,
    ) -> Result<Vec<UsageOfTime>, Error> {
        if let Some(days) = whole_days(filter).filter(|_| filter.months || filter.by.hours == 24) {
            return self.days_over_time(days, filter.months, listed).await;
        }
        let sql = narrowed!(
            filter,
            [
                "select hour / $11 * $11,
                  cast(case when value in ($12, $13, $14, $15, $16) then 1 else 0 end as bigint),
                  case when value in ($12, $13, $14, $15, $16) then value else '' end,
                  cast(sum(calls) as bigint), cast(sum(posts) as bigint), cast(sum(bytes) as bigint)
              from (select hour, ",
                aspect_value!(),
                " as value, calls, posts, bytes from ("
            ][") as line) as told_line group by 1, 2, 3 order by 1, 2, 3"]
        );
        let aspect = listed.map_or("", |it| it.0.name());
        let [one, two, three, four, five] = names(listed);
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<(i64, i64, String, i64, i64, i64)> = on!(&mut lease, it => bound!(sqlx::query_as(sql), filter)
                .bind(aspect)
                .bind(if filter.months { 1 } else { filter.by.hours.max(1) })
                .bind(one)
                .bind(two)
                .bind(three)
                .bind(four)
                .bind(five)
                .fetch_all(&mut **it)
                .await?);
            let read = |(hour, is_listed, value, calls, posts, bytes): (i64, i64, String, i64, i64, i64)| UsageOfTime {
                hour,
                value: (is_listed == 1).then_some(value),
                sums: sums(calls, posts, bytes),
            };
            Ok(rows.into_iter().map(read).collect())
        })
        .await
    }

    /// The same for everybody, by days or months: the totals of all apps, and from these the values listed separately.
    async fn days_over_time(
        &self,
        (first, last): (i64, i64),
        months: bool,
        listed: Option<(Aspect, &[String])>,
    ) -> Result<Vec<UsageOfTime>, Error> {
        let all = if months {
            "select month, '', cast(sum(calls) as bigint), cast(sum(posts) as bigint),
                 cast(sum(bytes) as bigint)
             from usage_month_by_aspect where aspect = 'app' and month >= $1 and month < $2
             group by month order by month"
        } else {
            "select day, '', cast(sum(calls) as bigint), cast(sum(posts) as bigint),
                 cast(sum(bytes) as bigint)
             from usage_day_by_aspect where aspect = 'app' and day >= $1 and day < $2
             group by day order by day"
        };
        let apart = if months {
            "select month, value, calls, posts, bytes from usage_month_by_aspect
             where aspect = $3 and value in ($4, $5, $6, $7, $8) and month >= $1 and month < $2
             order by value"
        } else {
            "select day, value, calls, posts, bytes from usage_day_by_aspect
             where aspect = $3 and day >= $1 and day < $2 and value in ($4, $5, $6, $7, $8)
             order by value"
        };
        let (all, apart): (Vec<SeriesRow>, Vec<SeriesRow>) = self
            .long(async {
                let mut lease = self.reader(self.wait).await?;
                let all = on!(&mut lease, it => sqlx::query_as(all).bind(first).bind(last).fetch_all(&mut **it).await?);
                let Some((aspect, _)) = listed else { return Ok((all, Vec::new())) };
                let [one, two, three, four, five] = names(listed);
                let apart = on!(&mut lease, it => sqlx::query_as(apart)
                    .bind(first)
                    .bind(last)
                    .bind(aspect.name())
                    .bind(one)
                    .bind(two)
                    .bind(three)
                    .bind(four)
                    .bind(five)
                    .fetch_all(&mut **it)
                    .await?);
                Ok((all, apart))
            })
            .await?;
        let mut by_day: BTreeMap<i64, Vec<(String, Sums)>> = BTreeMap::new();
        for (day, value, calls, posts, bytes) in apart {
            by_day.entry(day).or_default().push((value, sums(calls, posts, bytes)));
        }
        let mut found = Vec::new();
        for (day, name, calls, posts, bytes) in all {
            let (hour, total) = (day * 24, sums(calls, posts, bytes));
            if listed.is_none() {
                found.push(UsageOfTime { hour, value: Some(name), sums: total });
                continue;
            }
            let apart = by_day.remove(&day).unwrap_or_default();
            let others = apart.iter().fold(total, |left, it| left.less(it.1));
            if others.calls > 0 {
                found.push(UsageOfTime { hour, value: None, sums: others });
            }
            let listed = |(name, sums)| UsageOfTime { hour, value: Some(name), sums };
            found.extend(apart.into_iter().map(listed));
        }
        Ok(found)
    }
}

/// The first day and the one after the last, if the filter covers only whole days and everybody.
fn whole_days(filter: &UsageFilter) -> Option<(i64, i64)> {
    let UsageFilter { from, until, app, key_id, account, .. } = filter;
    let is_narrow = app.is_some() || key_id.is_some() || account.is_some();
    (!is_narrow && from % 24 == 0 && until % 24 == 0).then_some((from / 24, until / 24))
}

/// Pads with the first name, since a name given twice is found once.
fn names(listed: Option<(Aspect, &[String])>) -> [&str; MOST_LISTED] {
    let names = listed.map_or(&[][..], |it| it.1);
    std::array::from_fn(|index| names.get(index).or(names.first()).map_or("", |it| it.as_str()))
}
