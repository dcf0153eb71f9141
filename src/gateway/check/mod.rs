//! Checking a request here instead of spending quota on it: every rule of the upstream that is known for sure, all
//! problems of a body at once (reference 1.3, 1.4, 1.5, 2).

mod problems;

use std::fmt::{self, Display};

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime};

use crate::gateway::Problem;
use crate::gateway::check::problems::Problems;
use crate::gateway::json::{self, MAX_DEPTH, Node, Path};
use crate::model::endpoint::MAX_WINDOW;
use crate::model::grouping::{MAX_GROUPINGS, RESERVED_NAMES};
use crate::model::{Endpoint, GroupBy, Metric};

const IDS: Path = Path::Key(&Path::Root, "tweet_ids");
const TYPES: Path = Path::Key(&Path::Root, "engagement_types");
const GROUPINGS: Path = Path::Key(&Path::Root, "groupings");
const START: Path = Path::Key(&Path::Root, "start");
const END: Path = Path::Key(&Path::Root, "end");
/// Clocks differ a little.
const FUTURE_TOLERANCE: Duration = Duration::minutes(1);

/// Checks a body for `endpoint` at the time `now`: the metrics that it asks for, as far as they can be read, and
/// everything that is wrong with it.
pub fn check(endpoint: Endpoint, body: &[u8], now: OffsetDateTime) -> (Vec<Metric>, Vec<Problem>) {
    let refused = |detail: String| (Vec::new(), vec![Problem::at("", detail)]);
    if body.trim_ascii().is_empty() {
        let detail = "is empty; send a JSON object with tweet_ids, engagement_types and groupings";
        return refused(detail.to_owned());
    }
    let root = match json::read(body) {
        Ok(root) => root,
        Err(detail) => return refused(detail),
    };
    let Node::Map(entries) = &root else {
        return refused(format!("must be an object, not {}", root.kind()));
    };
    let member = |name: &str| entries.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let mut problems = Problems::default();
    problems.part(&Path::Root, |it| it.duplicates(&Path::Root, &root, 1));
    problems.part(&IDS, |it| it.post_ids(endpoint, member("tweet_ids")));
    let metrics = problems.part(&TYPES, |it| it.metrics(endpoint, member("engagement_types")));
    problems.part(&GROUPINGS, |it| it.groupings(endpoint, member("groupings")));
    if endpoint == Endpoint::Historical {
        problems.part(&Path::Root, |it| it.window(member("start"), member("end"), now));
    }
    (metrics, problems.into_told())
}

impl Problems {
    fn duplicates(&mut self, at: &Path<'_>, node: &Node<'_>, depth: usize) {
        if depth > MAX_DEPTH {
            return self.add(at, format_args!("nested deeper than {MAX_DEPTH} levels"));
        }
        match node {
            Node::List(items) => {
                let nested = |it: &&Node<'_>| matches!(it, Node::List(_) | Node::Map(_));
                for (index, item) in items.iter().enumerate().filter(|(_, it)| nested(it)) {
                    self.duplicates(&Path::Index(at, index), item, depth + 1);
                }
            }
            Node::Map(entries) => {
                let mut keys: Vec<&str> = entries.iter().map(|(key, _)| &**key).collect();
                keys.sort_unstable();
                let runs = keys.chunk_by(|one, next| one == next);
                for key in runs.filter(|it| it.len() > 1).filter_map(|it| it.first()) {
                    self.add(
                        &Path::Key(at, key),
                        "this key stands here more than once; give it once",
                    );
                }
                for (key, value) in entries {
                    if matches!(value, Node::List(_) | Node::Map(_)) {
                        self.duplicates(&Path::Key(at, key), value, depth + 1);
                    }
                }
            }
            _ => (),
        }
    }

