//! What a question's answer lacks, and why.

use std::collections::{BTreeSet, HashSet};

use crate::gateway::Error;
use crate::gateway::question::Question;
use crate::gateway::question::plan::{Call, Missing, Reason, Signer};
use crate::gateway::question::run::{Answered, Run};
use crate::model::Metric;

impl Run {
    pub(super) fn lack(&mut self, call: Call, reason: Reason, detail: &str) {
        let Call { posts, metrics, signer, .. } = call;
        let author = signer.account().filter(|_| matches!(signer, Signer::Author(_)));
        let detail = detail.to_owned();
        let same = |it: &&mut Missing| {
            it.reason == reason
                // The upstream says so first, and then the mark.
                && (it.detail == detail || reason == Reason::AccountRevoked)
                && it.author == author
                && it.metrics == metrics
        };
        match self.answered.missing.iter_mut().find(same) {
            // A range's windows lack the same posts one by one.
            Some(there) => {
                let known: HashSet<u64> = there.posts.iter().copied().collect();
                there.posts.extend(posts.into_iter().filter(|it| !known.contains(it)));
            }
            None if posts.is_empty() => (),
            None => self.answered.missing.push(Missing { posts, metrics, reason, author, detail }),
        }
    }

    /// Names what the answers themselves leave out.
    pub(super) fn finish(mut self, question: &Question) -> Result<Answered, Error> {
        let asked = |it: &Metric| question.metrics.contains(it);
        let of = |posts: &BTreeSet<u64>| posts.iter().copied().collect::<Vec<_>>();
        let merged = &self.answered.merged;
        let lists = [
            (of(merged.unavailable()), question.metrics.clone(), Reason::Unavailable),
            (
                of(merged.too_old_for_impressions()),
                [Metric::Impressions, Metric::Engagements].into_iter().filter(asked).collect(),
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
                let detail = String::new();
                let missing = Missing { posts, metrics, reason, author: None, detail };
                self.answered.missing.push(missing);
            }
        }
        if self.has_any || self.answered.missing.is_empty() {
            return Ok(self.answered);
        }
        Err(Error::NothingAnswered(self.answered.missing))
    }
}
