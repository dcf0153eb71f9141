//! X's quotas as all replicas share them: about once a second, each renews its leases, by what its callers want.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::sleep;
use tracing::debug;

use crate::admission::divide_limit;
use crate::admission::quota::{Division, Level, Pool};
use crate::gateway::Gateway;
use crate::model::Endpoint;
use crate::model::quota::{KeyLease, KeyUse, Lease, Mode, OtherKeys, QuotaUse};
use crate::store::{self, LeaseLives, Leases};

/// For how long a lease is meant to last.
const SLICE: Duration = Duration::from_secs(1);
/// A lease ends by itself if it is not renewed for longer than this; what a key has asked counts for a minute.
const LIVES: LeaseLives =
    LeaseLives { quotas: Duration::from_secs(3), keys: Duration::from_secs(65) };

/// How many keys are named of those that use a quota.
const MOST_KEYS: usize = 10;
/// Calls are made sooner as long as there is quota, so that a shorter wait says nothing, in seconds.
const NOTABLE_WAIT: f64 = 1.0;

/// A quota of an app's, with what this replica has to write down of it.
struct Draft {
    app: String,
    pool_name: String,
    pool: Arc<Pool>,
    lease: Lease,
}

/// A quota of X's at a glance.
pub struct QuotaLevel {
    pub app: String,
    /// What X counts together.
    pub pool: String,
    pub level: Level,
}

impl Gateway {
    /// The quotas that are known, or for which calls wait.
    pub fn list_quotas(&self) -> Vec<QuotaLevel> {
        let pools = self.0.apps.values().flat_map(|app| {
            app.pools.iter().map(|(pool, quota)| QuotaLevel {
                app: app.name.clone(),
                pool: pool.to_owned(),
                level: quota.level(),
            })
        });
        pools.filter(|quota| quota.level.limit.is_some() || quota.level.waiting > 0).collect()
    }

    /// Who uses the quotas that X has reported, or that are in use, as this replica knows it without a query.
    pub(in crate::gateway) fn list_quota_uses(&self) -> Vec<QuotaUse> {
        let now = self.now();
        let pools = self.0.apps.values().flat_map(|app| {
            app.pools.iter().filter_map(move |(name, pool)| {
                let (level, uses) = pool.level_and_uses();
                let is_known = level.is_reported && level.limit.is_some();
                (is_known || !uses.is_empty()).then(|| QuotaUse {
                    app: app.name.clone(),
                    pool: name.to_owned(),
                    mode: app.pools.mode(),
                    ..quota_use(&level, uses, now)
                })
            })
        });
        pools.collect()
    }

    /// How many callers wait for answers from X, also those who share one.
    pub fn count_waiting_callers(&self) -> usize {
        self.0.apps.values().map(|app| app.flights.callers()).sum()
    }

    /// Sets the metrics of quotas and breakers to their present values.
    pub fn measure_quotas(&self) {
        for app in self.0.apps.values() {
            app.pools.measure(&app.name);
            let waiting = f64::from(u32::try_from(app.flights.callers()).unwrap_or(u32::MAX));
            metrics::gauge!("countersign_callers_waiting", "app" => app.name.clone()).set(waiting);
            for endpoint in Endpoint::ALL {
                let labels = [("app", app.name.clone()), ("endpoint", endpoint.name().to_owned())];
                let is_open = f64::from(u8::from(app.breaker(endpoint).is_open()));
                metrics::gauge!("countersign_breaker_open", &labels).set(is_open);
            }
        }
    }

    /// Renews leases until every other clone of this gateway is dropped. Call it once, after `register_replica`.
    pub fn share_quotas(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::downgrade(&self.0);
        async move {
            let mut failures = 0_u64;
            loop {
                sleep(SLICE).await;
                let Some(inner) = inner.upgrade() else { return };
                let gateway = Gateway(inner, None);
                match gateway.renew_leases().await {
                    Ok(()) => {
                        failures = 0;
                        gateway.0.key_limiter.set_without_leases(false);
                    }
                    Err(error) => {
                        failures += 1;
                        // Following the change feed already logs that the database is away.
                        debug!(error = &error as &dyn std::error::Error, "no lease was renewed");
                    }
                }
                if failures * SLICE.as_secs() > LIVES.quotas.as_secs() {
                    gateway.go_on_without_leases();
                }
            }
        }
    }

