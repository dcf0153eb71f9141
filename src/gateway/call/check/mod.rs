//! Checking a request here instead of spending quota on it: every rule of the upstream that is known for sure, all
//! problems of a body at once (reference 1.3, 1.4, 1.5, 2).

mod problems;
mod times;
mod words;

pub use crate::gateway::call::check::problems::Problems;
pub use crate::gateway::call::check::times::read_time;
pub(in crate::gateway) use crate::gateway::call::check::times::{Now, rfc3339};
pub(in crate::gateway) use crate::gateway::call::check::words::quoted;

use std::borrow::Cow;
use std::fmt::Display;

use time::OffsetDateTime;

use crate::gateway::Detail;
use crate::gateway::call::check::words::{GroupBys, NoMetric, endpoints, shown};
use crate::gateway::call::json;
use crate::gateway::call::json::{MAX_DEPTH, Node, Path, without_mark};
use crate::model::endpoint::MAX_WINDOW;
use crate::model::grouping::{MAX_GROUPINGS, RESERVED_NAMES};
use crate::model::{Endpoint, GroupBy, Metric};

pub(in crate::gateway) const IDS: Path = Path::Key(&Path::Root, "tweet_ids");
pub(in crate::gateway) const TYPES: Path = Path::Key(&Path::Root, "engagement_types");
pub(in crate::gateway) const GROUPINGS: Path = Path::Key(&Path::Root, "groupings");
const POST_ID: &str = "a post id of 1 to 19 digits, as a string or a whole number";
const START: Path = Path::Key(&Path::Root, "start");
const END: Path = Path::Key(&Path::Root, "end");

/// A body's contents, as far as they can be read, and everything that is wrong with it.
#[derive(Default)]
pub struct Checked {
    /// The number of post ids.
    pub posts: usize,
    pub metrics: Vec<Metric>,
    pub problems: Vec<Detail>,
}

/// Checks a body for `endpoint` at the time `now`.
pub fn check(endpoint: Endpoint, body: &[u8], now: Now) -> Checked {
    let root = match read_object(body, "tweet_ids, engagement_types and groupings") {
        Ok(root) => root,
        Err(problem) => return Checked { problems: vec![problem], ..Checked::default() },
    };
    let mut problems = Problems::default();
    problems.part(&Path::Root, |part| part.duplicates(&Path::Root, &root, 1));
    let posts = problems.part(&IDS, |part| part.post_ids(endpoint, root.member("tweet_ids")));
    let metrics =
        problems.part(&TYPES, |part| part.metrics(endpoint, root.member("engagement_types")));
    problems.part(&GROUPINGS, |part| part.groupings(endpoint, root.member("groupings")));
    if endpoint == Endpoint::Historical {
        problems
            .part(&Path::Root, |part| part.window(root.member("start"), root.member("end"), now));
    }
    Checked { posts, metrics, problems: problems.into_details() }
}

/// Reads a body that must be an object; `keys` are suggested if it is empty.
pub(in crate::gateway) fn read_object<'a>(body: &'a [u8], keys: &str) -> Result<Node<'a>, Detail> {
    let body = without_mark(body);
    if body.trim_ascii().is_empty() {
        return Err(Detail::at("", format!("is empty; send a JSON object with {keys}")));
    }
    match json::read(body) {
        Ok(root @ Node::Map(_)) => Ok(root),
        Ok(other) => Err(Detail::at("", format!("must be an object, not {}", other.kind()))),
        Err(detail) => Err(Detail::at("", detail)),
    }
}

