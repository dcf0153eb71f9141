//! The charts of an answer: for each engagement type a ranking of posts, or a line over time.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use time::{Date, Month};

use crate::gateway::{Answered, Leaf, Merge, Missing};
use crate::model::GroupBy;
use crate::model::usage::{Hour, begin_of, hour_of};
use crate::pages::console::explore::view::Charts;
use crate::pages::parts::chart::{Chart, Kind, Series};
use crate::pages::parts::ranking::Ranking;

/// Charts on a page.
const MOST_CHARTS: usize = 8;
/// Bars in a ranking.
const MOST_BARS: usize = 10;
/// Lines in a chart; more are hard to tell apart.
const MOST_LINES: usize = 6;
/// Hours that a chart shows one by one.
const MOST_HOURS: i64 = 400;
/// Points of all lines on a page together, some 8 bytes each.
const MOST_POINTS: usize = 3000;

/// Bytes for notes on what is not drawn, or drawn differently.
const NOTES_BYTES: usize = 2000;

/// Draws the charts that fit into `room` bytes, and says what is left out. If the page's table is not whole, each chart
/// has its own.
pub(super) fn charts(answered: &Answered, is_whole: bool, room: usize) -> Charts {
    let room = room.saturating_sub(NOTES_BYTES);
    let merged = &answered.merged;
    let sums = Sums::of(merged);
    let columns = merged.columns();
    let has = |column| columns.contains(&column);
    let mut charts = match (has(GroupBy::EngagementDay), has(GroupBy::TweetId)) {
        _ if sums.metrics.is_empty() => Charts::default(),
        (true, _) => {
            let by_hour = has(GroupBy::EngagementHour);
            over_time(merged, &sums, &answered.missing, by_hour, is_whole, room)
        }
        (false, true) => sums.by_post(is_whole, room),
        (false, false) => sums.together(is_whole),
    };
    if sums.has_negative {
        charts.notes.push("Negative numbers are drawn as 0.".to_owned());
    }
    charts
}

/// Draws as many charts as there is room for; `draw` is given their number.
fn fitting<T>(charts: &[T], room: usize, draw: impl Fn(&T, usize) -> String) -> Vec<String> {
    let first =
        |count| charts.iter().take(count).map(|chart| draw(chart, count)).collect::<Vec<_>>();
    let fits = |drawn: &Vec<String>| drawn.iter().map(String::len).sum::<usize>() <= room;
    (0..=charts.len()).rev().map(first).find(fits).unwrap_or_default()
}

/// The sums of an answer over all times.
#[derive(Default)]
struct Sums {
    /// The names of engagement types, in the order of their keys.
    metrics: BTreeMap<u64, String>,
    /// Sums by post, and by engagement type. If the answer has no posts, there is a single entry.
    totals: BTreeMap<u64, BTreeMap<u64, u64>>,
    first: Option<Hour>,
    last: Option<Hour>,
    has_negative: bool,
}

impl Sums {
    fn of(merged: &Merge) -> Sums {
        let mut sums = Sums::default();
        merged.each_leaf(|leaf| {
            let (post, metric) = place(leaf);
            sums.metrics.entry(metric).or_insert_with(|| {
                leaf.metric.map_or_else(String::new, |name| name.with(str::to_owned))
            });
            let total = sums.totals.entry(post).or_default().entry(metric).or_default();
            *total = total.saturating_add(counted(leaf));
            sums.has_negative |= leaf.value < 0;
            if let Some(hour) = begin(leaf) {
                sums.first = Some(sums.first.map_or(hour, |known| known.min(hour)));
                sums.last = Some(sums.last.map_or(hour, |known| known.max(hour)));
            }
        });
        sums
    }

    fn total(&self, post: u64, metric: u64) -> Option<u64> {
        self.totals.get(&post)?.get(&metric).copied()
    }

    /// Posts in descending order of the first engagement type; the next ones decide between equals.
    fn ranked(&self) -> Vec<u64> {
        let mut posts: Vec<u64> = self.totals.keys().copied().collect();
        let numbers = |post: u64| self.metrics.keys().map(move |metric| self.total(post, *metric));
        posts.sort_by_cached_key(|post| Reverse(numbers(*post).collect::<Vec<_>>()));
        posts
    }

