//! An answer's numbers, nested as the groupings require (reference 3.1, 3.2).

use std::rc::Rc;

use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};

use crate::model::{GroupBy, Metric, post};
use crate::sandbox::engagement::window::begin_of;
use crate::sandbox::world::switches::HourWithoutDay;

/// The age up to which totals have a post's impressions and engagements (reference 2).
pub const MOST_IMPRESSION_AGE: Duration = Duration::days(90);
/// The age up to which a post has video views (reference 2).
pub const MOST_VIDEO_AGE: Duration = Duration::days(1800);

/// Whether a post is older, going by its id; ids that do not contain a time are older than everything.
pub fn is_older_than(id: u64, age: Duration, now: OffsetDateTime) -> bool {
    post::created_at(id).is_none_or(|at| at < now - age)
}

/// The numbers of one post: for each metric, one for each of the table's slots.
pub struct Row {
    id: String,
    /// `None` for a metric that is not served for this post.
    metrics: Vec<Option<Vec<u64>>>,
}

/// All numbers of an answer, each computed once.
pub struct Table {
    metrics: Vec<Metric>,
    rows: Vec<Row>,
    /// The hours, or one slot for everything.
    slots: Vec<Slot>,
}

/// The names of an hour in answers.
#[derive(Default)]
struct Slot {
    day: String,
    hour: String,
}

impl Table {
    /// A table with one slot for each hour.
    pub fn hourly(metrics: Vec<Metric>, hours: impl IntoIterator<Item = i64>) -> Table {
        let slots = hours.into_iter().map(|hour| {
            let at = begin_of(hour);
            Slot { day: at.date().to_string(), hour: format!("{:02}", at.hour()) }
        });
        Table { metrics, rows: Vec::new(), slots: slots.collect() }
    }

    /// A table for sums over the whole life of each post.
    pub fn summed(metrics: Vec<Metric>) -> Table {
        Table { metrics, rows: Vec::new(), slots: vec![Slot::default()] }
    }

    /// Adds a post; `count` returns a metric's numbers, one for each slot, or `None` if the metric is not served.
    pub fn add(&mut self, id: u64, count: impl Fn(Metric) -> Option<Vec<u64>>) {
        let metrics = self.metrics.iter().map(|metric| count(*metric)).collect();
        self.rows.push(Row { id: id.to_string(), metrics });
    }

    /// The object for one grouping.
    pub fn nested(&self, levels: &[GroupBy], hours: HourWithoutDay) -> Value {
        let mut levels = levels.to_vec();
        let hour = levels.iter().position(|level| *level == GroupBy::EngagementHour);
        if let (Some(at), HourWithoutDay::NestedDay) = (hour, hours)
            && !levels.contains(&GroupBy::EngagementDay)
        {
            levels.insert(at, GroupBy::EngagementDay);
        }
        let all = Cut {
            rows: self.rows.iter().collect(),
            metrics: (0..self.metrics.len()).collect(),
            slots: (0..self.slots.len()).collect(),
        };
        self.nest(&levels, &all).unwrap_or_else(|| Value::Object(Map::new()))
    }

    /// Nests the cut's numbers; `None` if it has none.
    fn nest(&self, levels: &[GroupBy], cut: &Cut<'_>) -> Option<Value> {
        let Some((level, rest)) = levels.split_first() else {
            return cut.sum().map(|sum| Value::String(sum.to_string()));
        };
        let parts = match level {
            GroupBy::TweetId => cut.by_row(),
            GroupBy::EngagementType => cut.by_metric(&self.metrics),
            GroupBy::EngagementDay => cut.by_slot(&self.slots, |slot| &slot.day),
            GroupBy::EngagementHour => cut.by_slot(&self.slots, |slot| &slot.hour),
        };
        let nested: Map<String, Value> = parts
            .into_iter()
            .filter_map(|(name, part)| Some((name, self.nest(rest, &part)?)))
            .collect();
        (!nested.is_empty()).then_some(Value::Object(nested))
    }
}

/// A part of a table, which shares everything unchanged with the part that it was cut from.
#[derive(Clone)]
struct Cut<'a> {
    rows: Rc<[&'a Row]>,
    metrics: Rc<[usize]>,
    slots: Rc<[usize]>,
}

impl<'a> Cut<'a> {
    fn sum(&self) -> Option<u64> {
        let given = self.rows.iter().flat_map(|row| {
            self.metrics
                .iter()
                .filter_map(|metric| row.metrics.get(*metric).and_then(Option::as_ref))
        });
        let sums = given.map(|counts| self.slots.iter().filter_map(|slot| counts.get(*slot)).sum());
        sums.fold(None, |total: Option<u64>, sum: u64| Some(total.unwrap_or_default() + sum))
    }

    fn by_row(&self) -> Vec<(String, Cut<'a>)> {
        let part = |row: &&'a Row| (row.id.clone(), Cut { rows: Rc::new([*row]), ..self.clone() });
        self.rows.iter().map(part).collect()
    }

    fn by_metric(&self, metrics: &[Metric]) -> Vec<(String, Cut<'a>)> {
        let part = |place: &usize| {
            let name = metrics.get(*place)?.name().to_owned();
            Some((name, Cut { metrics: Rc::new([*place]), ..self.clone() }))
        };
        self.metrics.iter().filter_map(part).collect()
    }

    fn by_slot<'s>(
        &self,
        slots: &'s [Slot],
        name: impl Fn(&'s Slot) -> &'s str,
    ) -> Vec<(String, Cut<'a>)> {
        let mut parts: Vec<(&str, Vec<usize>)> = Vec::new();
        for place in self.slots.iter() {
            let Some(name) = slots.get(*place).map(&name) else { continue };
            // Neighbours in time share a day, so it is usually the last part.
            match parts.iter_mut().rev().find(|part| part.0 == name) {
                Some((_, places)) => places.push(*place),
                None => parts.push((name, vec![*place])),
            }
        }
        let cut = |(name, slots): (&str, Vec<usize>)| {
            (name.to_owned(), Cut { slots: slots.into(), ..self.clone() })
        };
        parts.into_iter().map(cut).collect()
    }
}
