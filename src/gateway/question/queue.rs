//! The calls of a question that wait: which one is next, and what becomes of them as more is learnt.

use std::collections::HashMap;

use crate::gateway::question::plan::{Call, Reason, Signer};
use crate::gateway::question::recent::Recent;
use crate::gateway::question::run::{NOT_THEIRS, Run, Sent, Task};
use crate::model::{AuthKind, Endpoint, UserId};

/// How many waiting calls are searched for one that may begin, if complete posts have to be sent first.
const NEAR: usize = 256;

impl Run {
    pub(super) fn retry_now(&mut self, task: Task) {
        self.note_begun(&task.call.posts);
        self.waiting.push_front(task);
    }

    pub(super) fn enqueue(&mut self, task: Task) {
        self.note_begun(&task.call.posts);
        self.waiting.push_back(task);
    }

    pub(super) fn note_begun(&mut self, posts: &[u64]) {
        if let Some((_, parts)) = &mut self.parts {
            parts.begin(posts);
        }
    }

    pub(super) fn note_ended(&mut self, posts: &[u64]) {
        if let Some((_, parts)) = &mut self.parts {
            parts.end(posts, &mut self.merged);
        }
    }

    /// The next call that can begin now; with nothing in flight, even one without room. Calls with either kind of
    /// credentials begin beside those with the other, since these may have to wait for X's quota.
    pub(super) fn next_task(
        &mut self,
        in_flight: &HashMap<tokio::task::Id, (Call, Sent)>,
    ) -> Option<Task> {
        let nothing_in_flight = in_flight.is_empty();
        let has_turn = |kind: AuthKind| {
            let of_kind = in_flight.values().filter(|(call, _)| call.signer.kind() == kind);
            of_kind.count() < self.size.at_once
        };
        let has_turn = AuthKind::ALL.map(has_turn);
        loop {
            self.plan_as_app(nothing_in_flight && self.waiting.is_empty());
            let may_begin = |task: &Task| {
                let has_turn = has_turn.get(task.call.signer.kind() as usize);
                has_turn == Some(&true) && self.is_free(task) && self.has_room(task)
            };
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
            if let Some(task) = self.without_settled(task) {
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
        self.has_room_for(&task.call.posts)
    }

    pub(super) fn has_room_for(&self, posts: &[u64]) -> bool {
        self.parts.as_ref().is_none_or(|(_, parts)| {
            let new = parts.new_ones(posts);
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
        let refused = Call { posts: foreign.clone(), ..task.call.clone() };
        self.give_up(refused, Reason::Forbidden, NOT_THEIRS);
        self.note_ended(&foreign);
        let call = Call { posts: left, ..task.call };
        (!call.posts.is_empty()).then_some(Task { call, ..task })
    }

    /// Whether there is something to ask again, since X has moved on to other hours.
    pub(super) fn ask_again(&mut self) -> bool {
        let outdated = self.recent.as_mut().map(Recent::outdated).unwrap_or_default();
        let tasks = outdated.into_iter().map(|call| Task { call, candidate: 0, is_retry: false });
        self.waiting.extend(tasks);
        !self.waiting.is_empty()
    }

    /// Plans calls for public engagement types as the app, as soon as they are full or nothing else will come.
    pub(super) fn plan_as_app(&mut self, is_last: bool) {
        let (endpoint, signer) = (Endpoint::Totals, Signer::App);
        while self.as_app.len() >= endpoint.max_posts() || (is_last && !self.as_app.is_empty()) {
            let many = self.as_app.len().min(endpoint.max_posts());
            let (posts, metrics) = (self.as_app.drain(..many).collect(), self.public.clone());
            let call = Call { endpoint, signer, posts, metrics, span: None, before_posts: None };
            self.waiting.push_back(Task { call, candidate: 0, is_retry: false });
        }
    }
}
