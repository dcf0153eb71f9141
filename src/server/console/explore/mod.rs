//! `/console/explore`: a question by a form, its plan, and its answer as charts and as a table.

mod charts;

use std::collections::BTreeSet;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use time::{Duration, UtcOffset};

use crate::console::admin::Section;
use crate::console::admin::explore::{self as pages, Answer, Asked, Call, GROUPINGS, Lack, Typed};
use crate::gateway::{Answered, Caller, Error, Missing, PlannedCall, Reason, Session};
use crate::model::Metric;
use crate::server::Host;
use crate::server::console::explore::charts::charts;
use crate::server::console::{callers_url, chrome, form};
use crate::server::observe::RequestId;
use crate::server::pages::page;
use crate::server::problem::Problem;
use crate::server::wire::question::Plan;
use crate::server::wire::table;

/// Of a page; the CSV has all.
const MOST_ROWS: usize = 300;
/// Calls that a page lists.
const MOST_CALLS: usize = 100;
/// The range that the form proposes.
const RECENT: Duration = Duration::days(7);

pub(super) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
) -> Response {
    let typed = read(&host, &[]);
    let chrome = chrome(&session, Section::Explore, None);
    page(StatusCode::OK, pages::show(&chrome, &typed, &Asked::Nothing, None))
}

/// Plans or asks, and shows the form again above what came of it; or gives a table to take away.
pub(super) async fn ask(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    request: Request,
) -> Result<Response, Problem> {
    let request_id = RequestId::of(&request);
    let fields: Vec<(String, String)> = form::read(&host, request).await?;
    let typed = read(&host, &fields);
    let question = question(&typed);
    let body = question.to_string();
    let gateway = &host.0.gateway;
    let key = gateway.as_caller(&session, Some(&*typed.app).filter(|it| !it.is_empty()))?;
    let caller = Caller { key, request_id };
    let wants = fields.iter().find(|it| it.0 == "wants").map_or("", |it| &it.1);
    let deadline = host.0.limits.request_deadline;
    let asked = match wants {
        "plan" => gateway.plan_question(&caller.key, body.as_bytes()).await.map(|it| {
            let cost = Plan::from(&it).cost;
            planned(&it.plan.calls, &it.plan.missing, &cost_in_words(&cost))
        }),
        _ => match gateway.answer_question(&caller, body.as_bytes(), deadline, None).await {
            Ok(answered) if wants == "table" => return taken_away(&answered),
            Ok(it) => answer(&it).map(Asked::Answered),
            Err(error) => Err(error),
        },
    };
    let (status, asked) = match asked {
        Ok(asked) => (StatusCode::OK, asked),
        Err(error) => {
            let problem = Problem::from(error);
            (problem.status(), Asked::Wrong(problem.words().1.to_owned()))
        }
    };
    let curl = curl(callers_url(&host), &question);
    let chrome = chrome(&session, Section::Explore, None);
    Ok(page(status, pages::show(&chrome, &typed, &asked, Some(&curl))))
}

/// What stands in the form, or at first what is asked most, and the last days.
fn read(host: &Host, fields: &[(String, String)]) -> Typed {
    let first = |name: &str, default: &str| {
        fields.iter().find(|it| it.0 == name).map_or(default, |it| &it.1).to_owned()
    };
    let given = fields.iter().filter(|it| it.0 == "metrics");
    let mut metrics: Vec<Metric> = given.filter_map(|it| Metric::from_name(&it.1)).collect();
    if fields.is_empty() {
        metrics = vec![Metric::Impressions, Metric::Favorites];
    }
    let today = host.0.clock.now().to_offset(UtcOffset::UTC).date();
    let proposed = |it: time::Date| if fields.is_empty() { it.to_string() } else { String::new() };
    Typed {
        apps: host.0.gateway.apps().map(|it| it.0.to_owned()).collect(),
        app: first("app", ""),
        tweets: first("tweets", ""),
        metrics,
        window: first("window", "totals"),
        start: first("start", &proposed(today - RECENT)),
        end: first("end", &proposed(today)),
        group: first("group", "post"),
    }
}

