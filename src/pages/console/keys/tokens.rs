//! `/console/keys/{key}/tokens`: admins see whose tokens asked, and withdraw tokens.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::gateway::{Error, Session};
use crate::model::key::{Right, Unreadable};
use crate::pages::console::address::{see_other, with_query};
use crate::pages::console::form;
use crate::pages::console::form_errors::FieldErrors;
use crate::pages::console::guard::chrome;
use crate::pages::console::keys::view::Tokens;
use crate::pages::console::keys::{PATH, row, view};
use crate::pages::console::layout::Section;
use crate::web::extract::Path;
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;

/// How many subjects are shown.
const SHOWN: usize = 20;

/// Whose tokens to withdraw; empty for all.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Fields {
    subject: String,
}

pub(crate) async fn show(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let empty = (Fields::default(), FieldErrors::default());
    shown(&host, &session, &id, StatusCode::OK, empty).await
}

/// Withdraws tokens; or shows the form again, with its mistakes.
pub(crate) async fn withdraw(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let fields: Fields = form::read(&host, request).await?;
    let subject = Some(fields.subject.clone()).filter(|subject| !subject.is_empty());
    match host.gateway().withdraw_tokens_by_id(&id, subject, &session.actor()).await {
        Ok(_) => Ok(see_other(&with_query(PATH, &[("done", "withdrawn")]))),
        Err(error) => {
            let (status, errors) = form::field_errors(error)?;
            shown(&host, &session, &id, status, (fields, errors)).await
        }
    }
}

async fn shown(
    host: &Host,
    session: &Session,
    id: &str,
    status: StatusCode,
    (fields, errors): (Fields, FieldErrors),
) -> Result<Response, Problem> {
    let (key, asked) = host.gateway().get_key_with_subjects(id).await?;
    let origins = match &key {
        Ok(key) if key.scopes.rights.contains(&Right::Browser) => key.scopes.origins.clone(),
        Ok(_) => return Err(Error::NotFound("key that makes tokens").into()),
        Err(Unreadable { .. }) => Vec::new(),
    };
    let origins: Vec<String> = origins.iter().map(ToString::to_string).collect();
    let rows = asked.into_iter().take(SHOWN);
    let rows: Vec<_> = rows.map(|one| (one.subject, one.questions, one.calls)).collect();
    let tokens = Tokens {
        origins: &origins.join(", "),
        subject: &fields.subject,
        rows: &rows,
        errors: &errors,
    };
    let row = row(key, host.clock().now());
    Ok(page(status, view::tokens(&chrome(session, Section::Keys, None), &row, &tokens)))
}
