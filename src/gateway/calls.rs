//! Recent calls, for people to look at: some wait in memory until they are stored, and when there are too many the
//! successful ones are left out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::debug;

use crate::gateway::{Caller, Error, Gateway, PlannedCall};
use crate::model::call::Call;
use crate::store::CallFilter;
use crate::upstream::Spent;

/// That are stored at once by one process.
const MOST_WAITING: usize = 500;
/// That are kept by all.
const MOST_KEPT: i64 = 100_000;

#[derive(Default)]
pub(super) struct Recent(Mutex<VecDeque<Call>>);

impl Recent {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// Keeps what `make` gives, unless there is no room for more calls that went well.
    pub fn note_call(&self, went_well: bool, make: impl FnOnce() -> Call) {
        let mut waiting = self.0.recent.waiting();
        if waiting.len() >= MOST_WAITING {
            if went_well {
                return;
            }
            waiting.pop_front();
        }
        waiting.push_back(make());
    }

    /// Keeps one of the calls that a question took.
    pub(super) fn note_part(
        &self,
        caller: &Caller,
        call: &PlannedCall,
        spent: &Spent,
        bytes: usize,
    ) {
        let went_well = spent.status.is_some_and(|it| it < 400);
        self.note_call(went_well, || Call {
            id: 0,
            at: self.now(),
            request_id: caller.request_id.to_string(),
            app: caller.key.key.scopes.app.clone().unwrap_or_default(),
            key_id: caller.key.key.id.clone(),
            account: call.signer.account(),
            endpoint: call.endpoint,
            auth: Some(call.signer.kind()),
            posts: call.posts.len(),
            metrics: call.metrics.clone(),
            status: spent.status,
            code: None,
            attempts: spent.attempts,
            time: spent.time,
            upstream_time: spent.time,
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        });
    }

    /// Recent calls, newest first; those of this process that wait are stored first, if the database takes writes.
    pub async fn list_calls(&self, filter: &CallFilter) -> Result<Vec<Call>, Error> {
        self.store_calls().await;
        Ok(self.0.store.list_calls(filter).await?)
    }

    /// What cannot be stored is dropped: it is in the log, and counted elsewhere.
    pub(super) async fn store_calls(&self) {
        let calls = Vec::from(std::mem::take(&mut *self.0.recent.waiting()));
        if calls.is_empty() {
            return;
        }
        if let Err(error) = self.0.store.insert_calls(&calls, MOST_KEPT).await {
            debug!(error = &error as &dyn std::error::Error, "recent calls were not stored");
        }
    }
}
