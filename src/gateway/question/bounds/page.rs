//! Reading a page's question: what it leaves out comes from its token, and what goes beyond that is refused.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::gateway::call::check::{GROUPINGS, IDS, Now, Problems, TYPES, read_object};
use crate::gateway::call::json::{Node, Path};
use crate::gateway::question::answered::Answered;
use crate::gateway::question::bounds::{BoundWindow, Bounds};
use crate::gateway::question::plan::{Missing, Reason};
use crate::gateway::question::read::{each_once, endpoint_of, given, named_post};
use crate::gateway::question::window::{ReadWindow, WINDOW};
use crate::gateway::question::{Grouping, Limits, Question, Span, Window};
use crate::gateway::{Detail, Error, OverLimit, PageLimit};
use crate::model::{Endpoint, GroupBy, Metric};

const KEYS: [&str; 4] = ["tweet_ids", "engagement_types", "window", "groupings"];
/// From here on, JavaScript's numbers are not exact.
const MOST_EXACT: u64 = 1 << 53;
/// Members that would say whose credentials to use, or have X list posts.
const OF_SERVICES: [&str; 6] = ["accounts", "owners", "posts_of", "last", "written", "top"];

impl Bounds {
    /// Reads a page's body at the time `now`, or says everything that is wrong with it; else everything that goes beyond
    /// the token.
    pub fn read_question(&self, body: &[u8], limits: &Limits, now: Now) -> Result<Question, Error> {
        let invalid = |problem| Error::InvalidRequest(vec![problem]);
        let root = read_object(body, "what of the token's question to ask").map_err(invalid)?;
        let mut problems = Problems::default();
        problems.part(&Path::Root, |part| {
            part.duplicates(&Path::Root, &root, 1);
            part.unknown_keys(&Path::Root, &root, &[&KEYS[..], &OF_SERVICES].concat());
        });
        let window = problems.part(&WINDOW, |part| match given(&root, "window") {
            Some(node) => part.question_window(&WINDOW, Some(node), limits.days, now),
            None => self.usual_window(part, limits.days, now),
        });
        let endpoint =
            window.as_ref().map_or_else(|| endpoint_of(&root), |read| read.window.endpoint());
        let posts = problems.part(&IDS, |part| match given(&root, "tweet_ids") {
            None if self.posts.is_some() => self.posts.clone().unwrap_or_default(),
            node => self.named_posts(part, node, limits),
        });
        let metrics =
            problems.part(&TYPES, |part| match (given(&root, "engagement_types"), &self.metrics) {
                (None, Some(all)) => part.served(all, endpoint),
                (node, _) => part.metrics(endpoint, node),
            });
        let groupings =
            problems.part(&GROUPINGS, |part| match (given(&root, "groupings"), &self.groupings) {
                (None, Some(all)) => part.suitable(all, endpoint),
                (node, _) => part.named(endpoint, node),
            });
        let problems = problems.into_details();
        let Some(read) = window.filter(|_| problems.is_empty()) else {
            return Err(Error::InvalidRequest(problems));
        };
        let ReadWindow { window, is_by_our_clock, notes } = read;
        // Where a relative window of the token ends, too, is for X's clock to say.
        let is_relative = |bound: &BoundWindow| matches!(bound, BoundWindow::Last { .. });
        let is_held_against_now =
            window.span().is_some() && self.windows.iter().flatten().any(is_relative);
        let is_by_our_clock = is_by_our_clock || (is_held_against_now && now.is_exact());
        let beyond = self.beyond(&root, window, now);
        if !beyond.is_empty() {
            return Err(Error::Beyond(beyond));
        }
        Ok(Question {
            posts,
            posts_of: None,
            metrics: each_once(metrics),
            window,
            groupings,
            accounts: None,
            owners: HashMap::new(),
            top: None,
            notes,
            is_by_our_clock,
        })
    }

    /// The window of a question that names none: the token's first.
    fn usual_window(&self, problems: &mut Problems, days: u16, now: Now) -> Option<ReadWindow> {
        let bound = self.windows.as_ref().and_then(|all| all.first().copied());
        let bound = bound.unwrap_or(BoundWindow::Totals);
        if let BoundWindow::Range(Span { start, end }) = bound {
            return problems.range_between(&WINDOW, (Some(start), Some(end)), days, now);
        }
        let is_relative = matches!(bound, BoundWindow::Last { .. });
        let is_by_our_clock = is_relative && now.is_exact();
        Some(ReadWindow { window: bound.at(now.at), is_by_our_clock, notes: Vec::new() })
    }

    /// The posts that a page names. Where their author has to be found out, each is named once, so that a refusal can
    /// point to it.
    fn named_posts(
        &self,
        problems: &mut Problems,
        node: Option<&Node<'_>>,
        limits: &Limits,
    ) -> Vec<u64> {
        let posts = problems.posts(node, limits);
        if let (None, Some(Node::List(items))) = (&self.posts, node)
            && problems.count() == 0
            && items.len() > posts.len()
        {
            problems.add(&IDS, "names a post more than once; name each once");
        }
        posts
    }

