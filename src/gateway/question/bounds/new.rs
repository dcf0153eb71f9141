//! Reading the bounds of a new token: every mistake at once, each by JSON pointer with what would be right.

use time::{Duration, OffsetDateTime};

use crate::gateway::Detail;
use crate::gateway::call::check::{GROUPINGS, IDS, Now, Problems, TYPES, quoted, read_object};
use crate::gateway::call::json::{Node, Path};
use crate::gateway::question::bounds::{BoundWindow, Bounds};
use crate::gateway::question::read::{each_once, given};
use crate::gateway::question::{Grouping, Limits, Span};
use crate::model::{Endpoint, Metric, UserId};

const WINDOWS: Path = Path::Key(&Path::Root, "windows");
const AUTHOR: Path = Path::Key(&Path::Root, "author");
const KEYS: [&str; 5] = ["tweet_ids", "author", "engagement_types", "windows", "groupings"];

impl Bounds {
    /// Reads the member `question` of a new token, or says everything that is wrong with it.
    pub fn read(body: &[u8], limits: &Limits, now: OffsetDateTime) -> Result<Bounds, Vec<Detail>> {
        let root = read_object(body, "tweet_ids or author").map_err(|problem| vec![problem])?;
        let mut problems = Problems::default();
        problems.part(&Path::Root, |part| {
            part.duplicates(&Path::Root, &root, 1);
            part.unknown_keys(&Path::Root, &root, &KEYS);
        });
        let author = given(&root, "author");
        let author = author.and_then(|node| problems.part(&AUTHOR, |part| part.author(node)));
        let ids = given(&root, "tweet_ids");
        let posts = match (ids, given(&root, "author")) {
            (None, Some(_)) => None,
            (ids, None) => Some(problems.part(&IDS, |part| part.posts(ids, limits))),
            (Some(_), Some(_)) => {
                let detail = "is given beside tweet_ids; give either posts, or their author";
                problems.part(&AUTHOR, |part| part.add(&AUTHOR, detail));
                None
            }
        };
        let windows = given(&root, "windows");
        let windows = windows
            .map(|node| problems.part(&WINDOWS, |part| part.bound_windows(node, limits.days, now)));
        let endpoints: Vec<Endpoint> = match &windows {
            Some(windows) => windows.iter().map(|window| window.endpoint()).collect(),
            None => Endpoint::ALL.to_vec(),
        };
        let metrics = given(&root, "engagement_types");
        let metrics =
            metrics.map(|node| problems.part(&TYPES, |part| part.bound_types(&endpoints, node)));
        // Times may be grouped by wherever one of the windows has a series of them.
        let with_times = endpoints.iter().copied().find(|endpoint| endpoint.has_time_series());
        let groupings = given(&root, "groupings").map(|node| {
            let endpoint = with_times.unwrap_or(Endpoint::Totals);
            problems.part(&GROUPINGS, |part| part.named(endpoint, Some(node)))
        });
        let bounds = Bounds { posts, author, metrics, windows, groupings };
        if problems.count() == 0 {
            problems.part(&WINDOWS, |part| part.useless(&bounds));
        }
        let problems = problems.into_details();
        if problems.is_empty() { Ok(bounds) } else { Err(problems) }
    }
}

impl Problems {
    fn author(&mut self, node: &Node<'_>) -> Option<UserId> {
        let id = match node {
            Node::Text(text) => UserId::parse(text.trim()),
            Node::Natural(id) => UserId::parse(&id.to_string()),
            _ => None,
        };
        if id.is_none() {
            let found = quoted(node);
            self.add(&AUTHOR, format_args!("must be a user id of 1 to 19 digits{found}"));
        }
        id
    }

    fn bound_windows(
        &mut self,
        node: &Node<'_>,
        days: u16,
        now: OffsetDateTime,
    ) -> Vec<BoundWindow> {
        let items = self.list(&WINDOWS, Some(node), "windows");
        let read = items.iter().enumerate().filter_map(|(index, item)| {
            self.bound_window(&Path::Index(&WINDOWS, index), item, days, now)
        });
        let mut windows: Vec<BoundWindow> = Vec::new();
        for window in read {
            if !windows.contains(&window) {
                windows.push(window);
            }
        }
        windows
    }