/// The same as a service would send it. What is wrong with it is told like to any other caller.
fn question(typed: &Typed) -> Value {
    let words = typed.tweets.split([' ', ',', ';', '\n', '\r', '\t']).filter(|it| !it.is_empty());
    // An address of a post ends with its id.
    let ids: Vec<&str> =
        words.map(|it| it.split('?').next().unwrap_or(it)).map(last_part).collect();
    let metrics: Vec<&str> = typed.metrics.iter().map(|it| it.name()).collect();
    let groupings = || GROUPINGS.iter().flat_map(|it| it.1);
    let group_by = groupings().find(|it| it.0 == typed.group).or(groupings().next()).map(|it| it.2);
    let window = match &*typed.window {
        "range" => json!({ "start": typed.start, "end": typed.end }),
        other => json!(other),
    };
    json!({
        "tweet_ids": ids,
        "engagement_types": metrics,
        "window": window,
        "groupings": { "explored": { "group_by": group_by } },
    })
}

fn last_part(address: &str) -> &str {
    address.trim_end_matches('/').rsplit('/').next().unwrap_or(address)
}

fn curl(url: &str, question: &Value) -> String {
    let body = question.to_string().replace('\'', "'\\''");
    format!(
        "curl --compressed {url}/v1/engagement \\\n  -H \"Authorization: Bearer $KEY\" -H 'Content-Type: application/json' \\\n  -d '{body}'"
    )
}

fn cost_in_words(cost: &crate::server::wire::question::Cost) -> String {
    let calls: usize = cost.calls.values().sum();
    let parts: Vec<String> = cost
        .calls
        .iter()
        .filter(|it| *it.1 > 0)
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    format!(
        "Calls: {calls}{parts}. Accounts used: {}, of which {} were not used yet this month.",
        cost.accounts, cost.new_accounts
    )
}

fn planned(calls: &[PlannedCall], missing: &[Missing], cost: &str) -> Asked {
    let calls = calls.iter().take(MOST_CALLS).map(call).collect();
    Asked::Planned { calls, missing: missing.iter().map(lack).collect(), cost: cost.to_owned() }
}

fn answer(answered: &Answered) -> Result<Answer, Error> {
    let columns = answered.merged.columns();
    let (mut rows, mut more) = (Vec::new(), 0);
    let walked = answered.merged.each_leaf(|leaf| {
        if rows.len() == MOST_ROWS {
            more += 1;
            return;
        }
        let keys = columns
            .iter()
            .map(|it| leaf.key(*it).map_or_else(String::new, |it| it.with(str::to_owned)));
        rows.push(keys.chain([leaf.value.to_string()]).collect());
    });
    walked.map_err(|it| Error::Internal(it.into()))?;
    let made = answered.calls.iter().take(MOST_CALLS).map(|it| Call {
        status: it.status.map(|it| it.to_string()).unwrap_or_default(),
        ms: it.spent.time.as_millis().to_string(),
        ..call(&it.call)
    });
    Ok(Answer {
        charts: charts(answered).map_err(|it| Error::Internal(it.into()))?,
        columns: columns.iter().map(|it| table::column(*it)).chain(["value"]).collect(),
        rows,
        more,
        calls: made.collect(),
        missing: answered.missing.iter().map(lack).collect(),
    })
}

fn call(it: &PlannedCall) -> Call {
    Call {
        endpoint: it.endpoint.name(),
        auth: it.signer.kind().name(),
        account: it.signer.account().map(|it| it.to_string()).unwrap_or_default(),
        posts: it.posts.len(),
        time: it
            .span
            .map(|it| format!("{} to {}", it.start.date(), it.end.date()))
            .unwrap_or_default(),
        status: String::new(),
        ms: String::new(),
    }
}

fn lack(it: &Missing) -> Lack {
    let posts: BTreeSet<u64> = it.posts.iter().copied().collect();
    Lack {
        posts: posts.iter().map(ToString::to_string).collect(),
        why: why(it.reason),
        reason: it.reason.name(),
        detail: it.detail.clone(),
    }
}

fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::Unavailable => "Deleted, protected or otherwise gone",
        Reason::NotConnected => "Their author's account is not connected here",
        Reason::AccountRevoked => "Their author's token does not work any more",
        Reason::AccountLimit => "The app may use no more accounts this month",
        Reason::Forbidden => "Not the posts of that account",
        Reason::UnsupportedAge => "Too old for these metrics",
        Reason::Quota => "The app's quota at X is spent",
        Reason::Deadline => "They did not come in time",
        Reason::UpstreamError => "X answered otherwise than it should",
    }
}

fn taken_away(answered: &Answered) -> Result<Response, Problem> {
    let table = table::csv(&answered.merged).map_err(|it| Error::Internal(it.into()))?;
    let mut response = table.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv"));
    let name = "attachment; filename=\"engagement.csv\"";
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(name));
    Ok(response)
}
