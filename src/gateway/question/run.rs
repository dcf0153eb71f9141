//! Making a question's upstream calls, side by side, and putting their answers together. A call spoilt by a post
//! is made again without it; what stays missing is named with its reason.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant as TokioInstant, sleep_until};

use crate::admission::Held;
use crate::gateway::app::AppState;
use crate::gateway::call::recent::Ended;
use crate::gateway::call::share::{Gate, Means, Outgoing};
use crate::gateway::question::answered::{Answered, FinishedCall};
use crate::gateway::question::caller::Caller;
use crate::gateway::question::kept::{Begun, KeptCall, New};
use crate::gateway::question::merge::Merge;
use crate::gateway::question::numbers::Overflow;
use crate::gateway::question::plan::{Call, Missing, Plan, Reason, Signer};
use crate::gateway::question::recent::Recent;
use crate::gateway::question::size::Size;
use crate::gateway::question::streaming::Parts;
use crate::gateway::question::{Grouping, Question, Window};
use crate::gateway::{CallTrace, Class, Error, Gateway, Patience};
use crate::model::call::Attempt;
use crate::model::usage::Saving;
use crate::model::{AccountRef, Metric, UserId};
use crate::upstream::{Answer, Learnt, UpstreamEffort};

pub(super) const NOT_THEIRS: &str = "not by the user to whom they were attributed";

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
    pub(super) fn is_probe(&self) -> bool {
        matches!(self.call.signer, Signer::Candidate(_))
    }
}

/// A finished call.
pub(super) struct Done {
    pub(super) task: Task,
    pub(super) outcome: Result<Answer, Error>,
    pub(super) effort: UpstreamEffort,
    pub(super) learnt: Learnt,
    pub(super) saved: Option<Saving>,
    pub(super) begun: Option<Begun>,
    /// Held until the answer is merged.
    pub(super) slot: Option<OwnedSemaphorePermit>,
}

/// When a call was sent, once it was.
pub(super) type Sent = Arc<OnceLock<Instant>>;

/// What the calls of a question have in common.
#[derive(Clone)]
struct Terms {
    end: TokioInstant,
    /// Bytes for each answer as it comes.
    room: usize,
    /// One for each answer that may be read at the same time.
    slots: Arc<Semaphore>,
}

