//! Making a question's upstream calls, side by side, and putting their answers together. A call spoilt by a post
//! is made again without it; what stays missing is named with its reason.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::Sender;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant as TokioInstant, Sleep};

use crate::admission::Held;
use crate::gateway::app::AppState;
use crate::gateway::call::forward;
use crate::gateway::question::answered::{Answered, FinishedCall};
use crate::gateway::question::caller::Caller;
use crate::gateway::question::merge::Merge;
use crate::gateway::question::plan::{Call, Missing, Plan, Reason, Signer};
use crate::gateway::question::size::Size;
use crate::gateway::question::streaming::Parts;
use crate::gateway::question::{Grouping, Question};
use crate::gateway::{CallTrace, Error, Gateway};
use crate::model::{AccountRef, AuthKind, Endpoint, UserId};
use crate::upstream::{Answer, Room, UpstreamEffort};

pub(super) const NOT_THEIRS: &str = "not by the user to whom they were attributed";

/// How many waiting calls are searched for one that may begin, if complete posts have to be sent first.
const NEAR: usize = 256;

/// A call still to be made.
pub(super) struct Task {
    pub(super) call: Call,
    /// The index of the plan's candidate who signs, if the author is not known.
    pub(super) candidate: usize,
    /// Whether it repeats a call without the posts that spoilt it.
    pub(super) is_retry: bool,
}

impl Task {
    /// Whether the call also finds out the posts' author.
    fn is_probe(&self) -> bool {
        matches!(self.call.signer, Signer::Candidate(_))
    }
}

/// A finished call, its answer, and its cost.
pub(super) type Done = (Task, Result<Answer, Error>, UpstreamEffort);

/// When a call was sent, once it was.
type Sent = Arc<OnceLock<Instant>>;

/// One question being answered.
pub(super) struct Run {
    pub(super) gateway: Gateway,
    app: Arc<AppState>,
    pub(super) caller: Caller,
    groupings: Arc<Vec<Grouping>>,
    pub(super) size: Size,
    pub(super) merged: Merge,
    pub(super) candidates: Vec<UserId>,
    waiting: VecDeque<Task>,
    /// Calls in the order in which they ended.
    pub(super) calls: Vec<FinishedCall>,
    pub(super) missing: Vec<Missing>,
    /// Whether any answer had numbers.
    pub(super) has_any: bool,
    /// Kinds of credentials whose quota is used up.
    pub(super) exhausted: HashSet<AuthKind>,
    /// Posts whose author is being found out: their other calls wait for that.
    pub(super) probed: HashSet<u64>,
    pub(super) learnt: HashMap<u64, UserId>,
    /// Posts with users who are not their authors.
    pub(super) foreign: HashSet<(u64, UserId)>,
    /// Posts with users who were thought to be their authors, and are not.
    pub(super) misattributed: HashSet<(u64, UserId)>,
    /// The longest wait that X requested.
    pub(super) retry_after: Option<Duration>,
    /// For a receiver that wants posts before all are complete.
    parts: Option<(Sender<Merge>, Parts)>,
}

impl Run {
    pub(super) fn new(
        gateway: &Gateway,
        app: &Arc<AppState>,
        caller: &Caller,
        question: &Question,
        size: Size,
        parts: Option<(Sender<Merge>, Parts)>,
    ) -> Run {
        Run {
            gateway: gateway.clone(),
            app: Arc::clone(app),
            caller: caller.clone(),
            groupings: Arc::new(question.groupings.clone()),
            size,
            merged: Merge::new(question.groupings.clone()).within(size.numbers + size.part),
            candidates: Vec::new(),
            waiting: VecDeque::new(),
            calls: Vec::new(),
            missing: Vec::new(),
            has_any: false,
            exhausted: HashSet::new(),
            probed: HashSet::new(),
            learnt: HashMap::new(),
            foreign: HashSet::new(),
            misattributed: HashSet::new(),
            retry_after: None,
            parts,
        }
    }

    /// Makes the calls of a plan until `deadline`; whatever has not arrived by then is missing. An error means that no
    /// part of the question was answered.
    pub(super) async fn answer(
        mut self,
        question: &Question,
        plan: Plan,
        mut held: Held,
        deadline: TokioInstant,
    ) -> Result<Answered, Error> {
        self.foreign = self.gateway.0.authors.known_foreign(&plan.unknown, &plan.candidates);
        (self.candidates, self.missing) = (plan.candidates, plan.missing);
        for call in plan.calls {
            let place = |candidate: &UserId| call.signer == Signer::Candidate(*candidate);
            let candidate = self.candidates.iter().position(place).unwrap_or_default();
            self.enqueue(Task { call, candidate, is_retry: false });
        }
        self.run_until(tokio::time::sleep_until(deadline)).await;
        self.send_the_rest().await;
        let (learnt, mut foreign, misattributed) = (
            std::mem::take(&mut self.learnt),
            std::mem::take(&mut self.foreign),
            std::mem::take(&mut self.misattributed),
        );
        // A user refused as an author is tried once more as a candidate, in case X was wrong this time.
        foreign.retain(|pair| !misattributed.contains(pair));
        self.gateway.learn_authors(learnt, foreign).await;
        self.gateway.forget_authors(misattributed).await;
        held.shrink_to(self.size.of_finished(self.merged.bytes()));
        self.finish(question, held)
    }