    fn by_post(&self, is_whole: bool, room: usize) -> Charts {
        let (mut posts, count) = (self.ranked(), self.totals.len());
        posts.truncate(MOST_BARS);
        let ranked = self.metrics.iter().take(MOST_CHARTS).map(|(metric, name)| Ranking {
            title: format!("{name} by post"),
            unit: name.clone(),
            along: "post".to_owned(),
            bars: posts.iter().map(|post| (post.to_string(), self.total(*post, *metric))).collect(),
        });
        let drawn =
            fitting(&ranked.collect::<Vec<_>>(), room, |ranking, _| ranking.draw(!is_whole));
        let mut charts = Charts { drawn, ..Charts::default() };
        let first = self.metrics.values().next().map_or("", String::as_str);
        if count > posts.len() {
            let drawn = posts.len();
            charts.notes.push(format!(
                "The charts show the {drawn} posts with the most {first}, out of {count}. The CSV has all of them."
            ));
        } else if count > 1 {
            charts.notes.push(format!("The posts with the most {first} come first."));
        }
        charts.notes.extend(self.undrawn(charts.drawn.len()));
        charts
    }

    fn together(&self, is_whole: bool) -> Charts {
        let bar = |(metric, name): (&u64, &String)| {
            let values =
                self.totals.values().filter_map(|by_metric| by_metric.get(metric).copied());
            (name.clone(), values.reduce(u64::saturating_add))
        };
        let ranking = Ranking {
            title: "All posts together".to_owned(),
            unit: "count".to_owned(),
            along: "engagement type".to_owned(),
            bars: self.metrics.iter().map(bar).collect(),
        };
        Charts { drawn: vec![ranking.draw(!is_whole)], ..Charts::default() }
    }

    /// Names the engagement types without a chart, if there are any.
    fn undrawn(&self, charts: usize) -> Option<String> {
        let names: Vec<&str> = self.metrics.values().skip(charts).map(String::as_str).collect();
        let names = names.join(", ");
        let text = format!(
            "There was no room for charts of {names}. Select fewer engagement types at a time."
        );
        (!names.is_empty()).then_some(text)
    }
}

fn over_time(
    merged: &Merge,
    sums: &Sums,
    missing: &[Missing],
    by_hour: bool,
    is_whole: bool,
    room: usize,
) -> Charts {
    let mut notes = Vec::new();
    let Some(times) = Times::of(sums, missing, by_hour) else { return Charts::default() };
    if by_hour && times.step > 1 {
        notes.push(format!(
            "Periods of more than {MOST_HOURS} hours are drawn by day. The CSV has every hour."
        ));
    }
    let places = times.count();
    if places > MOST_POINTS {
        notes.push("The period is too long for a chart. The CSV has all the numbers.".to_owned());
        return Charts { notes, ..Charts::default() };
    }
    let most = (MOST_POINTS / places).clamp(1, MOST_CHARTS);
    let metrics: Vec<(u64, &String)> =
        sums.metrics.iter().map(|(metric, name)| (*metric, name)).take(most).collect();
    let most_lines = (MOST_POINTS / places / metrics.len().max(1)).clamp(1, MOST_LINES);
    let lines = Lines::of(sums, most_lines);
    notes.extend(lines.note(sums));
    // Sums that are computed for a chart are in no other table.
    let with_tables = !is_whole || lines.add_up(sums) || (by_hour && times.step > 1);

    let mut values = vec![vec![vec![None; places]; lines.names.len()]; metrics.len()];
    merged.each_leaf(|leaf| {
        let (post, metric) = place(leaf);
        let chart = metrics.binary_search_by_key(&metric, |metric| metric.0).ok();
        let lines = chart.and_then(|index| values.get_mut(index)).zip(Some(lines.line(post)));
        let line = lines.and_then(|(lines, index)| lines.get_mut(index));
        if let Some(value) =
            line.zip(times.place(leaf)).and_then(|(line, index)| line.get_mut(index))
        {
            let sum: u64 = value.unwrap_or_default();
            *value = Some(sum.saturating_add(counted(leaf)));
        }
    });
    if values.iter().flatten().flatten().any(Option::is_none) {
        notes.push("Where a line is broken or absent, there are no numbers.".to_owned());
    }
    let charts = metrics.iter().zip(values).map(|((_, name), values)| {
        let series = lines.names.iter().zip(values);
        let series = series.map(|(name, values)| Series { name: name.clone(), values });
        times.chart(name, series.collect())
    });
    let draw = |chart: &Chart, charts| chart.draw_among(charts, with_tables);
    let drawn = fitting(&charts.collect::<Vec<_>>(), room, draw);
    notes.extend(sums.undrawn(drawn.len()));
    Charts { are_over_time: !drawn.is_empty(), drawn, notes }
}

