//! What a question's answer lacks, and why.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use crate::admission::Held;
use crate::gateway::Error;
use crate::gateway::app::account_limit::until_next_month;
use crate::gateway::question::answered::Answered;
use crate::gateway::question::plan::{Call, Missing, Reason, Signer};
use crate::gateway::question::run::Run;
use crate::gateway::question::{Question, Span, Window};
use crate::model::Metric;

/// The time after which the upstream's quota is restored (reference 5).
const QUOTA_WINDOW: Duration = Duration::from_mins(1);

impl Run {
    /// Notes that a call's posts are missing in its window; joined with an entry for the same posts in other windows,
    /// if there is one, so that the report is exact.
    pub(super) fn record_missing(&mut self, call: Call, reason: Reason, detail: &str) {
        let Call { mut posts, metrics, signer, span, before_posts, .. } = call;
        // An answer about earlier hours is better than none.
        posts.retain(|post| self.recent.as_ref().is_none_or(|recent| !recent.has(*post)));
        if posts.is_empty() {
            return;
        }
        let author = signer.account().filter(|_| matches!(signer, Signer::Author(_)));
        let start = before_posts.map(|before| before.start);
        let window = span.map(|span| Span { start: start.unwrap_or(span.start), ..span });
        let (windows, detail) = (window.into_iter().collect(), detail.to_owned());
        let entry = Missing { posts, metrics, windows, reason, author, detail };
        let missing = &mut self.missing;
        match missing.iter_mut().find(|other| other.is_like(&entry) && other.posts == entry.posts) {
            Some(other) => other.windows.extend(entry.windows),
            None => missing.push(entry),
        }
    }

    /// Gives a call up. Public engagement types that it asked for beside private ones are asked for as the app.
    pub(super) fn give_up(&mut self, call: Call, reason: Reason, detail: &str) {
        let is_public = |metric: &Metric| self.public.contains(metric);
        if call.signer == Signer::App || !call.metrics.iter().any(is_public) {
            return self.record_missing(call, reason, detail);
        }
        let private = call.metrics.iter().copied().filter(|metric| !is_public(metric)).collect();
        self.note_begun(&call.posts);
        self.as_app.extend(&call.posts);
        self.record_missing(Call { metrics: private, ..call }, reason, detail);
    }

    /// Joins entries that miss the same windows; all windows missing is written as none.
    fn join_missing(&mut self, question: &Question) {
        let mut joined: Vec<Missing> = Vec::new();
        for mut entry in std::mem::take(&mut self.missing) {
            entry.windows.sort_unstable_by_key(|window| window.start);
            if question.window.is_covered_by(&entry.windows) {
                entry.windows.clear();
            }
            match joined
                .iter_mut()
                .find(|other| other.is_like(&entry) && other.windows == entry.windows)
            {
                Some(other) => other.posts.extend(entry.posts),
                None => joined.push(entry),
            }
        }
        for entry in &mut joined {
            let mut seen = HashSet::new();
            entry.posts.retain(|post| seen.insert(*post));
        }
        self.missing = joined;
    }

    /// Names sums beyond 64 bits as missing.
    fn record_overflows(&mut self, question: &Question) {
        let mut entries: Vec<Missing> = Vec::new();
        for (grouping, post, metric) in std::mem::take(&mut self.overflows) {
            let posts = post.map_or_else(|| question.posts.clone(), |post| vec![post]);
            let metrics = metric.map_or_else(|| question.metrics.clone(), |metric| vec![metric]);
            let detail = format!("a sum in {grouping:?} exceeds 64 bits");
            let entry = Missing::whole(posts, metrics, Reason::UpstreamError);
            let entry = Missing { detail, ..entry };
            match entries.iter_mut().find(|other| other.is_like(&entry)) {
                Some(other) => other.posts.extend(entry.posts),
                None => entries.push(entry),
            }
        }
        for entry in &mut entries {
            entry.posts.sort_unstable();
            entry.posts.dedup();
        }
        self.missing.append(&mut entries);
    }