    async fn run_until(&mut self, deadline: Sleep) {
        let mut deadline = pin!(deadline);
        let mut running: JoinSet<Done> = JoinSet::new();
        let mut in_flight: HashMap<tokio::task::Id, (Call, Sent)> = HashMap::new();
        loop {
            while running.len() < self.size.at_once
                && let Some(task) = self.next_task(running.is_empty())
            {
                let (call, sent) = (task.call.clone(), Sent::default());
                let handle = running.spawn(make_call(
                    self.gateway.clone(),
                    Arc::clone(&self.app),
                    self.caller.clone(),
                    Arc::clone(&self.groupings),
                    task,
                    (Arc::clone(&sent), self.size.wire),
                ));
                in_flight.insert(handle.id(), (call, sent));
            }
            if running.is_empty() && !self.has_parts() {
                return;
            }
            tokio::select! {
                Some(joined) = running.join_next_with_id() => self.handle_joined(joined, &mut in_flight),
                () = Self::send_part(&mut self.parts), if self.has_parts() => (),
                () = &mut deadline => break,
            }
        }
        // Answers that arrived at the same moment still count.
        while let Some(joined) = running.try_join_next_with_id() {
            self.handle_joined(joined, &mut in_flight);
        }
        // Dropping the set aborts the calls in flight.
        drop(running);
        let now = self.gateway.0.clock.instant();
        for (call, sent) in in_flight.into_values() {
            if let Some(sent) = sent.get() {
                let time = now.saturating_duration_since(*sent);
                self.record_call(&call, UpstreamEffort { attempts: 1, status: None, time }, 0);
            }
            self.record_missing(call, Reason::Deadline, "no time was left");
        }
        for task in std::mem::take(&mut self.waiting) {
            self.record_missing(task.call, Reason::Deadline, "no time was left");
        }
    }

    fn has_parts(&self) -> bool {
        self.parts.as_ref().is_some_and(|(_, parts)| !parts.whole.is_empty())
    }

    /// Sends the next part, once the receiver has taken the one before.
    async fn send_part(parts: &mut Option<(Sender<Merge>, Parts)>) {
        let Some((to, parts)) = parts else { return };
        // A receiver that is gone gets no further parts.
        let Ok(place) = to.reserve().await else { return parts.whole.clear() };
        if let Some(part) = parts.next() {
            place.send(part);
        }
    }

    async fn send_the_rest(&mut self) {
        if let Some((_, parts)) = &mut self.parts {
            parts.finish(&mut self.merged);
        }
        while self.has_parts() {
            Self::send_part(&mut self.parts).await;
        }
        self.parts = None;
    }

    fn handle_joined(
        &mut self,
        joined: Result<(tokio::task::Id, Done), JoinError>,
        in_flight: &mut HashMap<tokio::task::Id, (Call, Sent)>,
    ) {
        match joined {
            Ok((id, done)) => {
                let posts = in_flight.remove(&id).map(|(call, _)| call.posts);
                self.absorb(done);
                self.note_ended(&posts.unwrap_or_default());
            }
            Err(error) => {
                if let Some((call, _)) = in_flight.remove(&error.id()) {
                    let posts = call.posts.clone();
                    self.end_probe(&call);
                    self.record_missing(call, Reason::UpstreamError, "an internal error");
                    self.note_ended(&posts);
                }
            }
        }
    }

    pub(super) fn retry_now(&mut self, task: Task) {
        self.note_begun(&task.call.posts);
        self.waiting.push_front(task);
    }

    pub(super) fn enqueue(&mut self, task: Task) {
        self.note_begun(&task.call.posts);
        self.waiting.push_back(task);
    }

    fn note_begun(&mut self, posts: &[u64]) {
        if let Some((_, parts)) = &mut self.parts {
            parts.begin(posts);
        }
    }

    fn note_ended(&mut self, posts: &[u64]) {
        if let Some((_, parts)) = &mut self.parts {
            parts.end(posts, &mut self.merged);
        }
    }

