//! `/v1/engagement`: one question of any size, answered with as many upstream calls as it takes, or planned.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{AGE, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::api::callers::ndjson;
use crate::gateway::{
    Answered, Caller, Deadline, Detail, Gateway, JsonText, KnownKey, MadeCalls, Missing, Received,
    RefusedQuestion, TokenHolder,
};
use crate::model::key::Kind;
use crate::web::client_address::Client;
use crate::web::extract::Query;
use crate::web::host::Host;
use crate::web::negotiation::{Accepted, preferred};
use crate::web::observe::{HeldToken, RequestId};
use crate::web::presented_key;
use crate::web::problem::Problem;
use crate::web::streaming::Text;
use crate::web::{body, freshness, streaming};
use crate::wire::question::{PageReport, Plan, Report};
use crate::wire::spreadsheet::SpreadsheetText;
use crate::wire::table::CsvText;

pub(crate) const JSON: &str = "application/json";
pub(crate) const CSV: &str = "text/csv";
const NDJSON: &str = "application/x-ndjson";
/// The value of the parameter `format`.
pub(crate) const SPREADSHEET: &str = "spreadsheet";
/// The file of a spreadsheet.
const FILE: &str = "attachment; filename=\"engagement-spreadsheet.csv\"";
pub(crate) const NO_FORM: &str = "Accept names nothing that is offered; ask for application/json, text/csv or application/x-ndjson";
pub(crate) const COMPLETE: HeaderName = HeaderName::from_static("countersign-complete");
/// The member of an answer that holds the gateway's report on it.
const REPORT: &str = "countersign";
const MISSING: HeaderName = HeaderName::from_static("countersign-missing");
/// What of the question was read otherwise than it was written.
const NOTE: HeaderName = HeaderName::from_static("countersign-note");
const DEADLINE: HeaderName = HeaderName::from_static("countersign-deadline");
/// Bytes for each post of a question: its URL as people copy it, twice if an owner is named, with punctuation.
const BYTES_OF_POST: usize = 224;
/// Bytes for the rest of a question.
const BYTES_OF_REST: usize = 64 * 1024;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Json,
    Csv,
    Spreadsheet,
    Ndjson,
}

/// The query of a request.
#[derive(Deserialize)]
pub(crate) struct InForm {
    format: Option<String>,
}

pub(crate) async fn answer(
    State(host): State<Host>,
    Query(InForm { format }): Query<InForm>,
    request: Request,
) -> Result<Response, Problem> {
    let begun = host.clock().instant();
    let deadline = deadline(request.headers(), host.limits().request_deadline)?;
    let accepted = Accepted::required(request.headers())?;
    let form = Form::of(format.as_deref(), request.headers())?;
    let (from, request_id) = (Client::address(&request), RequestId::of(&request));
    let (freshness, oldest) =
        (freshness::of(request.headers()), Arc::<OnceLock<Duration>>::default());
    let gateway = host.gateway().patient(deadline);
    let asker = asker(&gateway, request.headers(), from).await?;
    let (key, token, freshness) = match asker {
        Asker::Service(key) => (key, None, freshness),
        Asker::Page(TokenHolder { key, token }) => {
            (key, Some(Arc::clone(&token)), token.freshness())
        }
    };
    let holder = token.clone();
    let caller = Caller {
        key,
        from,
        request_id,
        freshness,
        oldest: Arc::clone(&oldest),
        made: MadeCalls::default(),
        token,
    };
    let is_page = caller.token.is_some();
    let (key, request_id) = (Arc::clone(&caller.key), Arc::clone(&caller.request_id));
    let made = caller.made.clone();
    let received = receive(&host, &gateway, (&caller.key, is_page), request, deadline).await;
    let answered = match received {
        Ok(received) => in_form(gateway, caller, received, deadline, (form, accepted.gzip)).await,
        Err(problem) => Err(problem),
    };
    if let Err(problem) = &answered {
        host.gateway().record_refused_question(&RefusedQuestion {
            key: &key,
            request_id: &request_id,
            token: holder.as_deref(),
            status: problem.status().as_u16(),
            code: problem.code(),
            error: problem.error(),
            made: &made,
            time: host.clock().instant().saturating_duration_since(begun),
        });
    }
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    if let Some(token) = holder {
        response.extensions_mut().insert(HeldToken(token));
    }
    if let Some(age) = oldest.get() {
        response.headers_mut().insert(AGE, HeaderValue::from(age.as_secs()));
    }
    Ok(response)
}

async fn in_form(
    gateway: Gateway,
    caller: Caller,
    received: Received,
    deadline: Deadline,
    (form, gzipped): (Form, bool),
) -> Result<Response, Problem> {
    let mut response = if form == Form::Ndjson {
        ndjson::stream(gateway, caller, received, deadline, gzipped).await?
    } else {
        let is_page = caller.token.is_some();
        let answered = gateway.answer_question(&caller, received, deadline, None).await?;
        whole(answered, form, gzipped, is_page)
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, form.content_type());
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

impl Form {
    /// The form that the parameter `format` names, or else the one that `Accept` prefers.
    fn of(format: Option<&str>, headers: &HeaderMap) -> Result<Form, Problem> {
        match format {
            Some(SPREADSHEET) => return Ok(Form::Spreadsheet),
            Some(_) => {
                let detail = "format must be spreadsheet; for other forms, use Accept";
                return Err(Problem::invalid(vec![Detail::in_query(detail)]));
            }
            None => (),
        }
        match preferred(headers, &[JSON, CSV, NDJSON]) {
            Some(JSON) => Ok(Form::Json),
            Some(CSV) => Ok(Form::Csv),
            Some(NDJSON) => Ok(Form::Ndjson),
            _ => Err(Problem::not_acceptable(NO_FORM)),
        }
    }

    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Form::Json => JSON,
            Form::Csv => CSV,
            Form::Spreadsheet => "text/csv; charset=utf-8",
            Form::Ndjson => NDJSON,
        })
    }
}

