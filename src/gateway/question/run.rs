//! Asking a question's calls of the upstream, side by side, and putting together what comes back. What one post spoils
//! is asked again without it; what cannot be had is named with its reason.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};

use crate::gateway::bearers::AppState;
use crate::gateway::forward;
use crate::gateway::keys::KnownKey;
use crate::gateway::question::lookup::LookUp;
use crate::gateway::question::merge::Merge;
use crate::gateway::question::parts::Parts;
use crate::gateway::question::plan::{Call, Missing, NOBODYS, Plan, Reason, Signer};
use crate::gateway::question::{Caller, Grouping, Question};
use crate::gateway::{Error, Gateway, Trail};
use crate::model::{AccountRef, AuthKind, Endpoint, UserId};
use crate::upstream::{Answer, Refusal, Spent};

/// What became of a question.
pub struct Answered {
    /// The answer in the upstream's shape.
    pub merged: Merge,
    /// Made before the calls.
    pub lookups: Vec<LookUp>,
    /// In the order of their ends.
    pub calls: Vec<Made>,
    pub missing: Vec<Missing>,
}

/// A call that was made.
pub struct Made {
    pub call: Call,
    /// Of the upstream's last answer, if there was one.
    pub status: Option<u16>,
    pub spent: Spent,
}

/// A call still to be made.
struct Task {
    call: Call,
    /// Which of the plan's candidates signs, where the author is not known.
    candidate: usize,
    /// Whether it asks again without the posts that spoilt a call before.
    again: bool,
}

impl Task {
    /// Whether it also finds out who the posts' author is.
    fn is_probe(&self) -> bool {
        matches!(self.call.signer, Signer::Candidate(_))
    }
}

/// A call in flight, its answer, and what it took.
type Done = (Task, Result<Answer, Error>, Spent);

/// One question on its way.
pub(super) struct Run {
    gateway: Gateway,
    app: Arc<AppState>,
    caller: Caller,
    groupings: Arc<Vec<Grouping>>,
    candidates: Vec<UserId>,
    waiting: VecDeque<Task>,
    pub(super) answered: Answered,
    /// Whether any answer had numbers.
    pub(super) has_any: bool,
    /// Kinds of credentials whose quota is spent.
    spent: HashSet<AuthKind>,
    /// Posts whose author is being found out: what else is to be asked of them waits for that.
    probed: HashSet<u64>,
    learnt: HashMap<u64, UserId>,
    /// Whose posts they are not.
    foreign: HashSet<(u64, UserId)>,
    /// For whoever wants posts before all are there.
    parts: Option<Parts>,
}

impl Gateway {
    /// Makes the calls of a plan until `deadline`; what has not come by then is missing. The error is for a question of
    /// which nothing could be had at all.
    pub(super) async fn ask_all(
        &self,
        app: &Arc<AppState>,
        caller: &Caller,
        question: &Question,
        plan: Plan,
        deadline: Instant,
        parts: Option<Parts>,
    ) -> Result<Answered, Error> {
        let candidates = plan.candidates;
        let mut run = Run {
            gateway: self.clone(),
            app: Arc::clone(app),
            caller: caller.clone(),
            groupings: Arc::new(question.groupings.clone()),
            foreign: self.0.authors.known_foreign(&plan.unknown, &candidates),
            candidates,
            waiting: VecDeque::new(),
            answered: Answered {
                merged: Merge::new(question.groupings.clone()),
                lookups: Vec::new(),
                calls: Vec::new(),
                missing: plan.missing,
            },
            has_any: false,
            spent: HashSet::new(),
            probed: HashSet::new(),
            learnt: HashMap::new(),
            parts,
        };
        for call in plan.calls {
            let place = |it: &UserId| call.signer == Signer::Candidate(*it);
            let candidate = run.candidates.iter().position(place).unwrap_or_default();
            run.last(Task { call, candidate, again: false });
        }
        run.until(tokio::time::sleep_until(deadline)).await;
        if let Some(parts) = run.parts.take() {
            parts.finish(&mut run.answered.merged);
        }
        self.learn(std::mem::take(&mut run.learnt), std::mem::take(&mut run.foreign)).await;
        run.finish(question)
    }
}

