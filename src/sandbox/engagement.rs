//! The three engagement endpoints: every rule in the order of reference 4.4, top to bottom.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::model::{Endpoint, Metric};
use crate::sandbox::answer::{MOST_IMPRESSION_AGE, MOST_VIDEO_AGE, Table, is_older_than};
use crate::sandbox::arrival::Arrival;
use crate::sandbox::auth::{Caller, authenticate};
use crate::sandbox::errors::{self, Refusal};
use crate::sandbox::population::Post;
use crate::sandbox::quota::{Allowance, Pool};
use crate::sandbox::reply::{Reply, takes_gzip};
use crate::sandbox::request::{self, Request};
use crate::sandbox::window::{self, Window};
use crate::sandbox::{Sandbox, Switches, access};

/// Answers a `POST` to an endpoint. Rate headers come with every answer to a caller who is known.
pub fn reply(sandbox: &Sandbox, arrival: &Arrival, endpoint: Endpoint) -> Reply {
    let (caller, allowance) = match admit(sandbox, arrival, endpoint) {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.into(),
    };
    let answer = if allowance.is_spent {
        Err(errors::too_many_calls())
    } else {
        answer(sandbox, arrival, endpoint, caller)
    };
    let mut reply = match answer {
        Ok(body) => Reply::json(StatusCode::OK, &Value::Object(body)),
        Err(refusal) => refusal.into(),
    };
    allowance.write(&mut reply.headers);
    reply
}

/// Compression, credentials, the app's standing, then the allowance.
fn admit(
    sandbox: &Sandbox,
    arrival: &Arrival,
    endpoint: Endpoint,
) -> Result<(Caller, Allowance), Refusal> {
    if !takes_gzip(&arrival.headers) {
        return Err(errors::gzip_required());
    }
    let switches = sandbox.state().switches.clone();
    let caller = authenticate(sandbox, arrival).map_err(|it| it.on_engagement(&switches))?;
    let app = sandbox.population().apps.get(caller.app);
    if app.is_some_and(|it| switches.unlisted_apps.iter().any(|name| name == it.name)) {
        return Err(errors::app_not_listed());
    }
    let pool = Pool::Engagement(caller.app, caller.kind(), endpoint);
    let now_s = sandbox.now().unix_timestamp();
    Ok((caller, sandbox.state().quotas.spend(pool, &switches, now_s)))
}

fn answer(
    sandbox: &Sandbox,
    arrival: &Arrival,
    endpoint: Endpoint,
    caller: Caller,
) -> Result<Map<String, Value>, Refusal> {
    let now = sandbox.now();
    let switches = sandbox.state().switches.clone();
    let request = request::read(arrival, endpoint, &switches)?;
    let metrics = access::allowed_metrics(&request, endpoint, caller, &switches)?;
    let window = window_of(&request, endpoint, now, &switches)?;
    let (posts, unavailable) = access::available_posts(sandbox, &request)?;
    access::refuse_foreign(sandbox, caller, &posts, &switches)?;

    let mut body = Map::new();
    if let Some(window) = window.as_ref().or(totals_echo(now, &switches).as_ref()) {
        body.insert("start".into(), window.start.clone().into());
        body.insert("end".into(), window.end.clone().into());
    }
    let mut texts = Vec::new();
    if !unavailable.is_empty() {
        if switches.partial_unavailable_errors_key {
            texts.push(errors::unavailable_text(unavailable.len()));
        }
        body.insert("unavailable_tweet_ids".into(), json!(unavailable));
    }
    age_lists(&mut body, &mut texts, &posts, &metrics, endpoint, now);
    if !texts.is_empty() {
        body.insert("errors".into(), json!(texts));
    }
    let table = table(sandbox, &posts, metrics, window.as_ref(), now);
    for grouping in &request.groupings {
        let nested = table.nested(&grouping.levels, switches.hour_without_day);
        body.insert(grouping.name.clone(), nested);
    }
    Ok(body)
}

fn window_of(
    request: &Request,
    endpoint: Endpoint,
    now: OffsetDateTime,
    switches: &Switches,
) -> Result<Option<Window>, Refusal> {
    match endpoint {
        Endpoint::Totals => Ok(None),
        Endpoint::TwentyEightHours => Ok(Some(window::last_28_hours(now, switches.echo_end))),
        Endpoint::Historical => {
            let (start, end) = (request.start.as_deref(), request.end.as_deref());
            window::historical(start, end, now, switches).map(Some)
        }
    }
}

/// The window that one documented totals sample shows by mistake.
fn totals_echo(now: OffsetDateTime, switches: &Switches) -> Option<Window> {
    switches.totals_echo_window.then(|| window::last_28_hours(now, switches.echo_end))
}

/// Lists the posts that are too old for something that was asked.
fn age_lists(
    body: &mut Map<String, Value>,
    texts: &mut Vec<String>,
    posts: &[Post],
    metrics: &[Metric],
    endpoint: Endpoint,
    now: OffsetDateTime,
) {
    let older = |age| -> Vec<String> {
        let old = posts.iter().filter(|it| is_older_than(it.id, age, now));
        old.map(|it| it.id.to_string()).collect()
    };
    if endpoint == Endpoint::Totals && metrics.iter().any(|it| it.is_private_on_totals()) {
        let ids = older(MOST_IMPRESSION_AGE);
        if !ids.is_empty() {
            let cutoff = window::written(now - MOST_IMPRESSION_AGE);
            texts.push(errors::too_old_for_impressions(&cutoff));
            body.insert("unsupported_for_impressions_engagements_tweet_ids".into(), json!(ids));
        }
    }
    if metrics.contains(&Metric::VideoViews) {
        let ids = older(MOST_VIDEO_AGE);
        if !ids.is_empty() {
            body.insert("unsupported_for_video_views_tweet_ids".into(), json!(ids));
        }
    }
}

/// Works the numbers out. Impressions that are too old are left out, video views that are too old read 0
/// (reference 3.1, 3.3).
fn table(
    sandbox: &Sandbox,
    posts: &[Post],
    metrics: Vec<Metric>,
    window: Option<&Window>,
    now: OffsetDateTime,
) -> Table {
    let mut table = match window {
        Some(window) => Table::hourly(metrics, window.hours.clone()),
        None => Table::summed(metrics),
    };
    for post in posts {
        let story = sandbox.population().story(post.id);
        let no_impressions = window.is_none() && is_older_than(post.id, MOST_IMPRESSION_AGE, now);
        let no_video = is_older_than(post.id, MOST_VIDEO_AGE, now);
        table.add(post.id, |metric| match (metric, window) {
            (it, _) if no_impressions && it.is_private_on_totals() => None,
            (Metric::VideoViews, _) if no_video => {
                Some(vec![0; window.map_or(1, |it| it.hours.clone().count())])
            }
            (_, Some(window)) => Some(story.hour_by_hour(metric, window.hours.clone())),
            (_, None) => Some(vec![story.sum(metric, story.hours_until(now))]),
        });
    }
    table
}
