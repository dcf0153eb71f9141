//! Adding up what goes upstream, beside the calls: each is added to sums in memory, which `write` adds to the database's
//! every few seconds; `report` tells them.

pub mod report;
mod write;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::gateway::bearers::AppState;
use crate::gateway::keys::KnownKey;
use crate::gateway::usage::write::Writing;
use crate::gateway::{Error, Gateway};
use crate::model::usage::{Hour, Line, Outcome, Sums, hour_of};
use crate::model::{AuthKind, Endpoint, UserId};
use crate::store::UsedAccount;
use crate::upstream::Spent;
use crate::vault;

/// Lines that wait for a database that takes no writes; some 20 MB.
const MOST_LINES: usize = 100_000;
/// When they are written before their time.
const MANY_LINES: usize = 10_000;
/// What this process adds.
pub(super) struct Usage {
    writer_id: String,
    records: Mutex<Records>,
    /// Told when there is something that should not wait.
    wake: Notify,
    /// Whether the database knows that nothing is left to write.
    is_settled: AtomicBool,
    writing: tokio::sync::Mutex<Writing>,
}

#[derive(Default)]
struct Records {
    /// A key is known by its place in memory, so that texts are copied once for a line and not for a call; it is kept
    /// beside its sums, so that no other can take the place.
    sums: HashMap<Alike, (Arc<KnownKey>, Sums)>,
    used: Vec<UsedAccount>,
    lost_calls: u64,
    /// All told.
    counted_calls: u64,
}

/// What calls have in common whose sums are one line.
#[derive(Eq, Hash, PartialEq)]
struct Alike {
    /// The key's place.
    key: usize,
    hour: Hour,
    account: Option<UserId>,
    endpoint: Endpoint,
    auth: AuthKind,
    outcome: Outcome,
}

/// A call that is being made; counted when it ends, also when nobody waits for its end.
pub(super) struct Counting<'a> {
    usage: &'a Usage,
    key: &'a Arc<KnownKey>,
    begun_at: OffsetDateTime,
    account: Option<UserId>,
    endpoint: Endpoint,
    auth: AuthKind,
    posts: usize,
    pub(super) spent: &'a mut Spent,
    attempts_before: u32,
    pub(super) bytes: usize,
}

/// What is counted of a call before it is made.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    pub(super) account: Option<UserId>,
    pub(super) endpoint: Endpoint,
    pub(super) auth: AuthKind,
    pub(super) posts: usize,
}

impl Usage {
    pub(super) fn new() -> Usage {
        Usage {
            writer_id: vault::random_digits::<16>().iter().map(|it| char::from(*it)).collect(),
            records: Mutex::default(),
            wake: Notify::new(),
            is_settled: AtomicBool::new(true),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Written at once: X bills it however little it is used.
    fn note(&self, used: UsedAccount) {
        self.records().used.push(used);
        self.wake.notify_one();
    }

    fn record(&self, key: &Arc<KnownKey>, alike: Alike, sums: Sums) {
        let mut records = self.records();
        records.counted_calls += sums.calls;
        let lines = records.sums.len();
        match records.sums.entry(alike) {
            Entry::Occupied(line) => return line.into_mut().1.add(sums),
            Entry::Vacant(_) if lines >= MOST_LINES => {
                records.lost_calls += sums.calls;
                return;
            }
            Entry::Vacant(place) => drop(place.insert((Arc::clone(key), sums))),
        }
        // The database shall know soon that more may follow, so that the loss of it would be known.
        if lines + 1 == MANY_LINES || (lines == 0 && self.is_settled.load(Ordering::Acquire)) {
            self.wake.notify_one();
        }
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Alike {
    fn line(self, key: &KnownKey) -> Line {
        let Alike { hour, account, endpoint, auth, outcome, .. } = self;
        let (app, key_id) = (app_of(key).to_owned(), key.key.id.clone());
        Line { hour, app, key_id, account, endpoint, auth, outcome }
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let calls = self.spent.attempts - self.attempts_before;
        if calls == 0 {
            return;
        }
        let count = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
        let alike = Alike {
            key: Arc::as_ptr(self.key).addr(),
            hour: hour_of(self.begun_at),
            account: self.account,
            endpoint: self.endpoint,
            auth: self.auth,
            outcome: Outcome::of(self.spent.status),
        };
        let sums = Sums { calls: calls.into(), posts: count(self.posts), bytes: count(self.bytes) };
        self.usage.record(self.key, alike, sums);
    }
}

impl Gateway {
    /// Counts a call on the upstream from now on, until what this gives is dropped; or says that its account may not be
    /// used.
    pub(super) fn count<'a>(
        &'a self,
        app: &AppState,
        key: &'a Arc<KnownKey>,
        call: Counted,
        spent: &'a mut Spent,
    ) -> Result<Counting<'a>, Error> {
        let Counted { account, endpoint, auth, posts } = call;
        let (usage, begun_at) = (&self.0.usage, self.now());
        if let Some(account) = account
            && let Some(month) = app.admit(account, begun_at)?
        {
            let app = app.name.clone();
            usage.note(UsedAccount { month, app, account, at: begun_at });
        }
        let attempts_before = spent.attempts;
        Ok(Counting {
            usage,
            key,
            begun_at,
            account,
            endpoint,
            auth,
            posts,
            spent,
            attempts_before,
            bytes: 0,
        })
    }
}

/// A caller's key has an app.
fn app_of(key: &KnownKey) -> &str {
    key.key.scopes.app.as_deref().unwrap_or_default()
}
