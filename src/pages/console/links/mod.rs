//! `/console/links`: admins list, create and withdraw the links with which users connect accounts.

mod fields;
mod view;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::gateway::{CreatedLink, Error, LinkId, LinkPlace, Session, WaitingLink};
use crate::pages::console::address::{see_other, with_query};
use crate::pages::console::form::{self, search_text};
use crate::pages::console::form_errors::FieldErrors;
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::{Chrome, Section, time};
use crate::pages::console::links::fields::Fields;
use crate::pages::console::links::view::{Created, Filter, Form, Row};
use crate::pages::console::listing::{ROWS, next_page};
use crate::web::extract::{Path, Query};
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;
use crate::wire;

const PATH: &str = "/console/links";

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default)]
    search: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    done: String,
}

pub(crate) async fn list(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let search = Some(search_text(&query.search)).filter(|text| !text.is_empty());
    let after = LinkPlace::parse(&query.after);
    let is_whole = search.is_none() && after.is_none();
    let links = host.gateway().list_links(search, after, ROWS).await?;
    let parameters = [("search", &*query.search)];
    let next = next_page(&links, PATH, &parameters, |last| ("after", last.place().to_string()));
    let has_links = host.gateway().public_url().is_some();
    let filter = Filter { search: query.search, is_whole, has_links };
    let rows: Vec<Row> = links.into_iter().map(row).collect();
    let done = (query.done == "withdrawn").then_some("The link was withdrawn and no longer works.");
    let chrome = chrome(&session, Section::Links, done);
    Ok(page(StatusCode::OK, view::list(&chrome, &rows, &filter, next.as_deref())))
}

/// An empty form.
pub(crate) async fn new(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
) -> Response {
    form_page(&host, &session, &Fields::default(), StatusCode::OK, &FieldErrors::default())
}

/// Creates a link and shows it (only once); or shows the form again, with its mistakes.
pub(crate) async fn create(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    request: Request,
) -> Result<Response, Problem> {
    let fields: Fields = form::read(&host, request).await?;
    let created = match fields.read() {
        Ok(new) => host.gateway().create_link(new, &session.actor()).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(created) => {
            Ok(shown_once(&chrome(&session, Section::Links, None), created, PATH.to_owned()))
        }
        Err(error) => {
            let (status, errors) = form::field_errors(error)?;
            Ok(form_page(&host, &session, &fields, status, &errors))
        }
    }
}

pub(crate) async fn confirm_withdraw(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(link): Path<String>,
) -> Result<Response, Problem> {
    let link = host.gateway().get_link(link_id(&link)?).await?;
    let chrome = chrome(&session, Section::Links, None);
    Ok(page(StatusCode::OK, view::withdraw(&chrome, &row(link))))
}

pub(crate) async fn withdraw(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(link): Path<String>,
) -> Result<Response, Problem> {
    host.gateway().withdraw_link(link_id(&link)?, &session.actor()).await?;
    Ok(see_other(&with_query(PATH, &[("done", "withdrawn")])))
}

/// The page of a link that was just created; `back` is where its creator goes on to.
pub(super) fn shown_once(chrome: &Chrome<'_>, created: CreatedLink, back: String) -> Response {
    let CreatedLink { link, url, .. } = created;
    let created = Created {
        url: url.expose().to_owned(),
        app: link.app,
        label: link.label,
        user: link.expected_user.map(|user| user.to_string()),
        return_to: link.return_to,
        expires_at: time(link.expires_at),
        back,
    };
    page(StatusCode::OK, view::created(chrome, &created))
}

impl Fields {
    fn read(&self) -> Result<crate::gateway::NewLink, Error> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let new = wire::NewLink {
            app: given(&self.app),
            label: self.label.trim().to_owned(),
            user_id: given(&self.user_id),
            return_to: given(&self.return_to),
            expires: given(&self.expires),
        };
        new.read().map_err(Error::InvalidRequest)
    }
}

fn form_page(
    host: &Host,
    session: &Session,
    fields: &Fields,
    status: StatusCode,
    errors: &FieldErrors,
) -> Response {
    let apps: Vec<String> = host.gateway().apps().map(|app| app.0.to_owned()).collect();
    let form = Form {
        fields,
        apps: &apps,
        return_addresses: host.gateway().return_addresses(),
        has_links: host.gateway().public_url().is_some(),
        errors,
    };
    page(status, view::new(&chrome(session, Section::Links, None), &form))
}

fn link_id(text: &str) -> Result<LinkId, Error> {
    LinkId::parse(text).ok_or(Error::NotFound("link that waits"))
}

fn row(pending: WaitingLink) -> Row {
    Row {
        id: pending.id.to_string(),
        label: pending.link.label,
        app: pending.link.app,
        user: pending
            .link
            .expected_user
            .map_or_else(|| "anyone".to_owned(), |user| user.to_string()),
        created: time(pending.link.created_at),
        expires: time(pending.link.expires_at),
    }
}
