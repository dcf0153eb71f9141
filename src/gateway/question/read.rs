//! Reading a question: every mistake at once, each by JSON pointer with what would be right.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use crate::gateway::Detail;
use crate::gateway::call::check::{
    GROUPINGS, IDS, Now, Problems, TYPES, is_post_id, quoted, read_object,
};
use crate::gateway::call::json::{Node, Path};
use crate::gateway::question::window::{ReadWindow, WINDOW};
use crate::gateway::question::{Grouping, Limits, Question};
use crate::model::{AccountRef, Endpoint, GroupBy, UserId, post};

const ACCOUNTS: Path = Path::Key(&Path::Root, "accounts");
const OWNERS: Path = Path::Key(&Path::Root, "owners");
const KEYS: [&str; 10] = [
    "tweet_ids",
    "posts_of",
    "last",
    "written",
    "engagement_types",
    "window",
    "groupings",
    "accounts",
    "owners",
    "top",
];
/// What a post may be named by.
const POST: &str =
    "a post id of 1 to 19 digits, as a string or a whole number, or the URL of a post";
/// The key of the gateway's own report in an answer.
const REPORT: &str = "countersign";
/// Limited because the name is repeated on every line of a table.
const LONGEST_NAME: usize = 100;
const MOST_ACCOUNTS: usize = 1000;

impl Question {
    /// Reads a body at the time `now`, or says everything that is wrong with it.
    pub fn read(body: &[u8], limits: &Limits, now: Now) -> Result<Question, Vec<Detail>> {
        let root =
            read_object(body, "tweet_ids and engagement_types").map_err(|problem| vec![problem])?;
        let mut problems = Problems::default();
        problems.part(&Path::Root, |part| {
            part.duplicates(&Path::Root, &root, 1);
            part.unknown_keys(&Path::Root, &root, &KEYS);
        });
        let selection = problems.selection(&root, limits, now);
        let posts = match selection {
            Some(_) => Vec::new(),
            None => problems.part(&IDS, |part| part.posts(root.member("tweet_ids"), limits)),
        };
        let endpoint = endpoint_of(&root);
        let metrics =
            problems.part(&TYPES, |part| part.metrics(endpoint, root.member("engagement_types")));
        let window = problems.part(&WINDOW, |part| {
            part.question_window(&WINDOW, given(&root, "window"), limits.days, now)
        });
        let groupings =
            problems.part(&GROUPINGS, |part| part.named(endpoint, given(&root, "groupings")));
        let accounts = given(&root, "accounts");
        let accounts = accounts.map(|node| {
            problems.part(&ACCOUNTS, |part| part.accounts(&ACCOUNTS, node, MOST_ACCOUNTS))
        });
        let owners = given(&root, "owners").filter(|_| selection.is_none());
        let owners = owners.map(|node| problems.part(&OWNERS, |part| part.owners(node, &posts)));
        let top = problems.top(&root, (&metrics, &groupings), limits);
        let problems = problems.into_details();
        let Some(read) = window.filter(|_| problems.is_empty()) else { return Err(problems) };
        let (posts_of, written) = selection.unzip();
        let reads = [Some(read), written.flatten()].map(Option::unwrap_or_default);
        let is_by_our_clock = reads.iter().any(|read| read.is_by_our_clock);
        let [ReadWindow { window, mut notes, .. }, written] = reads;
        notes.extend(written.notes);
        Ok(Question {
            posts,
            posts_of,
            metrics: each_once(metrics),
            window,
            groupings,
            accounts,
            owners: owners.unwrap_or_default(),
            top,
            notes,
            is_by_our_clock,
        })
    }
}

/// An optional member; `null` is the same as none.
pub(super) fn given<'a, 'b>(root: &'a Node<'b>, name: &str) -> Option<&'a Node<'b>> {
    root.member(name).filter(|node| !matches!(node, Node::Null))
}

/// The endpoint that a body is for. If its window does not say, the one with fewest problems in the rest.
pub(super) fn endpoint_of(root: &Node<'_>) -> Endpoint {
    match given(root, "window") {
        None => Endpoint::Totals,
        Some(Node::Map(_)) => Endpoint::Historical,
        Some(Node::Text(name)) if *name == "totals" => Endpoint::Totals,
        Some(Node::Text(name)) if *name == "28hr" => Endpoint::TwentyEightHours,
        Some(_) => {
            let faults = |endpoint: &Endpoint| {
                let mut problems = Problems::default();
                problems.metrics(*endpoint, root.member("engagement_types"));
                problems.groupings(*endpoint, root.member("groupings"));
                problems.count()
            };
            Endpoint::ALL.into_iter().min_by_key(faults).unwrap_or(Endpoint::Totals)
        }
    }
}

