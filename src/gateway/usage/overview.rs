//! The state of the gateway, for people: an overview of everything, and usage over time.

use std::time::Duration;

use time::OffsetDateTime;

use crate::gateway::call::recent::KeyNames;
use crate::gateway::{Attention, Error, Gateway, Health, UsageGap};
use crate::model::AccountState;
use crate::model::app::AccountsUsed;
use crate::model::quota::QuotaUse;
use crate::model::tally::Lately;
use crate::model::usage::{Aspect, Hour, Month, Sums, begin_of, hour_of};
use crate::model::webhook::Webhook;
use crate::store;
use crate::store::{Backlog, Grain, MOST_SEPARATE, UsageFilter, UsageOfTime, UsageRow};

/// The most recent calls from which latencies are computed.
const MOST_TIMED: u32 = 1000;
/// The hours that an overview covers.
const DAY: Hour = 24;
/// How long an overview shows a gap in usage.
pub(in crate::gateway) const NEWS: time::Duration = time::Duration::days(7);

/// A webhook is behind once its oldest event has waited for so long.
const LATE: time::Duration = time::Duration::minutes(5);

/// The state of the gateway at a glance.
pub struct Overview {
    pub at: OffsetDateTime,
    pub health: Health,
    pub attention: Vec<Attention>,
    pub lately: Lately,
    /// How many accounts are in each state, without empty states.
    pub accounts: Vec<(AccountState, u64)>,
    /// The first hour of the last day, and its sums by hour, credentials and outcome.
    pub since: Hour,
    pub usage: Vec<UsageRow>,
    pub latency: Option<Latency>,
    pub webhooks: Vec<(Webhook, Backlog)>,
    /// Gaps of the last days.
    pub gaps: Vec<UsageGap>,
    /// Accounts used by each configured app.
    pub accounts_used: Vec<AccountsUsed>,
    pub quotas: Vec<QuotaUse>,
    /// Of the keys that use these.
    pub key_names: KeyNames,
}

/// How long recent calls to X took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Latency {
    pub calls: usize,
    pub median: Duration,
    /// The 95th percentile.
    pub most: Duration,
}

/// Usage totals for a period, optionally split by an aspect.
pub struct UsageSurvey {
    /// Usage by the filter's hours, split by the largest few values.
    pub over_time: Vec<UsageOfTime>,
    /// The largest values, as the database has them; empty if no aspect is given.
    pub ranked: Vec<(String, Sums)>,
    /// Accounts used by month and app, newest month first.
    pub accounts: Vec<(Month, String, u64)>,
    pub gaps: Vec<UsageGap>,
    pub key_names: KeyNames,
}

impl Overview {
    /// Webhooks that accept no events, or are late with them.
    pub fn webhooks_behind(&self) -> impl Iterator<Item = &(Webhook, Backlog)> {
        self.webhooks.iter().filter(|(_, backlog)| is_behind(backlog, self.at))
    }

    /// The events that wait for all webhooks.
    pub fn backlog(&self) -> Backlog {
        total(self.webhooks.iter().map(|(_, backlog)| backlog))
    }
}

/// Whether a webhook accepts no events, or is late with them.
pub(in crate::gateway) fn is_behind(backlog: &Backlog, now: OffsetDateTime) -> bool {
    backlog.failure.is_some() || backlog.since.is_some_and(|since| since + LATE <= now)
}

impl Latency {
    /// Computes the latency from times in any order; `None` if there are none.
    fn of(mut times: Vec<Duration>) -> Option<Latency> {
        times.sort_unstable();
        let at = |share: usize| times.get((times.len() * share).div_ceil(100).saturating_sub(1));
        Some(Latency { calls: times.len(), median: *at(50)?, most: *at(95)? })
    }
}

