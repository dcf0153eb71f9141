//! Adding up upstream calls: each is added to sums in memory, which `write` adds to those in the database
//! every few seconds; `report` reads them.

pub(super) mod accounts;
pub(super) mod overview;
pub(super) mod records;
pub(super) mod report;
pub(super) mod write;

use std::sync::Arc;

use time::OffsetDateTime;

use crate::gateway::app::AppState;
use crate::gateway::key::KnownKey;
use crate::gateway::usage::records::LineKey;
pub(in crate::gateway) use crate::gateway::usage::records::Usage;
use crate::gateway::{Error, Gateway};
use crate::model::usage::{Outcome, Saving, Sums, hour_of};
use crate::model::{AuthKind, Endpoint, UserId};
use crate::store::UsedAccount;
use crate::upstream::Progress;

/// A call in progress; it is counted when it ends, even if nobody waits for it.
pub(super) struct Counting<'a> {
    usage: &'a Usage,
    key: &'a Arc<KnownKey>,
    begun_at: OffsetDateTime,
    account: Option<UserId>,
    endpoint: Endpoint,
    auth: AuthKind,
    posts: usize,
    progress: &'a Progress,
    attempts_before: u32,
    pub(super) bytes: usize,
}

/// The facts about a call that are counted and known before it is made.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    pub(super) account: Option<UserId>,
    pub(super) endpoint: Endpoint,
    pub(super) auth: AuthKind,
    pub(super) posts: usize,
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let effort = self.progress.effort();
        let calls = effort.attempts - self.attempts_before;
        if calls == 0 {
            return;
        }
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let line_key = LineKey {
            key: Arc::as_ptr(self.key).addr(),
            hour: hour_of(self.begun_at),
            account: self.account,
            endpoint: self.endpoint,
            auth: self.auth,
            outcome: Outcome::of(effort.status),
        };
        let (posts, bytes) = (count(self.posts), count(self.bytes));
        let sums = Sums { calls: calls.into(), posts, bytes, ..Sums::default() };
        self.usage.record(self.key, line_key, sums);
    }
}

impl Gateway {
    /// Counts an upstream call from now until the returned value is dropped; an error if its account may not be
    /// used.
    pub(super) fn count<'a>(
        &'a self,
        app: &AppState,
        key: &'a Arc<KnownKey>,
        call: Counted,
        progress: &'a Progress,
    ) -> Result<Counting<'a>, Error> {
        let Counted { account, endpoint, auth, posts } = call;
        let (usage, begun_at) = (&self.0.usage, self.now());
        if let Some(account) = account
            && let Some(month) = app.month.use_account(&app.name, account, begun_at)?
        {
            let app = app.name.clone();
            usage.note(UsedAccount { month, app, account, at: begun_at });
        }
        let attempts_before = progress.effort().attempts;
        Ok(Counting {
            usage,
            key,
            begun_at,
            account,
            endpoint,
            auth,
            posts,
            progress,
            attempts_before,
            bytes: 0,
        })
    }

    /// Counts a call that was not made, since what it asks was answered otherwise.
    pub(super) fn count_saved(
        &self,
        app: &AppState,
        key: &Arc<KnownKey>,
        call: Counted,
        status: Option<u16>,
        how: Saving,
    ) {
        let Counted { account, endpoint, auth, .. } = call;
        let line_key = LineKey {
            key: Arc::as_ptr(key).addr(),
            hour: hour_of(self.now()),
            account,
            endpoint,
            auth,
            outcome: Outcome::of(status),
        };
        self.0.usage.record(key, line_key, Sums { saved: 1, ..Sums::default() });
        app.pools.count_saved(how);
    }
}
