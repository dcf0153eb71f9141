//! What a question's answer lacks, and why.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use crate::admission::Held;
use crate::gateway::Error;
use crate::gateway::app::account_limit::until_next_month;
use crate::gateway::question::Question;
use crate::gateway::question::answered::Answered;
use crate::gateway::question::plan::{Call, Missing, Reason, Signer, spans};
use crate::gateway::question::run::Run;
use crate::model::Metric;

/// The time after which the upstream's quota is restored (reference 5).
const QUOTA_WINDOW: Duration = Duration::from_mins(1);

impl Run {
    /// Notes that a call's posts are missing in its window; joined with an entry for the same posts in other windows,
    /// if there is one, so that the report is exact.
    pub(super) fn record_missing(&mut self, call: Call, reason: Reason, detail: &str) {
        let Call { posts, metrics, signer, span, .. } = call;
        if posts.is_empty() {
            return;
        }
        let author = signer.account().filter(|_| matches!(signer, Signer::Author(_)));
        let (windows, detail) = (span.into_iter().collect(), detail.to_owned());
        let entry = Missing { posts, metrics, windows, reason, author, detail };
        let missing = &mut self.missing;
        match missing.iter_mut().find(|other| other.is_like(&entry) && other.posts == entry.posts) {
            Some(other) => other.windows.extend(entry.windows),
            None => missing.push(entry),
        }
    }

    /// Joins entries that miss the same windows; all windows missing is written as none.
    fn join_missing(&mut self, question: &Question) {
        let all = spans(question.window).len();
        let mut joined: Vec<Missing> = Vec::new();
        for mut entry in std::mem::take(&mut self.missing) {
            if entry.windows.len() == all {
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
            entry.windows.sort_unstable_by_key(|window| window.start);
        }
        self.missing = joined;
    }

    /// Adds what the answers themselves report as missing, and builds the outcome.
    pub(super) fn finish(mut self, question: &Question, held: Held) -> Result<Answered, Error> {
        self.join_missing(question);
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
            if !posts.is_empty() {
                let (windows, detail) = (Vec::new(), String::new());
                let missing = Missing { posts, metrics, windows, reason, author: None, detail };
                self.missing.push(missing);
            }
        }
        if self.has_any || self.missing.is_empty() {
            let Run { merged, calls, missing, .. } = self;
            return Ok(Answered { merged, held, lookups: Vec::new(), calls, missing });
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
