//! Adding up what goes upstream, beside the calls: each is added to sums in memory, and every few seconds these are
//! added to the database's. What a killed process can lose is what came after its last write.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::gateway::bearers::AppState;
use crate::gateway::keys::KnownKey;
use crate::gateway::{Error, Gateway};
use crate::model::usage::{Hour, Line, Month, Outcome, Sums, hour_of};
use crate::model::{AuthKind, Endpoint, UserId};
use crate::store::{self, UsageBatch, UsageFilter, UsageRow, UsageWriter, UsedAccount};
use crate::upstream::Spent;
use crate::vault;

/// So often, while the database takes writes.
const WRITTEN_EVERY: Duration = Duration::from_secs(5);
/// Lines that wait for a database that takes no writes; some 20 MB.
const MOST_LINES: usize = 100_000;
/// When they are written before their time.
const MANY_LINES: usize = 10_000;
/// Lines of one transaction, which has to end before the store's patience does.
const LINES_AT_ONCE: usize = 500;
/// A process that has not written for so long was killed, or cannot write.
const SILENT: time::Duration = time::Duration::minutes(1);
const KEPT: time::Duration = time::Duration::days(400);

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

#[derive(Default)]
struct Writing {
    lines: BTreeMap<Line, Sums>,
    used: Vec<UsedAccount>,
    lost_calls: u64,
    number: i64,
    /// What was sent and not confirmed: it may have been written, so it is sent again as it was.
    unconfirmed: Option<UsageBatch>,
    was_up: bool,
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

/// Sums, the accounts that X bills, and what is not in them.
pub struct UsageReport {
    pub rows: Vec<UsageRow>,
    /// By month and app, newest month first.
    pub accounts: Vec<(Month, String, u64)>,
    /// Processes that were killed before they had written everything, or that could not keep everything.
    pub gaps: Vec<UsageWriter>,
}

impl Usage {
    pub(super) fn new() -> Usage {
        Usage {
            writer_id: vault::random_digits::<16>().iter().map(|it| char::from(*it)).collect(),
            records: Mutex::default(),
            wake: Notify::new(),
            is_settled: AtomicBool::new(true),
            writing: tokio::sync::Mutex::new(Writing { was_up: true, ..Writing::default() }),
        }
    }

    /// Written at once: X bills it however little it is used.
    fn note(&self, used: UsedAccount) {
        self.records().used.push(used);
        self.wake.notify_one();
    }

    fn record(&self, key: &Arc<KnownKey>, alike: Alike, sums: Sums) {
        let mut records = self.records();
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

    /// Adds up what was recorded since the last time.
    fn add_up(&self, writing: &mut Writing) {
        let records = std::mem::take(&mut *self.records());
        writing.used.extend(records.used);
        writing.lose(records.lost_calls);
        for (alike, (key, sums)) in records.sums {
            let line = alike.line(&key);
            if writing.lines.len() >= MOST_LINES && !writing.lines.contains_key(&line) {
                writing.lose(sums.calls);
            } else {
                writing.lines.entry(line).or_default().add(sums);
            }
        }
    }
}

impl Writing {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.used.is_empty()
    }

    fn first_lines(&mut self) -> Vec<(Line, Sums)> {
        let next = self.lines.keys().nth(LINES_AT_ONCE).cloned();
        let rest = next.map(|it| self.lines.split_off(&it)).unwrap_or_default();
        std::mem::replace(&mut self.lines, rest).into_iter().collect()
    }

    fn lose(&mut self, calls: u64) {
        self.lost_calls += calls;
        metrics::counter!("countersign_usage_lost_calls_total").increment(calls);
    }

