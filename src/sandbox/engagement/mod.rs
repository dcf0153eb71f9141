//! The three engagement endpoints: every rule in the order of reference 4.4, top to bottom.

pub(super) mod access;
pub(super) mod body;
pub(super) mod numbers;
pub(super) mod terms;
pub(super) mod unlimited;
pub(super) mod window;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::model::{Endpoint, Metric};
use crate::sandbox::auth::{Caller, authenticate};
use crate::sandbox::engagement::body::{Limits, Request};
use crate::sandbox::engagement::numbers::{
    MOST_IMPRESSION_AGE, MOST_VIDEO_AGE, Table, is_older_than,
};
use crate::sandbox::engagement::terms::Terms;
use crate::sandbox::engagement::window::Window;
use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::http::reply::{Reply, accepts_gzip};
use crate::sandbox::http::request::Arrival;
use crate::sandbox::world::population::Post;
use crate::sandbox::world::quota::{Allowance, Pool};
use crate::sandbox::{Sandbox, Switches};

/// Answers a `POST` to an endpoint. Every answer to an authenticated caller has rate headers.
pub fn reply(sandbox: &Sandbox, arrival: &Arrival, endpoint: Endpoint) -> Reply {
    let (caller, allowance) = match admit(sandbox, arrival, endpoint) {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.into(),
    };
    let answer = if allowance.is_spent {
        Err(errors::too_many_calls())
    } else {
        body::declared_fields(arrival)
            .and_then(|fields| answer(sandbox, &fields, endpoint, &Terms::Of(caller)))
    };
    let mut reply = match answer {
        Ok(body) => Reply::json(StatusCode::OK, &Value::Object(body)),
        Err(refusal) => refusal.into(),
    };
    allowance.write(&mut reply.headers);
    reply
}

/// Checks compression, credentials, the app's standing, then the allowance.
fn admit(
    sandbox: &Sandbox,
    arrival: &Arrival,
    endpoint: Endpoint,
) -> Result<(Caller, Allowance), Refusal> {
    if !accepts_gzip(&arrival.headers) {
        return Err(errors::gzip_required());
    }
    let switches = sandbox.state().switches.clone();
    let caller =
        authenticate(sandbox, arrival).map_err(|denied| denied.on_engagement(&switches))?;
    let app = sandbox.population().apps.get(caller.app);
    if app.is_some_and(|app| switches.unlisted_apps.iter().any(|name| name == app.name)) {
        return Err(errors::app_not_listed());
    }
    let pool = Pool::Engagement(caller.app, caller.kind(), endpoint);
    let now_s = sandbox.now().unix_timestamp();
    Ok((caller, sandbox.state().quotas.spend(pool, &switches, now_s)))
}

/// The endpoint's answer, on those terms, to a body with those fields.
pub fn answer(
    sandbox: &Sandbox,
    fields: &Map<String, Value>,
    endpoint: Endpoint,
    terms: &Terms,
) -> Result<Map<String, Value>, Refusal> {
    let now = sandbox.now();
    let switches = sandbox.state().switches.clone();
    let mut request = body::read(fields, endpoint, terms.limits(), &switches)?;
    let metrics = access::allowed_metrics(&request, endpoint, terms.kind(), &switches)?;
    let window = window_of(&request, endpoint, now, terms.limits(), &switches)?;
    request
        .post_ids
        .retain(|id| metrics.iter().any(|metric| terms.include(id.unsigned_abs(), *metric)));
    let (posts, unavailable) = access::available_posts(sandbox, &request.post_ids)?;
    if let Terms::Of(caller) = terms {
        access::refuse_foreign(sandbox, *caller, &posts, &switches)?;
    }

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
    let query = Query { posts, metrics, window, terms };
    age_lists(&mut body, &mut texts, &query, endpoint, now);
    if !texts.is_empty() {
        body.insert("errors".into(), json!(texts));
    }
    let table = table(sandbox, &query, now);
    for grouping in &request.groupings {
        let nested = table.nested(&grouping.levels, switches.hour_without_day);
        body.insert(grouping.name.clone(), nested);
    }
    Ok(body)
}

/// The requested numbers.
struct Query<'a> {
    posts: Vec<Post>,
    metrics: Vec<Metric>,
    window: Option<Window>,
    terms: &'a Terms,
}

fn window_of(
    request: &Request,
    endpoint: Endpoint,
    now: OffsetDateTime,
    limits: Limits,
    switches: &Switches,
) -> Result<Option<Window>, Refusal> {
    match endpoint {
        Endpoint::Totals => Ok(None),
        Endpoint::TwentyEightHours => Ok(Some(window::last_28_hours(now, switches.echo_end))),
        Endpoint::Historical => {
            let (start, end) = (request.start.as_deref(), request.end.as_deref());
            window::historical(start, end, now, limits, switches).map(Some)
        }
    }
}

/// The window that one documented totals sample shows by mistake.
fn totals_echo(now: OffsetDateTime, switches: &Switches) -> Option<Window> {
    switches.totals_echo_window.then(|| window::last_28_hours(now, switches.echo_end))
}

/// Lists the posts that are too old for one of the requested metrics.
fn age_lists(
    body: &mut Map<String, Value>,
    texts: &mut Vec<String>,
    query: &Query<'_>,
    endpoint: Endpoint,
    now: OffsetDateTime,
) {
    let older = |age, is_limited: fn(&Metric) -> bool| -> Vec<String> {
        let is_included = |post: &&Post| {
            let mut limited = query.metrics.iter().filter(|metric| is_limited(metric));
            limited.any(|metric| query.terms.include(post.id, *metric))
        };
        let old = query.posts.iter().filter(|post| is_older_than(post.id, age, now));
        old.filter(is_included).map(|post| post.id.to_string()).collect()
    };
    if endpoint == Endpoint::Totals {
        let ids = older(MOST_IMPRESSION_AGE, |metric| metric.is_private_on_totals());
        if !ids.is_empty() {
            let cutoff = window::written(now - MOST_IMPRESSION_AGE);
            texts.push(errors::too_old_for_impressions(&cutoff));
            body.insert("unsupported_for_impressions_engagements_tweet_ids".into(), json!(ids));
        }
    }
    let ids = older(MOST_VIDEO_AGE, |metric| *metric == Metric::VideoViews);
    if !ids.is_empty() {
        body.insert("unsupported_for_video_views_tweet_ids".into(), json!(ids));
    }
}

/// Computes the numbers. Impressions that are too old are left out, video views that are too old read 0
/// (reference 3.1, 3.3).
fn table(sandbox: &Sandbox, query: &Query<'_>, now: OffsetDateTime) -> Table {
    let window = query.window.as_ref();
    let mut table = match window {
        Some(window) => Table::hourly(query.metrics.clone(), window.hours.clone()),
        None => Table::summed(query.metrics.clone()),
    };
    for post in &query.posts {
        let story = sandbox.population().story(post.id);
        let no_impressions = window.is_none() && is_older_than(post.id, MOST_IMPRESSION_AGE, now);
        let no_video = is_older_than(post.id, MOST_VIDEO_AGE, now);
        table.add(post.id, |metric| match (metric, window) {
            (metric, _) if !query.terms.include(post.id, metric) => None,
            (metric, _) if no_impressions && metric.is_private_on_totals() => None,
            (Metric::VideoViews, _) if no_video => {
                Some(vec![0; window.map_or(1, |window| window.hours.clone().count())])
            }
            (_, Some(window)) => Some(story.hour_by_hour(metric, window.hours.clone())),
            (_, None) => Some(vec![story.sum(metric, story.hours_until(now))]),
        });
    }
    table
}
