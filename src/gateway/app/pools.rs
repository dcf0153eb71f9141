//! The quotas of an app: which of its calls count against the same one.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Histogram};

use crate::admission::quota::Pool;
use crate::model::quota::{Mode, Quota, Scope};
use crate::model::usage::Saving;
use crate::model::{AuthKind, Clock, Endpoint};

/// A pool for each kind of credentials and each endpoint, of which several may be the same.
pub(in crate::gateway) struct Pools {
    quota: Quota,
    by_name: Vec<(String, Arc<Pool>)>,
    waits: Histogram,
    refusals: Counter,
    exceeding: Counter,
    limited: Counter,
    saved: [Counter; 2],
}

impl Pools {
    pub(in crate::gateway) fn new(
        app: &str,
        quota: Quota,
        share_of_pages: f64,
        clock: &Arc<dyn Clock>,
    ) -> Pools {
        let names: Vec<String> = match quota.scope {
            Scope::App => vec!["all".to_owned()],
            Scope::Kind => AuthKind::ALL.map(|kind| kind.name().to_owned()).into(),
            Scope::Endpoint => AuthKind::ALL
                .into_iter()
                .flat_map(|kind| Endpoint::ALL.map(|endpoint| format!("{kind} {endpoint}")))
                .collect(),
        };
        let pools = names
            .into_iter()
            .map(|name| (name, Pool::new(quota, share_of_pages, Arc::clone(clock))));
        let app = app.to_owned();
        Pools {
            quota,
            by_name: pools.collect(),
            waits: metrics::histogram!("countersign_quota_wait_seconds", "app" => app.clone()),
            refusals: metrics::counter!("countersign_quota_refusals_total", "app" => app.clone(), "reason" => "quota"),
            exceeding: metrics::counter!("countersign_quota_refusals_total", "app" => app.clone(), "reason" => "observed"),
            limited: metrics::counter!("countersign_quota_refusals_total", "app" => app.clone(), "reason" => "key_limit"),
            saved: Saving::ALL.map(|how| metrics::counter!("countersign_calls_saved_total", "app" => app.clone(), "how" => how.name())),
        }
    }

    /// Whether calls wait for quota, or are only counted.
    pub(in crate::gateway) fn are_enforced(&self) -> bool {
        self.quota.mode == Mode::Enforce
    }

    pub(in crate::gateway) fn mode(&self) -> Mode {
        self.quota.mode
    }

    /// The pool of a call.
    pub(in crate::gateway) fn of(&self, endpoint: Endpoint, kind: AuthKind) -> &Arc<Pool> {
        let permit = match self.quota.scope {
            Scope::App => 0,
            Scope::Kind => kind as usize,
            Scope::Endpoint => kind as usize * Endpoint::ALL.len() + endpoint as usize,
        };
        let (_, pool) = self.by_name.get(permit).expect("there is a pool for every call");
        pool
    }

    /// Counts a wait for a permit.
    pub(in crate::gateway) fn record_wait(&self, wait: Duration) {
        self.waits.record(wait.as_secs_f64());
    }

    /// Counts a call that was refused.
    pub(in crate::gateway) fn count_refusal(&self) {
        self.refusals.increment(1);
    }

    /// Counts a request that its key's own limits refused.
    pub(in crate::gateway) fn count_limited(&self) {
        self.limited.increment(1);
    }

    /// Counts a call that was not made.
    pub(in crate::gateway) fn count_saved(&self, how: Saving) {
        let [in_flight, kept] = &self.saved;
        match how {
            Saving::InFlight => in_flight.increment(1),
            Saving::Kept => kept.increment(1),
        }
    }

    /// Counts a call that was sent beyond an observed quota.
    pub(in crate::gateway) fn count_excess(&self) {
        self.exceeding.increment(1);
    }

    /// Sets the metrics of the pools in use.
    pub(in crate::gateway) fn measure(&self, app: &str) {
        for (name, pool) in self.iter() {
            let level = pool.level();
            let Some(limit) = level.limit else { continue };
            let labels = [("app", app.to_owned()), ("pool", name.to_owned())];
            metrics::gauge!("countersign_quota_limit", &labels).set(limit);
            metrics::gauge!("countersign_quota_left", &labels).set(level.left);
            let waiting = f64::from(u32::try_from(level.waiting).unwrap_or(u32::MAX));
            metrics::gauge!("countersign_quota_waiting", &labels).set(waiting);
        }
    }

    pub(in crate::gateway) fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Pool>)> {
        self.by_name.iter().map(|(name, pool)| (&**name, pool))
    }
}