/// The lines of a chart: one for each of some posts, and one for the sum of the others.
struct Lines {
    names: Vec<String>,
    own: BTreeMap<u64, usize>,
}

impl Lines {
    fn of(sums: &Sums, most: usize) -> Lines {
        let mut posts = sums.ranked();
        let count = posts.len();
        if count > most {
            posts.truncate(most - 1);
        }
        let mut names: Vec<String> = posts.iter().map(ToString::to_string).collect();
        match count - posts.len() {
            0 => {}
            others if others == count => names.push(format!("all {others} posts")),
            others => names.push(format!("{others} others")),
        }
        Lines { names, own: posts.into_iter().zip(0..).collect() }
    }

    fn line(&self, post: u64) -> usize {
        self.own.get(&post).copied().unwrap_or(self.own.len())
    }

    fn add_up(&self, sums: &Sums) -> bool {
        self.own.len() < sums.totals.len()
    }

    fn note(&self, sums: &Sums) -> Option<String> {
        let (own, first) = (self.own.len(), sums.metrics.values().next()?);
        match sums.totals.len() - own {
            0 => None,
            others if own == 0 => Some(format!("The numbers of all {others} posts are added up.")),
            others => Some(format!(
                "The {own} posts with the most {first} have a line each; the other {others} are added up."
            )),
        }
    }
}

/// The times of a chart, from the first to the last that has a number or is missing from the answer.
struct Times {
    first: Hour,
    last: Hour,
    /// Hours from one to the next.
    step: i64,
}

impl Times {
    fn of(sums: &Sums, missing: &[Missing], by_hour: bool) -> Option<Times> {
        let gaps = || missing.iter().flat_map(|gap| &gap.windows).map(|window| window.widened());
        let first = gaps().map(|window| hour_of(window.start)).chain(sums.first).min()?;
        let last = gaps().map(|window| hour_of(window.end) - 1).chain(sums.last).max()?;
        let step = if by_hour && last - first < MOST_HOURS { 1 } else { 24 };
        Some(Times { first: first.div_euclid(step) * step, last, step })
    }

    fn count(&self) -> usize {
        usize::try_from((self.last - self.first) / self.step + 1).unwrap_or(usize::MAX)
    }

    fn place(&self, leaf: &Leaf<'_>) -> Option<usize> {
        usize::try_from((begin(leaf)? - self.first) / self.step).ok()
    }

    fn chart(&self, name: &str, series: Vec<Series>) -> Chart {
        let unit = if self.step == 1 { "hour" } else { "day" };
        let [first, last] = [self.first, self.last].map(|hour| begin_of(hour).year());
        // If all labels share a year, leaving it out makes room for more of them.
        let (along, from) = match unit {
            _ if first != last => (format!("{unit} (UTC)"), 0),
            _ => (format!("{unit} of {first} (UTC)"), 5),
        };
        let until = if self.step == 1 { 16 } else { 10 };
        let label = |index| {
            let begin = begin_of(self.first + index * self.step);
            let text = format!("{} {:02}:00", begin.date(), begin.hour());
            text.get(from..until).unwrap_or_default().to_owned()
        };
        Chart {
            title: format!("{name} by {unit}"),
            unit: format!("{name} {} {unit}", if unit == "hour" { "an" } else { "a" }),
            along,
            kind: Kind::Lines,
            labels: (0..).map(label).take(self.count()).collect(),
            series,
        }
    }
}

/// The post and the engagement type of a number; 0 where the answer has none.
fn place(leaf: &Leaf<'_>) -> (u64, u64) {
    (leaf.post.map_or(0, |part| part.key), leaf.metric.map_or(0, |part| part.key))
}

fn counted(leaf: &Leaf<'_>) -> u64 {
    u64::try_from(leaf.value).unwrap_or_default()
}

/// The hour in which the period of a number begins. Its day's key is a number like 20260131.
fn begin(leaf: &Leaf<'_>) -> Option<Hour> {
    let day = leaf.day?.key;
    let month = Month::try_from(u8::try_from(day / 100 % 100).ok()?).ok()?;
    let (year, of_month) = (i32::try_from(day / 10_000).ok()?, u8::try_from(day % 100).ok()?);
    let day = Date::from_calendar_date(year, month, of_month).ok()?;
    let hour = i64::try_from(leaf.hour.map_or(0, |hour| hour.key)).ok()?;
    Some(hour_of(day.midnight().assume_utc()) + hour)
}
