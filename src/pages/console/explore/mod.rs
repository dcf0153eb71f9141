//! `/console/explore`: a form for a question, its plan, and its answer as charts and as a table.

mod charts;
mod form;
mod refusal;
mod table;
mod view;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::api::callers::engagement::Form::{Csv, Spreadsheet};
use crate::api::callers::engagement::{self, Form, SPREADSHEET};
use crate::gateway::{
    Answered, Caller, Deadline, MadeCalls, Missing, PlannedCall, Reason, Received, Session,
};
use crate::model::Freshness;
use crate::pages::console;
use crate::pages::console::address::{callers_url, see_other};
use crate::pages::console::explore::charts::charts;
use crate::pages::console::explore::table::table;
use crate::pages::console::explore::view::{
    Answer, Call, Charts, FormResult, MissingPosts, Report, Sent,
};
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::{Section, sentence};
use crate::web::client_address::Client;
use crate::web::extract::Query;
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::observe::RequestId;
use crate::web::problem::Problem;
use crate::wire::question::Plan;

/// Bytes of a page, charts included.
const MOST_BYTES: usize = 99_000;
/// Posts that the form proposes.
const SUGGESTED: usize = 20;
/// The age of numbers that are shown again in another order.
const SORTABLE: Duration = Duration::from_mins(10);
/// No number is so new that it would be given again, but with an age at all, answers may be kept for later.
const ASKED: Duration = Duration::from_nanos(1);
/// Calls that a page lists.
const MOST_CALLS: usize = 50;
/// Reasons for what is missing that a page lists.
const MOST_MISSING: usize = 20;

/// The form as its address fills it in. Nothing is asked: that takes a press of a button.
pub(crate) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(fields): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let mut form = form::read(&host, &fields);
    let named = Some(&*form.account).filter(|account| !account.is_empty());
    let app = Some(&*form.app).filter(|app| !app.is_empty());
    let known = host.gateway().suggest_posts(app, named, SUGGESTED).await?;
    form.fill_in(known);
    form.tweets = form.question().shown_again(form.tweets);
    let chrome = chrome(&session, Section::Explore, None);
    let text = view::show(&chrome, &form, &FormResult::NotSent, &Charts::default(), None);
    Ok(page(StatusCode::OK, text))
}

/// Plans or runs the question, and shows the form again above the result; or returns the answer as a download; or leads
/// to the form's address.
pub(crate) async fn run(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    request: Request,
) -> Result<Response, Problem> {
    let (from, request_id) = (Client::address(&request), RequestId::of(&request));
    let fields: Vec<(String, String)> = console::form::read(&host, request).await?;
    let mut form = form::read(&host, &fields);
    let field = |name: &str| fields.iter().find(|field| field.0 == name).map(|field| &*field.1);
    let wants = field("wants").unwrap_or_default();
    let address = form.address();
    if let (Some(address), "link") = (&address, wants) {
        return Ok(see_other(address));
    }
    let (question, mut mistakes) = (form.question(), form.mistakes());
    let limits = host.limits();
    mistakes.splice(..0, question.excess(limits.question_posts));
    form.tweets = question.shown_again(form.tweets);
    let gateway = host.gateway();
    let key = gateway.as_caller(&session, Some(&*form.app).filter(|app| !app.is_empty()))?;
    // A press on a heading only sorts, so what is kept will do.
    let max_age = if field("by").is_some() { SORTABLE } else { ASKED };
    let oldest = Arc::<OnceLock<Duration>>::default();
    let caller = Caller {
        key,
        from,
        request_id,
        freshness: Freshness { max_age, is_own: false },
        oldest: Arc::clone(&oldest),
        made: MadeCalls::default(),
        token: None,
    };
    let chrome = chrome(&session, Section::Explore, None);
    let sent = Sent { address, curl: question.curl(callers_url(&host)) };
    let show = |result: &FormResult, charts: &Charts| {
        view::show(&chrome, &form, result, charts, Some(&sent))
    };
    let refuse =
        |status, messages| page(status, show(&FormResult::Failed(messages), &Charts::default()));
    if wants == "link" {
        mistakes = vec!["The form has too many posts for a link.".to_owned()];
    }
    if !mistakes.is_empty() {
        return Ok(refuse(StatusCode::BAD_REQUEST, mistakes));
    }
    let (body, deadline) = (question.text(), Deadline::within(limits.request_deadline));
    let (turn, held) = gateway.begin_question((&caller.key, false), body.len(), deadline).await?;
    let received = Received { body: body.into(), held, turn };
    let shown = if wants == "plan" {
        gateway.plan_question(&caller.key, received, deadline).await.map(|planned| {
            let cost = cost_in_words(&Plan::from(&planned));
            let calls = planned.plan.calls.iter().map(call);
            let report = report(calls, &planned.plan.missing, &planned.notes);
            show(&FormResult::Planned { cost, report }, &Charts::default())
        })
    } else {
        match gateway.answer_question(&caller, received, deadline, None).await {
            Ok(answered) if wants == "table" => return Ok(download(answered, Csv)),
            Ok(answered) if wants == SPREADSHEET => return Ok(download(answered, Spreadsheet)),
            answered => answered.map(|answered| {
                let answer = answer(&answered, &form, oldest.get());
                with_charts(&answered, answer, show)
            }),
        }
    };
    Ok(match shown {
        Ok(text) => page(StatusCode::OK, text),
        Err(error) => {
            let (status, messages) = refusal::in_words(error);
            refuse(status, messages)
        }
    })
}