impl Problems {
    pub(super) fn unknown_keys(&mut self, at: &Path<'_>, node: &Node<'_>, known: &[&str]) {
        let Node::Map(entries) = node else { return };
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&&**key)) {
            let known = known.join(", ");
            let hint = match (at, &**key) {
                (Path::Root, "start" | "end") => {
                    r#"; a range is given as window: {"start": …, "end": …}"#
                }
                _ => "",
            };
            self.add(&Path::Key(at, key), format_args!("unknown key (known: {known}){hint}"));
        }
    }

    pub(super) fn posts(&mut self, node: Option<&Node<'_>>, limits: &Limits) -> Vec<u64> {
        let items = self.list(&IDS, node, "post ids");
        if items.len() > limits.posts {
            let (count, most) = (items.len(), limits.posts);
            self.add(&IDS, format_args!("has {count} ids; a question takes at most {most}"));
        }
        let mut posts = Vec::with_capacity(items.len().min(limits.posts));
        for (index, item) in items.iter().enumerate() {
            let at = Path::Index(&IDS, index);
            match named_post(item) {
                // A larger one spoils a whole call.
                Some(id) if id <= post::LARGEST_ID => posts.push(id),
                Some(_) => self.add(&at, format_args!("no post id is above {}", post::LARGEST_ID)),
                None => self.no_post_id(&at, item, POST),
            }
        }
        each_once(posts)
    }

    pub(super) fn named(&mut self, endpoint: Endpoint, node: Option<&Node<'_>>) -> Vec<Grouping> {
        let Some(node) = node else {
            let group_by = vec![GroupBy::TweetId, GroupBy::EngagementType];
            return vec![Grouping { name: "by_tweet".to_owned(), group_by }];
        };
        if let Node::Map(entries) = node {
            for (name, grouping) in entries {
                self.unknown_keys(&Path::Key(&GROUPINGS, name), grouping, &["group_by"]);
            }
        }
        let named: Vec<(&str, Vec<GroupBy>)> = self.groupings(endpoint, Some(node));
        for (name, _) in &named {
            let at = Path::Key(&GROUPINGS, name);
            if *name == REPORT {
                self.add(&at, "is the name of a key in the answer; choose another name");
            } else if name.chars().count() > LONGEST_NAME {
                self.add(&at, format_args!("is longer than {LONGEST_NAME} characters"));
            }
        }
        let grouping = |(name, group_by): (&str, _)| Grouping { name: name.to_owned(), group_by };
        named.into_iter().map(grouping).collect()
    }

    pub(super) fn accounts(
        &mut self,
        at: &Path<'_>,
        node: &Node<'_>,
        most: usize,
    ) -> Vec<AccountRef> {
        let items = self.list(at, Some(node), "accounts");
        if items.len() > most {
            let count = items.len();
            self.add(at, format_args!("has {count} accounts; name at most {most}"));
            return Vec::new();
        }
        let mut accounts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let named = match item {
                Node::Text(text) => AccountRef::parse(text.trim()),
                Node::Natural(id) => AccountRef::parse(&id.to_string()),
                _ => None,
            };
            if named.is_none() {
                let right = "must be a user id of 1 to 19 digits or @screen_name";
                self.add(&Path::Index(at, index), format_args!("{right}{}", quoted(item)));
            }
            accounts.extend(named);
        }
        each_once(accounts)
    }

    fn owners(&mut self, node: &Node<'_>, posts: &[u64]) -> HashMap<u64, UserId> {
        let Node::Map(entries) = node else {
            let right = r#"must be an object of post ids and their authors like {"20": "12"}"#;
            self.add(&OWNERS, format_args!("{right}, not {}", node.kind()));
            return HashMap::new();
        };
        let posts: HashSet<u64> = posts.iter().copied().collect();
        let mut owners = HashMap::with_capacity(entries.len());
        for (name, owner) in entries {
            let at = Path::Key(&OWNERS, name);
            let id = match owner {
                Node::Text(text) => UserId::parse(text.trim()),
                Node::Natural(id) => UserId::parse(&id.to_string()),
                _ => None,
            };
            if id.is_none() {
                let found = quoted(owner);
                self.add(&at, format_args!("must be a user id of 1 to 19 digits{found}"));
            }
            let post =
                named_post(&Node::Text(name.as_ref().into())).filter(|post| posts.contains(post));
            match (post, id) {
                (None, _) => self.add(&at, "this post is not in tweet_ids"),
                (Some(post), Some(id)) => {
                    let other = owners.insert(post, id).filter(|other| *other != id);
                    if let Some(other) = other {
                        self.add(
                            &at,
                            format_args!("this post already has another author, {other}"),
                        );
                    }
                }
                (Some(_), None) => (),
            }
        }
        owners
    }
}

/// The post that a value names by its id or its URL.
pub(super) fn named_post(value: &Node<'_>) -> Option<u64> {
    match value {
        Node::Natural(id) => is_post_id(value).then_some(*id),
        Node::Text(text) => post::id_in(text.trim_ascii())?.parse().ok(),
        _ => None,
    }
}

/// The items without repetitions, in the same order.
pub(super) fn each_once<T: Clone + Eq + Hash>(mut items: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::with_capacity(items.len());
    items.retain(|item| seen.insert(item.clone()));
    items
}