    /// The next call that can be made now, if there is quota for it; with nothing in flight, even one without room.
    fn next_task(&mut self, nothing_in_flight: bool) -> Option<Task> {
        loop {
            let may_begin = |task: &Task| self.is_free(task) && self.has_room(task);
            // Calls of the same posts stand together.
            let near = if self.parts.is_some() { NEAR } else { usize::MAX };
            let place = self.waiting.iter().take(near).position(may_begin);
            let place = match place {
                None if nothing_in_flight && !self.has_parts() => {
                    self.waiting.iter().position(|task| self.is_free(task))
                }
                place => place,
            };
            let task = place.and_then(|place| self.waiting.remove(place))?;
            if self.exhausted.contains(&task.call.signer.kind()) {
                let posts = task.call.posts.clone();
                self.record_missing(task.call, Reason::Quota, "X's quota is used up");
                self.note_ended(&posts);
            } else if let Some(task) = self.without_settled(task) {
                if task.is_probe() {
                    self.probed.extend(&task.call.posts);
                }
                if let Some((_, parts)) = &mut self.parts {
                    parts.begun.extend(&task.call.posts);
                }
                return Some(task);
            }
        }
    }

    /// Whether no other call is finding out the author of its posts.
    fn is_free(&self, task: &Task) -> bool {
        !task.is_probe() || !task.call.posts.iter().any(|post| self.probed.contains(post))
    }

    /// Whether its posts fit beside those that have begun and have not been sent yet.
    fn has_room(&self, task: &Task) -> bool {
        self.parts.as_ref().is_none_or(|(_, parts)| {
            let new = parts.new_ones(&task.call.posts);
            new == 0 || parts.begun.len() + new <= self.size.open_posts
        })
    }

    /// Takes posts out of a call if, since it was planned, their author became known or the candidate was ruled out.
    fn without_settled(&mut self, task: Task) -> Option<Task> {
        let candidate = match task.call.signer {
            Signer::App => return Some(task),
            Signer::Author(author) => return self.without_refused(task, author),
            Signer::Candidate(candidate) => candidate,
        };
        let (mut left, mut others, mut known) = (Vec::new(), Vec::new(), Vec::new());
        let mut own: HashMap<UserId, Vec<u64>> = HashMap::new();
        for post in &task.call.posts {
            match self.learnt.get(post) {
                Some(author) => own.entry(*author).or_default().push(*post),
                None if self.foreign.contains(&(*post, candidate)) => others.push(*post),
                None => {
                    left.push(*post);
                    continue;
                }
            }
            known.push(*post);
        }
        let with = |posts, signer| Call { signer, posts, ..task.call.clone() };
        for (author, posts) in own {
            let call = with(posts, Signer::Author(author));
            self.retry_now(Task { call, candidate: task.candidate, is_retry: false });
        }
        if !others.is_empty() {
            let call = with(others, task.call.signer);
            let other = Task { call, candidate: task.candidate, is_retry: false };
            self.try_next(other, Reason::Forbidden, "");
        }
        self.note_ended(&known);
        (!left.is_empty()).then(|| Task { call: with(left, task.call.signer), ..task })
    }

    /// Takes out of a call the posts whose author was named wrongly: one window's refusal is enough.
    fn without_refused(&mut self, task: Task, author: UserId) -> Option<Task> {
        let is_foreign = |post: &u64| self.foreign.contains(&(*post, author));
        let (foreign, left): (Vec<u64>, Vec<u64>) =
            task.call.posts.iter().partition(|post| is_foreign(post));
        if foreign.is_empty() {
            return Some(task);
        }
        self.record_missing(
            Call { posts: foreign.clone(), ..task.call.clone() },
            Reason::Forbidden,
            NOT_THEIRS,
        );
        self.note_ended(&foreign);
        let call = Call { posts: left, ..task.call };
        (!call.posts.is_empty()).then_some(Task { call, ..task })
    }
}

/// Makes one call, with its signer's credentials.
async fn make_call(
    gateway: Gateway,
    app: Arc<AppState>,
    caller: Caller,
    groupings: Arc<Vec<Grouping>>,
    task: Task,
    (sent, most): (Sent, usize),
) -> Done {
    let body = Bytes::from(task.call.body(&groupings));
    let endpoint: Endpoint = task.call.endpoint;
    let Caller { key, from, .. } = &caller;
    let call =
        forward::RelayRequest { key, from: *from, endpoint, account: None, auth: None, body };
    let mut trace = CallTrace { posts: task.call.posts.len(), ..CallTrace::default() };
    let turn = app.question_turns.take(&key.turn, 1).await;
    let _ = sent.set(gateway.0.clock.instant());
    let room = &mut Room::UpTo(most);
    let answer = match task.call.signer.account() {
        None => gateway.call_as_app(&app, &call, room, &mut trace).await,
        Some(account) => {
            gateway.call_as_user(&app, &AccountRef::Id(account), &call, room, &mut trace).await
        }
    };
    drop(turn);
    (task, answer, trace.effort)
}