    /// Takes this replica's part of each quota that anybody uses. While that fails, it keeps to its last parts.
    pub async fn renew_leases(&self) -> Result<(), store::Error> {
        let Some(replica) = self.0.presence.registered() else { return Ok(()) };
        let processes = self.0.presence.alive();
        let (drafts, keys) = (self.draft_leases(), self.0.key_limiter.draft_leases());
        let is_wanted =
            !keys.is_empty() || drafts.iter().any(|draft| !draft.lease.demand.is_empty());
        let mut others = Leases::default();
        if !is_wanted {
            others = self.0.store.list_leases_of_others(replica, LIVES).await?;
        }
        let mut own = Leases::default();
        if is_wanted || !others.quotas.is_empty() {
            let renew = |others: &Leases| Leases {
                quotas: drafts.iter().filter_map(|draft| draft.renew(others, processes)).collect(),
                keys: keys.iter().map(|key| renewed(key, others, processes)).collect(),
            };
            (own, others) = self.0.store.renew_leases(replica, LIVES, renew).await?;
        }
        for draft in &drafts {
            draft.apply(&own, &others, processes);
        }
        self.0.key_limiter.set_held(&others.keys);
        for (key, lease) in &own.keys {
            self.0.key_limiter.set_most(key, lease.most);
        }
        Ok(())
    }

    /// Keeps to the last shares while the database is away; who had none takes an equal one.
    fn go_on_without_leases(&self) {
        let processes = self.0.presence.alive();
        let pools = self.0.apps.values().flat_map(|app| app.pools.iter());
        pools.for_each(|(_, pool)| pool.share_equally_if_without(processes));
        self.0.key_limiter.set_without_leases(true);
    }

    /// Removes leases that have ended.
    pub(super) async fn prune_leases(&self) -> Result<(), store::Error> {
        self.0.store.prune_leases(LIVES).await
    }

    fn draft_leases(&self) -> Vec<Draft> {
        let of_app = |(app, pool_name, pool): (&String, &str, &Arc<Pool>)| Draft {
            app: app.clone(),
            pool_name: pool_name.to_owned(),
            pool: Arc::clone(pool),
            lease: pool.draft_lease(),
        };
        let apps = self.0.apps.values();
        let pools =
            apps.flat_map(|app| app.pools.iter().map(|(name, pool)| (&app.name, name, pool)));
        pools.map(of_app).collect()
    }
}

/// A quota's use, but for its name.
fn quota_use(level: &Level, mut keys: Vec<KeyUse>, now: OffsetDateTime) -> QuotaUse {
    let sum =
        |of: fn(&KeyUse) -> u32, keys: &[KeyUse]| keys.iter().map(of).fold(0, u32::saturating_add);
    let (calls, waiting) = (sum(|one| one.calls, &keys), sum(|one| one.waiting, &keys));
    let others = keys.split_off(keys.len().min(MOST_KEYS));
    let after = |seconds: f64| nearest_second(now + time::Duration::seconds_f64(seconds));
    let (limit, used) = (level.limit.map(whole), level.limit.map_or(calls, |_| whole(level.used)));
    QuotaUse {
        app: String::new(),
        pool: String::new(),
        mode: Mode::default(),
        limit,
        used,
        ends_at: limit.map(|_| after(level.reset)),
        free_at: (level.wait >= NOTABLE_WAIT).then(|| after(level.wait)),
        waiting,
        other_keys: OtherKeys {
            keys: others.len(),
            calls: sum(|one| one.calls, &others),
            waiting: sum(|one| one.waiting, &others),
        },
        keys,
        other_calls: used.saturating_sub(calls),
    }
}

fn nearest_second(at: OffsetDateTime) -> OffsetDateTime {
    (at + time::Duration::milliseconds(500)).truncate_to_second()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn whole(calls: f64) -> u32 {
    calls.round() as u32
}

/// The lease of a limited key beside those of the others.
fn renewed(
    (key, limit, own): &(Arc<str>, u32, KeyLease),
    others: &Leases,
    processes: usize,
) -> (String, KeyLease) {
    let same = others.keys.iter().filter(|(other, _)| **other == **key);
    let others: Vec<KeyLease> = same.map(|(_, lease)| *lease).collect();
    let most = divide_limit(*limit, *own, &others, processes);
    (key.to_string(), KeyLease { most, ..*own })
}

impl Draft {
    /// The lease beside those of the others, unless nobody uses the quota.
    fn renew(&self, others: &Leases, processes: usize) -> Option<((String, String), Lease)> {
        let others = self.among(others);
        if self.lease.demand.is_empty() && others.is_empty() {
            return None;
        }
        let Division { share, .. } = self.pool.divide(&self.lease, &others, processes);
        let name = (self.app.clone(), self.pool_name.clone());
        Some((name, Lease { share, ..self.lease.clone() }))
    }

    /// Uses the lease as it was written down. What nobody uses is divided equally.
    fn apply(&self, own: &Leases, others: &Leases, processes: usize) {
        let others = self.among(others);
        let division = self.pool.divide(&self.lease, &others, processes);
        let written = self.among(own).pop();
        let share = written.map_or(division.share, |lease| lease.share);
        self.pool.set_share(Division { share, ..division }, &others);
    }

    /// The leases of this quota.
    fn among(&self, leases: &Leases) -> Vec<Lease> {
        let is_same = |(app, pool): &(String, String)| *app == self.app && *pool == self.pool_name;
        let same = leases.quotas.iter().filter(|(name, _)| is_same(name));
        same.map(|(_, lease)| lease.clone()).collect()
    }
}
