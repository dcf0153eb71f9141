//! Following the database's change feed: whatever changed anywhere is dropped from the caches here, so that revoking a
//! key or removing an account takes effect on every replica within a second, even if the wake-up is lost.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tracing::{error, warn};

use crate::gateway::{Gateway, Inner};
use crate::model::AccountState;
use crate::store::{self, Change, Wake};

/// How often the accounts are counted for the metrics, and old changes dropped.
const HOUSEKEEPING: Duration = Duration::from_secs(15);
/// No replica that is cut off for longer still serves from memory.
const CHANGES_KEPT: time::Duration = time::Duration::days(1);
/// Handshakes are kept until their links expire, so that a browser that comes back late is told so.
const HANDSHAKES_KEPT: time::Duration = time::Duration::days(1);
/// How long a link's page still shows how it ended.
const LINKS_KEPT: time::Duration = time::Duration::days(7);
/// How long the outcome of an event's delivery is kept.
const DELIVERIES_KEPT: time::Duration = time::Duration::days(30);
/// The lower limit of `stale`, since the feed is read only every so often.
const LEAST_STALE: Duration = Duration::from_secs(2);

/// How far the feed was followed, and when it was last known to be complete.
pub(super) struct Feed {
    position: AtomicI64,
    begun: Instant,
    fresh_ms: AtomicU64,
    /// Held while changes are applied: two readers of the same changes would drop what was learnt in between.
    reading: Mutex<()>,
}

impl Feed {
    pub(super) fn new(now: Instant) -> Feed {
        Feed {
            position: AtomicI64::new(-1),
            begun: now,
            fresh_ms: AtomicU64::new(0),
            reading: Mutex::default(),
        }
    }

    /// The last change applied; -1 before the first reading.
    pub(super) fn position(&self) -> i64 {
        self.position.load(Ordering::Acquire)
    }

    /// How long ago the caches were last known to be right.
    pub(super) fn age(&self, now: Instant) -> Duration {
        let fresh = self.begun + Duration::from_millis(self.fresh_ms.load(Ordering::Relaxed));
        now.saturating_duration_since(fresh)
    }