    fn bound_window(
        &mut self,
        at: &Path<'_>,
        node: &Node<'_>,
        days: u16,
        now: OffsetDateTime,
    ) -> Option<BoundWindow> {
        let is_range = node.member("last").is_none_or(|last| matches!(last, Node::Null));
        if let (Node::Map(_), true) = (node, is_range) {
            self.unknown_keys(at, node, &["start", "end", "last"]);
            return self.bound_range(at, node, days, now);
        }
        // A relative window is the same number of hours whenever it is read.
        let read = self.question_window(at, Some(node), days, Now::exact(now))?.window;
        let hours = read.span().map(|Span { start, end }| (end - start).whole_hours());
        match (hours, read.endpoint()) {
            (Some(hours), _) => Some(BoundWindow::Last { hours }),
            (None, Endpoint::TwentyEightHours) => Some(BoundWindow::TwentyEightHours),
            (None, _) => Some(BoundWindow::Totals),
        }
    }

    /// A range as it is written; the page's own questions are held against the present.
    fn bound_range(
        &mut self,
        at: &Path<'_>,
        node: &Node<'_>,
        days: u16,
        now: OffsetDateTime,
    ) -> Option<BoundWindow> {
        let [start, end] = ["start", "end"].map(|name| {
            let (at, value) = (Path::Key(at, name), node.member(name));
            if value.is_none() {
                self.add(&at, "is missing; give a time like 2026-01-31 or 2026-01-31T13:00:00Z");
            }
            self.time(&at, value)
        });
        let (start, end) = (start?, end?);
        let most = Duration::days(days.into());
        if end <= start {
            self.add(&Path::Key(at, "end"), "must be after start");
            return None;
        }
        // Only times that are near enough to the present are safe to reckon with.
        if start < now.saturating_sub(most) {
            let detail = format_args!("is more than {days} days ago, the longest range");
            self.add(&Path::Key(at, "start"), detail);
            return None;
        }
        if end > now.saturating_add(most) {
            let detail = format_args!("is more than {days} days ahead");
            self.add(&Path::Key(at, "end"), detail);
            return None;
        }
        Some(BoundWindow::Range(Span { start, end }.widened()))
    }

    /// The types that one of the endpoints serves.
    fn bound_types(&mut self, endpoints: &[Endpoint], node: &Node<'_>) -> Vec<Metric> {
        let items = self.list(&TYPES, Some(node), "engagement types");
        let mut metrics = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let known = match item {
                Node::Text(name) => Metric::from_name(name),
                _ => None,
            };
            let served = |metric: &Metric| endpoints.iter().any(|each| metric.is_served_by(*each));
            match known {
                Some(metric) if served(&metric) || endpoints.is_empty() => metrics.push(metric),
                Some(metric) => self.add(
                    &Path::Index(&TYPES, index),
                    format_args!("{metric} is served in none of the windows"),
                ),
                None => self.add(
                    &Path::Index(&TYPES, index),
                    format_args!("must be an engagement type such as impressions{}", quoted(item)),
                ),
            }
        }
        each_once(metrics)
    }

    /// Windows about which nothing can be asked.
    fn useless(&mut self, bounds: &Bounds) {
        for (index, window) in bounds.windows.iter().flatten().enumerate() {
            let (at, endpoint) = (Path::Index(&WINDOWS, index), window.endpoint());
            let serves = |metric: &Metric| metric.is_served_by(endpoint);
            if bounds.metrics.as_ref().is_some_and(|metrics| !metrics.iter().any(serves)) {
                self.add(&at, format_args!("{endpoint} serves none of the engagement_types"));
            }
            let suits = |grouping: &Grouping| grouping.suits(endpoint);
            if bounds.groupings.as_ref().is_some_and(|all| !all.iter().any(suits)) {
                self.add(
                    &at,
                    format_args!(
                        "{endpoint} has no time series, so none of the groupings suits it"
                    ),
                );
            }
        }
    }
}
