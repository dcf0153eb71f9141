//! The upstream calls that answer a question: a pure function of the question and of what is known about its posts and
//! accounts.
//!
//! | window | engagement types | credential | posts a call | time a call |
//! |---|---|---|---|---|
//! | totals | public | app-only, or with the author's private ones | 250 | - |
//! | totals | private, of posts up to 90 days old | each author's | 250 | - |
//! | 28hr | any | each author's | 25 | - |
//! | range | any | each author's | 25 | 28 days, on whole hours |
//!
//! Each post, engagement type and hour is in one call at most, every call has all groupings, and there are as few calls
//! as the rules allow. Posts whose author is not known never share a user's call with others: one foreign post spoils a
//! batch (reference 2.2). No call asks for what its posts' ids already say: that they are too old for an engagement type
//! (reference 2.1), or did not exist yet.

mod call;
mod reason;
mod slices;

use std::collections::{HashMap, HashSet};

use time::{Duration, OffsetDateTime};

pub use crate::gateway::question::plan::call::{Call, Signer};
pub use crate::gateway::question::plan::reason::{Missing, Reason};
pub use crate::gateway::question::plan::slices::Most;

use crate::gateway::question::plan::slices::batches;
use crate::gateway::question::{Question, Window};
use crate::model::{Metric, UserId, post};
use crate::upstream::MOST_LOOKED_UP;

/// How many accounts may be tried for a post of unknown author.
pub const MOST_CANDIDATES: usize = 5;

/// The detail given for posts for which every candidate has been tried.
pub const NOBODYS: &str = "not by any account that was tried";

/// The age up to which X reports private totals, and a day, in case its clock or its count of days differs (reference 2.1).
const OLDEST_PRIVATE: Duration = Duration::days(90 + 1);

/// All calls that will be made to the upstream, and what cannot be answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// Posts whose authors are to be looked up first, call by call; the rest of the plan is what follows if no author
    /// is found.
    pub lookups: Vec<Vec<u64>>,
    /// How many posts each request for a page of X's lists of posts asks for; these come before all else.
    pub lists: Vec<usize>,
    /// App-only calls first, then author by author in the posts' order, then those for unknown authors; for each batch
    /// of posts, forward in time.
    pub calls: Vec<Call>,
    /// Posts whose author is needed and not known. Each is planned with the first of `candidates` who has not been
    /// ruled out.
    pub unknown: Vec<u64>,
    /// The accounts whose tokens may be tried for `unknown`, in this order.
    pub candidates: Vec<UserId>,
    /// Posts created after the range: all their numbers are 0.
    pub later: Vec<u64>,
    pub missing: Vec<Missing>,
    pub saved: Saved,
}

/// What is known when a question is planned.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Authors learnt before, overruled by those that the question names.
    pub authors: &'a HashMap<u64, UserId>,
    /// The accounts whose tokens may be used, in the order in which to try them.
    pub usable: &'a [UserId],
    /// Users known not to be a post's author.
    pub foreign: &'a HashSet<(u64, UserId)>,
    /// The upstream's time.
    pub now: OffsetDateTime,
}

/// The cost of a plan.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cost {
    /// Look-ups of posts and pages of lists, with the app's credentials too.
    pub lookups: usize,
    /// Calls with the app's credentials.
    pub app_only: usize,
    /// Calls with a user's credentials.
    pub user_context: usize,
    /// Users whose tokens these use, which the contract counts each month (reference 2.2).
    pub accounts: usize,
}

/// Calls that a plan avoids.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Saved {
    /// App-only calls for public engagement types that authors' own calls ask for.
    pub combined: usize,
    /// Calls for private totals of posts that are too old for them.
    pub too_old: usize,
    /// Calls for parts of the range before their posts were created.
    pub before_posts: usize,
}

/// Plans the calls for `question`.
pub fn plan(question: &Question, known: &Known<'_>) -> Plan {
    plan_within(question, known, Most::of(question.window.endpoint()))
}

/// Plans calls of which each asks for at most `most`.
pub(super) fn plan_within(question: &Question, known: &Known<'_>, most: Most) -> Plan {
    let (private, public): (Vec<Metric>, Vec<Metric>) =
        question.metrics.iter().partition(|metric| question.needs_author(**metric));
    let mut planning = Planning { question, known, most, plan: Plan::default() };
    if private.is_empty() {
        planning.add_calls(Signer::App, &question.posts, &public);
        return planning.plan;
    }
    let calls_for = |posts: usize| posts.div_ceil(most.posts);
    let (authors, unknown) = by_author(question, known.authors);
    let connected: HashSet<UserId> = known.usable.iter().copied().collect();
    let (authors, others): (Vec<_>, Vec<_>) =
        authors.into_iter().partition(|(author, _)| connected.contains(author));
    let mut too_old = Vec::new();
    let mut recent = |posts: Vec<u64>| {
        let (old, recent): (Vec<u64>, Vec<u64>) =
            posts.iter().partition(|post| question.is_too_old(**post, known.now));
        let saved = calls_for(posts.len()) - calls_for(recent.len());
        too_old.extend(old);
        (recent, saved)
    };
    let (mut own, mut saved) = (Vec::new(), 0);
    for (author, posts) in authors {
        let (recent, avoided) = recent(posts);
        own.push((author, recent));
        saved += avoided;
    }
    let mut strangers = Vec::new();
    for (author, posts) in others {
        let (recent, avoided) = recent(posts);
        // Whether an author is connected has only been found out where a call was needed.
        saved += if recent.is_empty() { avoided } else { 0 };
        strangers.push((author, recent));
    }
    let (unknown, avoided) = recent(unknown);
    saved += avoided;
    if !public.is_empty() {
        let asked_along: HashSet<u64> =
            own.iter().flat_map(|(_, posts)| posts.iter().copied()).collect();
        let all = question.posts.iter().copied();
        let alone: Vec<u64> = all.filter(|post| !asked_along.contains(post)).collect();
        planning.add_calls(Signer::App, &alone, &public);
        planning.plan.saved.combined = calls_for(question.posts.len()) - calls_for(alone.len());
    }
    planning.plan.saved.too_old = saved;
    for (author, posts) in own {
        planning.add_calls(Signer::Author(author), &posts, &question.metrics);
    }
    for (author, posts) in strangers {
        planning.add_missing(posts, &private, Some(author), "");
    }
    planning.add_unknown(unknown, &private);
    planning.add_too_old(too_old, private);
    planning.plan
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

/// A plan in the making.
struct Planning<'a> {
    question: &'a Question,
    known: &'a Known<'a>,
    most: Most,
    plan: Plan,
}

