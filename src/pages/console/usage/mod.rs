//! `/console/usage`: usage over time, also as a CSV download.

mod fields;
mod view;

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use time::{Date, Duration, OffsetDateTime};

use crate::api::operators::usage::table;
use crate::gateway::{KeyNames, Session, UsageFilter, UsageGap, UsageSurvey};
use crate::model::usage::{Aspect, Hour, Month, Sums, begin_of, hour_of};
use crate::pages::console::address::with_query;
use crate::pages::console::colours;
use crate::pages::console::form_errors::FieldErrors;
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::{Section, sentence, time};
use crate::pages::console::usage::fields::UsageForm;
use crate::pages::console::usage::view::{Gap, Ranked, Results};
use crate::pages::parts::chart::{Chart, Colour, Kind, Series};
use crate::web::extract::Query;
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;
use crate::wire::usage::{Usage, UsageQuery};

const PATH: &str = "/console/usage";
const RANKED: u32 = 50;
/// Hours of the longest period that is shown hour by hour.
const HOURLY: i64 = 72;
/// Hours of the longest period that is shown day by day; longer ones are shown by whole months.
const DAILY: i64 = 62 * 24;
/// Hours for which sums are kept.
const LONGEST: i64 = 400 * 24;
/// The place of the colour for everything without a series of its own: a grey.
const OTHERS: usize = 7;
/// The most values that a chart shows as bars; above that it draws lines.
const MOST_BARS: usize = 250;

pub(crate) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(mut form): Query<UsageForm>,
) -> Result<Response, Problem> {
    let now = host.clock().now();
    if form.from.is_empty() {
        form.from = days_before(now, 29).to_string();
    }
    let chrome = chrome(&session, Section::Usage, None);
    let (aspect, times) = (form.aspect(), form.times(now));
    let filter = match form.filter(now) {
        Ok(filter) => filter,
        Err(errors) => {
            let text = view::refuse(&chrome, &form, &times, &errors);
            return Ok(page(StatusCode::BAD_REQUEST, text));
        }
    };
    let survey = host.gateway().get_usage_survey(filter.clone(), aspect).await?;
    let closed = colours::closed(aspect, host.gateway());
    let mut results = results(survey, &filter, aspect, &closed, form.csv(&filter));
    if !chrome.opens(Section::Overview) {
        // The pages of accounts and calls are not for everybody who sees usage.
        results.ranked.iter_mut().for_each(|ranked| ranked.link = None);
    }
    Ok(page(StatusCode::OK, view::show(&chrome, &form, &times, &results)))
}

