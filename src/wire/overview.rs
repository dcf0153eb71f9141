//! The overview in JSON: the current state, and how the last day went.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::gateway;
use crate::model::AccountState;
use crate::model::app;
use crate::model::quota;
use crate::model::usage::{Outcome, begin_of};
use crate::wire::attention::{Attention, Lately};
use crate::wire::schema::{Credentials, Time};
use crate::wire::time::rfc3339;
use crate::wire::usage::Gap;
use crate::wire::webhook::ListedWebhook;

/// The current state, and how the last 24 hours went.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Overview {
    /// Everything that needs attention; empty only where nothing does.
    pub attention: Vec<Attention>,
    pub lately: Lately,
    /// What is wrong, in the words of `/readyz`.
    pub degraded: Vec<String>,
    pub accounts: AccountsByState,
    /// The start of the last 24 hours, which `calls`, `failed` and `hours` cover.
    #[schema(value_type = Time)]
    pub since: String,
    /// Requests sent to X, including retries.
    pub calls: u64,
    /// Those that X refused or did not answer.
    pub failed: u64,
    /// Calls by hour and credentials; hours without calls are left out.
    pub hours: Vec<CallsOfHour>,
    /// `null` if there were no calls.
    pub latency: Option<Latency>,
    /// Webhooks whose receivers do not accept their events, or whose oldest event has waited for 5 minutes.
    pub webhooks: Vec<ListedWebhook>,
    /// Events that have not been delivered yet, for all webhooks.
    #[schema(minimum = 0)]
    pub events_waiting: i64,
    /// When the oldest of them occurred.
    #[schema(value_type = Option<Time>)]
    pub events_waiting_since: Option<String>,
    /// Calls of the last 7 days that are missing from usage.
    pub gaps: Vec<Gap>,
    /// Accounts used by each configured app.
    pub accounts_used: Vec<AccountsUsed>,
    /// X's quotas that X has reported to this replica, or that are in use, each in its present window.
    pub quotas: Vec<QuotaUse>,
}

/// How many accounts are in each state.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountsByState {
    pub active: u64,
    pub revoked: u64,
    pub blocked: u64,
    pub quarantined: u64,
}

/// Calls of one hour with one kind of credentials.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CallsOfHour {
    /// The start of the hour.
    #[schema(value_type = Time)]
    pub at: String,
    #[schema(value_type = Credentials)]
    pub auth: &'static str,
    pub calls: u64,
    pub failed: u64,
}

/// How long the latest calls took.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Latency {
    /// How many calls this covers.
    pub calls: usize,
    /// Half of the calls took no longer than this.
    pub median_ms: f64,
    /// 95 % of the calls took no longer than this.
    pub p95_ms: f64,
}

/// Accounts whose tokens an app used this month (UTC), which X bills.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountsUsed {
    pub app: String,
    pub accounts: u64,
    /// The most accounts that it may use in a month; `null` for no limit.
    pub account_limit: Option<u64>,
    /// What happens at that limit: `warn` or `refuse`; `null` without a limit.
    pub over_limit: Option<&'static str>,
}

/// How much of one of X's quotas is used in its present window, and by whom. This is what the replica knows that answers:
/// its own calls now, and those of the other replicas as they reported them, about once a second.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QuotaUse {
    pub app: String,
    /// Which of the app's calls X counts together, such as `app-only totals`; `all` of them with `quota.scope = "app"`.
    pub pool: String,
    /// `enforce`, or `observe`: then no call waits.
    pub mode: &'static str,
    /// Calls that X allows in a window; `null` if it is not known.
    pub limit: Option<u32>,
    /// Calls used, by X's count as far as X has reported it.
    pub used: u32,
    /// The end of the window; `null` if the limit is not known.
    #[schema(value_type = Option<Time>)]
    pub ends_at: Option<String>,
    /// When the next call can be made; `null` if that is within a second.
    #[schema(value_type = Option<Time>)]
    pub free_at: Option<String>,
    /// Calls that wait for it, in all replicas.
    pub waiting: u32,
    /// The ten keys that use most of it, the largest first.
    pub keys: Vec<KeyUse>,
    pub other_keys: OtherKeys,
    /// Calls of no known key: retries, calls by other users of the app's credentials, and calls of keys that have made
    /// none for half a minute in other replicas.
    pub other_calls: u32,
}