    fn list<'a, 'b>(
        &mut self,
        at: &Path<'_>,
        node: Option<&'a Node<'b>>,
        of: impl Display,
    ) -> &'a [Node<'b>] {
        match node {
            Some(Node::List(items)) if !items.is_empty() => return items,
            Some(Node::List(_)) => {
                self.add(at, format_args!("is empty; give one or more {of}"));
            }
            Some(other) => {
                self.add(at, format_args!("must be an array of {of}, not {}", other.kind()));
            }
            None => self.add(at, format_args!("is missing; give an array of {of}")),
        }
        &[]
    }

    fn post_ids(&mut self, endpoint: Endpoint, node: Option<&Node<'_>>) {
        let items = self.list(&IDS, node, "post ids");
        if items.len() > endpoint.max_posts() {
            let (count, most) = (items.len(), endpoint.max_posts());
            self.add(
                &IDS,
                format_args!("has {count} ids; {endpoint} takes at most {most} a request"),
            );
        }
        for (index, item) in items.iter().enumerate().filter(|(_, it)| !is_post_id(it)) {
            let found = match item {
                Node::Number => {
                    ", not a number with a sign, a fraction, an exponent or more digits".to_owned()
                }
                other => quoted(other),
            };
            let right = "must be a post id of 1 to 19 digits, as a string or a whole number";
            self.add(&Path::Index(&IDS, index), format_args!("{right}{found}"));
        }
    }

    fn metrics(&mut self, endpoint: Endpoint, node: Option<&Node<'_>>) -> Vec<Metric> {
        let items = self.list(&TYPES, node, "engagement types");
        let mut metrics = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = Path::Index(&TYPES, index);
            let known = match item {
                Node::Text(name) => Metric::from_name(name),
                _ => None,
            };
            match known {
                Some(metric) if metric.is_served_by(endpoint) => metrics.push(metric),
                Some(metric) => {
                    let others = Endpoint::ALL.iter().filter(|it| metric.is_served_by(**it));
                    let others: Vec<&str> = others.map(|it| it.name()).collect();
                    let detail = format!(
                        "{metric} is not served by {endpoint}, only by {}",
                        others.join(" and ")
                    );
                    self.add(&at, detail);
                }
                None => {
                    let names: Vec<&str> = Metric::ALL
                        .iter()
                        .filter(|it| it.is_served_by(endpoint))
                        .map(|it| it.name())
                        .collect();
                    let detail = format!(
                        "{} is not an engagement type; {endpoint} serves {}",
                        shown(item),
                        names.join(", ")
                    );
                    self.add(&at, detail);
                }
            }
        }
        metrics
    }

    fn groupings(&mut self, endpoint: Endpoint, node: Option<&Node<'_>>) {
        const FORM: &str = r#"like {"by_tweet": {"group_by": ["tweet.id", "engagement.type"]}}"#;
        let entries = match node {
            Some(Node::Map(entries)) if !entries.is_empty() => entries,
            Some(Node::Map(_)) => {
                self.add(&GROUPINGS, format_args!("is empty; give at least one, {FORM}"));
                return;
            }
            Some(other) => {
                self.add(
                    &GROUPINGS,
                    format_args!("must be an object {FORM}, not {}", other.kind()),
                );
                return;
            }
            None => {
                self.add(&GROUPINGS, format_args!("is missing; give at least one, {FORM}"));
                return;
            }
        };
        if entries.len() > MAX_GROUPINGS {
            self.add(
                &GROUPINGS,
                format_args!(
                    "has {} groupings; a request takes at most {MAX_GROUPINGS}",
                    entries.len()
                ),
            );
        }
        let levels = entries.iter().map(|(name, value)| self.levels(endpoint, name, value));
        if levels.filter(|it| *it == 4).count() > 1 {
            self.add(
                &GROUPINGS,
                "has more than one grouping of four values; a request takes at most one",
            );
        }
    }

    /// Checks one grouping and counts its values.
    fn levels(&mut self, endpoint: Endpoint, name: &str, grouping: &Node<'_>) -> usize {
        let at = Path::Key(&GROUPINGS, name);
        if RESERVED_NAMES.contains(&name) {
            self.add(&at, "takes the name of a key of the answer; choose another name");
        }
        let Node::Map(entries) = grouping else {
            self.add(&at, format_args!("must be an object with group_by, not {}", grouping.kind()));
            return 0;
        };
        let list = entries.iter().find(|(key, _)| key == "group_by").map(|(_, value)| value);
        let at = Path::Key(&at, "group_by");
        let items = self.list(&at, list, format_args!("grouping values ({})", GroupBys(endpoint)));
        let before = self.count();
        let mut levels = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match read_level(endpoint, &levels, item) {
                Ok(level) => levels.push(level),
                Err(detail) => self.add(&Path::Index(&at, index), detail),
            }
        }
        let in_order = GroupBy::FOUR_LEVEL_ORDERS.iter().any(|it| it.as_slice() == levels);
        if self.count() == before && levels.len() == 4 && !in_order {
            self.add(
                &at,
                "four values must stand as tweet.id, engagement.type, engagement.day, engagement.hour, \
                 or with the first two exchanged",
            );
        }
        levels.len()
    }

    fn window(&mut self, start: Option<&Node<'_>>, end: Option<&Node<'_>>, now: OffsetDateTime) {
        let (start, end) = (self.time(&START, start), self.time(&END, end));
        if let Some(start) = start
            && start > now + FUTURE_TOLERANCE
        {
            self.add(&START, format_args!("is in the future; it is {} now", rfc3339(now)));
        }
        if let Some(end) = end
            && end > now + FUTURE_TOLERANCE
        {
            self.add(&END, format_args!("is in the future; it is {} now", rfc3339(now)));
        }
        if let (Some(start), Some(end)) = (start, end) {
            if end <= start {
                self.add(&END, "must be after start");
            } else if end - start > MAX_WINDOW {
                let latest = rfc3339(start + MAX_WINDOW);
                self.add(
                    &END,
                    format_args!("is more than 28 days after start; the latest end is {latest}"),
                );
            }
        }
    }

    fn time(&mut self, at: &Path<'_>, node: Option<&Node<'_>>) -> Option<OffsetDateTime> {
        let node = node?;
        let read = match node {
            Node::Text(text) => read_time(text.trim()),
            _ => None,
        };
        if read.is_none() {
            let detail =
                format!("must be a time like 2026-01-31 or 2026-01-31T13:00:00Z{}", quoted(node));
            self.add(at, detail);
        }
        read
    }
}

