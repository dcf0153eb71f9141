//! Recent calls, for people to inspect: calls wait in memory until they are stored, and when too many wait,
//! successful ones are left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::debug;

use crate::gateway::{Caller, Error, Gateway, PlannedCall};
use crate::model::call::Call;
use crate::model::{AccountRef, UserId};
use crate::store::CallFilter;
use crate::upstream::UpstreamEffort;

/// The most other calls that a call's page shows.
const MOST_OTHERS: u32 = 20;
/// The most calls that wait in one process to be stored.
const MOST_WAITING: usize = 500;
/// The most calls that are kept in the database, by all processes.
const MOST_KEPT: i64 = 100_000;

/// The names of keys, by their ids.
pub type KeyNames = BTreeMap<String, String>;

/// The names of calls' keys, and of their accounts by app and user id; keys and accounts that are gone are left out.
#[derive(Default)]
pub struct CallNames {
    pub keys: KeyNames,
    pub accounts: BTreeMap<(String, UserId), String>,
}

/// A call, and the other calls with its request id: those of the same question.
pub struct CallWithOthers {
    pub call: Call,
    /// Newest first; not all of them when there are many.
    pub others: Vec<Call>,
    pub names: CallNames,
}

#[derive(Default)]
pub(in crate::gateway) struct Recent(Mutex<VecDeque<Call>>);

impl Recent {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// Keeps the call that `make` returns, unless it succeeded and there is no room.
    pub fn record_call(&self, went_well: bool, make: impl FnOnce() -> Call) {
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
    pub(in crate::gateway) fn record_part(
        &self,
        caller: &Caller,
        call: &PlannedCall,
        effort: &UpstreamEffort,
        bytes: usize,
    ) {
        let went_well = effort.status.is_some_and(|status| status < 400);
        self.record_call(went_well, || Call {
            id: 0,
            at: self.now(),
            request_id: caller.request_id.to_string(),
            app: caller.key.key.scopes.app.clone().unwrap_or_default(),
            key_id: caller.key.key.id.clone(),
            subject: caller
                .token
                .as_ref()
                .and_then(|token| token.named_subject())
                .map(str::to_owned),
            account: call.signer.account(),
            endpoint: call.endpoint,
            auth: Some(call.signer.kind()),
            posts: call.posts.len(),
            metrics: call.metrics.clone(),
            status: effort.status,
            code: None,
            attempts: effort.attempts,
            time: effort.time,
            upstream_time: effort.time,
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        });
    }

    /// Recent calls, newest first; the filter's key may be an id or a name. Calls that wait in this process are stored
    /// first, if the database takes writes.
    pub async fn list_calls(&self, mut filter: CallFilter) -> Result<Vec<Call>, Error> {
        self.store_calls().await;
        filter.key_id = self.resolve_key_id(filter.key_id).await?;
        Ok(self.0.store.list_calls(&filter).await?)
    }

    /// Recent calls for people, optionally those of one account, with the names of keys and accounts.
    pub async fn list_calls_with_names(
        &self,
        mut filter: CallFilter,
        account: Option<&AccountRef>,
    ) -> Result<(Vec<Call>, CallNames), Error> {
        if let Some(named) = account {
            let Some(id) = self.find_user_in_any_app(named).await? else {
                return Ok((Vec::new(), CallNames::default()));
            };
            filter.account = Some(id);
        }
        let calls = self.list_calls(filter).await?;
        let names = self.list_call_names(&calls.iter().collect::<Vec<_>>()).await;
        Ok((calls, names))
    }

    pub async fn get_call(&self, id: i64) -> Result<Call, Error> {
        self.store_calls().await;
        self.0.store.find_call(id).await?.ok_or(Error::NotFound("recent call"))
    }

    pub async fn get_call_with_others(&self, id: i64) -> Result<CallWithOthers, Error> {
        let call = self.get_call(id).await?;
        let request_id = Some(call.request_id.clone());
        let filter = CallFilter { request_id, limit: MOST_OTHERS + 1, ..CallFilter::default() };
        let mut others = self.0.store.list_calls(&filter).await?;
        others.retain(|other| other.id != id);
        others.truncate(MOST_OTHERS as usize);
        let all: Vec<&Call> = others.iter().chain([&call]).collect();
        let names = self.list_call_names(&all).await;
        Ok(CallWithOthers { call, others, names })
    }

    /// The id of the key with the given name, else the given text itself.
    pub(in crate::gateway) async fn resolve_key_id(
        &self,
        given: Option<String>,
    ) -> Result<Option<String>, Error> {
        let Some(given) = given else { return Ok(None) };
        let known = self.0.store.find_key_by_name(&given).await?;
        Ok(Some(known.map_or(given, |key| key.id().to_owned())))
    }

    /// The names of these keys; those that are gone or cannot be looked up are left out.
    pub(in crate::gateway) async fn list_key_names<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> KeyNames {
        let ids: BTreeSet<&str> = ids.into_iter().collect();
        self.0.store.find_key_names(&Vec::from_iter(ids)).await.unwrap_or_default()
    }

    async fn list_call_names(&self, calls: &[&Call]) -> CallNames {
        let keys = self.list_key_names(calls.iter().map(|call| &*call.key_id)).await;
        let signed = calls.iter().filter_map(|call| Some((&*call.app, call.account?)));
        let signed: BTreeSet<(&str, UserId)> = signed.collect();
        let accounts = self.0.store.find_screen_names(&Vec::from_iter(signed)).await;
        CallNames { keys, accounts: accounts.unwrap_or_default() }
    }

    /// The user of that name in the first app that knows it.
    async fn find_user_in_any_app(&self, named: &AccountRef) -> Result<Option<UserId>, Error> {
        let name = match named {
            AccountRef::Id(id) => return Ok(Some(*id)),
            AccountRef::ScreenName(name) => name,
        };
        for app in self.0.apps.values() {
            if let Some(id) = self.find_user(app, name, None).await? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Stores the waiting calls. Those that cannot be stored are dropped: they are in the log, and counted elsewhere.
    pub(in crate::gateway) async fn store_calls(&self) {
        let calls = Vec::from(std::mem::take(&mut *self.0.recent.waiting()));
        if calls.is_empty() {
            return;
        }
        if let Err(error) = self.0.store.insert_calls(&calls, MOST_KEPT).await {
            debug!(error = &error as &dyn std::error::Error, "could not store recent calls");
        }
    }
}