/// What a key uses of a quota.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KeyUse {
    /// The key's id.
    pub key: String,
    /// `null` if the key is gone.
    pub name: Option<String>,
    /// Calls made in the present window.
    pub calls: u32,
    /// Calls that wait.
    pub waiting: u32,
}

/// What all further keys use of a quota.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OtherKeys {
    pub keys: usize,
    pub calls: u32,
    pub waiting: u32,
}

impl From<gateway::Overview> for Overview {
    fn from(overview: gateway::Overview) -> Overview {
        let (hours, backlog) = (hours(&overview), overview.backlog());
        let names = &overview.key_names;
        let quotas = overview.quotas.iter().map(|quota| QuotaUse::of(quota, names)).collect();
        Overview {
            attention: overview.attention.iter().cloned().map(Attention::from).collect(),
            lately: overview.lately.into(),
            degraded: overview.health.degraded.iter().map(ToString::to_string).collect(),
            accounts: AccountsByState::of(&overview.accounts),
            since: rfc3339(begin_of(overview.since)),
            calls: hours.iter().map(|hour| hour.calls).sum(),
            failed: hours.iter().map(|hour| hour.failed).sum(),
            hours,
            latency: overview.latency.map(Latency::from),
            webhooks: overview.webhooks_behind().cloned().map(ListedWebhook::from).collect(),
            events_waiting: backlog.waiting,
            events_waiting_since: backlog.since.map(rfc3339),
            gaps: overview.gaps.into_iter().map(Gap::from).collect(),
            accounts_used: overview.accounts_used.into_iter().map(AccountsUsed::from).collect(),
            quotas,
        }
    }
}

fn hours(overview: &gateway::Overview) -> Vec<CallsOfHour> {
    let mut sums: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for row in &overview.usage {
        let (Some(hour), Some(auth)) = (row.hour, row.auth) else { continue };
        let (calls, failed) = sums.entry((hour, auth.name())).or_default();
        *calls += row.sums.calls;
        if row.outcome != Some(Outcome::Success) {
            *failed += row.sums.calls;
        }
    }
    let of_hour = |((hour, auth), (calls, failed))| CallsOfHour {
        at: rfc3339(begin_of(hour)),
        auth,
        calls,
        failed,
    };
    sums.into_iter().map(of_hour).collect()
}

impl QuotaUse {
    fn of(quota: &quota::QuotaUse, names: &gateway::KeyNames) -> QuotaUse {
        let key_use = |one: &quota::KeyUse| KeyUse {
            key: one.key.to_string(),
            name: names.get(&*one.key).cloned(),
            calls: one.calls,
            waiting: one.waiting,
        };
        let quota::OtherKeys { keys, calls, waiting } = quota.other_keys;
        QuotaUse {
            app: quota.app.clone(),
            pool: quota.pool.clone(),
            mode: quota.mode.name(),
            limit: quota.limit,
            used: quota.used,
            ends_at: quota.ends_at.map(rfc3339),
            free_at: quota.free_at.map(rfc3339),
            waiting: quota.waiting,
            keys: quota.keys.iter().map(key_use).collect(),
            other_keys: OtherKeys { keys, calls, waiting },
            other_calls: quota.other_calls,
        }
    }
}

impl AccountsByState {
    fn of(counts: &[(AccountState, u64)]) -> AccountsByState {
        let of = |state| {
            counts.iter().find(|(counted, _)| *counted == state).map_or(0, |(_, count)| *count)
        };
        AccountsByState {
            active: of(AccountState::Active),
            revoked: of(AccountState::Revoked),
            blocked: of(AccountState::Blocked),
            quarantined: of(AccountState::Quarantined),
        }
    }
}

impl From<gateway::Latency> for Latency {
    fn from(latency: gateway::Latency) -> Latency {
        Latency {
            calls: latency.calls,
            median_ms: latency.median.as_secs_f64() * 1000.0,
            p95_ms: latency.most.as_secs_f64() * 1000.0,
        }
    }
}

impl From<app::AccountsUsed> for AccountsUsed {
    fn from(used: app::AccountsUsed) -> AccountsUsed {
        AccountsUsed {
            app: used.app,
            accounts: used.accounts,
            account_limit: used.limit.map(|limit| limit.most),
            over_limit: used.limit.map(app::AccountLimit::beyond),
        }
    }
}