impl Problems {
    /// Adds a problem for every key that occurs in its object more than once.
    pub(in crate::gateway) fn duplicates(&mut self, at: &Path<'_>, node: &Node<'_>, depth: usize) {
        if depth > MAX_DEPTH {
            return self.add(at, format_args!("nested deeper than {MAX_DEPTH} levels"));
        }
        match node {
            Node::List(items) => {
                let nested = |node: &&Node<'_>| matches!(node, Node::List(_) | Node::Map(_));
                for (index, item) in items.iter().enumerate().filter(|(_, item)| nested(item)) {
                    self.duplicates(&Path::Index(at, index), item, depth + 1);
                }
            }
            Node::Map(entries) => {
                let mut keys: Vec<&str> = entries.iter().map(|(key, _)| &**key).collect();
                keys.sort_unstable();
                let runs = keys.chunk_by(|one, next| one == next);
                for key in runs.filter(|run| run.len() > 1).filter_map(|run| run.first()) {
                    self.add(
                        &Path::Key(at, key),
                        "this key occurs more than once; give it only once",
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

    /// The items of an array, or none with a problem added.
    pub(in crate::gateway) fn list<'a, 'b>(
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

    fn post_ids(&mut self, endpoint: Endpoint, node: Option<&Node<'_>>) -> usize {
        let items = self.list(&IDS, node, "post ids");
        if items.len() > endpoint.max_posts() {
            let (count, most) = (items.len(), endpoint.max_posts());
            self.add(
                &IDS,
                format_args!("has {count} ids; {endpoint} takes at most {most} per request"),
            );
        }
        for (index, item) in items.iter().enumerate().filter(|(_, item)| !is_post_id(item)) {
            self.no_post_id(&Path::Index(&IDS, index), item, POST_ID);
        }
        items.len()
    }

    /// Adds the problem that an item is not what is `expected` of it.
    pub(in crate::gateway) fn no_post_id(
        &mut self,
        at: &Path<'_>,
        item: &Node<'_>,
        expected: &str,
    ) {
        let found = match item {
            Node::Number => {
                ", not a number with a sign, a fraction, an exponent or more digits".to_owned()
            }
            other => quoted(other),
        };
        self.add(at, format_args!("must be {expected}{found}"));
    }

    /// The engagement types that can be read and that `endpoint` serves.
    pub(in crate::gateway) fn metrics(
        &mut self,
        endpoint: Endpoint,
        node: Option<&Node<'_>>,
    ) -> Vec<Metric> {
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
                    let others = endpoints(metric);
                    self.add(
                        &at,
                        format_args!("{metric} is not served by {endpoint}, only by {others}"),
                    );
                }
                None => self.add(&at, NoMetric(item, endpoint)),
            }
        }
        metrics
    }

    /// The groupings by name, with their values as far as these can be read.
    pub(in crate::gateway) fn groupings<'a>(
        &mut self,
        endpoint: Endpoint,
        node: Option<&'a Node<'_>>,
    ) -> Vec<(&'a str, Vec<GroupBy>)> {
        const FORM: &str = r#"like {"by_tweet": {"group_by": ["tweet.id", "engagement.type"]}}"#;
        let entries = match node {
            Some(Node::Map(entries)) if !entries.is_empty() => entries,
            Some(Node::Map(_)) => {
                self.add(&GROUPINGS, format_args!("is empty; give at least one, {FORM}"));
                return Vec::new();
            }
            Some(other) => {
                self.add(
                    &GROUPINGS,
                    format_args!("must be an object {FORM}, not {}", other.kind()),
                );
                return Vec::new();
            }
            None => {
                self.add(&GROUPINGS, format_args!("is missing; give at least one, {FORM}"));
                return Vec::new();
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
        let read = |(name, value): &'a (Cow<'_, str>, Node<'_>)| {
            (&**name, self.levels(endpoint, name, value))
        };
        let groupings: Vec<(&str, Vec<GroupBy>)> = entries.iter().map(read).collect();
        if groupings.iter().filter(|(_, levels)| levels.len() == 4).count() > 1 {
            self.add(
                &GROUPINGS,
                "has more than one grouping of four values; a request takes at most one",
            );
        }
        groupings
    }

    /// One grouping's values.
    fn levels(&mut self, endpoint: Endpoint, name: &str, grouping: &Node<'_>) -> Vec<GroupBy> {
        let at = Path::Key(&GROUPINGS, name);
        if RESERVED_NAMES.contains(&name) {
            self.add(&at, "is the name of a key in the answer; choose another name");
        }
        let Node::Map(_) = grouping else {
            self.add(&at, format_args!("must be an object with group_by, not {}", grouping.kind()));
            return Vec::new();
        };
        let at = Path::Key(&at, "group_by");
        let list = grouping.member("group_by");
        let items = self.list(&at, list, format_args!("grouping values ({})", GroupBys(endpoint)));
        let before = self.count();
        let mut levels = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match read_level(endpoint, &levels, item) {
                Ok(level) => levels.push(level),
                Err(detail) => self.add(&Path::Index(&at, index), detail),
            }
        }
        let in_order = GroupBy::FOUR_LEVEL_ORDERS.iter().any(|order| order.as_slice() == levels);
        if self.count() == before && levels.len() == 4 && !in_order {
            self.add(
                &at,
                "four values must be in the order tweet.id, engagement.type, engagement.day, engagement.hour, \
                 or with the first two swapped",
            );
        }
        levels
    }

    fn window(&mut self, start: Option<&Node<'_>>, end: Option<&Node<'_>>, now: Now) {
        let (start, end) = (self.time(&START, start), self.time(&END, end));
        for (at, time) in [(&START, start), (&END, end)] {
            if time.is_some_and(|time| now.is_before(time)) {
                self.add(at, format_args!("is in the future; it is now {}", rfc3339(now.at)));
            }
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

    /// A time in one of the forms that clients send, if present.
    pub(in crate::gateway) fn time(
        &mut self,
        at: &Path<'_>,
        node: Option<&Node<'_>>,
    ) -> Option<OffsetDateTime> {
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
            Err(format!("{level} occurs twice; give it once"))
        }
        Some(level) if level.is_time() && !endpoint.has_time_series() => Err(format!(
            "{endpoint} has no time series, so it cannot group by {level}; 28hr and historical can"
        )),
        Some(level) => Ok(level),
    }
}

/// 1 to 19 digits after trimming: public clients send numbers and ids with line ends (reference 1.3).
pub(in crate::gateway) fn is_post_id(node: &Node<'_>) -> bool {
    match node {
        Node::Natural(id) => *id < 10_000_000_000_000_000_000,
        Node::Text(text) => {
            let digits = text.as_bytes().trim_ascii();
            // Without an early exit, the compiler uses vector instructions.
            let all_digits =
                |digits: &[u8]| digits.iter().fold(true, |all, byte| all & byte.is_ascii_digit());
            (1..=19).contains(&digits.len()) && all_digits(digits)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
