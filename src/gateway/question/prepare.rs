//! A question from its body to its answer or plan: whether the key may ask it, the known authors of its posts, the
//! accounts whose tokens may be used, and the plan of its calls, which `run` makes. `Deadline` limits all of that.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use crate::admission::Held;
use crate::gateway::app::AppState;
use crate::gateway::browser::calls::Spending;
use crate::gateway::browser::claims::Token;
use crate::gateway::key::KnownKey;
use crate::gateway::question::answered::Answered;
use crate::gateway::question::authors::visible_authors;
use crate::gateway::question::bounds::page::for_page;
use crate::gateway::question::caller::Caller;
use crate::gateway::question::listing::{AccountPosts, Listed};
use crate::gateway::question::merge::Merge;
use crate::gateway::question::plan::{Known, MOST_CANDIDATES, Missing, Plan, Reason, plan};
use crate::gateway::question::run::Run;
use crate::gateway::question::size::Sent;
use crate::gateway::question::streaming::Parts;
use crate::gateway::question::turn::QuestionTurn;
use crate::gateway::question::{Limits, Question, Window};
use crate::gateway::{Error, Gateway};
use crate::model::{AccountState, UserId};

/// The most posts in a part of an answer, if each has few numbers.
const MOST_POSTS: usize = 250;
/// The most memory that reading a body takes, as a multiple of its length.
const READING: usize = 12;
/// The memory kept of a body until the question is answered, as a multiple of its length.
const KEPT: usize = 2;
/// The most bytes that a plan takes per post and slice of time, in memory and as text, where posts share calls.
const PLANNED_POST: usize = 64;

/// The memory for a post that X has listed, with its author.
const LISTED_POST: usize = 128;

/// A question as received, with its key's turn and the memory held for it.
pub struct Received {
    pub body: Bytes,
    pub held: Held,
    pub turn: QuestionTurn,
}

/// The time by which a caller wants its answer.
#[derive(Clone, Copy)]
pub struct Deadline {
    pub(in crate::gateway) within: Duration,
    pub end: Instant,
    /// Whether the caller has named it; otherwise, it is the longest that any request may take.
    pub(in crate::gateway) is_named: bool,
}

impl Deadline {
    pub fn within(within: Duration) -> Deadline {
        // A timer knows its own deadline, so the clock need not be read.
        Deadline { within, end: tokio::time::sleep(within).deadline(), is_named: false }
    }

    /// The same, as the caller has named it.
    pub fn named(within: Duration) -> Deadline {
        Deadline { is_named: true, ..Deadline::within(within) }
    }

    /// When half of the time is over.
    fn half(self) -> Instant {
        self.end - self.within / 2
    }
}

/// A plan, and the accounts that it adds to X's bill.
pub struct Planned {
    pub plan: Plan,
    /// Accounts not yet used this month.
    pub new_accounts: usize,
    /// What was read otherwise than it was written, in words.
    pub notes: Vec<String>,
    /// The accounts whose posts the question names, with those that the plan is about.
    pub posts_of: Vec<AccountPosts>,
    /// The memory that it occupies until it is dropped.
    pub held: Held,
}

/// Reserves a page's calls.
fn need(spending: &mut Option<Spending>, calls: usize) -> Result<(), Error> {
    spending.as_mut().map_or(Ok(()), |spending| spending.need(calls))
}

impl Question {
    /// The memory for a post before it is known what its numbers take.
    fn bytes_of_post(&self) -> usize {
        self.slices() * PLANNED_POST + if self.posts_of.is_some() { LISTED_POST } else { 0 }
    }
}

impl Gateway {
    /// Answers a question with as few calls as the rules allow, until `deadline`. With `parts`, each post is sent as
    /// soon as it is complete, and the returned answer leaves those posts out.
    pub async fn answer_question(
        &self,
        caller: &Caller,
        received: Received,
        deadline: Deadline,
        parts: Option<Sender<Merge>>,
    ) -> Result<Answered, Error> {
        let answered = self.find_answer(caller, received, deadline, parts).await;
        if caller.token.is_some() { for_page(answered) } else { answered }
    }

