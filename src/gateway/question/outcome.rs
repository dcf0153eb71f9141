//! The effects of a call's answer: its numbers are merged, posts that spoilt it are requested again or reported
//! missing, and posts' authors become known.

use std::collections::HashSet;

use bytes::Bytes;

use crate::gateway::Error;
use crate::gateway::call::recent::Ended;
use crate::gateway::question::answered::FinishedCall;
use crate::gateway::question::kept::{Begun, Unavailable};
use crate::gateway::question::merge::{Contribution, Malformed, Part};
use crate::gateway::question::plan::{Call, NOBODYS, Reason, Signer};
use crate::gateway::question::run::{Done, NOT_THEIRS, Run, Task};
use crate::model::usage::Saving;
use crate::upstream::{Answer, Refusal, UpstreamEffort};

impl Run {
    pub(super) fn absorb(&mut self, done: Done) {
        let Done { task, outcome, effort, learnt, saved, begun, slot: _slot } = done;
        self.end_probe(&task.call);
        let ended = Ended::of(&outcome, task.call.signer.kind(), learnt);
        if let Err(Error::QuotaExhausted { retry_after, .. }) = outcome {
            self.retry_after = self.retry_after.max(Some(retry_after));
            // X has refused it once.
            if effort.attempts > 0 {
                self.record_call(&task.call, effort, saved, ended);
            }
            return self.give_up(task.call, Reason::Quota, "X's quota is used up");
        }
        self.record_call(&task.call, effort, saved, ended);
        let answer = match outcome {
            Ok(answer) => answer,
            Err(Error::AccountNotActive { state, .. }) => {
                let detail = format!("the account is {state}");
                return self.try_next(task, Reason::AccountRevoked, &detail);
            }
            Err(Error::AccountLimitReached { .. }) => {
                return self.try_next(task, Reason::AccountLimit, "");
            }
            Err(Error::AccountNotFound) => return self.try_next(task, Reason::NotConnected, ""),
            Err(error @ Error::UpstreamDown { retry_after, .. }) => {
                self.retry_after = self.retry_after.max(Some(retry_after));
                return self.give_up(task.call, Reason::UpstreamError, &error.to_string());
            }
            Err(Error::UpstreamTimeout(_)) => {
                return self.give_up(task.call, Reason::UpstreamError, "X did not answer in time");
            }
            Err(Error::UpstreamOdd { source, .. }) => {
                return self.give_up(task.call, Reason::UpstreamError, &source.to_string());
            }
            Err(error) => {
                return self.give_up(task.call, Reason::UpstreamError, &error.to_string());
            }
        };
        self.retry_after = self.retry_after.max(answer.retry_after());
        match answer.refusal() {
            None => self.merge(&task, &answer, begun),
            Some(Refusal::Foreign(posts)) => self.without_foreign(&task, &posts),
            Some(Refusal::Unavailable(posts)) => {
                let (unavailable, left) = split(&task.call, &posts.into_iter().collect());
                if unavailable.posts.is_empty() {
                    let detail = "X reported posts as unavailable that were not requested";
                    return self.give_up(left, Reason::UpstreamError, detail);
                }
                let posts = unavailable.posts.clone();
                let how = Unavailable::Listed;
                self.note_unavailable(&unavailable, posts, how, begun);
                let ids: Vec<String> = unavailable.posts.iter().map(ToString::to_string).collect();
                let list = serde_json::json!({ "unavailable_tweet_ids": ids }).to_string();
                let added = self.merged.add(list.as_bytes());
                added.expect("a list of ids is a part of the upstream's answers");
                self.retry_rest(&task, left, Reason::UpstreamError);
            }
            Some(Refusal::Account) => {
                self.try_next(task, Reason::AccountRevoked, "X rejects its token");
            }
            Some(Refusal::Quota) => {
                self.give_up(task.call, Reason::Quota, "X's quota is used up");
            }
            Some(Refusal::Other(detail)) => {
                self.give_up(task.call, Reason::UpstreamError, &detail);
            }
        }
    }

    /// Notes a call that was sent or saved, however it ended.
    pub(super) fn record_call(
        &mut self,
        call: &Call,
        effort: UpstreamEffort,
        saved: Option<Saving>,
        ended: Ended,
    ) {
        self.gateway.record_part(&self.caller, call, &effort, ended);
        if saved.is_none() {
            self.caller.made.add(effort.attempts);
        }
        let (call, status) = (call.clone(), effort.status);
        self.calls.push(FinishedCall { call, status, effort, saved, age: None });
    }

    pub(super) fn end_probe(&mut self, call: &Call) {
        if matches!(call.signer, Signer::Candidate(_)) {
            for post in &call.posts {
                self.probed.remove(post);
            }
        }
    }

