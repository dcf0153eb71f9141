//! `/console/links`: admins list, create and withdraw the links with which users connect accounts.

mod view;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::gateway::{CreatedLink, Error, LinkId, LinkPlace, Session, WaitingLink};
use crate::pages::console::address::{see_other, with_query};
use crate::pages::console::form::{self, typed};
use crate::pages::console::form_errors::Wrong;
use crate::pages::console::guard::chrome;
use crate::pages::console::layout::{Chrome, Section, time};
use crate::pages::console::links::view::{Form, Listed, Made, Narrowed};
use crate::web::extract::{Path, Query};
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;
use crate::wire;

const PATH: &str = "/console/links";
const ROWS: u32 = 50;

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default)]
    search: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    done: String,
}

/// The fields of the form.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    app: String,
    label: String,
    user_id: String,
    return_to: String,
    expires: String,
}

pub(crate) async fn list(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(asked): Query<ListQuery>,
) -> Result<Response, Problem> {
    let search = Some(typed(&asked.search)).filter(|it| !it.is_empty());
    let after = LinkPlace::parse(&asked.after);
    let is_whole = search.is_none() && after.is_none();
    let links = host.gateway().list_links(search, after, ROWS).await?;
    let is_full = links.len() == ROWS as usize;
    let next = links.last().filter(|_| is_full).map(|it| {
        with_query(PATH, &[("search", &asked.search), ("after", &it.place().to_string())])
    });
    let has_links = host.gateway().public_url().is_some();
    let narrowed = Narrowed { search: asked.search, is_whole, has_links };
    let listed: Vec<Listed> = links.into_iter().map(listed).collect();
    let done = (asked.done == "withdrawn").then_some("The link is withdrawn: it opens nothing.");
    let chrome = chrome(&session, Section::Links, done);
    Ok(page(StatusCode::OK, view::list(&chrome, &listed, &narrowed, next.as_deref())))
}

/// An empty form.
pub(crate) async fn new(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
) -> Response {
    form_page(&host, &session, &Fields::default(), StatusCode::OK, &Wrong::default())
}

/// Creates a link and shows it (only once); or shows the form again, with its mistakes.
pub(crate) async fn create(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    request: Request,
) -> Result<Response, Problem> {
    let fields: Fields = form::read(&host, request).await?;
    let made = match fields.read() {
        Ok(new) => host.gateway().create_link(new, &session.actor()).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(created) => {
            Ok(shown_once(&chrome(&session, Section::Links, None), created, PATH.to_owned()))
        }
        Err(error) => {
            let (status, wrong) = form::wrong(error)?;
            Ok(form_page(&host, &session, &fields, status, &wrong))
        }
    }
}

pub(crate) async fn ask_to_withdraw(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(link): Path<String>,
) -> Result<Response, Problem> {
    let link = host.gateway().get_link(link_id(&link)?).await?;
    let chrome = chrome(&session, Section::Links, None);
    Ok(page(StatusCode::OK, view::withdraw(&chrome, &listed(link))))
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
    let made = Made {
        url: url.expose().to_owned(),
        app: link.app,
        label: link.label,
        user: link.expected_user.map(|it| it.to_string()),
        return_to: link.return_to,
        expires_at: time(link.expires_at),
        back,
    };
    page(StatusCode::OK, view::made(chrome, &made))
}

impl Fields {
    fn read(&self) -> Result<crate::gateway::NewLink, Error> {
        let given = |it: &str| Some(it.trim().to_owned()).filter(|it| !it.is_empty());
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
    wrong: &Wrong,
) -> Response {
    let apps: Vec<String> = host.gateway().apps().map(|it| it.0.to_owned()).collect();
    let form = Form {
        apps: &apps,
        app: &fields.app,
        label: &fields.label,
        user_id: &fields.user_id,
        return_addresses: host.gateway().return_addresses(),
        return_to: &fields.return_to,
        expires: &fields.expires,
        has_links: host.gateway().public_url().is_some(),
        wrong,
    };
    page(status, view::new(&chrome(session, Section::Links, None), &form))
}

fn link_id(text: &str) -> Result<LinkId, Error> {
    LinkId::parse(text).ok_or(Error::NotFound("link that waits"))
}

fn listed(it: WaitingLink) -> Listed {
    Listed {
        id: it.id.to_string(),
        label: it.link.label,
        app: it.link.app,
        user: it.link.expected_user.map_or_else(|| "anybody".to_owned(), |it| it.to_string()),
        made: time(it.link.created_at),
        expires: time(it.link.expires_at),
    }
}