pub(crate) async fn download(
    State(host): State<Host>,
    Query(query): Query<UsageQuery>,
) -> Result<Response, Problem> {
    let (filter, month) = query.read(host.clock().now()).map_err(Problem::invalid)?;
    let report = host.gateway().get_usage_report(&filter, month).await?;
    let mut response = table(&Usage::of(report, &filter), filter.by);
    let name = HeaderValue::from_static("attachment; filename=\"countersign-usage.csv\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

impl UsageForm {
    /// The filter that the fields mean, or their mistakes.
    fn filter(&self, now: OffsetDateTime) -> Result<UsageFilter, FieldErrors> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let query = UsageQuery {
            from: given(&self.from),
            until: given(&self.until),
            by: Some(String::new()),
            app: None,
            key: given(&self.key),
            account: given(&self.account),
        };
        // The detail of a problem begins with the parameter's name, and fields have the same names.
        let error = |problem: crate::gateway::Detail| {
            let field = problem.detail.split(' ').next().unwrap_or_default().to_owned();
            (field, sentence(&problem.detail))
        };
        let (mut filter, _) = query
            .read(now)
            .map_err(|problems| FieldErrors(problems.into_iter().map(error).collect()))?;
        filter.until = filter.until.min(hour_of(now) + 1);
        filter.from = filter.from.max(filter.until - LONGEST);
        filter.by.hours = if filter.until - filter.from <= HOURLY { 1 } else { 24 };
        if filter.by.hours == 24 && filter.until > hour_of(now) {
            // The rest of the day has no calls yet, and sums of whole days are found at once.
            filter.until = (filter.until + 23) / 24 * 24;
        }
        filter.months = filter.until - filter.from > DAILY;
        if filter.months {
            filter.from = Month::of(begin_of(filter.from)).begin();
            filter.until = Month::of(begin_of(filter.until - 1)).next().begin();
        }
        filter.limit = RANKED + 1;
        Ok(filter)
    }

    fn link(&self, path: &str, from: &str, until: &str, by: &str) -> String {
        let (key, account) = (("key", &*self.key), ("account", &*self.account));
        with_query(path, &[("from", from), ("until", until), ("by", by), key, account])
    }

    fn times(&self, now: OffsetDateTime) -> Vec<(&'static str, String)> {
        let times = [("Today", 0), ("7 days", 6), ("30 days", 29), ("1 year", 364)];
        let link = |days| self.link(PATH, &days_before(now, days).to_string(), "", &self.by);
        times.map(|(name, days)| (name, link(days))).into()
    }

    fn csv(&self, filter: &UsageFilter) -> String {
        let time = if filter.by.hours == 1 { "hour" } else { "day" };
        let by = [time, &self.by].join(",");
        self.link("/console/usage.csv", &self.from, &self.until, by.trim_end_matches(','))
    }
}

fn days_before(now: OffsetDateTime, days: i64) -> Date {
    now.to_offset(time::UtcOffset::UTC).date() - Duration::days(days)
}

fn results(
    survey: UsageSurvey,
    filter: &UsageFilter,
    aspect: Option<Aspect>,
    closed: &[(String, Colour)],
    csv: String,
) -> Results {
    let mut total = Sums::default();
    survey.over_time.iter().for_each(|row| total.add(row.sums));
    let (chart, colours) = chart(&survey, filter, aspect, closed);
    let ranked = |(value, sums): (String, Sums)| Ranked {
        link: link(aspect, &value),
        name: name(aspect, &value, &survey.key_names),
        sums,
    };
    let gap = |gap: UsageGap| Gap {
        since: time(gap.since),
        lost_calls: gap.lost_calls,
        killed: gap.killed,
    };
    Results {
        chart,
        colours,
        total,
        has_more: survey.ranked.len() > RANKED as usize,
        ranked: survey.ranked.into_iter().take(RANKED as usize).map(ranked).collect(),
        accounts: survey.accounts,
        gaps: survey.gaps.into_iter().map(gap).collect(),
        csv,
    }
}

/// The calls over time, with the colours of the series.
fn chart(
    survey: &UsageSurvey,
    filter: &UsageFilter,
    aspect: Option<Aspect>,
    closed: &[(String, Colour)],
) -> (Chart, Vec<Colour>) {
    let hours = buckets(filter);
    let mut values: BTreeMap<Option<&str>, Vec<Option<u64>>> = BTreeMap::new();
    for row in &survey.over_time {
        let of = values.entry(row.value.as_deref()).or_insert_with(|| vec![Some(0); hours.len()]);
        let place = hours.binary_search(&row.hour).ok();
        if let Some(Some(value)) = place.and_then(|place| of.get_mut(place)) {
            *value += row.sums.calls;
        }
    }
    let known = closed.iter().map(|value| Some(&*value.0));
    let order = known.chain(survey.ranked.iter().map(|row| Some(&*row.0))).chain([Some(""), None]);
    let (mut series, mut colours) = (Vec::new(), Vec::new());
    for value in order {
        let Some(values) = values.remove(&value) else { continue };
        let fixed = closed.iter().find(|known| value == Some(&*known.0)).map(|known| known.1);
        let place = if value.is_none() && aspect.is_some() { OTHERS } else { colours.len() };
        colours.push(fixed.unwrap_or_else(|| Colour::plain(place)));
        let others = || "all others".to_owned();
        let name = value.map_or_else(others, |value| name(aspect, value, &survey.key_names));
        series.push(Series { name, values });
    }
    let is_small = hours.len() * series.len() <= MOST_BARS;
    let day = |hour: &Hour| time(begin_of(*hour)).get(..10).unwrap_or_default().to_owned();
    let one_day =
        hours.first().map(day).filter(|first| hours.last().map(day).as_ref() == Some(first));
    let (unit, along, shown) = match (filter.by.hours, one_day) {
        _ if filter.months => ("calls per month", "month (UTC)".to_owned(), 0..7),
        (1, Some(day)) => ("calls per hour", format!("hour of {day} (UTC)"), 11..16),
        (1, None) => ("calls per hour", "hour (UTC)".to_owned(), 5..16),
        _ => ("calls per day", "day (UTC)".to_owned(), 0..10),
    };
    let label =
        |hour: &Hour| time(begin_of(*hour)).get(shown.clone()).unwrap_or_default().to_owned();
    let chart = Chart {
        title: "Calls to X".to_owned(),
        unit: unit.to_owned(),
        along,
        kind: if is_small { Kind::Bars } else { Kind::Lines },
        labels: hours.iter().map(label).collect(),
        series,
    };
    (chart, colours)
}

/// The hours at which the chart's intervals begin.
fn buckets(filter: &UsageFilter) -> Vec<Hour> {
    let step = filter.by.hours.max(1);
    let first = filter.from.div_euclid(step) * step;
    let next = |hour: &Hour| {
        let next =
            if filter.months { Month::of(begin_of(*hour)).next().begin() } else { hour + step };
        Some(next).filter(|next| *next < filter.until)
    };
    std::iter::successors(Some(first).filter(|first| *first < filter.until), next).collect()
}

/// A value of an aspect, in words for people.
fn name(aspect: Option<Aspect>, value: &str, key_names: &KeyNames) -> String {
    match (aspect, value) {
        (None, _) => "calls".to_owned(),
        (Some(Aspect::Account), "") => "no account (app-only)".to_owned(),
        (Some(Aspect::Outcome), "none") => "no answer".to_owned(),
        _ => key_names.get(value).map_or(value, |name| name.as_str()).to_owned(),
    }
}

/// The address of its recent calls.
fn link(aspect: Option<Aspect>, value: &str) -> Option<String> {
    let parameter = match aspect? {
        Aspect::Key => "key",
        Aspect::Account => "account",
        Aspect::Endpoint => "endpoint",
        Aspect::App | Aspect::Auth | Aspect::Outcome => return None,
    };
    (!value.is_empty()).then(|| with_query("/console/calls", &[(parameter, value)]))
}
