//! Counted calls that are not written yet, bounded, and those on their way to the database.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::gateway::key::KnownKey;
use crate::model::usage::{Hour, Line, Outcome, Sums};
use crate::model::{AuthKind, Endpoint, UserId};
use crate::store::{UsageBatch, UsedAccount};
use crate::vault;

/// The most lines that wait while the database takes no writes; some 20 MB.
const MOST_LINES: usize = 100_000;

/// The number of lines at which they are written ahead of time.
const MANY_LINES: usize = 10_000;

/// The most lines, and the most accounts, in one transaction, which has to end before the store's time-out.
const LINES_AT_ONCE: usize = 500;

/// The usage that this process counts.
pub(in crate::gateway) struct Usage {
    pub(super) writer_id: String,
    pub(super) records: Mutex<Records>,
    /// Notified when there is something that should be written at once.
    pub(super) wake: Notify,
    /// Whether the database knows that nothing is left to write.
    pub(super) is_settled: AtomicBool,
    pub(super) writing: tokio::sync::Mutex<Writing>,
}

#[derive(Default)]
pub(super) struct Records {
    /// Sums with their keys. A key is identified by its address, so that texts are copied per line and not per call; it
    /// is kept beside its sums, so that no other key can take the address.
    pub(super) sums: HashMap<LineKey, (Arc<KnownKey>, Sums)>,
    pub(super) used: Vec<UsedAccount>,
    pub(super) lost_calls: u64,
    /// All calls since the start, including lost ones.
    pub(super) counted_calls: u64,
}

/// What calls that are summed in one line have in common.
#[derive(Eq, Hash, PartialEq)]
pub(super) struct LineKey {
    /// The key's address in memory.
    pub(super) key: usize,
    pub(super) hour: Hour,
    pub(super) account: Option<UserId>,
    pub(super) endpoint: Endpoint,
    pub(super) auth: AuthKind,
    pub(super) outcome: Outcome,
}

impl Usage {
    pub(in crate::gateway) fn new() -> Usage {
        Usage {
            writer_id: vault::random_digits::<16>()
                .iter()
                .map(|digit| char::from(*digit))
                .collect(),
            records: Mutex::default(),
            wake: Notify::new(),
            is_settled: AtomicBool::new(true),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Notes an account's first use in a month, to be written at once: X bills it however little it is used.
    pub(super) fn note(&self, used: UsedAccount) {
        self.records().used.push(used);
        self.wake.notify_one();
    }

    pub(super) fn record(&self, key: &Arc<KnownKey>, line_key: LineKey, sums: Sums) {
        let mut records = self.records();
        records.counted_calls += sums.calls;
        let lines = records.sums.len();
        match records.sums.entry(line_key) {
            Entry::Occupied(line) => return line.into_mut().1.add(sums),
            Entry::Vacant(_) if lines >= MOST_LINES => {
                records.lost_calls += sums.calls;
                return;
            }
            Entry::Vacant(place) => drop(place.insert((Arc::clone(key), sums))),
        }
        // The database should soon know that more may follow, so that its loss would be noticed.
        if lines + 1 == MANY_LINES || (lines == 0 && self.is_settled.load(Ordering::Acquire)) {
            self.wake.notify_one();
        }
    }

    pub(super) fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LineKey {
    pub(super) fn line(self, key: &KnownKey) -> Line {
        let LineKey { hour, account, endpoint, auth, outcome, .. } = self;
        let (app, key_id) = (app_of(key).to_owned(), key.key.id.clone());
        Line { hour, app, key_id, account, endpoint, auth, outcome }
    }
}

/// What is on its way to the database.
#[derive(Default)]
pub(super) struct Writing {
    pub(super) lines: BTreeMap<Line, Sums>,
    pub(super) used: Vec<UsedAccount>,
    pub(super) lost_calls: u64,
    pub(super) number: i64,
    /// The last count that was written to the database.
    pub(super) reported_calls: u64,
    /// The batch that was sent and not confirmed: it may have been written, so it is sent again unchanged.
    pub(super) unconfirmed: Option<UsageBatch>,
    pub(super) is_failing: bool,
}

impl Usage {
    /// Moves the records gathered since the last time into `writing`.
    pub(super) fn add_up(&self, writing: &mut Writing) {
        let records = {
            let mut records = self.records();
            let counted_calls = records.counted_calls;
            std::mem::replace(&mut *records, Records { counted_calls, ..Records::default() })
        };
        writing.used.extend(records.used);
        writing.lose(records.lost_calls);
        for (line_key, (key, sums)) in records.sums {
            let line = line_key.line(&key);
            if writing.lines.len() >= MOST_LINES && !writing.lines.contains_key(&line) {
                writing.lose(sums.calls);
            } else {
                writing.lines.entry(line).or_default().add(sums);
            }
        }
    }
}

impl Writing {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.used.is_empty()
    }

    pub(super) fn first_lines(&mut self) -> Vec<(Line, Sums)> {
        let next = self.lines.keys().nth(LINES_AT_ONCE).cloned();
        let rest = next.map(|line| self.lines.split_off(&line)).unwrap_or_default();
        std::mem::replace(&mut self.lines, rest).into_iter().collect()
    }

    pub(super) fn lose(&mut self, calls: u64) {
        self.lost_calls += calls;
        metrics::counter!("countersign_usage_lost_calls_total").increment(calls);
    }

    /// The batch to write now: an unconfirmed one, else what has gathered, else once a note that nothing is left.
    pub(super) fn next(&mut self, usage: &Usage) -> Option<UsageBatch> {
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
            used: self.used.drain(..self.used.len().min(LINES_AT_ONCE)).collect(),
            lost_calls: self.lost_calls,
            counted_calls: usage.records().counted_calls,
            is_settled,
        };
        Some(self.unconfirmed.insert(batch).clone())
    }
}

/// The app of a caller's key, which always has one.
pub(super) fn app_of(key: &KnownKey) -> &str {
    key.key.scopes.app.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::usage::Outcome;
    use crate::model::{AuthKind, Endpoint};

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
            writing.lines.insert(line, Sums { calls: 1, posts: 1, bytes: 1, saved: 0 });
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
            hours.extend(batch.lines.iter().map(|(line, _)| line.hour));
            writing.unconfirmed = None;
        }
        assert_eq!(sizes, [(1, 500, false), (2, 500, false), (3, 250, false), (4, 0, true)]);
        assert!(hours.into_iter().eq(0..1250));
    }
}