impl Gateway {
    /// Everything of interest at a glance.
    pub async fn get_overview(&self) -> Result<Overview, Error> {
        let written = self.write_part().await.map(drop);
        self.note_written(&written.and(self.store_calls().await));
        if self.is_database_away() {
            return self.get_overview_without_database().await;
        }
        let (now, store) = (self.now(), &self.0.store);
        let until = hour_of(now) + 1;
        let since = until - DAY;
        let by = Grain { hours: 1, auth: true, outcome: true, ..Grain::default() };
        let filter = UsageFilter { from: since, until, by, limit: 1000, ..UsageFilter::default() };
        self.load_used_accounts().await?;
        let quotas = self.list_quota_uses();
        let users = quotas.iter().flat_map(|quota| quota.keys.iter().map(|one| &*one.key));
        let users: Vec<&str> = users.collect();
        let key_names = self.list_key_names(users).await;
        Ok(Overview {
            at: now,
            health: self.health(),
            attention: self.list_attention().await?,
            lately: self.get_lately().await?,
            accounts: store.count_accounts().await?,
            since,
            usage: store.list_usage(&filter).await?,
            latency: Latency::of(
                store.list_call_times(now - time::Duration::DAY, MOST_TIMED).await?,
            ),
            webhooks: self.list_webhooks().await?,
            gaps: self.list_usage_gaps(now - NEWS).await?,
            accounts_used: self.list_accounts_used(),
            quotas,
            key_names,
        })
    }

    /// What is known without the database.
    async fn get_overview_without_database(&self) -> Result<Overview, Error> {
        let now = self.now();
        Ok(Overview {
            at: now,
            health: self.health(),
            attention: self.list_attention().await?,
            lately: Lately::default(),
            accounts: Vec::new(),
            since: hour_of(now) + 1 - DAY,
            usage: Vec::new(),
            latency: None,
            webhooks: Vec::new(),
            gaps: Vec::new(),
            accounts_used: self.list_accounts_used(),
            quotas: self.list_quota_uses(),
            key_names: KeyNames::new(),
        })
    }

    /// Sets the metrics of the events that wait.
    pub(in crate::gateway) async fn measure_backlog(&self) -> Result<(), store::Error> {
        let backlogs = self.0.store.list_backlogs().await?;
        let Backlog { waiting, since, .. } = total(backlogs.iter().map(|(_, backlog)| backlog));
        let oldest = since.map_or(0.0, |since| (self.now() - since).as_seconds_f64());
        let waiting = f64::from(u32::try_from(waiting).unwrap_or(u32::MAX));
        metrics::gauge!("countersign_webhook_events_waiting").set(waiting);
        metrics::gauge!("countersign_webhook_oldest_event_seconds").set(oldest.max(0.0));
        Ok(())
    }

    /// The largest consumers and usage over time; the filter's key may be an id or a name.
    pub async fn get_usage_survey(
        &self,
        mut filter: UsageFilter,
        aspect: Option<Aspect>,
    ) -> Result<UsageSurvey, Error> {
        let _ = self.write_part().await;
        filter.key_id = self.resolve_key_id(filter.key_id).await?;
        let store = &self.0.store;
        let ranked = match aspect {
            Some(aspect) => store.list_largest_usage(&filter, aspect).await?,
            None => Vec::new(),
        };
        let largest: Vec<String> =
            ranked.iter().take(MOST_SEPARATE).map(|(value, _)| value.clone()).collect();
        let split = aspect.map(|aspect| (aspect, &*largest));
        let key_names = match aspect {
            Some(Aspect::Key) => {
                self.list_key_names(ranked.iter().map(|(key_id, _)| key_id.as_str())).await
            }
            _ => KeyNames::new(),
        };
        let from = begin_of(filter.from);
        Ok(UsageSurvey {
            over_time: store.list_usage_over_time(&filter, split).await?,
            ranked,
            accounts: store.count_used_accounts(Month::of(from)).await?,
            gaps: self.list_usage_gaps(from).await?,
            key_names,
        })
    }
}

/// Several backlogs as one.
fn total<'a>(backlogs: impl Iterator<Item = &'a Backlog>) -> Backlog {
    backlogs.fold(Backlog::default(), |sum, next| Backlog {
        waiting: sum.waiting + next.waiting,
        since: [sum.since, next.since].into_iter().flatten().min(),
        failure: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_that_of_a_call_that_was_made() {
        let latency = |millis: &[u64]| {
            let times = millis.iter().map(|millis| Duration::from_millis(*millis)).collect();
            Latency::of(times).map(|latency| (latency.median.as_millis(), latency.most.as_millis()))
        };
        assert_eq!(latency(&[]), None);
        assert_eq!(latency(&[7]), Some((7, 7)));
        assert_eq!(latency(&[9, 1]), Some((1, 9)));
        assert_eq!(latency(&(1..=100).rev().collect::<Vec<_>>()), Some((50, 95)));
    }
}
