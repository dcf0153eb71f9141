//! A question beside what is kept: what of it need not be asked for, how that is added to its answer, and what is kept of
//! its answers.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::gateway::app::AppState;
use crate::gateway::question::Question;
use crate::gateway::question::answered::FinishedCall;
use crate::gateway::question::caller::Caller;
use crate::gateway::question::kept::{
    Answered, Begun, Contents, Found, KeptCall, New, Numbers, Unavailable,
};
use crate::gateway::question::merge::{Contribution, Malformed, Part};
use crate::gateway::question::plan::{Call, Missing, Plan};
use crate::gateway::question::run::{Run, Task};
use crate::gateway::usage::Counted;
use crate::gateway::{Error, Gateway};
use crate::model::UserId;
use crate::model::usage::Saving;
use crate::upstream::UpstreamEffort;

/// The status of numbers that are kept.
const SUCCESS: u16 = 200;

impl Gateway {
    /// The plan without what need not be asked for, since the caller accepts what is kept; and that.
    pub(super) async fn without_kept(
        &self,
        caller: &Caller,
        app: &Arc<AppState>,
        (question, authors): (&Question, &HashMap<u64, UserId>),
        plan: Plan,
    ) -> Result<(Plan, Vec<KeptCall>), Error> {
        let kept = self.0.kept.as_ref().filter(|_| caller.freshness.allows_kept());
        let Some(kept) = kept else { return Ok((plan, Vec::new())) };
        let (asked, now) = ((&*plan.calls, &*question.groupings), self.0.clock.instant());
        let mut found = kept.find(app, asked, caller.freshness, now).await;
        let mut calls = std::mem::take(&mut found.calls);
        if calls.is_empty() {
            return Ok((plan, calls));
        }
        let before = plan.calls.len();
        let plan = if found.posts.is_empty() {
            without_answered(plan, &found)
        } else {
            self.plan_rest(caller, app, (question, authors), (plan, &found)).await?
        };
        let saved = before.saturating_sub(plan.calls.len());
        calls.iter_mut().take(saved).for_each(|call| call.saves_call = true);
        let _ = caller.oldest.set(calls.iter().map(|call| call.age).max().unwrap_or_default());
        Ok((plan, calls))
    }

    /// The plan for the posts that are not kept: as few calls as these need.
    async fn plan_rest(
        &self,
        caller: &Caller,
        app: &Arc<AppState>,
        (question, authors): (&Question, &HashMap<u64, UserId>),
        (plan, found): (Plan, &Found),
    ) -> Result<Plan, Error> {
        let is_kept = |post: &u64| found.posts.contains(post);
        let posts: Vec<u64> =
            question.posts.iter().copied().filter(|post| !is_kept(post)).collect();
        let mut rest = Plan::default();
        if !posts.is_empty() {
            let question = Question { posts, ..question.clone() };
            rest = self.plan_for(&caller.key, app, &question, authors).await?;
            rest.lookups.clear();
        }
        // Some engagement types of posts that are kept may be missing.
        let missing = plan.missing.into_iter().map(|missing| {
            let posts = missing.posts.iter().copied().filter(is_kept).collect();
            Missing { posts, ..missing }
        });
        rest.missing.extend(missing.filter(|missing| !missing.posts.is_empty()));
        Ok(rest)
    }
}

/// The plan without calls whose whole answers are kept.
fn without_answered(mut plan: Plan, found: &Found) -> Plan {
    let mut places = 0..;
    plan.calls.retain(|_| places.next().is_none_or(|place| !found.answered.contains(&place)));
    plan
}

impl Run {
    /// What is kept and can be added now; with nothing in flight, even without room.
    pub(super) fn next_kept(&mut self, nothing_in_flight: bool) -> Option<KeptCall> {
        let posts = &self.kept.front()?.call.posts;
        if !self.has_room_for(posts) && (!nothing_in_flight || self.has_parts()) {
            return None;
        }
        let kept = self.kept.pop_front()?;
        if let Some((_, parts)) = &mut self.parts {
            parts.begun.extend(&kept.call.posts);
        }
        Some(kept)
    }