/// One question being answered.
pub(super) struct Run {
    pub(super) gateway: Gateway,
    pub(super) app: Arc<AppState>,
    pub(super) caller: Caller,
    pub(super) groupings: Arc<Vec<Grouping>>,
    pub(super) size: Size,
    pub(super) merged: Merge,
    pub(super) candidates: Vec<UserId>,
    pub(super) waiting: VecDeque<Task>,
    /// Calls in the order in which they ended.
    pub(super) calls: Vec<FinishedCall>,
    pub(super) missing: Vec<Missing>,
    /// Whether any answer had numbers.
    pub(super) has_any: bool,
    /// Posts whose author is being found out: their other calls wait for that.
    pub(super) probed: HashSet<u64>,
    pub(super) learnt: HashMap<u64, UserId>,
    /// Posts with users who are not their authors.
    pub(super) foreign: HashSet<(u64, UserId)>,
    /// Posts with users who were thought to be their authors, and are not.
    pub(super) misattributed: HashSet<(u64, UserId)>,
    /// The longest wait that X requested.
    pub(super) retry_after: Option<Duration>,
    /// The question's public engagement types, if it has private ones too.
    pub(super) public: Vec<Metric>,
    /// Posts for which these are to be asked for as the app, since the call with the author's credentials failed.
    pub(super) as_app: Vec<u64>,
    /// Set if the question is about the last 28 hours.
    pub(super) recent: Option<Recent>,
    /// Posts that are too old for private totals, by their ids.
    pub(super) too_old: Vec<u64>,
    /// Sums that do not fit 64 bits.
    pub(super) overflows: Vec<Overflow>,
    /// What need not be asked for, and is not added yet.
    pub(super) kept: VecDeque<KeptCall>,
    /// What is to be kept, and the posts of which nothing is to be kept any more.
    pub(super) to_keep: Vec<New>,
    pub(super) to_forget: Vec<u64>,
    /// For a receiver that wants posts before all are complete.
    pub(super) parts: Option<(Sender<Merge>, Parts)>,
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
            probed: HashSet::new(),
            learnt: HashMap::new(),
            foreign: HashSet::new(),
            misattributed: HashSet::new(),
            retry_after: None,
            public: question
                .metrics
                .iter()
                .copied()
                .filter(|metric| !question.needs_author(*metric))
                .collect(),
            as_app: Vec::new(),
            recent: (question.window == Window::TwentyEightHours).then(Recent::default),
            too_old: Vec::new(),
            overflows: Vec::new(),
            kept: VecDeque::new(),
            to_keep: Vec::new(),
            to_forget: Vec::new(),
            parts,
        }
    }

    /// Makes the calls of a plan until `deadline`; whatever has not arrived by then is missing. An error means that no
    /// part of the question was answered.
    pub(super) async fn answer(
        mut self,
        question: &Question,
        (plan, kept): (Plan, Vec<KeptCall>),
        mut held: Held,
        deadline: TokioInstant,
    ) -> Result<Answered, Error> {
        self.foreign = self.gateway.0.authors.known_foreign(&plan.unknown, &plan.candidates);
        self.candidates = plan.candidates;
        for missing in plan.missing {
            match missing.reason {
                Reason::UnsupportedAge => self.too_old.extend(missing.posts),
                _ => self.missing.push(missing),
            }
        }
        // X answers for old posts, too, and says that it has no such numbers.
        self.has_any = plan.calls.is_empty() && kept.is_empty() && self.missing.is_empty();
        for kept in kept {
            self.note_begun(&kept.call.posts);
            self.kept.push_back(kept);
        }
        for call in plan.calls {
            let place = |candidate: &UserId| call.signer == Signer::Candidate(*candidate);
            let candidate = self.candidates.iter().position(place).unwrap_or_default();
            self.enqueue(Task { call, candidate, is_retry: false });
        }
        self.run_until(deadline).await;
        if let Some(recent) = self.recent.take() {
            let missing = recent.finish(&mut self.merged);
            self.missing.extend(missing);
        }
        self.send_the_rest(question, &plan.later).await;
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

    async fn run_until(&mut self, end: TokioInstant) {
        let mut deadline = pin!(sleep_until(end));
        let terms = Terms { end, room: self.size.wire, slots: self.slots() };
        let mut running: JoinSet<Done> = JoinSet::new();
        let mut in_flight: HashMap<tokio::task::Id, (Call, Sent)> = HashMap::new();
        loop {
            while let Some(kept) = self.next_kept(in_flight.is_empty()) {
                self.absorb_kept(kept).await;
            }
            while let Some(task) = self.next_task(&in_flight) {
                let (call, sent) = (task.call.clone(), Sent::default());
                let handle = running.spawn(make_call(
                    self.gateway.clone(),
                    Arc::clone(&self.app),
                    self.caller.clone(),
                    Arc::clone(&self.groupings),
                    task,
                    (Arc::clone(&sent), terms.clone()),
                ));
                in_flight.insert(handle.id(), (call, sent));
            }
            if running.is_empty() && !self.has_parts() {
                if self.ask_again() {
                    continue;
                }
                return;
            }
            tokio::select! {
                Some(joined) = running.join_next_with_id() => {
                    self.handle_joined(joined, &mut in_flight);
                    self.keep().await;
                }
                () = Self::send_part(&mut self.parts), if self.has_parts() => (),
                () = &mut deadline => break,
            }
        }
        // Answers that arrived at the same moment still count.
        while let Some(joined) = running.try_join_next_with_id() {
            self.handle_joined(joined, &mut in_flight);
        }
        self.keep().await;
        // Dropping the set aborts the calls in flight.
        drop(running);
        let now = self.gateway.0.clock.instant();
        for (call, sent) in in_flight.into_values() {
            if let Some(sent) = sent.get() {
                let time = now.saturating_duration_since(*sent);
                let effort = UpstreamEffort { attempts: 1, status: None, time };
                let learnt = Learnt { tries: vec![Attempt::default()], said: None };
                self.record_call(&call, effort, None, Ended::out_of_time(learnt));
            }
            self.record_missing(call, Reason::Deadline, "no time was left");
        }
        for kept in std::mem::take(&mut self.kept) {
            self.record_missing(kept.call, Reason::Deadline, "no time was left");
        }
        self.plan_as_app(true);
        for task in std::mem::take(&mut self.waiting) {
            self.record_missing(task.call, Reason::Deadline, "no time was left");
        }
    }

    fn slots(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(self.size.at_once))
    }

    pub(super) fn has_parts(&self) -> bool {
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

    /// Sends all posts that are left, and adds those that were created after the range.
    async fn send_the_rest(&mut self, question: &Question, later: &[u64]) {
        let most = self.parts.as_ref().map_or(later.len(), |(_, parts)| parts.most_posts());
        if let Some((_, parts)) = &mut self.parts {
            parts.finish(&mut self.merged);
        }
        let mut later = later.chunks(most.max(1));
        loop {
            while self.has_parts() {
                Self::send_part(&mut self.parts).await;
            }
            let (Some(posts), Window::Range(range)) = (later.next(), question.window) else {
                break;
            };
            self.has_any = true;
            self.merged.add_zeros(posts, &question.metrics, range);
            if let Some((_, parts)) = &mut self.parts {
                parts.send(posts, &mut self.merged);
            }
        }
        let parts = self.parts.take();
        self.overflows.extend(parts.into_iter().flat_map(|(_, parts)| parts.overflows));
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
                    self.give_up(call, Reason::UpstreamError, "an internal error");
                    self.note_ended(&posts);
                }
            }
        }
    }
}

/// Makes one call, with its signer's credentials.
async fn make_call(
    gateway: Gateway,
    app: Arc<AppState>,
    caller: Caller,
    groupings: Arc<Vec<Grouping>>,
    task: Task,
    (sent, terms): (Sent, Terms),
) -> Done {
    let Caller { key, from, freshness, token, .. } = caller;
    let call = Outgoing {
        key,
        from,
        endpoint: task.call.endpoint,
        account: task.call.signer.account().map(AccountRef::Id),
        body: Bytes::from(task.call.body(&groupings)),
        posts: task.call.posts.len(),
        class: if token.is_some() { Class::Page } else { Class::Part },
        patience: Patience { longest: None, end: terms.end },
        is_shared: !freshness.is_own,
    };
    let gate = Gate { room: terms.room, slots: terms.slots, sent };
    let mut trace = CallTrace::default();
    let outcome = gateway.share(&app, &call, Means::Gate(&gate), &mut trace).await;
    let begun = trace.begun_at.map(|at| Begun { at, since: trace.since() });
    let (effort, learnt) = (trace.effort(), trace.learnt());
    let CallTrace { saved, slot, .. } = trace;
    Done { task, outcome, effort, learnt, saved, begun, slot }
}