    async fn find_answer(
        &self,
        caller: &Caller,
        received: Received,
        deadline: Deadline,
        parts: Option<Sender<Merge>>,
    ) -> Result<Answered, Error> {
        let (key, end) = (&caller.key, deadline.end);
        let token = caller.token.clone();
        let (app, mut question, mut held, _turn) =
            self.read_question(key, token.clone(), received, end).await?;
        let mut listed = Listed::default();
        if question.posts_of.is_some() {
            let (expected, each) =
                (question.most_posts(self.0.limits.question_posts), question.bytes_of_post());
            // Boxed, since it is seldom needed and large.
            listed = Box::pin(self.list_posts(app, caller, &mut question, deadline.half())).await?;
            let surplus = each * expected.saturating_sub(question.posts.len());
            held.shrink_to(held.bytes().saturating_sub(surplus));
        }
        let most = if question.window == Window::Totals { MOST_POSTS } else { 1 };
        // Which posts are kept is known only in the end.
        let parts = parts.filter(|_| question.top.is_none());
        let sent = if parts.is_some() { Sent::Lines } else { Sent::Whole };
        // At most half of the time, so that a slow look-up leaves enough to go on without it.
        let mut spending = None;
        if let Some(token) = &token {
            // Boxed, since services need none of it.
            spending = Some(Box::pin(self.begin_spending(token, &caller.made)).await);
        }
        let mut looked_up = std::mem::take(&mut listed.made);
        let author = token.as_ref().and_then(|token| token.bounds.author);
        if let (Some(author), Some(spending)) = (author, &mut spending) {
            let means = (spending, deadline.half());
            // Boxed, since it is seldom needed and large.
            let required = self.require_author(app, caller, (author, &mut question), means);
            looked_up.extend(Box::pin(required).await?);
        }
        let mut authors = self.find_authors(&question).await;
        let mut plan = self.plan_for(key, app, &question, &authors).await?;
        let beside = held.bytes();
        let mut size =
            self.admit(caller, (&question, &plan, sent), (&mut held, beside), end).await?;
        let mut lookups = std::mem::take(&mut plan.lookups);
        if token.is_some() {
            // Without them, candidates are tried.
            let may = |_: &Vec<u64>| self.begin_page_look_up(app, key).is_ok();
            lookups = lookups.into_iter().take_while(may).collect();
        }
        if !lookups.is_empty() {
            need(&mut spending, lookups.len() + plan.calls.len())?;
        }
        let mut found = self.look_up_all(app, caller, lookups, deadline.half()).await;
        looked_up.append(&mut found.made);
        if !found.authors.is_empty() {
            authors.extend(&found.authors);
            plan = self.plan_for(key, app, &question, &authors).await?;
            size = self.admit(caller, (&question, &plan, sent), (&mut held, beside), end).await?;
        }
        let plan = self.without_kept(caller, app, (&question, &authors), plan).await?;
        need(&mut spending, plan.0.calls.len())?;
        let parts = parts.map(|to| (to, Parts::new(most)));
        let run = Run::new(self, app, caller, &question, size, parts);
        let (answered, ()) = tokio::join!(
            Box::pin(run.answer(&question, plan, held, end)),
            self.learn_authors(
                found.authors.into_iter().chain(listed.authors).collect(),
                HashSet::new()
            )
        );
        let notes = [question.notes, listed.notes].concat();
        if let Some(spending) = spending {
            spending.end();
        }
        answered.map(|mut answered| {
            let top = question.top.map(|top| answered.merged.keep_top(top)).unwrap_or_default();
            Answered { lookups: looked_up, notes, posts_of: listed.accounts, top, ..answered }
        })
    }

    /// The calls that would answer a question; none is made.
    pub async fn plan_question(
        &self,
        key: &Arc<KnownKey>,
        received: Received,
        deadline: Deadline,
    ) -> Result<Planned, Error> {
        let (app, mut question, held, _turn) =
            self.read_question(key, None, received, deadline.end).await?;
        let (lists, listed) = self.plan_lists(key, app, &mut question).await?;
        let authors = self.find_authors(&question).await;
        let mut plan = self.plan_for(key, app, &question, &authors).await?;
        plan.lists = lists;
        let now = self.now();
        let accounts = plan.calls.iter().filter_map(|call| call.signer.account());
        let new: HashSet<UserId> =
            accounts.filter(|account| !app.month.has(*account, now)).collect();
        let notes = [question.notes, listed.notes].concat();
        let posts_of = listed.accounts;
        Ok(Planned { plan, new_accounts: new.len(), notes, posts_of, held })
    }

