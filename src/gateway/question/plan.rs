//! The upstream calls that answer a question: a pure function of the question, the known authors of its posts and the
//! accounts whose tokens may be used.
//!
//! | window | engagement types | credential | posts a call | time a call |
//! |---|---|---|---|---|
//! | totals | public | app-only, whoever the authors are | 250 | - |
//! | totals | private | each author's | 250 | - |
//! | 28hr | any | each author's | 25 | - |
//! | range | any | each author's | 25 | 28 days, on whole hours |
//!
//! Each post, engagement type and hour is in one call, every call has all groupings, and calls are filled up before
//! another is begun, so that there are as few as the rules allow. Posts whose author is not known never share a call
//! with others: one foreign post spoils a batch (reference 2.2).

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use crate::gateway::call::check::rfc3339;
use crate::gateway::question::{Grouping, Question, Span, Window};
use crate::model::endpoint::MAX_WINDOW;
use crate::model::{AuthKind, Endpoint, Metric, UserId};
use crate::upstream::MOST_LOOKED_UP;

/// How many accounts may be tried for a post of unknown author.
pub const MOST_CANDIDATES: usize = 5;

/// The detail given for posts for which every candidate has been tried.
pub const NOBODYS: &str = "not by any account that was tried";

/// All calls that will be made to the upstream, and what cannot be answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// Posts whose authors are to be looked up first, call by call; the rest of the plan is what follows if no author
    /// is found.
    pub lookups: Vec<Vec<u64>>,
    /// App-only calls first, then author by author in the posts' order, then those for unknown authors; for each batch
    /// of posts, forward in time.
    pub calls: Vec<Call>,
    /// Posts whose author is needed and not known. Each is planned with the first of `candidates` who has not been
    /// ruled out.
    pub unknown: Vec<u64>,
    /// The accounts whose tokens may be tried for `unknown`, in this order.
    pub candidates: Vec<UserId>,
    pub missing: Vec<Missing>,
}

/// One request to the upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    pub endpoint: Endpoint,
    pub signer: Signer,
    pub posts: Vec<u64>,
    pub metrics: Vec<Metric>,
    /// Set for historical only.
    pub span: Option<Span>,
}

/// The credentials that a call uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signer {
    App,
    /// The author of all its posts.
    Author(UserId),
    /// A user who may be the author of some of its posts.
    Candidate(UserId),
}

/// A part of the question that will not be answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    pub posts: Vec<u64>,
    pub metrics: Vec<Metric>,
    /// Missing parts of a range; empty if the whole requested time is missing.
    pub windows: Vec<Span>,
    pub reason: Reason,
    /// The posts' author, if known; if forbidden, the user who turned out not to be the author.
    pub author: Option<UserId>,
    /// Details in words; may be empty.
    pub detail: String,
}

/// Why something is not answered.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// Deleted, protected, or otherwise gone.
    Unavailable,
    /// The author's token cannot be used: none is stored, or this key or question may not use it.
    NotConnected,
    /// The author's token does not work any more.
    AccountRevoked,
    /// The app may use no more accounts this month.
    AccountLimit,
    /// The posts are not by the owner that was named, nor by any user whose token was tried.
    Forbidden,
    /// Too old for these engagement types.
    UnsupportedAge,
    Quota,
    Deadline,
    UpstreamError,
}

/// The cost of a plan.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cost {
    /// Look-ups of posts, with the app's credentials too.
    pub lookups: usize,
    /// Calls with the app's credentials.
    pub app_only: usize,
    /// Calls with a user's credentials.
    pub user_context: usize,
    /// Users whose tokens these use, which the contract counts each month (reference 2.2).
    pub accounts: usize,
}

/// Plans the calls for `question`. `known` are authors learnt before, overruled by those that the question names;
/// `usable` are the accounts whose tokens may be used, in the order in which to try them; `foreign` are users known
/// not to be a post's author.
pub fn plan(
    question: &Question,
    known: &HashMap<u64, UserId>,
    usable: &[UserId],
    foreign: &HashSet<(u64, UserId)>,
) -> Plan {
    let (private, public): (Vec<Metric>, Vec<Metric>) =
        question.metrics.iter().partition(|metric| question.needs_author(**metric));
    let mut plan = Plan::default();
    plan.add_calls(question, Signer::App, &question.posts, &public);
    if private.is_empty() {
        return plan;
    }
    let (by_author, unknown) = by_author(question, known);
    let connected: HashSet<UserId> = usable.iter().copied().collect();
    for (author, posts) in by_author {
        if connected.contains(&author) {
            plan.add_calls(question, Signer::Author(author), &posts, &private);
        } else {
            plan.add_missing(posts, &private, Some(author), "");
        }
    }
    if usable.is_empty() {
        plan.add_missing(unknown, &private, None, "");
    } else if !unknown.is_empty() {
        plan.candidates = usable.iter().copied().take(MOST_CANDIDATES).collect();
        plan.add_probes(question, &unknown, &private, foreign);
        plan.unknown = unknown;
    }
    plan
}

/// Each author's posts, authors in the order of their first post, and the posts of unknown author.
fn by_author(
    question: &Question,
    known: &HashMap<u64, UserId>,
) -> (Vec<(UserId, Vec<u64>)>, Vec<u64>) {
    let mut authors: Vec<(UserId, Vec<u64>)> = Vec::new();
    let mut places = HashMap::new();
    let mut unknown = Vec::new();
    for post in &question.posts {
        match question.owners.get(post).or_else(|| known.get(post)) {
            None => unknown.push(*post),
            Some(author) => {
                let place = *places.entry(*author).or_insert(authors.len());
                match authors.get_mut(place) {
                    Some((_, posts)) => posts.push(*post),
                    None => authors.push((*author, vec![*post])),
                }
            }
        }
    }
    (authors, unknown)
}

