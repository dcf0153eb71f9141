//! `/console/webhooks`: admins manage webhooks and see what was delivered to them.

mod view;

use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::gateway::{self, Backlog, DeliveryFilter, Location, NewWebhook, Session};
use crate::model::webhook::{self, Delivery, DeliveryState, Event, Unreadable, Webhook};
use crate::pages::console::address::{see_other, with_query};
use crate::pages::console::form;
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::{Chrome, Section, time};
use crate::pages::console::listing::{ROWS, next_page};
use crate::pages::console::webhooks::view::{
    AddForm, Deliveries, DeliveryRow, Subject, WebhookRow,
};
use crate::web::extract::{Path, Query};
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;
use crate::wire::webhook::Rotation;

const PATH: &str = "/console/webhooks";

/// The parameters of the pages: which deliveries to show, and the action just done.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct DeliveryQuery {
    state: String,
    before: String,
    done: String,
    status: String,
}

#[derive(Deserialize)]
struct Fields {
    url: String,
    #[serde(default)]
    app: String,
}

pub(crate) async fn list(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(query): Query<DeliveryQuery>,
) -> Result<Response, Problem> {
    let done = (query.done == "removed").then_some("The webhook was removed.");
    let chrome = chrome(&session, Section::Webhooks, done);
    list_page(&host, &chrome, StatusCode::OK, AddForm::default()).await
}

/// Adds a webhook and shows its secret; or shows the form again, with its mistakes.
pub(crate) async fn add(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    request: Request,
) -> Result<Response, Problem> {
    let Fields { url, app } = form::read(&host, request).await?;
    let url = url.trim();
    let new =
        NewWebhook { url: url.to_owned(), app: Some(app.clone()).filter(|app| !app.is_empty()) };
    let chrome = chrome(&session, Section::Webhooks, None);
    match host.gateway().add_webhook(new, &session.actor()).await {
        Ok((webhook, secret)) => {
            let row = webhook_row(webhook, Backlog::default());
            Ok(page(StatusCode::CREATED, view::secret(&chrome, &row, secret.expose())))
        }
        Err(error) => {
            let (status, message) = form_error(error)?;
            let form = AddForm { url, app: &app, error: Some(&message) };
            list_page(&host, &chrome, status, form).await
        }
    }
}

pub(crate) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path,
    Query(query): Query<DeliveryQuery>,
) -> Result<Response, Problem> {
    let status: Option<u16> = query.status.parse().ok();
    let done = match (&*query.done, status) {
        ("received", Some(status)) => {
            Some(format!("The test was delivered: the receiver returned status {status}."))
        }
        ("resent", _) => Some("The event is being sent again.".to_owned()),
        _ => None,
    };
    let chrome = chrome(&session, Section::Webhooks, done.as_deref());
    one_page(&host, &chrome, StatusCode::OK, &id, &query, None).await
}

/// Sends a test event, about no account, and says what the receiver did.
pub(crate) async fn test(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path,
) -> Result<Response, Problem> {
    match host.gateway().test_webhook(&id, &session.actor()).await? {
        Ok(status) => {
            let done = [("done", "received"), ("status", &status.to_string())];
            Ok(see_other(&with_query(&format!("{PATH}/{id}"), &done)))
        }
        Err(failure) => {
            let chrome = chrome(&session, Section::Webhooks, None);
            let ended = match failure.status {
                Some(_) => "The receiver rejected the test",
                None => "The test was not delivered",
            };
            let message = format!("{ended}: {}.", failure.why);
            one_page(&host, &chrome, StatusCode::OK, &id, &DeliveryQuery::default(), Some(&message))
                .await
        }
    }
}

/// Shows the new secret, or why there is none.
pub(crate) async fn rotate(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path,
    request: Request,
) -> Result<Response, Problem> {
    let rotation: Rotation = form::read(&host, request).await?;
    let chrome = chrome(&session, Section::Webhooks, None);
    let overlap: Option<Duration> = rotation.read().map_err(Problem::invalid)?;
    match host.gateway().rotate_webhook(&id, overlap, &session.actor()).await {
        Ok((webhook, secret)) => {
            let row = webhook_row(webhook, Backlog::default());
            Ok(page(StatusCode::OK, view::secret(&chrome, &row, secret.expose())))
        }
        Err(error) => {
            let (status, message) = form_error(error)?;
            one_page(&host, &chrome, status, &id, &DeliveryQuery::default(), Some(&message)).await
        }
    }
}

/// Asks for confirmation before a webhook is removed.
pub(crate) async fn confirm_remove(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path,
) -> Result<Response, Problem> {
    let (webhook, backlog) = host.gateway().get_webhook(&id).await?;
    let chrome = chrome(&session, Section::Webhooks, None);
    Ok(page(StatusCode::OK, view::remove(&chrome, &webhook_row(webhook, backlog))))
}

