//! Whether this gateway can serve, and in which ways it is degraded.

use std::fmt;
use std::sync::atomic::Ordering;

use crate::gateway::{Error, Fault, Gateway};
use crate::model::Endpoint;

/// Beyond this offset the upstream may refuse signatures with uncorrected times.
const CLOCK_WARNING_SECONDS: i64 = 30;

/// The report to a readiness probe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    pub ready: bool,
    pub degraded: Vec<Degraded>,
}

/// A fault that does not keep calls from being answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Degraded {
    /// The database is unavailable; known callers are served for this many more seconds.
    DatabaseAway {
        serving_for: u64,
    },
    ClockOff {
        seconds: i64,
    },
    NotCaughtUp,
    /// The database can be read, and takes no writes.
    NotWritten {
        why: String,
    },
    /// Some stored record is sealed with this key, which is not on the ring.
    VaultKeyMissing {
        id: String,
    },
    /// The settings changed and could not all be applied.
    NotReloaded,
    NoApp,
    App {
        name: String,
        fault: Fault,
    },
    /// Most calls of the app to the endpoint failed, so that none is made at present.
    UpstreamDown {
        app: String,
        endpoint: Endpoint,
    },
}

impl fmt::Display for Degraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Degraded::DatabaseAway { serving_for: 0 } => {
                f.write_str("the database has been unavailable for too long")
            }
            Degraded::DatabaseAway { serving_for } => {
                write!(
                    f,
                    "the database is unavailable; known callers are served for another {serving_for} s"
                )
            }
            Degraded::ClockOff { seconds } => {
                write!(
                    f,
                    "X's clock and this machine's differ by {seconds} s; signatures are corrected"
                )
            }
            Degraded::NotWritten { why } => write!(f, "the database takes no writes: {why}"),
            Degraded::NotCaughtUp => f.write_str("the database has not been read yet"),
            Degraded::VaultKeyMissing { id } => {
                write!(f, "the vault key {id}, which sealed stored secrets, is not in vault.keys")
            }
            Degraded::NotReloaded => f.write_str(
                "the settings changed, but could not be applied in full; the log says why",
            ),
            Degraded::NoApp => f.write_str(
                "no app is configured; set apps.<name>.consumer_key and consumer_secret",
            ),
            Degraded::App { name, fault } => write!(f, "app {name}: {fault}"),
            Degraded::UpstreamDown { app, endpoint } => {
                write!(f, "app {app}: most calls to {endpoint} failed, so only probes are made")
            }
        }
    }
}

impl Gateway {
    /// Ready means that this side can serve known callers. Queries neither the database nor the upstream.
    pub fn health(&self) -> Health {
        let mut degraded = Vec::new();
        if self.0.feed.position() < 0 {
            degraded.push(Degraded::NotCaughtUp);
        } else if self.is_database_away() {
            let age = self.0.feed.age(self.0.clock.instant());
            let left = self.0.stale.saturating_sub(age);
            degraded.push(Degraded::DatabaseAway { serving_for: left.as_secs() });
        } else if let Some(why) = self.0.write_failure.load_full() {
            degraded.push(Degraded::NotWritten { why: why.to_string() });
        }
        let offset = self.0.upstream.clock_offset();
        if let Some(seconds) = offset.filter(|seconds| seconds.abs() > CLOCK_WARNING_SECONDS) {
            degraded.push(Degraded::ClockOff { seconds });
        }
        let missing = self.0.vault.missing_keys().into_iter();
        degraded.extend(missing.map(|id| Degraded::VaultKeyMissing { id }));
        if self.0.is_outdated.load(Ordering::Relaxed) {
            degraded.push(Degraded::NotReloaded);
        }
        let apps = &self.0.apps;
        if apps.is_empty() {
            degraded.push(Degraded::NoApp);
        }
        for (name, app) in apps {
            let faults = Fault::ALL.into_iter().filter(|fault| app.faults.has(*fault));
            degraded.extend(faults.map(|fault| Degraded::App { name: name.clone(), fault }));
            let down = app.list_open_breakers();
            degraded.extend(
                down.map(|endpoint| Degraded::UpstreamDown { app: name.clone(), endpoint }),
            );
        }
        let can_open = !self.0.surveyed.opens_nothing();
        let ready =
            self.0.feed.position() >= 0 && self.may_remember() && can_open && !apps.is_empty();
        Health { ready, degraded }
    }

    /// Reads the change feed for the first time, before the first call is served.
    pub async fn catch_up_once(&self) -> Result<(), Error> {
        Ok(self.catch_up().await?)
    }

    /// Seconds by which the upstream's clock is ahead; `None` before the first answer.
    pub fn clock_offset(&self) -> Option<i64> {
        self.0.upstream.clock_offset()
    }
}
