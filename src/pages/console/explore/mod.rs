//! `/console/explore`: a form for a question, its plan, and its answer as charts and as a table.

mod charts;
mod form;
mod view;

use std::collections::BTreeSet;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::api::callers::engagement;
use crate::gateway::{
    Answered, Caller, Deadline, Error, Missing, Overflow, PlannedCall, Reason, Received, Session,
};
use crate::model::GroupBy;
use crate::pages::console;
use crate::pages::console::address::callers_url;
use crate::pages::console::explore::charts::charts;
use crate::pages::console::explore::view::{Answer, Call, Charts, Lack, Shown, Took};
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::Section;
use crate::web::client_address::Client;
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::observe::RequestId;
use crate::web::problem::Problem;
use crate::wire::question::Plan;
use crate::wire::table;

/// Bytes of a page, charts included.
const MOST_BYTES: usize = 99_000;
/// The most rows of a page that shows all of them; the CSV has them anyway.
const MOST_ROWS: usize = 300;
/// Rows of a page that cannot show them all: the charts have tables of their own then.
const FEW_ROWS: usize = 50;
/// Calls that a page lists.
const MOST_CALLS: usize = 50;
/// Reasons for what is missing that a page lists.
const MOST_LACKS: usize = 20;

pub(crate) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
) -> Response {
    let typed = form::read(&host, &[]);
    let chrome = chrome(&session, Section::Explore, None);
    let text = view::show(&chrome, &typed, &Shown::Nothing, &Charts::default(), None);
    page(StatusCode::OK, text)
}

/// Plans or runs the question, and shows the form again above the result; or returns the answer as a CSV download.
pub(crate) async fn ask(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    request: Request,
) -> Result<Response, Problem> {
    let (from, request_id) = (Client::address(&request), RequestId::of(&request));
    let fields: Vec<(String, String)> = console::form::read(&host, request).await?;
    let mut typed = form::read(&host, &fields);
    let question = form::question(&typed);
    typed.tweets = question.shown_again(typed.tweets);
    let gateway = host.gateway();
    let key = gateway.as_caller(&session, Some(&*typed.app).filter(|it| !it.is_empty()))?;
    let caller = Caller { key, from, request_id };
    let wants = fields.iter().find(|it| it.0 == "wants").map_or("", |it| &it.1);

    let (chrome, curl) =
        (chrome(&session, Section::Explore, None), question.curl(callers_url(&host)));
    let show =
        |asked: &Shown, charts: &Charts| view::show(&chrome, &typed, asked, charts, Some(&curl));
    let refuse = |status, wrong| page(status, show(&Shown::Wrong(wrong), &Charts::default()));
    let limits = host.limits();
    if let Some(wrong) = question.excess(limits.question_posts) {
        return Ok(refuse(StatusCode::BAD_REQUEST, wrong));
    }
    let (body, deadline) = (question.text(), Deadline::within(limits.request_deadline));
    let (turn, held) = gateway.begin_question(&caller.key, body.len(), deadline).await?;
    let received = Received { body: body.into(), held, turn };
    let shown = if wants == "plan" {
        gateway.plan_question(&caller.key, received, deadline).await.map(|it| {
            let cost = cost_in_words(&Plan::from(&it).cost);
            let took = took(it.plan.calls.iter().map(call), &it.plan.missing);
            show(&Shown::Planned { cost, took }, &Charts::default())
        })
    } else {
        match gateway.answer_question(&caller, received, deadline, None).await {
            Ok(answered) if wants == "table" => return taken_away(answered),
            Ok(it) => with_charts(&it, show).map_err(|it| Error::Internal(it.into())),
            Err(error) => Err(error),
        }
    };
    Ok(match shown {
        Ok(text) => page(StatusCode::OK, text),
        Err(error) => {
            let problem = Problem::from(error);
            refuse(problem.status(), problem.words().1.to_owned())
        }
    })
}

fn cost_in_words(cost: &crate::wire::question::Cost) -> String {
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

/// The page with charts, which take the room that everything else leaves them.
fn with_charts(
    answered: &Answered,
    show: impl Fn(&Shown, &Charts) -> String,
) -> Result<String, Overflow> {
    let answer = answer(answered)?;
    let is_whole = answer.more == 0;
    let asked = Shown::Answered(answer);
    let room = MOST_BYTES.saturating_sub(show(&asked, &Charts::default()).len());
    Ok(show(&asked, &charts(answered, is_whole, room)?))
}

fn answer(answered: &Answered) -> Result<Answer, Overflow> {
    let columns = answered.merged.columns();
    let (mut rows, mut count) = (Vec::new(), 0);
    answered.merged.each_leaf(|leaf| {
        count += 1;
        if rows.len() < MOST_ROWS {
            let key =
                |it: &GroupBy| leaf.key(*it).map_or_else(String::new, |it| it.with(str::to_owned));
            rows.push(columns.iter().map(key).chain([leaf.value.to_string()]).collect());
        }
    })?;
    if count > MOST_ROWS {
        rows.truncate(FEW_ROWS);
    }
    let made = answered.calls.iter().map(|it| Call {
        status: it.status.map(|it| it.to_string()).unwrap_or_default(),
        ms: it.effort.time.as_millis().to_string(),
        ..call(&it.call)
    });
    Ok(Answer {
        columns: columns.iter().map(|it| table::column(*it)).chain(["value"]).collect(),
        more: count - rows.len(),
        rows,
        took: took(made, &answered.missing),
    })
}

fn took(calls: impl ExactSizeIterator<Item = Call>, missing: &[Missing]) -> Took {
    Took {
        more_calls: calls.len().saturating_sub(MOST_CALLS),
        calls: calls.take(MOST_CALLS).collect(),
        missing: missing.iter().take(MOST_LACKS).map(lack).collect(),
        more_missing: missing.len().saturating_sub(MOST_LACKS),
    }
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

fn taken_away(answered: Answered) -> Result<Response, Problem> {
    let mut response = engagement::whole(answered, engagement::CSV, false)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(engagement::CSV));
    let name = "attachment; filename=\"engagement.csv\"";
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(name));
    Ok(response)
}
