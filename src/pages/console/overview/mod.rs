//! `/console/`: the overview, where admins see what needs attention.

mod view;

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use time::OffsetDateTime;

use crate::gateway::{Degraded, KeyNames, Overview, Session};
use crate::model::app::AccountsUsed;
use crate::model::quota::{KeyUse, Mode, QuotaUse};
use crate::model::usage::{Hour, Outcome, begin_of, hour_of};
use crate::model::{AccountState, AuthKind};
use crate::pages::console::colours;
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::{Section, second, sentence, time};
use crate::pages::console::overview::view::{Latency, Need, Pace, Pending, QuotaUser};
use crate::pages::parts::chart::{Chart, Colour, Kind, Series};
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;

pub(crate) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
) -> Result<Response, Problem> {
    let found = host.gateway().get_overview().await?;
    let chrome = chrome(&session, Section::Overview, None);
    Ok(page(StatusCode::OK, view::show(&chrome, &shown(&found, host.clock().now()))))
}

fn shown(found: &Overview, now: OffsetDateTime) -> view::Overview {
    let calls = |failed: bool| {
        let of = found.usage.iter().filter(|row| !failed || row.outcome != Some(Outcome::Success));
        of.map(|row| row.sums.calls).sum()
    };
    let of_state = |state| found.accounts.iter().find(|account| account.0 == state).copied();
    let (chart, colours) = chart(found);
    view::Overview {
        is_new: found.accounts.is_empty() && found.usage.is_empty(),
        needs: needs(found),
        chart,
        colours,
        calls: calls(false),
        pace: pace(found, now),
        failed: calls(true),
        latency: found.latency.map(|latency| Latency {
            calls: latency.calls,
            median: format!("{} ms", latency.median.as_millis()),
            most: format!("{} ms", latency.most.as_millis()),
        }),
        quotas: found.quotas.iter().map(|quota| quota_in_words(quota, &found.key_names)).collect(),
        accounts: AccountState::ALL.into_iter().filter_map(of_state).collect(),
        used: found.accounts_used.iter().filter(|app| app.accounts > 0).cloned().collect(),
        pending: (!found.webhooks.is_empty()).then(|| {
            let backlog = found.backlog();
            Pending { events: backlog.waiting, since: backlog.since.map(time) }
        }),
    }
}

fn quota_in_words(quota: &QuotaUse, names: &KeyNames) -> view::Quota {
    let user = |one: &KeyUse| QuotaUser {
        name: names.get(&*one.key).cloned().unwrap_or_else(|| one.key.to_string()),
        calls: one.calls,
        waiting: one.waiting,
    };
    // The date is today's.
    let time_of_day = |at| second(at).split_off("2026-03-10 ".len());
    view::Quota {
        app: quota.app.clone(),
        calls: if quota.pool == "all" { "all calls".to_owned() } else { quota.pool.clone() },
        is_observed: quota.mode == Mode::Observe,
        limit: quota.limit,
        used: quota.used,
        ends: quota.ends_at.map(time_of_day),
        free: quota.free_at.map(time_of_day),
        waiting: quota.waiting,
        keys: quota.keys.iter().map(user).collect(),
        other_keys: quota.other_keys,
        other_calls: quota.other_calls,
    }
}

/// Each hour's calls, divided by the time that the hour has lasted, at least a minute.
fn pace(found: &Overview, now: OffsetDateTime) -> Pace {
    let mut calls: BTreeMap<Hour, u64> = BTreeMap::new();
    for row in &found.usage {
        *calls.entry(row.hour.unwrap_or_default()).or_default() += row.sums.calls;
    }
    let tenths = |(hour, calls): (&Hour, &u64)| {
        let seconds = (now - begin_of(*hour)).whole_seconds().clamp(60, 3600).unsigned_abs();
        (calls * 600 + seconds / 2) / seconds
    };
    Pace {
        this_hour: calls.get_key_value(&hour_of(now)).map_or(0, tenths),
        busiest_hour: calls.iter().map(tenths).max().unwrap_or_default(),
    }
}

