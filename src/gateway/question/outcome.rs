//! The effects of a call's answer: its numbers are merged, posts that spoilt it are requested again or reported
//! missing, and posts' authors become known.

use std::collections::HashSet;

use crate::gateway::Error;
use crate::gateway::question::answered::Made;
use crate::gateway::question::merge::Malformed;
use crate::gateway::question::plan::{Call, NOBODYS, Reason, Signer};
use crate::gateway::question::run::{Done, NOT_THEIRS, Run, Task};
use crate::upstream::{Answer, Refusal, Spent};

impl Run {
    pub(super) fn take(&mut self, (task, outcome, spent): Done) {
        self.probed_no_more(&task.call);
        self.made(&task.call, spent, outcome.as_ref().map_or(0, |it| it.wire.len()));
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
            Err(Error::UpstreamTimeout(_)) => {
                return self.lack(task.call, Reason::UpstreamError, "X did not answer in time");
            }
            Err(Error::UpstreamOdd { source, .. }) => {
                return self.lack(task.call, Reason::UpstreamError, &source.to_string());
            }
            Err(error) => return self.lack(task.call, Reason::UpstreamError, &error.to_string()),
        };
        self.retry_after = self.retry_after.max(answer.retry_after());
        match answer.refusal() {
            None => self.merge(&task, &answer),
            Some(Refusal::Foreign(posts)) => self.without_foreign(&task, &posts),
            Some(Refusal::Unavailable(posts)) => {
                let (gone, left) = split(&task.call, &posts.into_iter().collect());
                if gone.posts.is_empty() {
                    let detail = "X reported posts as unavailable that were not requested";
                    return self.lack(left, Reason::UpstreamError, detail);
                }
                let ids: Vec<String> = gone.posts.iter().map(ToString::to_string).collect();
                let list = serde_json::json!({ "unavailable_tweet_ids": ids }).to_string();
                let added = self.merged.add(list.as_bytes());
                added.expect("a list of ids is a part of the upstream's answers");
                self.again(&task, left, Reason::UpstreamError);
            }
            Some(Refusal::Account) => {
                self.try_next(task, Reason::AccountRevoked, "X rejects its token");
            }
            Some(Refusal::Quota) => {
                self.spent.insert(task.call.signer.kind());
                self.lack(task.call, Reason::Quota, "X's quota is used up");
            }
            Some(Refusal::Other(detail)) => self.lack(task.call, Reason::UpstreamError, &detail),
        }
    }

    /// Notes a call that was sent, however it ended.
    pub(super) fn made(&mut self, call: &Call, spent: Spent, bytes: usize) {
        self.gateway.note_part(&self.caller, call, &spent, bytes);
        self.calls.push(Made { call: call.clone(), status: spent.status, spent });
    }

    pub(super) fn probed_no_more(&mut self, call: &Call) {
        if matches!(call.signer, Signer::Candidate(_)) {
            for post in &call.posts {
                self.probed.remove(post);
            }
        }
    }

    fn merge(&mut self, task: &Task, answer: &Answer) {
        let is_long = answer.length() > self.size.text;
        let added =
            if is_long { Err(Malformed::TooLarge) } else { self.merged.add(&answer.whole_text()) };
        let told = match added {
            Ok(told) => told,
            Err(error) => {
                let detail = format!("X's response is {error}");
                return self.lack(task.call.clone(), Reason::UpstreamError, &detail);
            }
        };
        let with = |posts| Call { posts, ..task.call.clone() };
        let silent: Vec<u64> =
            task.call.posts.iter().copied().filter(|it| !told.answers_for(*it)).collect();
        self.has_any |= told.has_numbers || (silent.is_empty() && told.said.is_none());
        if let Some(author) = task.call.signer.account() {
            let own = task.call.posts.iter().filter(|it| told.proves(**it));
            self.learnt.extend(own.map(|it| (*it, author)));
        }
        // Errors beside numbers mean that the numbers are incomplete (reference 3.1).
        if let Some(said) = &told.said {
            let detail = format!("X says: {said}");
            let posts = task.call.posts.iter().copied().filter(|it| !told.listed.contains(it));
            self.lack(with(posts.collect()), Reason::UpstreamError, &detail);
        } else if !silent.is_empty() {
            self.lack(with(silent), Reason::UpstreamError, "missing from X's response");
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
            let pairs = foreign.posts.iter().map(|it| (*it, account));
            self.foreign.extend(pairs.clone());
            if matches!(task.call.signer, Signer::Author(_)) {
                self.wrong.extend(pairs);
            }
        }
        if foreign.posts.is_empty() {
            let detail = "X reported posts as another user's that were not requested";
            return self.lack(own, Reason::UpstreamError, detail);
        }
        let other = Task { call: foreign, candidate: task.candidate, again: false };
        self.try_next(other, Reason::Forbidden, NOT_THEIRS);
        self.again(task, own, Reason::Forbidden);
    }

    /// Requests the remaining posts of a call once more.
    fn again(&mut self, task: &Task, left: Call, reason: Reason) {
        if left.posts.is_empty() {
            return;
        }
        if task.again {
            return self.lack(left, reason, "rejected again without the posts that X had named");
        }
        let candidate = task.candidate;
        self.first(Task { call: left, candidate, again: true });
    }

    /// Tries the next candidate's token if the author is not known.
    pub(super) fn try_next(&mut self, task: Task, reason: Reason, detail: &str) {
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

/// The same call for these posts, and for the others.
fn split(call: &Call, posts: &HashSet<u64>) -> (Call, Call) {
    let (these, others) = call.posts.iter().partition(|it| posts.contains(it));
    (Call { posts: these, ..call.clone() }, Call { posts: others, ..call.clone() })
}
