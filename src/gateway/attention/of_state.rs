//! States of the gateway and of what it holds that need attention, in words.

use crate::gateway::app::faults::Fault;
use crate::gateway::attention::item::{Attention, FailedAccount, FailedKey, minute, sentence};
use crate::gateway::health::Degraded;
use crate::gateway::key::refusals::InUse;
use crate::gateway::usage::report::UsageGap;
use crate::model::app::AccountsUsed;
use crate::model::quota::QuotaUse;
use crate::model::webhook::Webhook;
use crate::model::{AccountState, Cause};
use crate::store::{Backlog, UnusableAccounts};

/// Keys and accounts that are named.
const MOST_NAMED: usize = 5;

pub(super) fn of_health(degraded: &Degraded) -> Attention {
    let text = sentence(&degraded.to_string());
    let (cause, app, remedy) = match degraded {
        Degraded::DatabaseAway { .. } => {
            (Cause::DatabaseAway.name(), None, Cause::DatabaseAway.remedy())
        }
        Degraded::NotWritten { .. } => (
            "database_full",
            None,
            "Give the database room to write: look at its disk, and whether it is read-only.",
        ),
        Degraded::ClockOff { .. } => {
            ("clock_off", None, "Set this machine's clock, and keep it right with NTP.")
        }
        Degraded::NotCaughtUp => ("database_not_read", None, Cause::DatabaseAway.remedy()),
        Degraded::VaultKeyMissing { .. } => {
            (Cause::VaultKeyMissing.name(), None, Cause::VaultKeyMissing.remedy())
        }
        Degraded::NotReloaded => (
            "settings_not_applied",
            None,
            "Correct what the log names, and reload the settings or restart.",
        ),
        Degraded::NoApp => ("no_app", None, "Add an app to the settings, with its keys from X."),
        Degraded::App { name, fault } => {
            let (cause, remedy) = match fault {
                Fault::Keys => (Cause::AppRejected.name(), Cause::AppRejected.remedy()),
                Fault::Time => (Cause::ClockRejected.name(), Cause::ClockRejected.remedy()),
                Fault::Bearer => (Cause::BearerRejected.name(), Cause::BearerRejected.remedy()),
                Fault::NotEnabled => (Cause::AppNotEnabled.name(), Cause::AppNotEnabled.remedy()),
                Fault::Callback => (
                    "callback_not_approved",
                    "Add this gateway's address, followed by /connect/callback, to the callback URLs on the app's page on X's developer portal.",
                ),
            };
            (cause, Some(&**name), remedy)
        }
        Degraded::UpstreamDown { app, .. } => {
            (Cause::XDown.name(), Some(&**app), Cause::XDown.remedy())
        }
    };
    Attention::new(cause, app, text, remedy)
}

pub(super) fn of_accounts(unusable: &UnusableAccounts) -> Attention {
    let UnusableAccounts { app, state, accounts, newest } = unusable;
    let (cause, why, remedy) = match state {
        AccountState::Revoked => {
            ("account_revoked", "X no longer accepts the token", Cause::AccountRevoked.remedy())
        }
        AccountState::Blocked => (
            "account_blocked",
            "X has suspended or locked the user",
            Cause::AccountBlocked.remedy(),
        ),
        AccountState::Active | AccountState::Quarantined => (
            "account_quarantined",
            "the stored token cannot be trusted",
            "Import the account's token again, or send its user a link to reconnect. Something other than Countersign has changed the database: find out what.",
        ),
    };
    let are = if *accounts == 1 { "account is" } else { "accounts are" };
    let text = format!("App {app}: {accounts} {are} {state}: {why}.");
    let named = newest.iter().map(|(user_id, screen_name)| FailedAccount {
        user_id: *user_id,
        screen_name: Some(screen_name.clone()),
        calls: None,
    });
    let item = Attention::new(cause, Some(app), text, remedy).with([("accounts", *accounts)]);
    Attention { accounts: named.collect(), ..item }
}

pub(super) fn of_webhook(webhook: &Webhook, backlog: &Backlog) -> Attention {
    let since = backlog.since.map(|at| format!(" since {}", minute(at))).unwrap_or_default();
    // What follows the host may be a secret, and other receivers are sent this text.
    let (waiting, id, host) = (backlog.waiting, &webhook.id, webhook.host());
    let app = webhook.app.as_deref();
    let (cause, text) = match &backlog.failure {
        Some(why) => (
            "webhook_failing",
            format!(
                "The webhook {id} at {host} is not accepting events: {waiting} pending{since} ({why})."
            ),
        ),
        None => (
            "webhook_behind",
            format!("The webhook {id} at {host} is behind: {waiting} pending{since}."),
        ),
    };
    let remedy = "Look at the receiver. Events are sent again for a day; countersign webhook test sends one now.";
    let waiting = u64::try_from(waiting).unwrap_or_default();
    Attention::new(cause, app, text, remedy).with([("waiting", waiting)])
}

pub(super) fn of_gaps(gaps: &[UsageGap]) -> Option<Attention> {
    let lost = gaps.iter().map(|gap| gap.lost_calls).sum();
    let text = "Usage of the last days is incomplete.";
    let remedy = "Treat the totals of these hours as too low. The usage page shows what is known to be missing.";
    let item = Attention::new("usage_gap", None, text, remedy).with([("lost_calls", lost)]);
    (!gaps.is_empty()).then_some(item)
}

pub(super) fn of_limit(usage: &AccountsUsed) -> Option<Attention> {
    let limit = usage.limit.filter(|limit| usage.accounts >= limit.most)?;
    let (app, used, most) = (&usage.app, usage.accounts, limit.most);
    let accounts = if used == 1 { "account" } else { "accounts" };
    let then = if limit.refuses {
        "Calls with other accounts are refused."
    } else {
        "Other accounts can still be used."
    };
    let text =
        format!("App {app} has used {used} {accounts} this month; its limit is {most}. {then}");
    let item = Attention::new("account_limit", Some(app), text, Cause::AccountLimit.remedy());
    Some(item.with([("accounts", used), ("limit", most)]))
}

pub(super) fn of_quota(quota: &QuotaUse) -> Attention {
    let limit = quota.limit.unwrap_or(quota.used);
    let until = quota.free_at.map(|at| format!(" until {}", minute(at))).unwrap_or_default();
    let pool = if quota.pool == "all" { "all calls" } else { &quota.pool };
    let text = format!(
        "App {}: X's quota for {pool} is used up{until}: {} of {limit} calls, and {} wait.",
        quota.app, quota.used, quota.waiting
    );
    let cause = Cause::QuotaExhausted;
    let keys = quota.keys.iter().take(MOST_NAMED).map(|key| FailedKey {
        id: key.key.to_string(),
        name: None,
        calls: key.calls.into(),
    });
    let item = Attention::new(cause.name(), Some(&quota.app), text, cause.remedy());
    let item = item.with([
        ("used", quota.used.into()),
        ("limit", limit.into()),
        ("waiting", quota.waiting.into()),
    ]);
    Attention { keys: keys.collect(), ..item }
}

pub(super) fn of_refusal(in_use: &InUse) -> Attention {
    let InUse { why, key_id, since, times } = in_use;
    let since = minute(*since);
    let text =
        format!("A key that is refused is still in use: {why}. Requests since {since}: {times}.");
    let remedy = "The audit log has the addresses. Give whoever calls there a key that works, or have it stop.";
    let item = Attention::new("refused_key", None, text, remedy).with([("requests", *times)]);
    let keys = key_id.iter().map(|id| FailedKey { id: id.clone(), name: None, calls: *times });
    Attention { keys: keys.collect(), ..item }
}