/// The problems to look after, the worst first.
fn needs(found: &Overview) -> Vec<Need> {
    let mut needs: Vec<Need> = found.health.degraded.iter().map(of_health).collect();
    needs.extend(found.accounts_used.iter().filter_map(of_limit));
    for (state, count) in &found.accounts {
        let why = match state {
            AccountState::Active => continue,
            AccountState::Revoked => "X no longer accepts the token",
            AccountState::Blocked => "X has suspended or locked the user",
            AccountState::Quarantined => "the stored token cannot be trusted",
        };
        let link = Some(("View accounts", format!("/console/accounts?state={state}")));
        let are = if *count == 1 { "account is" } else { "accounts are" };
        needs.push(Need { what: format!("{count} {are} {state}: {why}."), link });
    }
    for (webhook, backlog) in found.webhooks_behind() {
        let since = backlog.since.map(|at| format!(" since {}", time(at))).unwrap_or_default();
        let (waiting, url) = (backlog.waiting, webhook.shown_url());
        let what = match &backlog.failure {
            Some(why) => format!(
                "The webhook {url} is not accepting events: {waiting} pending{since} ({why})."
            ),
            None => format!("The webhook {url} is behind: {waiting} pending{since}."),
        };
        needs.push(Need { what, link: Some(("View webhooks", "/console/webhooks".to_owned())) });
    }
    if !found.gaps.is_empty() {
        let what = "Usage of the last days is incomplete.".to_owned();
        needs.push(Need {
            what,
            link: Some(("See what is missing", "/console/usage#gaps".to_owned())),
        });
    }
    needs
}

fn of_limit(usage: &AccountsUsed) -> Option<Need> {
    let limit = usage.limit.filter(|limit| usage.accounts >= limit.most)?;
    let (app, used, most) = (&usage.app, usage.accounts, limit.most);
    let accounts = if used == 1 { "account" } else { "accounts" };
    let then = if limit.refuses {
        "Calls with other accounts are refused."
    } else {
        "Other accounts can still be used."
    };
    let what = format!("{app} has used {used} {accounts} this month; its limit is {most}. {then}");
    Some(Need { what, link: Some(("View account usage", "/console/usage#accounts".to_owned())) })
}

fn of_health(degraded: &Degraded) -> Need {
    let link = match degraded {
        Degraded::NoApp => Some(("Get started", "/console/start".to_owned())),
        Degraded::App { .. } | Degraded::UpstreamDown { .. } => {
            Some(("View failed calls", "/console/calls?outcome=failed".to_owned()))
        }
        Degraded::DatabaseAway { .. }
        | Degraded::ClockOff { .. }
        | Degraded::NotCaughtUp
        | Degraded::VaultKeyMissing { .. }
        | Degraded::NotReloaded => None,
    };
    Need { what: sentence(&degraded.to_string()), link }
}

/// Calls by credentials, successful ones below the others; with the chart's colours.
fn chart(found: &Overview) -> (Chart, Vec<Colour>) {
    let hours: Vec<Hour> = (found.since..found.since + 24).collect();
    let [app, user] = [AuthKind::AppOnly, AuthKind::UserContext];
    let series = [
        ("app-only, succeeded", app, true, colours::of_credentials(app)),
        ("user-context, succeeded", user, true, colours::of_credentials(user)),
        ("app-only, rejected or failed", app, false, Colour::REFUSED),
        ("user-context, rejected or failed", user, false, Colour::FAILED),
    ];
    let colours = series.map(|(_, _, _, colour)| colour).into();
    let series = series.map(|(name, auth, well, _)| {
        let calls = |hour: &Hour| {
            let of = found.usage.iter().filter(|row| {
                row.hour == Some(*hour)
                    && row.auth == Some(auth)
                    && (row.outcome == Some(Outcome::Success)) == well
            });
            of.map(|row| row.sums.calls).sum()
        };
        Series {
            name: name.to_owned(),
            values: hours.iter().map(|hour| Some(calls(hour))).collect(),
        }
    });
    let label = |hour: &Hour| time(begin_of(*hour)).get(11..16).unwrap_or_default().to_owned();
    let chart = Chart {
        title: "Calls to X by credentials".to_owned(),
        unit: "calls per hour".to_owned(),
        along: "hour (UTC)".to_owned(),
        kind: Kind::Bars,
        labels: hours.iter().map(label).collect(),
        series: series.into(),
    };
    (chart, colours)
}