impl Planning<'_> {
    /// Adds the calls that request `metrics` of `posts`, if there are any.
    fn add_calls(&mut self, signer: Signer, posts: &[u64], metrics: &[Metric]) {
        if metrics.is_empty() {
            return;
        }
        let (window, now) = (self.question.window, self.known.now);
        for batch in batches(window, posts, self.most, now) {
            self.plan.saved.before_posts += batch.skipped;
            if batch.slices.is_empty() {
                self.plan.later.extend(&batch.posts);
            }
            let mut before_posts = batch.before_posts;
            self.plan.calls.extend(batch.slices.iter().map(|span| Call {
                endpoint: window.endpoint(),
                signer,
                posts: batch.posts.clone(),
                metrics: metrics.to_vec(),
                span: *span,
                before_posts: before_posts.take(),
            }));
        }
    }

    /// Adds the calls for posts of unknown author, each with the first candidate who may be the author.
    fn add_unknown(&mut self, unknown: Vec<u64>, metrics: &[Metric]) {
        let Known { usable, foreign, .. } = *self.known;
        if usable.is_empty() || unknown.is_empty() {
            return self.add_missing(unknown, metrics, None, "");
        }
        self.plan.candidates = usable.iter().copied().take(MOST_CANDIDATES).collect();
        let mut left = unknown.clone();
        for candidate in self.plan.candidates.clone() {
            let (others, posts): (Vec<u64>, Vec<u64>) =
                left.into_iter().partition(|post| foreign.contains(&(*post, candidate)));
            self.add_calls(Signer::Candidate(candidate), &posts, metrics);
            left = others;
        }
        self.add_missing(left, metrics, None, NOBODYS);
        let later: HashSet<u64> = self.plan.later.iter().copied().collect();
        self.plan.unknown = unknown.into_iter().filter(|post| !later.contains(post)).collect();
    }

    fn add_missing(
        &mut self,
        posts: Vec<u64>,
        metrics: &[Metric],
        author: Option<UserId>,
        detail: &str,
    ) {
        if !posts.is_empty() {
            let entry = Missing::whole(posts, metrics.to_vec(), Reason::NotConnected);
            self.plan.missing.push(Missing { author, detail: detail.to_owned(), ..entry });
        }
    }

    fn add_too_old(&mut self, posts: Vec<u64>, metrics: Vec<Metric>) {
        if !posts.is_empty() {
            self.plan.missing.push(Missing::whole(posts, metrics, Reason::UnsupportedAge));
        }
    }
}

impl Plan {
    pub fn cost(&self) -> Cost {
        let accounts: HashSet<UserId> =
            self.calls.iter().filter_map(|call| call.signer.account()).collect();
        let app_only = self.calls.iter().filter(|call| call.signer == Signer::App).count();
        Cost {
            lookups: self.lists.len() + self.lookups.len(),
            app_only,
            user_context: self.calls.len() - app_only,
            accounts: accounts.len(),
        }
    }

    /// The most calls that it may take: a call may be repeated without posts that spoil it, by another candidate, about
    /// the newest hours, or as the app.
    pub fn most_calls(&self) -> usize {
        let tries = if self.unknown.is_empty() { 2 } else { MOST_CANDIDATES };
        self.calls.len() * tries
    }

    /// Plans look-ups of those posts of unknown author that `may_be_shown`, before any token is tried.
    pub fn look_up_first(&mut self, may_be_shown: impl Fn(u64) -> bool) {
        let posts: Vec<u64> =
            self.unknown.iter().copied().filter(|post| may_be_shown(*post)).collect();
        self.lookups = posts.chunks(MOST_LOOKED_UP).map(<[u64]>::to_vec).collect();
    }
}

impl Question {
    /// Whether X reports no private totals of the post, by the age that its id tells.
    fn is_too_old(&self, post: u64, now: OffsetDateTime) -> bool {
        let created = post::created_at(post);
        self.window == Window::Totals
            && created.is_none_or(|created| now - created > OLDEST_PRIVATE)
    }

    /// The posts whose author matters.
    pub(super) fn posts_of_authors(&self, now: OffsetDateTime) -> impl Iterator<Item = u64> {
        let needs_authors = self.needs_authors();
        let posts = self.posts.iter().copied();
        posts.filter(move |post| needs_authors && !self.is_too_old(*post, now))
    }
}