    /// What of a question goes beyond these bounds.
    fn beyond(&self, root: &Node<'_>, window: Window, now: Now) -> Vec<Detail> {
        let mut problems = Problems::default();
        for name in OF_SERVICES {
            let at = Path::Key(&Path::Root, name);
            if given(root, name).is_some() {
                problems.part(&at, |part| part.add(&at, "is not for pages to say; leave it out"));
            }
        }
        problems.part(&IDS, |part| self.other_posts(part, root.member("tweet_ids")));
        problems.part(&TYPES, |part| self.other_types(part, root.member("engagement_types")));
        problems.part(&WINDOW, |part| {
            let contains = |bound: &BoundWindow| bound.contains(window, now.at);
            if self.windows.as_ref().is_some_and(|all| !all.iter().any(contains)) {
                part.add(&WINDOW, "lies in none of the windows that this token is for");
            }
        });
        problems.part(&GROUPINGS, |part| self.other_groupings(part, root.member("groupings")));
        problems.into_details()
    }

    fn other_posts(&self, problems: &mut Problems, node: Option<&Node<'_>>) {
        let Some(Node::List(items)) = node else { return };
        let Some(posts) = &self.posts else { return };
        let mine: HashSet<u64> = posts.iter().copied().collect();
        for (index, item) in items.iter().enumerate() {
            let at = Path::Index(&IDS, index);
            let wrong = match (named_post(item), item) {
                (Some(post), _) if mine.contains(&post) => continue,
                (Some(MOST_EXACT..), Node::Natural(_)) => {
                    "is none of the posts that this token is for; JavaScript rounds numbers of this size, so write ids as strings"
                }
                _ => "is none of the posts that this token is for",
            };
            problems.add(&at, wrong);
        }
    }

    fn other_types(&self, problems: &mut Problems, node: Option<&Node<'_>>) {
        let (Some(Node::List(items)), Some(mine)) = (node, &self.metrics) else { return };
        for (index, item) in items.iter().enumerate() {
            let named = match item {
                Node::Text(name) => Metric::from_name(name),
                _ => None,
            };
            if named.is_none_or(|metric| !mine.contains(&metric)) {
                let at = Path::Index(&TYPES, index);
                problems.add(&at, "is none of the types that this token is for");
            }
        }
    }

    /// Groupings may have other names than in the token, which only label them.
    fn other_groupings(&self, problems: &mut Problems, node: Option<&Node<'_>>) {
        let (Some(Node::Map(entries)), Some(mine)) = (node, &self.groupings) else { return };
        for (name, grouping) in entries {
            let levels = levels(grouping);
            if !mine.iter().any(|mine| Some(&mine.group_by) == levels.as_ref()) {
                let at = Path::Key(&GROUPINGS, name);
                problems.add(&at, "nests results as none of this token's groupings does");
            }
        }
    }
}

/// The values of a grouping, if all can be read.
fn levels(grouping: &Node<'_>) -> Option<Vec<GroupBy>> {
    let Some(Node::List(items)) = grouping.member("group_by") else { return None };
    let level = |item: &Node<'_>| match item {
        Node::Text(name) => GroupBy::from_name(name),
        _ => None,
    };
    items.iter().map(level).collect()
}

impl Problems {
    /// The token's types that an endpoint serves.
    fn served(&mut self, metrics: &[Metric], endpoint: Endpoint) -> Vec<Metric> {
        let served = metrics.iter().copied().filter(|metric| metric.is_served_by(endpoint));
        let served: Vec<Metric> = served.collect();
        if served.is_empty() {
            self.add(&TYPES, format_args!("{endpoint} serves none of this token's types"));
        }
        served
    }

    /// The token's groupings that an endpoint has.
    fn suitable(&mut self, groupings: &[Grouping], endpoint: Endpoint) -> Vec<Grouping> {
        let suitable = groupings.iter().filter(|grouping| grouping.suits(endpoint)).cloned();
        let suitable: Vec<Grouping> = suitable.collect();
        if suitable.is_empty() {
            let detail =
                format_args!("{endpoint} has no time series, as this token's groupings do");
            self.add(&GROUPINGS, detail);
        }
        suitable
    }
}

/// The same outcome without what pages are not told: whose accounts are used, and how they fare.
pub fn for_page(answered: Result<Answered, Error>) -> Result<Answered, Error> {
    let of_nobody = |missing: Vec<Missing>| -> Vec<Missing> {
        let plain = |part: Missing| Missing {
            author: None,
            detail: String::new(),
            reason: told(part.reason),
            ..part
        };
        missing.into_iter().map(plain).collect()
    };
    match answered {
        Ok(answered) => {
            let missing = of_nobody(answered.missing);
            Ok(Answered { missing, ..answered })
        }
        Err(Error::NothingAnswered { missing, reason, retry_after }) => {
            let (missing, reason) = (of_nobody(missing), told(reason));
            Err(Error::NothingAnswered { missing, reason, retry_after })
        }
        Err(error) => Err(error.for_page()),
    }
}

/// Why something is missing, as pages are told: how an account fares is not for them.
const fn told(reason: Reason) -> Reason {
    match reason {
        Reason::AccountRevoked | Reason::AccountLimit => Reason::NotConnected,
        other => other,
    }
}

impl Error {
    /// The same, as pages are told: without the key's scope and limits, and without names of apps or vault keys.
    pub fn for_page(self) -> Error {
        match self {
            Error::NotAllowed(_) => {
                let detail = "is a window about which this token's key may not ask";
                Error::Beyond(vec![Detail::at("/window", detail)])
            }
            Error::KeyLimited(OverLimit::PerMinute { retry_after, .. }) => {
                PageLimit::Key.after(retry_after).into()
            }
            Error::KeyLimited(OverLimit::AtOnce { .. }) => {
                PageLimit::Key.after(Duration::from_secs(1)).into()
            }
            Error::VaultKeyUnavailable(_) | Error::Busy(_) => {
                Error::Busy("the gateway cannot answer this at the moment".to_owned())
            }
            error => error,
        }
    }
}