impl Plan {
    pub fn cost(&self) -> Cost {
        let accounts: HashSet<UserId> =
            self.calls.iter().filter_map(|call| call.signer.account()).collect();
        let app_only = self.calls.iter().filter(|call| call.signer == Signer::App).count();
        Cost {
            lookups: self.lookups.len(),
            app_only,
            user_context: self.calls.len() - app_only,
            accounts: accounts.len(),
        }
    }

    /// Plans look-ups of those posts of unknown author that `may_be_shown`, before any token is tried.
    pub fn look_up_first(&mut self, may_be_shown: impl Fn(u64) -> bool) {
        let posts: Vec<u64> =
            self.unknown.iter().copied().filter(|post| may_be_shown(*post)).collect();
        self.lookups = posts.chunks(MOST_LOOKED_UP).map(<[u64]>::to_vec).collect();
    }

    /// Adds the calls for posts of unknown author, each with the first candidate who may be the author.
    fn add_probes(
        &mut self,
        question: &Question,
        unknown: &[u64],
        metrics: &[Metric],
        foreign: &HashSet<(u64, UserId)>,
    ) {
        let mut left = unknown.to_vec();
        for candidate in self.candidates.clone() {
            let (others, posts): (Vec<u64>, Vec<u64>) =
                left.into_iter().partition(|post| foreign.contains(&(*post, candidate)));
            self.add_calls(question, Signer::Candidate(candidate), &posts, metrics);
            left = others;
        }
        self.add_missing(left, metrics, None, NOBODYS);
    }

    /// Adds the calls that request `metrics` of `posts`, if there are any.
    fn add_calls(
        &mut self,
        question: &Question,
        signer: Signer,
        posts: &[u64],
        metrics: &[Metric],
    ) {
        if metrics.is_empty() {
            return;
        }
        let endpoint = question.window.endpoint();
        let spans = spans(question.window);
        for posts in posts.chunks(endpoint.max_posts()) {
            self.calls.extend(spans.iter().map(|span| Call {
                endpoint,
                signer,
                posts: posts.to_vec(),
                metrics: metrics.to_vec(),
                span: *span,
            }));
        }
    }

    fn add_missing(
        &mut self,
        posts: Vec<u64>,
        metrics: &[Metric],
        author: Option<UserId>,
        detail: &str,
    ) {
        let (metrics, reason, detail) = (metrics.to_vec(), Reason::NotConnected, detail.to_owned());
        if !posts.is_empty() {
            let windows = Vec::new();
            self.missing.push(Missing { posts, metrics, windows, reason, author, detail });
        }
    }
}

/// Cuts a range on whole hours. Its own ends stay as they are, since the upstream widens them itself and a whole hour
/// beyond them may be in the future or too long ago (reference 1.5).
pub(super) fn spans(window: Window) -> Vec<Option<Span>> {
    let Window::Range(range) = window else { return vec![None] };
    let mut spans = Vec::new();
    let mut start = range.start;
    let mut cut = range.widened().start + MAX_WINDOW;
    while cut < range.end {
        spans.push(Some(Span { start, end: cut }));
        start = cut;
        cut += MAX_WINDOW;
    }
    spans.push(Some(Span { start, end: range.end }));
    spans
}

impl Question {
    /// How many calls cover its window.
    pub fn slices(&self) -> usize {
        spans(self.window).len()
    }
}

impl Call {
    /// The request's JSON as the upstream wants it.
    pub fn body(&self, groupings: &[Grouping]) -> Vec<u8> {
        let named = groupings.iter().map(|grouping| {
            let group_by = grouping.group_by.iter().map(|level| level.name()).collect();
            (&*grouping.name, GroupByBody { group_by })
        });
        let body = Body {
            // "Must be represented as strings" (reference 1.3).
            tweet_ids: self.posts.iter().map(ToString::to_string).collect(),
            engagement_types: self.metrics.iter().map(|metric| metric.name()).collect(),
            groupings: named.collect(),
            start: self.span.map(|span| rfc3339(span.start)),
            end: self.span.map(|span| rfc3339(span.end)),
        };
        serde_json::to_vec(&body).expect("strings and lists of them can be written")
    }
}

impl Signer {
    pub fn kind(self) -> AuthKind {
        match self {
            Signer::App => AuthKind::AppOnly,
            Signer::Author(_) | Signer::Candidate(_) => AuthKind::UserContext,
        }
    }

    pub fn account(self) -> Option<UserId> {
        match self {
            Signer::App => None,
            Signer::Author(account) | Signer::Candidate(account) => Some(account),
        }
    }
}

impl Reason {
    pub const ALL: [Reason; 9] = [
        Reason::Unavailable,
        Reason::NotConnected,
        Reason::AccountRevoked,
        Reason::AccountLimit,
        Reason::Forbidden,
        Reason::UnsupportedAge,
        Reason::Quota,
        Reason::Deadline,
        Reason::UpstreamError,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Reason::Unavailable => "unavailable",
            Reason::NotConnected => "not_connected",
            Reason::AccountRevoked => "account_revoked",
            Reason::AccountLimit => "account_limit",
            Reason::Forbidden => "forbidden",
            Reason::UnsupportedAge => "unsupported_age",
            Reason::Quota => "quota",
            Reason::Deadline => "deadline",
            Reason::UpstreamError => "upstream_error",
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    tweet_ids: Vec<String>,
    engagement_types: Vec<&'static str>,
    groupings: BTreeMap<&'a str, GroupByBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
}

#[derive(Serialize)]
struct GroupByBody {
    group_by: Vec<&'static str>,
}