    /// Adds what the answers themselves report as missing, and builds the outcome.
    pub(super) fn finish(mut self, question: &Question, held: Held) -> Result<Answered, Error> {
        self.join_missing(question);
        let overflows = self.merged.take_overflows();
        self.overflows.extend(overflows);
        self.record_overflows(question);
        if let Window::Range(range) = question.window {
            self.merged.cover(range.widened());
        }
        // As X has it: what it calls unavailable is in no other list.
        self.too_old.retain(|post| !self.merged.unavailable().contains(post));
        self.merged.add_too_old(&self.too_old);
        let is_requested = |metric: &Metric| question.metrics.contains(metric);
        let of = |posts: &BTreeSet<u64>| posts.iter().copied().collect::<Vec<_>>();
        let merged = &self.merged;
        let lists = [
            (of(merged.unavailable()), question.metrics.clone(), Reason::Unavailable),
            (
                of(merged.too_old_for_impressions()),
                [Metric::Impressions, Metric::Engagements]
                    .into_iter()
                    .filter(is_requested)
                    .collect(),
                Reason::UnsupportedAge,
            ),
            (
                of(merged.too_old_for_video_views()),
                vec![Metric::VideoViews],
                Reason::UnsupportedAge,
            ),
        ];
        for (posts, metrics, reason) in lists {
            if !posts.is_empty() && !metrics.is_empty() {
                let entry = Missing::whole(posts, metrics, reason);
                self.missing = without(std::mem::take(&mut self.missing), &entry);
                self.missing.push(entry);
            }
        }
        if self.has_any || self.missing.is_empty() {
            let Run { merged, calls, missing, .. } = self;
            return Ok(Answered {
                merged,
                held,
                posts_of: Vec::new(),
                top: Vec::new(),
                lookups: Vec::new(),
                calls,
                missing,
                notes: Vec::new(),
            });
        }
        let missing = self.missing;
        let reason = foremost(&missing);
        let retry_after = match reason {
            Reason::Quota => Some(self.retry_after.unwrap_or(QUOTA_WINDOW)),
            Reason::UpstreamError => self.retry_after,
            Reason::AccountLimit => Some(until_next_month(self.gateway.now())),
            _ => None,
        };
        Err(Error::NothingAnswered { missing, reason, retry_after })
    }
}

impl Window {
    /// Whether these parts, which are in the order of time, make up all of a range.
    fn is_covered_by(self, parts: &[Span]) -> bool {
        let (Window::Range(range), Some(first), Some(last)) = (self, parts.first(), parts.last())
        else {
            return false;
        };
        let abut =
            parts.iter().zip(parts.iter().skip(1)).all(|(part, next)| part.end == next.start);
        first.start == range.start && last.end == range.end && abut
    }
}

/// The entries without what `stronger` names too, so that nothing is named twice.
fn without(entries: Vec<Missing>, stronger: &Missing) -> Vec<Missing> {
    let posts: HashSet<u64> = stronger.posts.iter().copied().collect();
    let mut left = Vec::with_capacity(entries.len());
    for entry in entries {
        let (both, others): (Vec<u64>, Vec<u64>) =
            entry.posts.iter().partition(|post| posts.contains(post));
        let metrics = entry.metrics.iter().copied();
        let metrics = metrics.filter(|metric| !stronger.metrics.contains(metric)).collect();
        let parts =
            [Missing { posts: others, ..entry.clone() }, Missing { posts: both, metrics, ..entry }];
        left.extend(
            parts.into_iter().filter(|part| !part.posts.is_empty() && !part.metrics.is_empty()),
        );
    }
    left
}

/// The reason that a caller can best act on, of all that is missing.
fn foremost(missing: &[Missing]) -> Reason {
    let first = [
        Reason::Quota,
        Reason::Deadline,
        Reason::UpstreamError,
        Reason::AccountRevoked,
        Reason::AccountLimit,
        Reason::Forbidden,
    ];
    let found =
        first.into_iter().find(|reason| missing.iter().any(|entry| entry.reason == *reason));
    found.unwrap_or(Reason::NotConnected)
}

impl Missing {
    /// Whether the two differ only in posts and windows.
    fn is_like(&self, other: &Missing) -> bool {
        self.reason == other.reason
            // The first detail comes from the upstream, later ones from the account's mark.
            && (self.detail == other.detail || self.reason == Reason::AccountRevoked)
            && self.author == other.author
            && self.metrics == other.metrics
    }
}
