//! The table of an answer: a row for each post, day and hour, a column for each engagement type, and their sums.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::gateway::{Leaf, Merge};
use crate::model::{GroupBy, Metric, post};
use crate::pages::console::explore::view::{Heading, Row, Table};
use crate::pages::console::layout::time;

/// Bytes for the rows of a page that shows all of them; the CSV has them anyway.
const MOST_BYTES: usize = 40_000;
/// Bytes of a row without its numbers, and of a number.
const ROW_BYTES: usize = 190;
const NUMBER_BYTES: usize = 32;
/// Bytes for the rows of a page that cannot show them all: the charts have tables of their own then.
const FEW_BYTES: usize = 8000;

/// A column by which rows can be sorted, as addresses name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Column {
    Post,
    Published,
    Day,
    Hour,
    /// An engagement type, by its key in the answer.
    Number(u64),
}

/// The order of rows; `-` before the column's name is for the largest first.
#[derive(Clone, Copy, Debug)]
struct Order {
    column: Column,
    is_descending: bool,
}

/// Posts, days and hours by their keys, of which each row has its own; 0 for what the answer does not tell apart.
type Keys = (u64, u64, u64);

/// A row while it is gathered.
struct Gathered {
    keys: Keys,
    day: String,
    hour: String,
    numbers: Vec<(u64, i64)>,
}

/// Gathers rows of which only the first in the order are kept, so that its memory does not grow with the answer.
struct Rows {
    order: Option<Order>,
    most: usize,
    kept: Vec<Gathered>,
    /// The rows of the outermost key, which may come in pieces.
    open: BTreeMap<Keys, Gathered>,
    count: usize,
    sums: BTreeMap<u64, i64>,
}

/// The table, with as many rows as a page has room for, in the order that `sort` names; without one, by post and time.
pub(super) fn table(merged: &Merge, metrics: &[Metric], sort: &str) -> Table {
    let columns = merged.columns();
    let has = |level| columns.contains(&level);
    let mut keys = Vec::new();
    if has(GroupBy::TweetId) {
        keys.extend([Column::Post, Column::Published]);
    }
    keys.extend(has(GroupBy::EngagementDay).then_some(Column::Day));
    keys.extend(has(GroupBy::EngagementHour).then_some(Column::Hour));
    let types = merged.types(metrics.iter().copied());
    let named = keys.iter().map(|column| (*column, column.name()));
    let named = named.chain(types.iter().map(|(key, name)| (Column::Number(*key), &**name)));
    let named: Vec<(Column, &str)> = named.collect();
    let order = Order::read(sort, &named);
    let row_bytes = ROW_BYTES + NUMBER_BYTES * types.len();
    let room = MOST_BYTES / row_bytes;
    let mut rows = Rows {
        order,
        most: room,
        kept: Vec::new(),
        open: BTreeMap::new(),
        count: 0,
        sums: BTreeMap::new(),
    };
    merged.each_leaf(|leaf| rows.add(leaf));
    rows.close();
    rows.trim();
    if rows.count > room {
        rows.kept.truncate(FEW_BYTES / row_bytes);
    }
    let row = |row: Gathered| {
        let (id, _, _) = row.keys;
        Row {
            post: has(GroupBy::TweetId).then(|| id.to_string()),
            published: post::created_at(id).map(time).unwrap_or_default(),
            times: [row.day, row.hour].into_iter().filter(|time| !time.is_empty()).collect(),
            numbers: types.iter().map(|(key, _)| value(&row.numbers, *key)).collect(),
        }
    };
    Table {
        headings: named.iter().map(|(column, name)| column.heading(name, order)).collect(),
        keys: keys.len(),
        count: rows.count,
        more: rows.count - rows.kept.len(),
        sums: types.iter().map(|(key, _)| rows.sums.get(key).copied()).collect(),
        rows: rows.kept.into_iter().map(row).collect(),
    }
}

fn value(numbers: &[(u64, i64)], key: u64) -> Option<i64> {
    numbers.iter().find(|number| number.0 == key).map(|number| number.1)
}