impl Run {
    async fn until(&mut self, deadline: Sleep) {
        let mut deadline = pin!(deadline);
        let mut asking: JoinSet<Done> = JoinSet::new();
        let mut in_flight: HashMap<tokio::task::Id, Call> = HashMap::new();
        loop {
            while asking.len() < self.gateway.0.limits.question_calls
                && let Some(task) = self.next()
            {
                let call = task.call.clone();
                let handle = asking.spawn(ask(
                    self.gateway.clone(),
                    Arc::clone(&self.app),
                    Arc::clone(&self.caller.key),
                    Arc::clone(&self.groupings),
                    task,
                ));
                in_flight.insert(handle.id(), call);
            }
            let joined = tokio::select! {
                joined = asking.join_next_with_id() => joined,
                () = &mut deadline => break,
            };
            match joined {
                None => return,
                Some(Ok((id, done))) => {
                    let posts = in_flight.remove(&id).map(|it| it.posts);
                    self.take(done);
                    self.ended(&posts.unwrap_or_default());
                }
                Some(Err(error)) => {
                    if let Some(call) = in_flight.remove(&error.id()) {
                        let posts = call.posts.clone();
                        self.probed_no_more(&call);
                        self.lack(call, Reason::UpstreamError, "the gateway failed");
                        self.ended(&posts);
                    }
                }
            }
        }
        // Dropping what is in flight ends it.
        drop(asking);
        let waiting = std::mem::take(&mut self.waiting);
        for call in in_flight.into_values().chain(waiting.into_iter().map(|it| it.call)) {
            self.lack(call, Reason::Deadline, "time was up");
        }
    }

    fn first(&mut self, task: Task) {
        self.begun(&task.call.posts);
        self.waiting.push_front(task);
    }

    fn last(&mut self, task: Task) {
        self.begun(&task.call.posts);
        self.waiting.push_back(task);
    }

    fn begun(&mut self, posts: &[u64]) {
        if let Some(parts) = &mut self.parts {
            parts.begin(posts);
        }
    }

    fn ended(&mut self, posts: &[u64]) {
        if let Some(parts) = &mut self.parts {
            parts.end(posts, &mut self.answered.merged);
        }
    }

    /// The next call that can be made now, if there is quota for it.
    fn next(&mut self) -> Option<Task> {
        loop {
            let probed = &self.probed;
            let is_free =
                |it: &Task| !it.is_probe() || !it.call.posts.iter().any(|it| probed.contains(it));
            let task =
                self.waiting.iter().position(is_free).and_then(|it| self.waiting.remove(it))?;
            if self.spent.contains(&task.call.signer.kind()) {
                let posts = task.call.posts.clone();
                self.lack(task.call, Reason::Quota, "the upstream's quota is spent");
                self.ended(&posts);
            } else if let Some(task) = self.sift(task) {
                if task.is_probe() {
                    self.probed.extend(&task.call.posts);
                }
                return Some(task);
            }
        }
    }