    fn merge(&mut self, task: &Task, answer: &Answer, begun: Option<Begun>) {
        let is_long = answer.length() > self.size.text;
        let text = if is_long { Bytes::new() } else { answer.whole_text() };
        let read = if is_long { Err(Malformed::TooLarge) } else { self.merged.read(&text) };
        let (part, contribution) = match read {
            Ok(read) => read,
            Err(error) => {
                let detail = format!("X's response is {error}");
                return self.give_up(task.call.clone(), Reason::UpstreamError, &detail);
            }
        };
        let with = |posts| Call { posts, ..task.call.clone() };
        self.note_to_keep(&task.call, (&part, &contribution), text, begun);
        self.add(&task.call, part, &contribution);
        let silent: Vec<u64> = task
            .call
            .posts
            .iter()
            .copied()
            .filter(|post| !contribution.answers_for(*post))
            .collect();
        self.has_any |= contribution.has_numbers
            || (silent.is_empty() && contribution.unexplained_error.is_none());
        if let Some(author) = task.call.signer.account() {
            let own = task.call.posts.iter().filter(|post| contribution.proves(**post));
            self.learnt.extend(own.map(|post| (*post, author)));
        }
        // Errors beside numbers mean that the numbers are incomplete (reference 3.1).
        if let Some(error) = &contribution.unexplained_error {
            let detail = format!("X says: {error}");
            let posts =
                task.call.posts.iter().copied().filter(|post| !contribution.listed.contains(post));
            self.give_up(with(posts.collect()), Reason::UpstreamError, &detail);
        } else if !silent.is_empty() {
            self.give_up(with(silent), Reason::UpstreamError, "missing from X's response");
        }
    }

    /// Adds a call's numbers to the answer, with zeros for the time before its posts existed.
    pub(super) fn add(&mut self, call: &Call, part: Part, contribution: &Contribution) {
        let with = |is_in: &dyn Fn(u64) -> bool| {
            let posts = call.posts.iter().copied().filter(|post| is_in(*post)).collect();
            Call { posts, ..call.clone() }
        };
        if let Some(recent) = &mut self.recent {
            let (answered, hours) = (with(&|post| contribution.answers_for(post)), part.hours());
            // Numbers that are sent as they come cannot be replaced.
            let kept = if self.parts.is_none() {
                Some(part)
            } else {
                self.merged.absorb(part);
                None
            };
            return recent.add(answered, hours, kept);
        }
        self.merged.absorb(part);
        if let Some(before) = call.before_posts {
            let counted = with(&|post| contribution.has_numbers_of(post));
            self.merged.add_zeros(&counted.posts, &call.metrics, before);
        }
    }

    /// Passes the posts that are not the signer's on to the next candidate, and requests the others again.
    fn without_foreign(&mut self, task: &Task, named: &[u64]) {
        let all = named.is_empty();
        let foreign: HashSet<u64> =
            if all { &task.call.posts } else { named }.iter().copied().collect();
        let (foreign, own) = split(&task.call, &foreign);
        // If the refusal names no posts, some may be the signer's after all.
        if let Some(account) = task.call.signer.account()
            && (!all || foreign.posts.len() == 1)
        {
            let pairs = foreign.posts.iter().map(|post| (*post, account));
            self.foreign.extend(pairs.clone());
            if matches!(task.call.signer, Signer::Author(_)) {
                self.misattributed.extend(pairs);
            }
        }
        if foreign.posts.is_empty() {
            let detail = "X reported posts as another user's that were not requested";
            return self.give_up(own, Reason::UpstreamError, detail);
        }
        let other = Task { call: foreign, candidate: task.candidate, is_retry: false };
        self.try_next(other, Reason::Forbidden, NOT_THEIRS);
        self.retry_rest(task, own, Reason::Forbidden);
    }

    /// Requests the remaining posts of a call once more.
    fn retry_rest(&mut self, task: &Task, left: Call, reason: Reason) {
        if left.posts.is_empty() {
            return;
        }
        if task.is_retry {
            return self.give_up(left, reason, "rejected again without the posts that X had named");
        }
        let candidate = task.candidate;
        self.retry_now(Task { call: left, candidate, is_retry: true });
    }

    /// Tries the next candidate's token if the author is not known.
    pub(super) fn try_next(&mut self, task: Task, reason: Reason, detail: &str) {
        let next = task.candidate + 1;
        match (task.call.signer, self.candidates.get(next)) {
            (Signer::Candidate(_), Some(candidate)) => {
                let call = Call { signer: Signer::Candidate(*candidate), ..task.call };
                self.enqueue(Task { call, candidate: next, is_retry: false });
            }
            (Signer::Candidate(_), None) => {
                self.record_missing(task.call, Reason::NotConnected, NOBODYS);
            }
            _ => self.give_up(task.call, reason, detail),
        }
    }
}

/// The same call for these posts, and for the others.
fn split(call: &Call, posts: &HashSet<u64>) -> (Call, Call) {
    let (these, others) = call.posts.iter().partition(|post| posts.contains(post));
    (Call { posts: these, ..call.clone() }, Call { posts: others, ..call.clone() })
}
