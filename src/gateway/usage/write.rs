//! Writing the usage added up. A killed process can lose only what came after its last write, and how much is known
//! except for its last second.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{info, warn};

use crate::gateway::Gateway;
use crate::store;

/// How often the number of counted calls is written, so that the loss from a killed process is known.
const COUNTED_EVERY: Duration = Duration::from_secs(1);
/// Usage is written once every this many ticks.
const WRITTEN_AFTER: u32 = 5;

impl Gateway {
    /// Writes usage every few seconds until every other clone of this gateway is dropped. Call it once.
    pub fn write_usage(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::downgrade(&self.0);
        async move {
            let mut tick = tokio::time::interval(COUNTED_EVERY);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut ticks: u32 = 0;
            loop {
                let Some(inner) = inner.upgrade() else { return };
                let gateway = Gateway(inner, None);
                let is_due = tokio::select! {
                    _ = tick.tick() => {
                        ticks = ticks.wrapping_add(1);
                        ticks.is_multiple_of(WRITTEN_AFTER)
                    }
                    () = gateway.0.usage.wake.notified() => true,
                };
                if is_due {
                    let flushed = gateway.flush_usage().await;
                    let _ = gateway.load_used_accounts().await;
                    let stored = gateway.store_calls().await;
                    gateway.note_written(&flushed.and(stored));
                } else {
                    let _ = gateway.write_call_count().await;
                }
            }
        }
    }

    /// Writes the rest, and a note that it is all. Call it once no more calls are made.
    pub async fn settle_usage(&self) {
        self.settle_touches().await;
        let _ = self.store_calls().await;
        let _ = self.settle_pages().await;
        while self.flush_usage().await.is_ok() && !self.0.usage.is_settled.load(Ordering::Acquire) {
        }
    }

    /// Writes the number of counted calls to the database, if it has changed since the last time.
    pub async fn write_call_count(&self) -> Result<(), store::Error> {
        let usage = &self.0.usage;
        let mut writing = usage.writing.lock().await;
        let counted = usage.records().counted_calls;
        if counted != writing.reported_calls {
            self.0.store.update_counted_calls(&usage.writer_id, counted).await?;
            writing.reported_calls = counted;
        }
        Ok(())
    }

    /// Notes whether the database takes writes.
    pub(super) fn note_written(&self, written: &Result<(), store::Error>) {
        let why = written.as_ref().err().and_then(store::Error::refused_write);
        self.0.write_failure.store(why.map(|why| Arc::new(why.to_string())));
    }

    async fn flush_usage(&self) -> Result<(), store::Error> {
        while self.write_part().await? {}
        Ok(())
    }

    /// Writes one batch, or once a note that nothing is left; returns whether more is left.
    pub(in crate::gateway) async fn write_part(&self) -> Result<bool, store::Error> {
        let usage = &self.0.usage;
        let mut writing = usage.writing.lock().await;
        usage.add_up(&mut writing);
        let Some(batch) = writing.next(usage) else { return Ok(false) };
        let written = self.0.store.write_usage(&batch, self.now()).await;
        match &written {
            Ok(()) => {
                writing.unconfirmed = None;
                writing.reported_calls = batch.counted_calls;
                if writing.is_failing {
                    info!("usage is being written again");
                }
            }
            Err(error) if !writing.is_failing => {
                warn!(
                    error = error as &dyn std::error::Error,
                    "could not write usage; it is kept in memory meanwhile"
                );
            }
            Err(_) => (),
        }
        writing.is_failing = written.is_err();
        written.map(|()| !writing.is_empty())
    }
}
