//! Writing what was added up. What a killed process can lose is what came after its last write, and all but the last second
//! of that is known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{info, warn};

use crate::gateway::Gateway;
use crate::gateway::usage::{MOST_LINES, Records, Usage};
use crate::model::usage::{Line, Sums};
use crate::store::{self, UsageBatch, UsedAccount};

/// So often it is told how many calls were counted, so that what a killed process takes with it is known.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// Usage is written each time after so many of these.
const WRITTEN_AFTER: u32 = 5;
/// Lines of one transaction, and accounts, since it has to end before the store's patience does.
const LINES_AT_ONCE: usize = 500;

/// What is on its way to the database.
#[derive(Default)]
pub(super) struct Writing {
    lines: BTreeMap<Line, Sums>,
    used: Vec<UsedAccount>,
    lost_calls: u64,
    number: i64,
    /// The last count that the database was told.
    told_calls: u64,
    /// What was sent and not confirmed: it may have been written, so it is sent again as it was.
    unconfirmed: Option<UsageBatch>,
    is_failing: bool,
}

impl Usage {
    /// Adds up what was recorded since the last time.
    fn add_up(&self, writing: &mut Writing) {
        let records = {
            let mut records = self.records();
            let counted_calls = records.counted_calls;
            std::mem::replace(&mut *records, Records { counted_calls, ..Records::default() })
        };
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
            used: self.used.drain(..self.used.len().min(LINES_AT_ONCE)).collect(),
            lost_calls: self.lost_calls,
            counted_calls: usage.records().counted_calls,
            is_settled,
        };
        Some(self.unconfirmed.insert(batch).clone())
    }
}

impl Gateway {
    /// Writes usage every few seconds until every other clone of this gateway is dropped. Call it once.
    pub fn write_usage(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::downgrade(&self.0);
        async move {
            let mut tick = tokio::time::interval(TOLD_EVERY);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut ticks: u32 = 0;
            loop {
                let Some(inner) = inner.upgrade() else { return };
                let gateway = Gateway(inner);
                let is_due = tokio::select! {
                    _ = tick.tick() => {
                        ticks = ticks.wrapping_add(1);
                        ticks.is_multiple_of(WRITTEN_AFTER)
                    }
                    () = gateway.0.usage.wake.notified() => true,
                };
                if is_due {
                    let _ = gateway.flush_usage().await;
                    let _ = gateway.read_month().await;
                    gateway.store_calls().await;
                } else {
                    let _ = gateway.tell_counted().await;
                }
            }
        }
    }

    /// Writes the rest, and that it is all: call it when no call is made any more.
    pub async fn settle_usage(&self) {
        self.store_calls().await;
        while self.flush_usage().await.is_ok() && !self.0.usage.is_settled.load(Ordering::Acquire) {
        }
    }

    /// Tells the database how many calls were counted, if there were any since it last was told.
    pub async fn tell_counted(&self) -> Result<(), store::Error> {
        let usage = &self.0.usage;
        let mut writing = usage.writing.lock().await;
        let counted = usage.records().counted_calls;
        if counted != writing.told_calls {
            self.0.store.tell_counted(&usage.writer_id, counted).await?;
            writing.told_calls = counted;
        }
        Ok(())
    }

    async fn flush_usage(&self) -> Result<(), store::Error> {
        while self.write_part().await? {}
        Ok(())
    }

    /// Writes a part of what there is, or once that there is nothing more; whether more is left.
    pub(in crate::gateway) async fn write_part(&self) -> Result<bool, store::Error> {
        let usage = &self.0.usage;
        let mut writing = usage.writing.lock().await;
        usage.add_up(&mut writing);
        let Some(batch) = writing.next(usage) else { return Ok(false) };
        let written = self.0.store.write_usage(&batch, self.now()).await;
        match &written {
            Ok(()) => {
                writing.unconfirmed = None;
                writing.told_calls = batch.counted_calls;
                if writing.is_failing {
                    info!("usage is written again");
                }
            }
            Err(error) if !writing.is_failing => {
                warn!(
                    error = error as &dyn std::error::Error,
                    "usage is not written; it is kept in memory meanwhile"
                );
            }
            Err(_) => (),
        }
        writing.is_failing = written.is_err();
        written.map(|()| !writing.is_empty())
    }
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