    /// Takes out of a call what has become known of its posts' authors since it was planned.
    fn sift(&mut self, task: Task) -> Option<Task> {
        let Signer::Candidate(candidate) = task.call.signer else { return Some(task) };
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
            self.first(Task { call, candidate: task.candidate, again: false });
        }
        if !others.is_empty() {
            let call = with(others, task.call.signer);
            let other = Task { call, candidate: task.candidate, again: false };
            self.try_next(other, Reason::Forbidden, "");
        }
        self.ended(&known);
        (!left.is_empty()).then(|| Task { call: with(left, task.call.signer), ..task })
    }

    fn take(&mut self, (task, outcome, spent): Done) {
        self.probed_no_more(&task.call);
        let status = spent.status;
        let bytes = outcome.as_ref().map_or(0, |it| it.wire.len());
        self.gateway.note_part(&self.caller, &task.call, &spent, bytes);
        self.answered.calls.push(Made { call: task.call.clone(), status, spent });
        let answer = match outcome {
            Ok(answer) => answer,
            Err(Error::AccountNotActive { state, .. }) => {
                let detail = format!("the account is {state}");
                return self.try_next(task, Reason::AccountRevoked, &detail);
            }
            Err(Error::AccountNotFound) => return self.try_next(task, Reason::NotConnected, ""),
            Err(Error::UpstreamTimeout(_)) => {
                return self.lack(task.call, Reason::UpstreamError, "the upstream took too long");
            }
            Err(error) => return self.lack(task.call, Reason::UpstreamError, &error.to_string()),
        };
        match answer.refusal() {
            None => self.merge(&task, &answer),
            Some(Refusal::Foreign(posts)) => self.without_foreign(&task, &posts),
            Some(Refusal::Unavailable(posts)) => {
                let (gone, left) = split(&task.call, &posts.into_iter().collect());
                let ids: Vec<String> = gone.posts.iter().map(ToString::to_string).collect();
                let list = serde_json::json!({ "unavailable_tweet_ids": ids }).to_string();
                let added = self.answered.merged.add(list.as_bytes());
                added.expect("a list of ids is a part of the upstream's answers");
                self.again(&task, left, Reason::UpstreamError);
            }
            Some(Refusal::Account) => {
                self.try_next(task, Reason::AccountRevoked, "the upstream refuses its token");
            }
            Some(Refusal::Quota) => {
                self.spent.insert(task.call.signer.kind());
                self.lack(task.call, Reason::Quota, "the upstream's quota is spent");
            }
            Some(Refusal::Other(detail)) => self.lack(task.call, Reason::UpstreamError, &detail),
        }
    }

    fn probed_no_more(&mut self, call: &Call) {
        if matches!(call.signer, Signer::Candidate(_)) {
            for post in &call.posts {
                self.probed.remove(post);
            }
        }
    }

    fn merge(&mut self, task: &Task, answer: &Answer) {
        if self.answered.merged.add(answer.text()).is_err() {
            let detail = "the upstream's answer has another form than it should";
            return self.lack(task.call.clone(), Reason::UpstreamError, detail);
        }
        self.has_any = true;
        if let Some(author) = task.call.signer.account() {
            let unavailable = self.answered.merged.unavailable();
            let own = task.call.posts.iter().filter(|it| !unavailable.contains(it));
            self.learnt.extend(own.map(|it| (*it, author)));
        }
    }

    /// The posts that are not the signer's go to the next who may be their author; the others are asked for again.
    fn without_foreign(&mut self, task: &Task, named: &[u64]) {
        let all = named.is_empty();
        let foreign: HashSet<u64> =
            if all { &task.call.posts } else { named }.iter().copied().collect();
        let (foreign, own) = split(&task.call, &foreign);
        // Of a refusal that names none, some may be the candidate's after all.
        if let Signer::Candidate(candidate) = task.call.signer
            && (!all || foreign.posts.len() == 1)
        {
            self.foreign.extend(foreign.posts.iter().map(|it| (*it, candidate)));
        }
        if foreign.posts.is_empty() {
            let detail = "the upstream calls posts foreign that were not asked for";
            return self.lack(own, Reason::UpstreamError, detail);
        }
        let other = Task { call: foreign, candidate: task.candidate, again: false };
        self.try_next(other, Reason::Forbidden, "not the posts of anybody whose token was tried");
        self.again(task, own, Reason::Forbidden);
    }

    /// Asks once more for what is left of a call.
    fn again(&mut self, task: &Task, left: Call, reason: Reason) {
        if left.posts.is_empty() {
            return;
        }
        if task.again {
            return self.lack(left, reason, "refused again without the posts that spoilt it");
        }
        let candidate = task.candidate;
        self.first(Task { call: left, candidate, again: true });
    }

    /// Where the author is not known, the next candidate's token is tried.
    fn try_next(&mut self, task: Task, reason: Reason, detail: &str) {
        let next = task.candidate + 1;
        match (task.call.signer, self.candidates.get(next)) {
            (Signer::Candidate(_), Some(candidate)) => {
                let call = Call { signer: Signer::Candidate(*candidate), ..task.call };
                self.last(Task { call, candidate: next, again: false });
            }
            (Signer::Candidate(_), None) => {
                self.lack(task.call, Reason::NotConnected, NOBODYS);
            }
            _ => self.lack(task.call, reason, detail),
        }
    }
}

/// One call, by whoever signs it.
async fn ask(
    gateway: Gateway,
    app: Arc<AppState>,
    key: Arc<KnownKey>,
    groupings: Arc<Vec<Grouping>>,
    task: Task,
) -> Done {
    let body = Bytes::from(task.call.body(&groupings));
    let endpoint: Endpoint = task.call.endpoint;
    let call = forward::Call { key: &key, endpoint, account: None, auth: None, body };
    let mut trail = Trail { posts: task.call.posts.len(), ..Trail::default() };
    let slot = app.asking.acquire().await;
    let answer = match task.call.signer.account() {
        None => gateway.call_as_app(&app, &call, &mut trail).await,
        Some(account) => {
            gateway.call_as_user(&app, &AccountRef::Id(account), &call, &mut trail).await
        }
    };
    drop(slot);
    (task, answer, trail.spent)
}

/// The same call for these posts, and for the others.
fn split(call: &Call, posts: &HashSet<u64>) -> (Call, Call) {
    let (these, others) = call.posts.iter().partition(|it| posts.contains(it));
    (Call { posts: these, ..call.clone() }, Call { posts: others, ..call.clone() })
}
