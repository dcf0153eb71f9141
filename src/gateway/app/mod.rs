//! The state of one configured app, in parts that do not know the app.

pub(super) mod account_limit;
pub(super) mod bearer;
pub(super) mod faults;
pub(super) mod flights;
pub(super) mod pauses;
pub(super) mod pools;
pub(super) mod reconnects;
pub(super) mod verifications;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::admission::{Breaker, Rules, Turned, Turns};
use crate::config::Limits;
use crate::gateway::Error;
use crate::gateway::account::known::KnownAccount;
use crate::gateway::app::account_limit::MonthlyAccounts;
use crate::gateway::app::bearer::{Bearer, BearerSource, Minting};
use crate::gateway::app::faults::{Fault, Faults};
use crate::gateway::app::flights::Flights;
use crate::gateway::app::pauses::LookupPause;
use crate::gateway::app::pools::Pools;
use crate::gateway::app::reconnects::Reconnects;
use crate::gateway::app::verifications::Verifications;
use crate::gateway::cache::Cache;
use crate::model::{App, Clock, Endpoint, UserId};
use crate::upstream::{Answer, Credential, StatusCode};

/// An app with its current bearer token and cached accounts.
pub(in crate::gateway) struct AppState {
    pub(in crate::gateway) name: String,
    settings: ArcSwap<App>,
    pub(in crate::gateway) current: ArcSwapOption<Bearer>,
    pub(in crate::gateway) minting: Mutex<Minting>,
    /// Mints that have ended, whether they succeeded or failed.
    pub(in crate::gateway) ended: AtomicU64,
    pub(in crate::gateway) faults: Faults,
    pub(in crate::gateway) verifications: Verifications,
    pub(in crate::gateway) reconnects: Reconnects,
    pub(in crate::gateway) accounts: Cache<UserId, KnownAccount>,
    /// Users by screen name, with separate entries for each limited key.
    pub(in crate::gateway) names: Cache<str, UserId>,
    /// Turns for the calls of questions, which run side by side.
    pub(in crate::gateway) question_turns: Arc<Turns>,
    pub(in crate::gateway) lookup_pause: LookupPause,
    /// X has a quota of its own for lists of users' posts.
    pub(in crate::gateway) list_pause: LookupPause,
    pub(in crate::gateway) pools: Pools,
    pub(in crate::gateway) flights: Arc<Flights>,
    breakers: [Arc<Breaker>; 3],
    pub(in crate::gateway) month: MonthlyAccounts,
}

impl AppState {
    /// Pages take at most `share_of_pages` of its quotas while others call too, from 0 to 1.
    pub(in crate::gateway) fn new(
        app: App,
        limits: &Limits,
        share_of_pages: f64,
        clock: &Arc<dyn Clock>,
    ) -> AppState {
        AppState {
            month: MonthlyAccounts::new(app.account_limit),
            pools: Pools::new(&app.name, app.quota, share_of_pages, clock),
            flights: Arc::default(),
            breakers: Endpoint::ALL.map(|_| Breaker::new(Arc::clone(clock))),
            name: app.name.clone(),
            settings: ArcSwap::from_pointee(app),
            current: ArcSwapOption::empty(),
            minting: Mutex::default(),
            ended: AtomicU64::new(0),
            faults: Faults::default(),
            verifications: Verifications::default(),
            reconnects: Reconnects::default(),
            accounts: Cache::new("accounts", limits.cached_accounts, limits.negative_cache),
            names: Cache::new("names", limits.cached_accounts, limits.negative_cache),
            question_turns: Turns::new(Rules::of(limits.question_calls)),
            lookup_pause: LookupPause::default(),
            list_pause: LookupPause::default(),
        }
    }

    /// The breaker of calls to an endpoint.
    pub(in crate::gateway) fn breaker(&self, endpoint: Endpoint) -> &Arc<Breaker> {
        let [totals, hours, historical] = &self.breakers;
        match endpoint {
            Endpoint::Totals => totals,
            Endpoint::TwentyEightHours => hours,
            Endpoint::Historical => historical,
        }
    }

    /// Tells operators that calls to an endpoint are not made any more, or again.
    pub(in crate::gateway) fn report_breaker(&self, endpoint: Endpoint, turned: Turned) {
        let (app, endpoint) = (&*self.name, endpoint.name());
        match turned {
            Turned::Open => {
                warn!(app, endpoint, "most calls to X fail; until a probe succeeds, none is made");
            }
            Turned::Closed => info!(app, endpoint, "X answers calls again"),
        }
    }

    /// The refusal of a call that is not made, since most of the latest ones failed.
    pub(in crate::gateway) fn is_down(&self, endpoint: Endpoint, retry_after: Duration) -> Error {
        Error::UpstreamDown { app: self.name.clone(), endpoint, retry_after }
    }

    /// Whether a call waits for quota and is made once more after that answer.
    pub(in crate::gateway) fn waits_after(&self, answer: &Answer) -> bool {
        answer.status == StatusCode::TOO_MANY_REQUESTS && self.pools.are_enforced()
    }

    /// The endpoints to which no calls are made, since most of them failed.
    pub(in crate::gateway) fn list_open_breakers(&self) -> impl Iterator<Item = Endpoint> {
        Endpoint::ALL.into_iter().filter(|endpoint| self.breaker(*endpoint).is_open())
    }

    /// The current settings; their secrets may be replaced at any time.
    pub(in crate::gateway) fn settings(&self) -> Arc<App> {
        self.settings.load_full()
    }

    pub(in crate::gateway) fn source(&self) -> BearerSource {
        BearerSource::of(&self.settings.load())
    }

    /// Replaces the key, secret and configured bearer token; false when they are the same.
    pub(in crate::gateway) fn replace_secrets(&self, new: &App) -> bool {
        let now = self.settings.load();
        if now.has_secrets_of(new) {
            return false;
        }
        let App { consumer_key, consumer_secret, bearer_token, .. } = new.clone();
        let settings = App { consumer_key, consumer_secret, bearer_token, ..App::clone(&now) };
        self.settings.store(Arc::new(settings));
        true
    }

    /// Learns from an answer what X thinks of the app's credentials.
    pub(in crate::gateway) fn judge(
        &self,
        credential: Credential<'_>,
        answer: &Answer,
    ) -> Option<Fault> {
        self.faults.judge(&self.name, self.source(), credential, answer)
    }
}