impl Column {
    /// Its name in addresses; an engagement type has its own.
    const fn name(self) -> &'static str {
        match self {
            Column::Post => "post",
            Column::Published => "published",
            Column::Day => "day",
            Column::Hour => "hour",
            Column::Number(_) => "",
        }
    }

    fn heading(self, name: &str, order: Option<Order>) -> Heading {
        let order = order.filter(|order| order.column == self);
        let is_number = matches!(self, Column::Number(_));
        // Of numbers, the largest are wanted first.
        let next_is_descending = order.map_or(is_number, |order| !order.is_descending);
        let minus = if next_is_descending { "-" } else { "" };
        let title = match self {
            Column::Post => "Post",
            Column::Published => "Published",
            Column::Day => "Day (UTC)",
            Column::Hour => "Hour (UTC)",
            Column::Number(_) => name,
        };
        Heading {
            title: title.to_owned(),
            is_number,
            order: order.map(|order| if order.is_descending { "descending" } else { "ascending" }),
            next: format!("{minus}{name}"),
        }
    }
}

impl Order {
    /// Reads `day` or `-favorites`; `None` if it names no column.
    fn read(text: &str, columns: &[(Column, &str)]) -> Option<Order> {
        let name = text.strip_prefix('-').unwrap_or(text);
        let (column, _) = columns.iter().find(|column| column.1 == name)?;
        Some(Order { column: *column, is_descending: text.starts_with('-') })
    }

    fn compare(self, one: &Gathered, other: &Gathered) -> Ordering {
        let ((post, day, hour), (other_post, other_day, other_hour)) = (one.keys, other.keys);
        let ascending = match self.column {
            Column::Post | Column::Published => post.cmp(&other_post),
            Column::Day => day.cmp(&other_day),
            Column::Hour => hour.cmp(&other_hour),
            Column::Number(key) => {
                let values = [one, other].map(|row| value(&row.numbers, key));
                return match values {
                    [Some(one), Some(other)] if self.is_descending => other.cmp(&one),
                    [Some(one), Some(other)] => one.cmp(&other),
                    // What has no number comes last in both directions.
                    [one, other] => other.is_some().cmp(&one.is_some()),
                };
            }
        };
        if self.is_descending { ascending.reverse() } else { ascending }
    }
}

impl Rows {
    fn add(&mut self, leaf: &Leaf<'_>) {
        let key = |level| leaf.key(level).map_or(0, |text| text.key);
        let keys =
            (key(GroupBy::TweetId), key(GroupBy::EngagementDay), key(GroupBy::EngagementHour));
        let outermost = |keys: &Keys| if keys.0 == 0 { keys.1 } else { keys.0 };
        let is_next =
            self.open.first_key_value().is_some_and(|row| outermost(row.0) != outermost(&keys));
        if is_next {
            self.close();
        }
        let row = self.open.entry(keys).or_insert_with(|| Gathered {
            keys,
            day: leaf.day.map_or_else(String::new, |day| day.with(str::to_owned)),
            hour: leaf.hour.map_or_else(String::new, |hour| hour.with(|text| format!("{text}:00"))),
            numbers: Vec::new(),
        });
        let metric = key(GroupBy::EngagementType);
        row.numbers.push((metric, leaf.value));
        let sum = self.sums.entry(metric).or_default();
        *sum = sum.saturating_add(leaf.value);
    }

    fn close(&mut self) {
        for row in std::mem::take(&mut self.open).into_values() {
            self.count += 1;
            self.kept.push(row);
            if self.kept.len() >= 2 * self.most {
                self.trim();
            }
        }
    }

    fn trim(&mut self) {
        let order = self.order;
        self.kept.sort_by(|one, other| {
            let by_column = order.map_or(Ordering::Equal, |order| order.compare(one, other));
            by_column.then_with(|| one.keys.cmp(&other.keys))
        });
        self.kept.truncate(self.most);
    }
}