    /// Adds what is kept to the answer; what cannot be added is asked for.
    pub(super) async fn absorb_kept(&mut self, kept: KeptCall) {
        // Much may have to be added, and others have to be served meanwhile.
        tokio::task::yield_now().await;
        let holds = match &self.gateway.0.kept {
            Some(all) => all.holds(&self.app, &kept).await,
            None => false,
        };
        let KeptCall { call, contents, age, saves_call } = kept;
        let read = if holds { self.read_kept(&call, &contents).ok() } else { None };
        let Some((part, contribution)) = read else { return self.retry_kept(call) };
        // X, too, would refuse a question about nothing but unavailable posts.
        self.has_any |= contribution.has_numbers;
        self.add(&call, part, &contribution);
        if saves_call {
            let (endpoint, auth) = (call.endpoint, call.signer.kind());
            let counted = Counted { account: call.signer.account(), endpoint, auth, posts: 0 };
            let (key, status) = (&self.caller.key, Some(SUCCESS));
            self.gateway.count_saved(&self.app, key, counted, status, Saving::Kept);
        }
        let (effort, saved) = (UpstreamEffort::default(), Some(Saving::Kept));
        let posts = call.posts.clone();
        self.calls.push(FinishedCall { call, status: None, effort, saved, age: Some(age) });
        self.note_ended(&posts);
    }

    fn read_kept(
        &mut self,
        call: &Call,
        contents: &Contents,
    ) -> Result<(Part, Contribution), Malformed> {
        match contents {
            Contents::Answer { text, .. } => self.merged.read(text),
            Contents::Posts(posts, grain) => {
                let numbers = Numbers::of(call, posts, *grain);
                let Numbers { cells, times, unavailable, is_counted } = numbers;
                self.merged.gather(&cells, times, (unavailable, is_counted))
            }
        }
    }

    fn retry_kept(&mut self, call: Call) {
        self.waiting.push_front(Task { call, candidate: 0, is_retry: false });
    }

    /// Notes what may be kept of an answer, if the caller allows that.
    pub(super) fn note_to_keep(
        &mut self,
        call: &Call,
        (part, contribution): (&Part, &Contribution),
        text: Bytes,
        begun: Option<Begun>,
    ) {
        let unavailable: Vec<u64> = contribution.unavailable.iter().copied().collect();
        let how =
            if part.counts_unavailable() { Unavailable::Counted } else { Unavailable::Listed };
        self.note_unavailable(call, unavailable, how, begun);
        let kept = self.gateway.0.kept.as_ref();
        let kept = kept.filter(|_| self.caller.freshness.allows_kept());
        let (Some(kept), Some(begun)) = (kept, begun) else { return };
        let now = self.gateway.0.upstream.now();
        let time = self.gateway.0.clock.instant().saturating_duration_since(begun.at);
        let groupings = &*self.groupings;
        let answered = Answered { call, groupings, part, contribution, text, begun, now, time };
        self.to_keep.extend(New::of(&answered, kept.closed_after()));
    }

    /// Notes that X called posts unavailable.
    pub(super) fn note_unavailable(
        &mut self,
        call: &Call,
        posts: Vec<u64>,
        how: Unavailable,
        begun: Option<Begun>,
    ) {
        self.to_forget.extend(&posts);
        let begun = begun.filter(|_| self.caller.freshness.allows_kept() && !posts.is_empty());
        let new = begun.and_then(|begun| New::unavailable(call, posts, how, begun));
        self.to_keep.extend(new);
    }

    /// Keeps what was noted, and forgets what X calls unavailable.
    pub(super) async fn keep(&mut self) {
        let (gone, new) = (std::mem::take(&mut self.to_forget), std::mem::take(&mut self.to_keep));
        let Some(kept) = &self.gateway.0.kept else { return };
        kept.forget(&self.app, &gone, self.gateway.0.clock.instant()).await;
        for new in new {
            kept.keep(&self.app, new).await;
        }
    }
}