    fn advance(&self, position: i64, now: Instant) {
        self.position.store(position, Ordering::Release);
        let ms = now.saturating_duration_since(self.begun).as_millis();
        self.fresh_ms.store(u64::try_from(ms).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Gateway {
    /// Follows the feed until every clone of this gateway is dropped. Call it once.
    pub fn follow(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::downgrade(&self.0);
        let poll = self.0.poll;
        async move {
            let mut follower = Follower { inner, wake: None, was_up: true, housekept: None };
            while follower.step().await.is_some() {
                follower.pause(poll).await;
            }
        }
    }

    /// Whether the database has been out of reach for a while.
    pub(super) fn is_database_away(&self) -> bool {
        self.0.feed.age(self.0.clock.instant()) > self.0.poll * 4
    }

    /// Whether the caches may still be used: the feed was read recently enough.
    pub(super) fn may_remember(&self) -> bool {
        self.0.feed.age(self.0.clock.instant()) <= self.0.stale.max(LEAST_STALE)
    }

    /// Applies the changes since the last reading; an error means that the database is unavailable.
    pub(super) async fn catch_up(&self) -> Result<(), store::Error> {
        let inner = &self.0;
        let _reading = inner.feed.reading.lock().await;
        let read_at = inner.clock.instant();
        let position = inner.feed.position();
        if position < 0 {
            let latest = inner.store.latest_change().await?;
            self.learn_key_ids().await?;
            inner.browsers_due.note();
            self.learn_due_browsers().await?;
            self.forget_everything();
            inner.feed.advance(latest, read_at);
            return Ok(());
        }
        let changes = inner.store.list_changes(position).await?;
        if !changes.complete {
            self.learn_key_ids().await?;
        }
        let is_of_key = |change: &Change| matches!(change, Change::Key { .. });
        if !changes.complete || changes.changes.iter().any(is_of_key) {
            inner.browsers_due.note();
        }
        // First the position, so that a load in flight sees that it may be outdated.
        inner.feed.advance(changes.latest, read_at);
        if changes.complete {
            for change in &changes.changes {
                self.forget(change).await;
            }
        } else {
            self.forget_everything();
        }
        // Last: a revoked key is forgotten even if this fails.
        self.learn_due_browsers().await
    }

    async fn forget(&self, change: &Change) {
        match change {
            Change::Key { id } => {
                self.learn_key_id(id);
                self.0.keys.forget(id).await;
            }
            Change::Bearer { app } => self.forget_bearer(app).await,
            Change::Accounts { app, user_ids } => self.forget_accounts(app, user_ids).await,
            Change::Author { post } => self.0.authors.forget(*post).await,
        }
    }

    /// Empties the caches. Bearer tokens stay: X rejects an outdated one, which is then replaced by the stored one.
    pub(super) fn forget_everything(&self) {
        self.0.keys.forget_all();
        self.0.authors.forget_all();
        for app in self.0.apps.values() {
            app.accounts.forget_all();
            app.names.forget_all();
        }
    }

    async fn housekeep(&self) -> Result<(), store::Error> {
        let counts = self.0.store.count_accounts_by_state().await?;
        for app in self.0.apps.keys() {
            for state in AccountState::ALL {
                let found = counts
                    .iter()
                    .find(|(of, has, _)| of == app && *has == state)
                    .map_or(0, |(_, _, count)| *count);
                let found = f64::from(u32::try_from(found).unwrap_or(u32::MAX));
                metrics::gauge!("countersign_accounts", "app" => app.clone(), "state" => state.name()).set(found);
            }
        }
        let now = self.now();
        self.0.store.prune_changes(now - CHANGES_KEPT).await?;
        self.0.store.prune_links(now - HANDSHAKES_KEPT, now - LINKS_KEPT).await?;
        self.0.store.prune_deliveries(now - DELIVERIES_KEPT).await?;
        self.prune_sessions(now).await?;
        self.prune_tokens().await?;
        self.prune_page_usage().await?;
        self.write_due_refusals().await?;
        self.prune_leases().await?;
        self.prune_usage().await?;
        self.measure_backlog().await
    }
}

struct Follower {
    inner: Weak<Inner>,
    wake: Option<Wake>,
    was_up: bool,
    housekept: Option<Instant>,
}

impl Follower {
    /// Reads the feed once; `None` when the gateway is no longer in use.
    async fn step(&mut self) -> Option<()> {
        let gateway = Gateway(self.inner.upgrade()?, None);
        let outcome = gateway.catch_up().await;
        let up = outcome.is_ok();
        match outcome {
            Err(error) if self.was_up => {
                let stale = gateway.0.stale.as_secs();
                error!(
                    error = &error as &dyn std::error::Error,
                    "the database is unavailable; known callers are still served for {stale} s"
                );
            }
            Ok(()) if !self.was_up => warn!("the database is available again"),
            _ => (),
        }
        self.was_up = up;
        metrics::gauge!("countersign_database_up").set(f64::from(u8::from(up)));
        let now = gateway.0.clock.instant();
        metrics::gauge!("countersign_feed_age_seconds").set(gateway.0.feed.age(now).as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a clock is not 2^52 seconds off")]
        metrics::gauge!("countersign_clock_offset_seconds")
            .set(gateway.0.upstream.clock_offset().unwrap_or_default() as f64);
        if up && self.wake.is_none() {
            self.wake = gateway.0.store.listen().await.ok().flatten();
        }
        let is_due =
            self.housekept.is_none_or(|last| now.saturating_duration_since(last) >= HOUSEKEEPING);
        if up && let Err(error) = gateway.survey_missing(is_due).await {
            warn!(
                error = &error as &dyn std::error::Error,
                "could not look for missing vault keys"
            );
        }
        if up && is_due {
            self.housekept = Some(now);
            if let Err(error) = gateway.housekeep().await {
                warn!(error = &error as &dyn std::error::Error, "housekeeping failed");
            }
        }
        Some(())
    }

    /// Waits for a wake-up, at most `poll`; a lost connection is reopened at the next step.
    async fn pause(&mut self, poll: Duration) {
        let Some(wake) = &mut self.wake else { return tokio::time::sleep(poll).await };
        match tokio::time::timeout(poll, wake.wait()).await {
            Ok(Ok(())) | Err(_) => (),
            Ok(Err(_)) => {
                self.wake = None;
                tokio::time::sleep(poll).await;
            }
        }
    }
}