    /// What to write now: what may not have arrived, else what has gathered, else once that there is nothing more.
    fn next(&mut self, usage: &Usage) -> Option<UsageBatch> {
        if let Some(unconfirmed) = &self.unconfirmed {
            return Some(unconfirmed.clone());
        }
        let is_settled = self.is_empty();
        if usage.is_settled.swap(is_settled, Ordering::AcqRel) && is_settled {
            return None;
        }
        self.number += 1;
        let batch = UsageBatch {
            writer_id: usage.writer_id.clone(),
            number: self.number,
            lines: self.first_lines(),
            used: std::mem::take(&mut self.used),
            lost_calls: self.lost_calls,
            is_settled,
        };
        Some(self.unconfirmed.insert(batch).clone())
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
            && app.admit(account, begun_at)?
        {
            let (month, app) = (Month::of(begun_at), app.app.name.clone());
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

    /// Writes usage every few seconds until every other clone of this gateway is dropped. Call it once.
    pub fn write_usage(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::downgrade(&self.0);
        async move {
            let mut tick = tokio::time::interval(WRITTEN_EVERY);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                let Some(inner) = inner.upgrade() else { return };
                let gateway = Gateway(inner);
                tokio::select! {
                    _ = tick.tick() => (),
                    () = gateway.0.usage.wake.notified() => (),
                }
                let _ = gateway.flush_usage().await;
                let _ = gateway.read_month().await;
                gateway.store_calls().await;
            }
        }
    }

    /// Writes the rest, and that it is all: call it when no call is made any more.
    pub async fn settle_usage(&self) {
        self.store_calls().await;
        while self.flush_usage().await.is_ok() && !self.0.usage.is_settled.load(Ordering::Acquire) {
        }
    }

    /// Writes what there is, or once that there is nothing more.
    pub(super) async fn flush_usage(&self) -> Result<(), store::Error> {
        let usage = &self.0.usage;
        let mut writing = usage.writing.lock().await;
        usage.add_up(&mut writing);
        while let Some(batch) = writing.next(usage) {
            let written = self.0.store.write_usage(&batch, self.now()).await;
            match &written {
                Ok(()) => {
                    writing.unconfirmed = None;
                    if !writing.was_up {
                        info!("usage is written again");
                    }
                }
                Err(error) if writing.was_up => {
                    warn!(
                        error = error as &dyn std::error::Error,
                        "usage is not written; it is kept in memory meanwhile"
                    );
                }
                Err(_) => (),
            }
            writing.was_up = written.is_ok();
            written?;
            if writing.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// What calls add up to. What this process has not written yet is written first, if the database takes writes.
    pub async fn report_usage(
        &self,
        filter: &UsageFilter,
        months_from: Month,
    ) -> Result<UsageReport, Error> {
        let _ = self.flush_usage().await;
        let key_id = self.key_id(filter.key_id.clone()).await?;
        let filter = &UsageFilter { key_id, ..filter.clone() };
        Ok(UsageReport {
            rows: self.0.store.list_usage(filter).await?,
            accounts: self.0.store.count_used_accounts(months_from).await?,
            gaps: self.usage_gaps(self.now() - KEPT).await?,
        })
    }

    /// Processes that wrote since `since` and whose last calls are missing.
    pub(super) async fn usage_gaps(
        &self,
        since: OffsetDateTime,
    ) -> Result<Vec<UsageWriter>, store::Error> {
        let silent = self.now() - SILENT;
        let mut gaps = self.0.store.list_usage_writers(since).await?;
        gaps.retain(|it| it.lost_calls > 0 || (it.settled_at.is_none() && it.written_at < silent));
        Ok(gaps)
    }

    pub(super) async fn prune_usage(&self) -> Result<(), store::Error> {
        self.0.store.prune_usage(self.now() - KEPT).await
    }
}

/// A caller's key has an app.
fn app_of(key: &KnownKey) -> &str {
    key.key.scopes.app.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_lines_are_written_in_parts_each_once() {
        let (usage, mut writing) = (Usage::new(), Writing::default());
        for hour in 0..1250 {
            let line = Line {
                hour,
                app: "main".to_owned(),
                key_id: "key".to_owned(),
                account: None,
                endpoint: Endpoint::Totals,
                auth: AuthKind::AppOnly,
                outcome: Outcome::Success,
            };
            writing.lines.insert(line, Sums { calls: 1, posts: 1, bytes: 1 });
        }
        let mut hours = Vec::new();
        let mut sizes = Vec::new();
        while let Some(batch) = writing.next(&usage) {
            let again = writing.next(&usage).unwrap();
            assert_eq!(
                (again.number, &again.lines),
                (batch.number, &batch.lines),
                "until it is confirmed"
            );
            sizes.push((batch.number, batch.lines.len(), batch.is_settled));
            hours.extend(batch.lines.iter().map(|it| it.0.hour));
            writing.unconfirmed = None;
        }
        assert_eq!(sizes, [(1, 500, false), (2, 500, false), (3, 250, false), (4, 0, true)]);
        assert!(hours.into_iter().eq(0..1250));
    }
}
