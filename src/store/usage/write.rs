//! Adding a batch of usage to all its sums, with one statement per table however many lines there are. All replicas add
//! to tables and rows in the same order, so that they wait for each other instead of deadlocking.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::model::UserId;
use crate::model::usage::{Aspect, Hour, Line, Month, Sums, begin_of};
use crate::store::database::dialect::Work;
use crate::store::database::query::tuples;
use crate::store::{Error, whole_seconds};

/// An account whose token an app used in a month.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsedAccount {
    pub month: Month,
    pub app: String,
    pub account: UserId,
    pub at: OffsetDateTime,
}

/// A part of a row's key.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
enum Part {
    Time(i64),
    Name(String),
}

/// Sums by row key.
type Rows = BTreeMap<Vec<Part>, Sums>;

/// Maps an hour to the period that contains it.
type Time = fn(Hour) -> i64;

/// No call has a label yet.
const OF_LINE: &str = "app, key_id, user_id, endpoint, auth, outcome, label";

/// Adds lines to the sums of hours, and to those of days and months, so that a year's need not be summed from all its
/// hours; and to those grouped by a single aspect.
pub(in crate::store) async fn add_lines(
    work: &mut Work,
    lines: &[(Line, Sums)],
) -> Result<(), Error> {
    let times: [(&str, Time); 3] = [("hour", |hour| hour), ("day", day), ("month", month)];
    for (time, of) in times {
        let table = format!("usage_{time}");
        add(work, &table, &format!("{time}, {OF_LINE}"), rows(lines, |line| [of_line(line, of)]))
            .await?;
    }
    for (time, of) in times.into_iter().skip(1) {
        let table = format!("usage_{time}_by_aspect");
        let keys = |line: &Line| Aspect::ALL.map(|aspect| of_aspect(line, aspect, of));
        add(work, &table, &format!("aspect, {time}, value"), rows(lines, keys)).await?;
    }
    Ok(())
}

/// Adds accounts to those that were used in their months; existing rows stay as they are.
pub(in crate::store) async fn add_used(work: &mut Work, used: &[UsedAccount]) -> Result<(), Error> {
    let key =
        |used: &UsedAccount| (used.month.to_string(), used.app.clone(), used.account.to_string());
    let rows: BTreeMap<_, OffsetDateTime> =
        used.iter().rev().map(|used| (key(used), whole_seconds(used.at))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "insert into account_month (month, app, user_id, first_used_at) values {}
         on conflict (month, app, user_id) do nothing",
        tuples(1, 4, rows.len())
    );
    let mut query = work.query_of_many(sql);
    for ((month, app, account), at) in rows {
        query = query.bind(month).bind(app).bind(account).bind(at);
    }
    work.execute(query).await.map(drop)
}

async fn add(work: &mut Work, table: &str, key: &str, rows: Rows) -> Result<(), Error> {
    let Some((parts, _)) = rows.first_key_value() else { return Ok(()) };
    let values = tuples(1, parts.len() + 4, rows.len());
    let sql = format!(
        "insert into {table} ({key}, calls, posts, bytes, saved) values {values}
         on conflict ({key}) do update set calls = {table}.calls + excluded.calls,
             posts = {table}.posts + excluded.posts, bytes = {table}.bytes + excluded.bytes,
             saved = {table}.saved + excluded.saved"
    );
    let mut query = work.query_of_many(sql);
    for (parts, sums) in rows {
        for part in parts {
            query = match part {
                Part::Time(time) => query.bind(time),
                Part::Name(name) => query.bind(name),
            };
        }
        for sum in [sums.calls, sums.posts, sums.bytes, sums.saved] {
            query = query.bind(whole(sum));
        }
    }
    work.execute(query).await.map(drop)
}

fn rows<const N: usize>(lines: &[(Line, Sums)], keys: impl Fn(&Line) -> [Vec<Part>; N]) -> Rows {
    let mut rows = Rows::new();
    for (line, sums) in lines {
        for key in keys(line) {
            rows.entry(key).or_default().add(*sums);
        }
    }
    rows
}

fn of_line(line: &Line, time: Time) -> Vec<Part> {
    let names = Aspect::ALL.map(|aspect| Part::Name(value(line, aspect)));
    let label = Part::Name(String::new());
    [Part::Time(time(line.hour))].into_iter().chain(names).chain([label]).collect()
}

fn of_aspect(line: &Line, aspect: Aspect, time: Time) -> Vec<Part> {
    let name = Part::Name(aspect.name().to_owned());
    vec![name, Part::Time(time(line.hour)), Part::Name(value(line, aspect))]
}

/// A line's value for an aspect, as stored in its column.
fn value(line: &Line, aspect: Aspect) -> String {
    match aspect {
        Aspect::App => line.app.clone(),
        Aspect::Key => line.key_id.clone(),
        Aspect::Account => line.account.map(|user| user.to_string()).unwrap_or_default(),
        Aspect::Endpoint => line.endpoint.name().to_owned(),
        Aspect::Auth => line.auth.name().to_owned(),
        Aspect::Outcome => line.outcome.name().to_owned(),
    }
}

fn day(hour: Hour) -> i64 {
    hour.div_euclid(24)
}

/// The first day of the month.
fn month(hour: Hour) -> i64 {
    Month::of(begin_of(hour)).begin() / 24
}

pub(in crate::store) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
