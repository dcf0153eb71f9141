//! The upstream as configured.

use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use crate::config;
use crate::model::Clock;
use crate::upstream::budget::Budget;
use crate::upstream::error::SetupError;
use crate::upstream::meter::Meters;
use crate::upstream::pool::Relay;
use crate::upstream::receivers::Receivers;
use crate::upstream::skew::Skew;
use crate::upstream::time_requests::TimeRequests;
use crate::upstream::tls;

/// The upstream as configured: its clients, its clock's offset, and how many retries are left.
pub struct Upstream {
    pub(super) relay: Relay,
    pub(super) tokens: reqwest::Client,
    pub(super) receivers: Receivers,
    pub(super) api_url: String,
    pub(super) limits: config::Limits,
    pub(super) skew: Skew,
    pub(super) time_requests: TimeRequests,
    pub(super) budget: Budget,
    pub(super) meters: Meters,
    pub(super) clock: Arc<dyn Clock>,
}

impl Upstream {
    /// Creates the clients; nothing is connected yet.
    pub fn new(
        settings: &config::Upstream,
        webhooks: &config::Webhooks,
        limits: &config::Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Upstream, SetupError> {
        Ok(Upstream {
            relay: Relay::new(settings, limits, &clock)?,
            tokens: tls::client(settings, limits)?,
            receivers: Receivers::new(webhooks),
            api_url: settings.api_url.clone(),
            limits: limits.clone(),
            skew: Skew::default(),
            time_requests: TimeRequests::default(),
            budget: Budget::new(limits, clock.instant()),
            meters: Meters::new(),
            clock,
        })
    }

    /// Seconds by which the upstream's clock is ahead of ours; `None` before any answer has given the time.
    pub fn clock_offset(&self) -> Option<i64> {
        self.skew.is_known().then(|| self.skew.seconds())
    }

    /// The time by the upstream's clock: ours, corrected by the offset learnt from its answers.
    pub fn now(&self) -> OffsetDateTime {
        let (now, ahead) = (self.clock.now(), Duration::seconds(self.skew.seconds()));
        now.checked_add(ahead).unwrap_or(now)
    }
}
