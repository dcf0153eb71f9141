//! Recent calls, for people to inspect: calls wait in memory until they are stored, and when too many wait,
//! successful ones are left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::debug;

use crate::gateway::call::trace::cause;
use crate::gateway::{Caller, Error, Gateway, KnownKey, MadeCalls, PlannedCall, Token};
use crate::model::call::Call;
use crate::model::tally::Tallies;
use crate::model::{AccountRef, AuthKind, Cause, UserId};
use crate::store;
use crate::store::CallFilter;
use crate::upstream::{Answer, Learnt, UpstreamEffort};

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

/// A question that was refused, and none of whose calls, if it made any, is listed.
pub struct RefusedQuestion<'a> {
    pub key: &'a KnownKey,
    pub request_id: &'a str,
    /// With which a page asked.
    pub token: Option<&'a Token>,
    pub status: u16,
    /// The code of the gateway's own error.
    pub code: &'a str,
    /// The error itself, if it is one of the gateway's use cases.
    pub error: Option<&'a Error>,
    /// The calls that the question has made. If any is listed, the question is not.
    pub made: &'a MadeCalls,
    pub time: Duration,
}

/// How a part of a question ended.
pub(in crate::gateway) struct Ended {
    /// The code of the gateway's own error.
    code: Option<&'static str>,
    cause: Option<Cause>,
    learnt: Learnt,
    /// Of the answer's body.
    bytes: u64,
}

impl Ended {
    pub(in crate::gateway) fn of(
        outcome: &Result<Answer, Error>,
        auth: AuthKind,
        learnt: Learnt,
    ) -> Ended {
        let bytes = outcome.as_ref().map_or(0, |answer| answer.wire.len());
        Ended {
            code: outcome.as_ref().err().map(Error::code),
            cause: cause(outcome, Some(auth)),
            learnt,
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        }
    }

    /// The question's time ended before X's answer came.
    pub(in crate::gateway) fn out_of_time(learnt: Learnt) -> Ended {
        Ended { code: None, cause: Some(Cause::OutOfTime), learnt, bytes: 0 }
    }
}

/// Why a question was refused, and the account that it is about, if it is about one.
fn why_refused(code: &str, error: Option<&Error>) -> (Cause, Option<UserId>) {
    match error {
        Some(Error::NothingAnswered { missing, reason, .. }) => {
            let of_reason = missing.iter().find(|missing| missing.reason == *reason);
            (reason.cause(), of_reason.and_then(|missing| missing.author))
        }
        Some(Error::AccountNotActive { account, .. }) => {
            (Cause::AccountNotActive, Some(account.user_id))
        }
        _ => (Cause::of_code(code), None),
    }
}

#[derive(Default)]
pub(in crate::gateway) struct Recent {
    waiting: Mutex<Waiting>,
    /// Held while they are stored, so that whoever lists them waits for that.
    storing: tokio::sync::Mutex<()>,
}

/// What waits to be stored.
#[derive(Default)]
struct Waiting {
    calls: VecDeque<Call>,
    /// How all calls ended, also those that are not listed.
    tallies: Tallies,
}

impl Recent {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// Counts a call of that app, and keeps what `make` returns, unless it succeeded and there is no room.
    pub fn record_call(&self, app: &str, cause: Option<Cause>, make: impl FnOnce() -> Call) {
        let now = self.now();
        let mut waiting = self.0.recent.waiting();
        let Waiting { calls, tallies } = &mut *waiting;
        tallies.count(app, cause, now);
        if calls.len() >= MOST_WAITING {
            if cause.is_none() {
                return;
            }
            calls.pop_front();
        }
        calls.push_back(make());
    }

    /// Keeps a question that was refused before any call was made.
    pub fn record_refused_question(&self, refused: &RefusedQuestion<'_>) {
        let RefusedQuestion { key, request_id, token, status, code, error, made, time } = *refused;
        if made.is_listed() {
            return;
        }
        let app = key.key.scopes.app.as_deref().unwrap_or_default();
        let (cause, account) = why_refused(code, error);
        self.record_call(app, Some(cause), || Call {
            id: 0,
            at: self.now(),
            request_id: request_id.to_owned(),
            app: app.to_owned(),
            key_id: key.key.id.clone(),
            subject: token.and_then(Token::named_subject).map(str::to_owned),
            account,
            endpoint: None,
            auth: None,
            posts: 0,
            metrics: Vec::new(),
            status: Some(status),
            code: Some(code.to_owned()),
            cause: Some(cause),
            said: None,
            attempts: 0,
            tries: Vec::new(),
            time,
            upstream_time: Duration::ZERO,
            bytes: 0,
        });
    }

    /// Keeps one of the calls that a question took.
    pub(in crate::gateway) fn record_part(
        &self,
        caller: &Caller,
        call: &PlannedCall,
        effort: &UpstreamEffort,
        ended: Ended,
    ) {
        caller.made.note_listed();
        let Ended { code, cause, learnt, bytes } = ended;
        let app = caller.key.key.scopes.app.as_deref().unwrap_or_default();
        self.record_call(app, cause, || Call {
            id: 0,
            at: self.now(),
            request_id: caller.request_id.to_string(),
            app: app.to_owned(),
            key_id: caller.key.key.id.clone(),
            subject: caller
                .token
                .as_ref()
                .and_then(|token| token.named_subject())
                .map(str::to_owned),
            account: call.signer.account(),
            endpoint: Some(call.endpoint),
            auth: Some(call.signer.kind()),
            posts: call.posts.len(),
            metrics: call.metrics.clone(),
            status: effort.status,
            code: code.map(str::to_owned),
            cause,
            said: learnt.said,
            attempts: effort.attempts,
            tries: learnt.tries,
            time: effort.time,
            upstream_time: effort.time,
            bytes,
        });
    }

    /// Recent calls, newest first; the filter's key may be an id or a name. Calls that wait in this process are stored
    /// first, if the database takes writes.
    pub async fn list_calls(&self, mut filter: CallFilter) -> Result<Vec<Call>, Error> {
        let _ = self.store_calls().await;
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
        let _ = self.store_calls().await;
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

    /// Stores the waiting calls, and how calls ended. Calls that cannot be stored are dropped: they are in the log, and
    /// counted elsewhere.
    pub(in crate::gateway) async fn store_calls(&self) -> Result<(), store::Error> {
        // In a task of its own: what was taken is lost if whoever asks goes away.
        let gateway = self.clone();
        let stored = tokio::spawn(async move { gateway.store_waiting().await }).await;
        stored.unwrap_or(Ok(()))
    }

    async fn store_waiting(&self) -> Result<(), store::Error> {
        let _storing = self.0.recent.storing.lock().await;
        let Waiting { calls, tallies } = std::mem::take(&mut *self.0.recent.waiting());
        let calls = Vec::from(calls);
        if tallies.as_slice().is_empty() {
            return Ok(());
        }
        let stored = self.0.store.insert_calls(&calls, tallies.as_slice(), MOST_KEPT).await;
        if let Err(error) = &stored {
            debug!(error = error as &dyn std::error::Error, "could not store recent calls");
            // If they may be stored, they would be counted twice.
            if !matches!(error, store::Error::OutcomeUnknown(_)) {
                let mut waiting = self.0.recent.waiting();
                let newer = std::mem::replace(&mut waiting.tallies, tallies);
                waiting.tallies.add_all(&newer);
            }
        }
        stored
    }
}