    async fn read_question(
        &self,
        key: &KnownKey,
        token: Option<Arc<Token>>,
        Received { body, mut held, turn }: Received,
        end: Instant,
    ) -> Result<(&Arc<AppState>, Question, Held, QuestionTurn), Error> {
        self.grow_memory(&mut held, READING * body.len(), end).await?;
        let limits =
            Limits { posts: self.0.limits.question_posts, days: self.0.limits.question_days };
        let read = move |body: &[u8], now| match &token {
            Some(token) => token.bounds.read_question(body, &limits, now),
            None => Question::read(body, &limits, now).map_err(Error::InvalidRequest),
        };
        // X's own time decides what "last" means, and where an end in the future is cut.
        let is_sound = |read: &Result<Question, Error>| {
            read.as_ref().is_ok_and(|question| !question.is_by_our_clock)
        };
        let question = self.read_in_time(&body, read, is_sound).await?;
        let app = self.granted_app(key, question.window.endpoint())?;
        let planned = question.most_posts(limits.posts).saturating_mul(question.bytes_of_post());
        let kept = planned.saturating_add(KEPT * body.len());
        held.shrink_to(kept);
        self.grow_memory(&mut held, kept, end).await?;
        Ok((app, question, held, turn))
    }

    /// Plans a question; `known` are posts' authors beside those that the caller names.
    pub(super) async fn plan_for(
        &self,
        key: &KnownKey,
        app: &Arc<AppState>,
        question: &Question,
        known: &HashMap<u64, UserId>,
    ) -> Result<Plan, Error> {
        let now = self.0.upstream.now();
        if !question.needs_authors() {
            let (usable, foreign) = (&[], &HashSet::new());
            return Ok(plan(question, &Known { authors: known, usable, foreign, now }));
        }
        let posts: Vec<u64> = question.posts_of_authors(now).collect();
        let allowed = self.allowed_accounts(key, app, question).await?;
        let visible = visible_authors(key, known);
        let author = |post: &u64| question.owners.get(post).or_else(|| visible.get(post)).copied();
        let authors: HashSet<UserId> = posts.iter().filter_map(author).collect();
        let unknown: Vec<u64> =
            posts.iter().copied().filter(|post| author(post).is_none()).collect();
        let mut candidates = Vec::new();
        if !unknown.is_empty() {
            candidates = self.candidates(app, allowed.as_deref()).await?;
        }
        let (mut active, mut ended) = (Vec::new(), HashSet::new());
        let may = |user: &UserId| allowed.as_ref().is_none_or(|allowed| allowed.contains(user));
        for author in self.connected(app, authors.into_iter().filter(may).collect()).await? {
            let known = self.find_account(app, author).await?;
            match known.map(|known| known.stored.account.state) {
                Some(AccountState::Active) => active.push(author),
                Some(_) => drop(ended.insert(author)),
                None => (),
            }
        }
        active.sort_unstable();
        // Known authors before mere candidates.
        let over = app.month.without_room(active.iter().chain(&candidates).copied(), self.now());
        let nobody_left = candidates.iter().all(|candidate| over.contains(candidate))
            && (!candidates.is_empty() || app.month.last_ones(self.now()).is_some());
        active.retain(|author| !candidates.contains(author));
        let mut usable = [candidates, active].concat();
        usable.retain(|user| !over.contains(user));
        let tried = usable.get(..MOST_CANDIDATES).unwrap_or(&usable);
        let mut foreign = self.0.authors.known_foreign(&unknown, tried);
        // An author hidden from the key is none of its accounts: treat them as tried.
        let of_others = unknown.iter().filter(|post| known.contains_key(post));
        foreign.extend(of_others.flat_map(|post| tried.iter().map(|user| (*post, *user))));
        let known_now = Known { authors: &visible, usable: &usable, foreign: &foreign, now };
        let mut plan = plan(question, &known_now);
        if self.may_look_up(app) {
            plan.look_up_first(|post| {
                !known.contains_key(&post) && !self.0.authors.is_hidden(post)
            });
        }
        let not_connected = |missing: &&mut Missing| missing.reason == Reason::NotConnected;
        for missing in plan.missing.iter_mut().filter(not_connected) {
            match missing.author {
                Some(author) if ended.contains(&author) => missing.reason = Reason::AccountRevoked,
                Some(author) if over.contains(&author) => missing.reason = Reason::AccountLimit,
                None if nobody_left => missing.reason = Reason::AccountLimit,
                _ => (),
            }
        }
        Ok(plan)
    }
}