/// Builds an answer whose body is written as it is read; its headers are known beforehand.
pub(crate) fn whole(answered: Answered, form: Form, gzipped: bool, is_page: bool) -> Response {
    let Answered { merged, held, lookups, calls, missing, notes, posts_of, top } = answered;
    let lacking = lacking(&missing);
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    let note = note.and_then(|note| HeaderValue::from_str(&note).ok());
    let memory = streaming::Memory { held, numbers: merged.bytes() };
    let text = match form {
        Form::Csv => Text::Csv(CsvText::new(merged)),
        Form::Spreadsheet => {
            let types = missing.iter().flat_map(|part| part.metrics.iter().copied());
            Text::Spreadsheet(SpreadsheetText::new(merged, types))
        }
        Form::Json | Form::Ndjson => {
            if is_page {
                let report = PageReport::of(&lookups, &calls, &missing, notes);
                Text::Json(JsonText::new(merged, Some((REPORT, &report))))
            } else {
                let report = Report::of(&lookups, &calls, &missing, (&posts_of, &top), notes);
                Text::Json(JsonText::new(merged, Some((REPORT, &report))))
            }
        }
    };
    let mut response = streaming::body(text, gzipped, memory).into_response();
    let headers = response.headers_mut();
    headers.insert(
        COMPLETE,
        HeaderValue::from_static(if lacking.is_none() { "true" } else { "false" }),
    );
    if let Some(lacking) = lacking {
        headers.insert(MISSING, lacking);
    }
    if let Some(note) = note {
        headers.insert(NOTE, note);
    }
    if form == Form::Spreadsheet {
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(FILE));
    }
    response
}

/// How many posts are missing for each reason, for formats that have no room for more.
fn lacking(missing: &[Missing]) -> Option<HeaderValue> {
    let mut posts: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for part in missing {
        posts.entry(part.reason.name()).or_default().extend(&part.posts);
    }
    let counts = posts.iter().map(|(reason, posts)| format!("{reason}={}", posts.len()));
    let text = counts.collect::<Vec<_>>().join(", ");
    (!text.is_empty())
        .then(|| HeaderValue::from_str(&text).expect("names and numbers are printable"))
}

/// Plans the calls that a question would take, and makes none.
pub(crate) async fn plan(
    State(host): State<Host>,
    request: Request,
) -> Result<Json<Plan>, Problem> {
    let deadline = Deadline::within(host.limits().request_deadline);
    let from = Client::address(&request);
    let key =
        presented_key::check_key(host.gateway(), request.headers(), Kind::Caller, from).await?;
    let received = receive(&host, host.gateway(), (&key, false), request, deadline).await?;
    Ok(Json(Plan::from(&host.gateway().plan_question(&key, received, deadline).await?)))
}

/// Who asks a question.
enum Asker {
    Service(Arc<KnownKey>),
    Page(TokenHolder),
}

/// Who asks: a key or a token is checked first, so that strangers' bodies take no memory.
async fn asker(gateway: &Gateway, headers: &HeaderMap, from: IpAddr) -> Result<Asker, Problem> {
    if let Some(token) = presented_key::browser_token(headers) {
        return presented_key::check_token(gateway, token, headers, from).await.map(Asker::Page);
    }
    presented_key::check_key(gateway, headers, Kind::Caller, from).await.map(Asker::Service)
}

/// Reads a question once it is its key's turn.
async fn receive(
    host: &Host,
    gateway: &Gateway,
    (key, is_page): (&KnownKey, bool),
    request: Request,
    deadline: Deadline,
) -> Result<Received, Problem> {
    let (parts, incoming) = request.into_parts();
    body::require_json(&parts.headers)?;
    let most = most_bytes(host);
    let expected = body::expected(&parts.headers, most);
    let begun = gateway.begin_question((key, is_page), expected, deadline).await;
    let (turn, mut held) = begun.map_err(|error| if is_page { error.for_page() } else { error })?;
    let body = body::read(&parts.headers, incoming, most, host.limits(), deadline).await?;
    held.shrink_to(body.len());
    Ok(Received { body, held, turn })
}

fn most_bytes(host: &Host) -> usize {
    BYTES_OF_REST + BYTES_OF_POST * host.limits().question_posts
}

/// How long the caller is willing to wait, at most `most`.
fn deadline(headers: &HeaderMap, most: Duration) -> Result<Deadline, Problem> {
    let Some(value) = headers.get(DEADLINE) else { return Ok(Deadline::within(most)) };
    let read = value.to_str().ok().and_then(|text| humantime::parse_duration(text).ok());
    let detail = "must be a duration above zero such as 20s";
    let wrong = || Problem::invalid(vec![Detail::in_header("Countersign-Deadline", detail)]);
    read.filter(|time| !time.is_zero())
        .map(|time| Deadline::named(time.min(most)))
        .ok_or_else(wrong)
}
