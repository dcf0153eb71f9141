//! `/console/`: the overview, where admins see what needs attention.

mod view;

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use time::OffsetDateTime;

use crate::gateway::{Attention, KeyNames, Overview, Session};
use crate::model::quota::{KeyUse, Mode, QuotaUse};
use crate::model::usage::{Hour, Outcome, begin_of, hour_of};
use crate::model::{AccountState, AuthKind, Cause};
use crate::pages::console::address::with_query;
use crate::pages::console::colours;
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::{Section, second, time};
use crate::pages::console::overview::view::{Latency, Need, Pace, Pending, QuotaUser};
use crate::pages::parts::chart::{Chart, Colour, Kind, Series};
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;
use crate::wire::rfc3339;

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
        needs: found.attention.iter().map(need).collect(),
        lately: found.lately,
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

fn need(item: &Attention) -> Need {
    let named = |name: Option<&String>, id: &str, calls: Option<u64>| {
        let name = name.map_or_else(|| id.to_owned(), Clone::clone);
        calls.map_or(name.clone(), |calls| format!("{name}: {calls}"))
    };
    let keys = item.keys.iter().map(|key| named(key.name.as_ref(), &key.id, Some(key.calls)));
    let accounts = item.accounts.iter().map(|account| {
        let name = account.screen_name.as_ref().map(|name| format!("@{name}"));
        named(name.as_ref(), &account.user_id.to_string(), account.calls)
    });
    Need {
        what: item.text.clone(),
        remedy: item.remedy.clone(),
        keys: keys.collect::<Vec<_>>().join(", "),
        accounts: accounts.collect::<Vec<_>>().join(", "),
        listed: listed(item),
        link: link(item),
    }
}

/// How many of the calls are listed, if not all are.
fn listed(item: &Attention) -> Option<(u64, u64)> {
    let figure = |name: &str| item.figures.iter().find(|(figure, _)| *figure == name);
    let ((_, listed), (_, failed)) = figure("listed").zip(figure("failed"))?;
    (listed < failed).then_some((*listed, *failed))
}

/// The page that shows more of it.
fn link(item: &Attention) -> Option<(&'static str, String)> {
    let has_failed = item.figures.iter().any(|(figure, _)| *figure == "failed");
    if has_failed && Cause::from_name(item.cause).is_some() {
        let app = item.app.as_deref().unwrap_or_default();
        let from = item.since.map(rfc3339).unwrap_or_default();
        let query = [("cause", item.cause), ("app", app), ("from", &from)];
        return Some(("View these calls", with_query("/console/calls", &query)));
    }
    let accounts =
        |state: AccountState| Some(("View accounts", format!("/console/accounts?state={state}")));
    match item.cause {
        "no_app" => Some(("Get started", "/console/start".to_owned())),
        "account_revoked" => accounts(AccountState::Revoked),
        "account_blocked" => accounts(AccountState::Blocked),
        "account_quarantined" => accounts(AccountState::Quarantined),
        "webhook_failing" | "webhook_behind" => {
            Some(("View webhooks", "/console/webhooks".to_owned()))
        }
        "usage_gap" => Some(("See what is missing", "/console/usage#gaps".to_owned())),
        "account_limit" => Some(("View account usage", "/console/usage#accounts".to_owned())),
        "refused_key" => Some(("View the audit log", "/console/audit".to_owned())),
        _ => None,
    }
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