pub(crate) async fn remove(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path,
) -> Result<Response, Problem> {
    host.gateway().remove_webhook(&id, &session.actor()).await?;
    Ok(see_other(&with_query(PATH, &[("done", "removed")])))
}

pub(crate) async fn resend(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let number = delivery.parse().map_err(|_| gateway::Error::NotFound("delivery"))?;
    let delivery = host.gateway().resend_delivery(&id, number, &session.actor()).await;
    // A delivery whose row cannot be read is due again all the same, and shown as unreadable.
    drop(delivery?);
    Ok(see_other(&with_query(&format!("{PATH}/{id}"), &[("done", "resent")])))
}

async fn list_page(
    host: &Host,
    chrome: &Chrome<'_>,
    status: StatusCode,
    form: AddForm<'_>,
) -> Result<Response, Problem> {
    let gateway = host.gateway();
    let webhooks = gateway.list_webhooks().await?;
    let webhooks: Vec<WebhookRow> =
        webhooks.into_iter().map(|(webhook, backlog)| webhook_row(webhook, backlog)).collect();
    let apps: Vec<String> = gateway.apps().map(|app| app.0.to_owned()).collect();
    Ok(page(status, view::list(chrome, &webhooks, &apps, form)))
}

async fn one_page(
    host: &Host,
    chrome: &Chrome<'_>,
    status: StatusCode,
    id: &str,
    query: &DeliveryQuery,
    error: Option<&str>,
) -> Result<Response, Problem> {
    let gateway = host.gateway();
    let (webhook, backlog) = gateway.get_webhook(id).await?;
    let state = DeliveryState::from_name(&query.state);
    let before = query.before.parse().ok();
    let filter = DeliveryFilter { webhook_id: id.to_owned(), state, before, limit: ROWS };
    let rows: Vec<DeliveryRow> =
        gateway.list_deliveries(&filter).await?.into_iter().map(delivery_row).collect();
    let path = format!("{PATH}/{id}");
    let next = next_page(&rows, &path, &[("state", &*query.state)], |last| {
        ("before", last.number.to_string())
    });
    let deliveries = Deliveries { rows: &rows, state, next: next.as_deref() };
    Ok(page(status, view::show(chrome, &webhook_row(webhook, backlog), deliveries, error)))
}

/// The status and words for errors that the user can fix in the form; other errors are returned as they are.
fn form_error(error: gateway::Error) -> Result<(StatusCode, String), Problem> {
    let words = match &error {
        gateway::Error::InvalidRequest(problems) => problems.iter().map(in_words).collect(),
        gateway::Error::AlreadyExists(what) => vec![format!("There is already {what}.")],
        _ => return Err(error.into()),
    };
    Ok((Problem::from(error).status(), words.join(" ")))
}

fn in_words(problem: &gateway::Detail) -> String {
    let field = match &problem.place {
        Location::Body(pointer) if pointer == "/url" => "The URL ",
        Location::Body(pointer) if pointer == "/app" => "The app ",
        _ => "",
    };
    format!("{field}{}.", problem.detail)
}

fn webhook_row(webhook: Webhook, backlog: Backlog) -> WebhookRow {
    WebhookRow {
        url: webhook.shown_url(),
        id: webhook.id,
        app: webhook.app,
        added: time(webhook.created_at),
        old_secret_until: webhook.old_secret_until.map(time),
        waiting: backlog.waiting,
        since: backlog.since.map(time),
        failure: backlog.failure,
    }
}

fn delivery_row(delivery: Result<Delivery, Unreadable>) -> DeliveryRow {
    match delivery {
        Ok(delivery) => DeliveryRow {
            number: delivery.number,
            at: time(delivery.occurred_at),
            state: delivery.state(),
            attempts: delivery.attempts,
            next: delivery.attempt_at.map(time),
            answer: answer(&delivery),
            app: delivery.app,
            subject: Some(subject(delivery.event, delivery.subject)),
        },
        Err(unreadable) => DeliveryRow {
            number: unreadable.number,
            at: time(unreadable.occurred_at),
            state: unreadable.state(),
            attempts: unreadable.attempts,
            next: unreadable.attempt_at.map(time),
            answer: unreadable.why,
            app: unreadable.app,
            subject: None,
        },
    }
}

fn subject(event: Event, subject: webhook::Subject) -> Subject {
    let (account, accounts) = match subject {
        webhook::Subject::Account { user_id, screen_name } => {
            (Some((user_id.to_string(), screen_name)), 1)
        }
        webhook::Subject::Import { added, replaced } => (None, added.saturating_add(replaced)),
        webhook::Subject::Gateway { .. } => (None, 0),
    };
    Subject { event: event.name(), account, accounts }
}

fn answer(delivery: &webhook::Delivery) -> String {
    match (&delivery.failure, delivery.status) {
        (Some(failure), _) => failure.clone(),
        (None, Some(status)) => format!("status {status}"),
        (None, None) => "none yet".to_owned(),
    }
}