/// One value of a `group_by`, after those `before` it.
fn read_level(endpoint: Endpoint, before: &[GroupBy], item: &Node<'_>) -> Result<GroupBy, String> {
    let known = match item {
        Node::Text(name) => GroupBy::from_name(name),
        _ => None,
    };
    match known {
        None => Err(format!(
            "{} is not a grouping value; {endpoint} can group by {}",
            shown(item),
            GroupBys(endpoint)
        )),
        Some(level) if before.contains(&level) => {
            Err(format!("{level} stands here twice; give it once"))
        }
        Some(level) if level.is_time() && !endpoint.has_time_series() => Err(format!(
            "{endpoint} has no time series, so it cannot group by {level}; 28hr and historical can"
        )),
        Some(level) => Ok(level),
    }
}

/// 1 to 19 digits after trimming: public clients send numbers and ids with line ends (reference 1.3).
fn is_post_id(node: &Node<'_>) -> bool {
    match node {
        Node::Natural(id) => *id < 10_000_000_000_000_000_000,
        Node::Text(text) => {
            let digits = text.as_bytes().trim_ascii();
            // Without an early end this is done with vector instructions.
            let all_digits =
                |digits: &[u8]| digits.iter().fold(true, |all, it| all & it.is_ascii_digit());
            (1..=19).contains(&digits.len()) && all_digits(digits)
        }
        _ => false,
    }
}

/// The four forms that clients send; no zone means UTC (reference 1.5).
fn read_time(text: &str) -> Option<OffsetDateTime> {
    let seconds = format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]"
    );
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(at);
    }
    if let Ok(at) = PrimitiveDateTime::parse(text, seconds) {
        return Some(at.assume_utc());
    }
    let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
    Some(day.midnight().assume_utc())
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// What results of an endpoint can be grouped by.
struct GroupBys(Endpoint);

impl Display for GroupBys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let can = GroupBy::ALL.into_iter().filter(|it| !it.is_time() || self.0.has_time_series());
        f.write_str(&can.map(GroupBy::name).collect::<Vec<_>>().join(", "))
    }
}

/// The offending value after what would be right.
fn quoted(node: &Node<'_>) -> String {
    format!(", not {}", shown(node))
}

/// A value, when it is short enough to help.
fn shown(node: &Node<'_>) -> String {
    match node {
        Node::Text(text) if text.chars().count() <= 40 => format!("{text:?}"),
        Node::Text(_) => "a long string".to_owned(),
        Node::Natural(number) => number.to_string(),
        other => other.kind().to_owned(),
    }
}

#[cfg(test)]
mod tests;
