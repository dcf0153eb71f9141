//! `/console/webhooks`: admins manage webhooks and see what was delivered to them.

mod view;

use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::gateway::{self, Backlog, DeliveryFilter, Location, NewWebhook, Session};
use crate::model::webhook::{self, Delivery, DeliveryState, Unreadable, Webhook};
use crate::pages::console::address::{see_other, with_query};
use crate::pages::console::form;
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::{Chrome, Section, time};
use crate::pages::console::webhooks::view::{Adding, Deliveries, Listed, Of, Sent};
use crate::web::extract::{Path, Query};
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;
use crate::wire::webhook::Rotation;

const PATH: &str = "/console/webhooks";
const ROWS: u32 = 50;

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
struct New {
    url: String,
    #[serde(default)]
    app: String,
}

pub(crate) async fn list(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(asked): Query<DeliveryQuery>,
) -> Result<Response, Problem> {
    let done = (asked.done == "removed").then_some("The webhook is removed.");
    let chrome = chrome(&session, Section::Webhooks, done);
    list_page(&host, &chrome, StatusCode::OK, Adding::default()).await
}

/// Adds a webhook and shows its secret; or shows the form again, with its mistakes.
pub(crate) async fn add(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    request: Request,
) -> Result<Response, Problem> {
    let New { url, app } = form::read(&host, request).await?;
    let url = url.trim();
    let new =
        NewWebhook { url: url.to_owned(), app: Some(app.clone()).filter(|it| !it.is_empty()) };
    let chrome = chrome(&session, Section::Webhooks, None);
    match host.gateway().add_webhook(new, &session.actor()).await {
        Ok((webhook, secret)) => {
            let listed = listed(webhook, Backlog::default());
            Ok(page(StatusCode::CREATED, view::secret(&chrome, &listed, secret.expose())))
        }
        Err(error) => {
            let (status, wrong) = mendable(error)?;
            let adding = Adding { url, app: &app, wrong: Some(&wrong) };
            list_page(&host, &chrome, status, adding).await
        }
    }
}

pub(crate) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path,
    Query(asked): Query<DeliveryQuery>,
) -> Result<Response, Problem> {
    let status: Option<u16> = asked.status.parse().ok();
    let done = match (&*asked.done, status) {
        ("received", Some(status)) => {
            Some(format!("The test arrived: the receiver answered with status {status}."))
        }
        ("resent", _) => Some("The event is sent again now.".to_owned()),
        _ => None,
    };
    let chrome = chrome(&session, Section::Webhooks, done.as_deref());
    one_page(&host, &chrome, StatusCode::OK, &id, &asked, None).await
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
        Err(not) => {
            let chrome = chrome(&session, Section::Webhooks, None);
            let ended = match not.status {
                Some(_) => "The receiver refused the test",
                None => "The test did not arrive",
            };
            let wrong = format!("{ended}: {}.", not.why);
            one_page(&host, &chrome, StatusCode::OK, &id, &DeliveryQuery::default(), Some(&wrong))
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
            let listed = listed(webhook, Backlog::default());
            Ok(page(StatusCode::OK, view::secret(&chrome, &listed, secret.expose())))
        }
        Err(error) => {
            let (status, wrong) = mendable(error)?;
            one_page(&host, &chrome, status, &id, &DeliveryQuery::default(), Some(&wrong)).await
        }
    }
}

/// Asks for confirmation before a webhook is removed.
pub(crate) async fn confirm(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path,
) -> Result<Response, Problem> {
    let (webhook, backlog) = host.gateway().get_webhook(&id).await?;
    let chrome = chrome(&session, Section::Webhooks, None);
    Ok(page(StatusCode::OK, view::remove(&chrome, &listed(webhook, backlog))))
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
    let again = host.gateway().resend_delivery(&id, number, &session.actor()).await;
    // A delivery whose row cannot be read is due again all the same, and shown as unreadable.
    drop(again?);
    Ok(see_other(&with_query(&format!("{PATH}/{id}"), &[("done", "resent")])))
}

async fn list_page(
    host: &Host,
    chrome: &Chrome<'_>,
    status: StatusCode,
    adding: Adding<'_>,
) -> Result<Response, Problem> {
    let gateway = host.gateway();
    let webhooks = gateway.list_webhooks().await?;
    let webhooks: Vec<Listed> = webhooks.into_iter().map(|(it, waits)| listed(it, waits)).collect();
    let apps: Vec<String> = gateway.apps().map(|it| it.0.to_owned()).collect();
    Ok(page(status, view::list(chrome, &webhooks, &apps, adding)))
}

async fn one_page(
    host: &Host,
    chrome: &Chrome<'_>,
    status: StatusCode,
    id: &str,
    asked: &DeliveryQuery,
    wrong: Option<&str>,
) -> Result<Response, Problem> {
    let gateway = host.gateway();
    let (webhook, backlog) = gateway.get_webhook(id).await?;
    let state = DeliveryState::from_name(&asked.state);
    let before = asked.before.parse().ok();
    let filter = DeliveryFilter { webhook_id: id.to_owned(), state, before, limit: ROWS };
    let sent: Vec<Sent> = gateway.list_deliveries(&filter).await?.into_iter().map(shown).collect();
    let last = sent.last().filter(|_| sent.len() == ROWS as usize);
    let next = last.map(|it| {
        let before = it.number.to_string();
        with_query(&format!("{PATH}/{id}"), &[("state", &asked.state), ("before", &before)])
    });
    let deliveries = Deliveries { sent: &sent, state, next: next.as_deref() };
    Ok(page(status, view::show(chrome, &listed(webhook, backlog), deliveries, wrong)))
}

/// The status and words for errors that the user can fix in the form; other errors are returned as they are.
fn mendable(error: gateway::Error) -> Result<(StatusCode, String), Problem> {
    let words = match &error {
        gateway::Error::InvalidRequest(problems) => problems.iter().map(in_words).collect(),
        gateway::Error::AlreadyExists(what) => vec![format!("There is already {what}.")],
        _ => return Err(error.into()),
    };
    Ok((Problem::from(error).status(), words.join(" ")))
}

fn in_words(it: &gateway::Detail) -> String {
    let field = match &it.place {
        Location::Body(pointer) if pointer == "/url" => "The address ",
        Location::Body(pointer) if pointer == "/app" => "The app ",
        _ => "",
    };
    format!("{field}{}.", it.detail)
}

fn listed(webhook: Webhook, backlog: Backlog) -> Listed {
    Listed {
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

fn shown(listed: Result<Delivery, Unreadable>) -> Sent {
    match listed {
        Ok(it) => Sent {
            number: it.number,
            at: time(it.occurred_at),
            state: it.state(),
            attempts: it.attempts,
            next: it.attempt_at.map(time),
            answer: answer(&it),
            app: it.app,
            of: Some(Of {
                event: it.event.name(),
                user_id: it.user_id.to_string(),
                screen_name: it.screen_name,
            }),
        },
        Err(it) => Sent {
            number: it.number,
            at: time(it.occurred_at),
            state: it.state(),
            attempts: it.attempts,
            next: it.attempt_at.map(time),
            answer: it.why,
            app: it.app,
            of: None,
        },
    }
}

fn answer(it: &webhook::Delivery) -> String {
    match (&it.failure, it.status) {
        (Some(failure), _) => failure.clone(),
        (None, Some(status)) => format!("status {status}"),
        (None, None) => "none yet".to_owned(),
    }
}