fn cost_in_words(plan: &Plan) -> String {
    let (cost, saved) = (&plan.cost, &plan.saved);
    let calls: usize = cost.calls.values().sum();
    let parts: Vec<String> = cost
        .calls
        .iter()
        .filter(|of_kind| *of_kind.1 > 0)
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    let reasons = [
        (saved.combined, "asked for along with private types"),
        (saved.too_old, "for posts that are too old"),
        (saved.before_posts, "before posts were created"),
    ];
    let reasons = reasons.iter().filter(|(count, _)| *count > 0);
    let reasons: Vec<String> = reasons.map(|(count, why)| format!("{count} {why}")).collect();
    let saved = if reasons.is_empty() {
        String::new()
    } else {
        format!(" Calls saved: {}.", reasons.join(", "))
    };
    format!(
        "Calls: {calls}{parts}. Accounts used: {}, of which {} would be new this month.{saved}",
        cost.accounts, cost.new_accounts
    )
}

/// The page with charts, which take the room that everything else leaves them.
fn with_charts(
    answered: &Answered,
    answer: Answer,
    show: impl Fn(&FormResult, &Charts) -> String,
) -> String {
    let is_whole = answer.table.more == 0;
    let result = FormResult::Answered(answer);
    let room = MOST_BYTES.saturating_sub(show(&result, &Charts::default()).len());
    show(&result, &charts(answered, is_whole, room))
}

fn answer(answered: &Answered, form: &view::Form, oldest: Option<&Duration>) -> Answer {
    let calls = answered.calls.iter().map(|finished| Call {
        status: finished.status.map(|status| status.to_string()).unwrap_or_default(),
        ms: finished.effort.time.as_millis().to_string(),
        ..call(&finished.call)
    });
    let seconds = oldest.map(|age| Duration::from_secs(age.as_secs()));
    Answer {
        table: table(&answered.merged, &form.metrics, &form.sort),
        age: seconds.map(|age| humantime::format_duration(age).to_string()).unwrap_or_default(),
        report: report(calls, &answered.missing, &answered.notes),
    }
}

fn report(
    calls: impl ExactSizeIterator<Item = Call>,
    missing: &[Missing],
    notes: &[String],
) -> Report {
    Report {
        more_calls: calls.len().saturating_sub(MOST_CALLS),
        calls: calls.take(MOST_CALLS).collect(),
        missing: missing.iter().take(MOST_MISSING).map(missing_posts).collect(),
        more_missing: missing.len().saturating_sub(MOST_MISSING),
        notes: notes.iter().map(|note| sentence(note)).collect(),
    }
}

fn call(call: &PlannedCall) -> Call {
    Call {
        endpoint: call.endpoint.name(),
        auth: call.signer.kind().name(),
        account: call.signer.account().map(|account| account.to_string()).unwrap_or_default(),
        posts: call.posts.len(),
        time: call
            .span
            .map(|span| format!("{} to {}", span.start.date(), span.end.date()))
            .unwrap_or_default(),
        status: String::new(),
        ms: String::new(),
    }
}

fn missing_posts(missing: &Missing) -> MissingPosts {
    let posts: BTreeSet<u64> = missing.posts.iter().copied().collect();
    MissingPosts {
        posts: posts.iter().map(ToString::to_string).collect(),
        why: explain(missing.reason),
        reason: missing.reason.name(),
        detail: missing.detail.clone(),
    }
}

fn explain(reason: Reason) -> &'static str {
    match reason {
        Reason::Unavailable => "Deleted, protected or unknown",
        Reason::NotConnected => "The author's account is not connected",
        Reason::AccountRevoked => "The author's token no longer works",
        Reason::AccountLimit => "The app has reached its account limit for this month",
        Reason::Forbidden => "The posts are not by that account",
        Reason::UnsupportedAge => "Too old for these metrics",
        Reason::Quota => "The app's quota at X is used up",
        Reason::Deadline => "Not ready before the deadline",
        Reason::HourChanged => "Counted over other hours, since a new hour had begun",
        Reason::UpstreamError => "X returned an unexpected response",
    }
}

fn download(answered: Answered, form: Form) -> Response {
    let mut response = engagement::whole(answered, form, false, false);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, form.content_type());
    let name = HeaderValue::from_static("attachment; filename=\"engagement.csv\"");
    headers.entry(CONTENT_DISPOSITION).or_insert(name);
    response
}
