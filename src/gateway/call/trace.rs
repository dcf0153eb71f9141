//! What is learnt about a call on its way.

use std::error::Error as StdError;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use crate::admission::quota::{Permit, Portion};
use crate::gateway::Error;
use crate::gateway::error::Source;
use crate::gateway::key::KnownKey;
use crate::model::account::Since;
use crate::model::usage::Saving;
use crate::model::{AuthKind, Cause, Metric, UserId};
use crate::upstream;
use crate::upstream::{Answer, Learnt, Progress, UpstreamEffort};

/// What is learnt about a call on its way, for the log line, the metrics and the answer's headers.
#[derive(Default)]
pub struct CallTrace {
    pub key: Option<Arc<KnownKey>>,
    pub auth: Option<AuthKind>,
    /// The number of posts in the call.
    pub posts: usize,
    pub metrics: Vec<Metric>,
    pub(in crate::gateway) course: Arc<Course>,
    /// Why the call failed, if it did.
    pub cause: Option<Cause>,
    /// How the call was saved, if it was not made.
    pub saved: Option<Saving>,
    /// When the request that was answered began.
    pub(in crate::gateway) begun_at: Option<Instant>,
    /// How long the call waited for X's quota.
    pub waited: Duration,
    /// The key's part of X's quota, if that is known.
    pub portion: Option<Portion>,
    /// The permit in X's quota that the next request takes, if it has one already.
    pub(in crate::gateway) permit: Option<Permit>,
    /// The place of a part's answer among those of its question that may be read at the same time.
    pub(in crate::gateway) slot: Option<OwnedSemaphorePermit>,
}

/// What becomes known of a call as it is made, which may be others' business by then.
#[derive(Default)]
pub(in crate::gateway) struct Course {
    /// The user whose token signs.
    pub(in crate::gateway) account: OnceLock<UserId>,
    /// Since when that account had been as it was.
    pub(in crate::gateway) since: OnceLock<Since>,
    pub(in crate::gateway) progress: Progress,
}

impl CallTrace {
    /// Since when the account whose token signs had been as it was.
    pub(in crate::gateway) fn since(&self) -> Option<Since> {
        self.course.since.get().copied()
    }

    /// The user whose token signs.
    pub fn account(&self) -> Option<UserId> {
        self.course.account.get().copied()
    }

    /// What is learnt so far of the call's requests.
    pub fn learnt(&self) -> Learnt {
        self.course.progress.learnt()
    }

    /// Notes how the call ended: why it failed, if it did, and whose token would have signed.
    pub(in crate::gateway) fn note_end(&mut self, ended: &Result<Answer, Error>) {
        if let Err(Error::AccountNotActive { account, .. }) = ended {
            let _ = self.course.account.set(account.user_id);
        }
        self.cause = cause(ended, self.auth);
    }

    /// The attempts and time that the call has taken so far.
    pub fn effort(&self) -> UpstreamEffort {
        self.course.progress.effort()
    }
}

/// Why a call failed, if it did.
pub(in crate::gateway) fn cause(
    ended: &Result<Answer, Error>,
    auth: Option<AuthKind>,
) -> Option<Cause> {
    match ended {
        Ok(answer) => answer.cause(auth.unwrap_or(AuthKind::AppOnly)),
        Err(Error::UpstreamUnreachable(source)) if is_untrusted(source) => Some(Cause::XUntrusted),
        Err(error) => Some(Cause::of_code(error.code())),
    }
}

fn is_untrusted(source: &Source) -> bool {
    let first: &(dyn StdError + 'static) = &**source;
    let mut causes = std::iter::successors(Some(first), |&cause| cause.source());
    causes.any(|cause| matches!(cause.downcast_ref(), Some(upstream::Error::Untrusted(_))))
}
