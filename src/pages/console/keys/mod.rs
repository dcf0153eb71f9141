//! `/console/keys`: admins list, create, limit and revoke API keys.

mod fields;
mod limits;
pub(crate) mod tokens;
mod view;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::gateway::{Detail, Error, KeySearch, NewKey, Session};
use crate::model::Endpoint;
use crate::model::key::{Key, KeyLimits, Kind, Right, Role, Unreadable};
use crate::pages::console::address::{callers_url, own_origin, see_other, with_query};
use crate::pages::console::form::{self, search_text};
use crate::pages::console::form_errors::FieldErrors;
use crate::pages::console::guard::chrome;
use crate::pages::console::keys::fields::{Fields, LimitFields};
use crate::pages::console::keys::view::{Created, Filter, Form, Row};
use crate::pages::console::layout::{Section, hour, time};
use crate::pages::console::listing::{ROWS, next_page};
use crate::web::extract::{Path, Query};
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;
use crate::wire;

const PATH: &str = "/console/keys";

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default)]
    role: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    search: String,
    /// The id and name of the last key on the page before.
    #[serde(default)]
    after: String,
    #[serde(default)]
    done: String,
}

#[derive(Deserialize)]
pub(crate) struct RoleQuery {
    #[serde(default)]
    role: String,
}

pub(crate) async fn list(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let now = host.clock().now();
    let search = search(&query, now);
    let keys = host.gateway().list_keys_by_name(&search).await?;
    let parameters = [("role", &*query.role), ("state", &*query.state), ("search", &*query.search)];
    let next = next_page(&keys, PATH, &parameters, |last| {
        let name = last.as_ref().map_or_else(|unreadable| &unreadable.name, |key| &key.name);
        ("after", format!("{}/{name}", Unreadable::id_of(last)))
    });
    let plain = KeySearch { working_at: Some(now), limit: ROWS, ..KeySearch::default() };
    let filter = Filter {
        role: search.role,
        only_working: search.working_at.is_some(),
        is_whole: search == plain,
        search: query.search,
    };
    let rows: Vec<Row> = keys.into_iter().map(|key| row(key, now)).collect();
    let done = match &*query.done {
        "revoked" => Some("The key was revoked and no longer works."),
        "limited" => Some("The limits were changed. All replicas apply them within a second."),
        "withdrawn" => Some("The tokens were withdrawn. All replicas refuse them within a second."),
        _ => None,
    };
    let chrome = chrome(&session, Section::Keys, done);
    Ok(page(StatusCode::OK, view::list(&chrome, &rows, &filter, next.as_deref())))
}

/// An empty form.
pub(crate) async fn new(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Query(query): Query<RoleQuery>,
) -> Response {
    let limits = LimitFields::from(KeyLimits::default());
    let fields = Fields { role: query.role, limits, ..Fields::default() };
    form_page(&host, &session, &fields, StatusCode::OK, &FieldErrors::default())
}

/// Creates a key and shows its text (only once); or shows the form again, with its mistakes.
pub(crate) async fn create(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    request: Request,
) -> Result<Response, Problem> {
    let own = own_origin(request.headers(), host.gateway().console_url()).unwrap_or_default();
    let fields: Fields = form::read(&host, request).await?;
    let created = match fields.read().map_err(Error::InvalidRequest) {
        Ok(new) => host.gateway().create_key(new, &session.actor()).await,
        Err(error) => Err(error),
    };
    let (key, secret) = match created {
        Ok(created) => created,
        Err(error) => {
            let (status, errors) = form::field_errors(error)?;
            return Ok(form_page(&host, &session, &fields, status, &errors));
        }
    };
    let curl = match key.role.kind() {
        Kind::Admin => {
            let path = if key.role == Role::Analyst { "usage" } else { "accounts" };
            format!("curl {own}/admin/v1/{path} \\\n  -H 'X-Api-Key: {}'", secret.expose())
        }
        Kind::Caller => {
            let scopes = &key.scopes;
            let may = |endpoint: &Endpoint| {
                scopes.endpoints.as_ref().is_none_or(|all| all.contains(endpoint))
            };
            let endpoint = Endpoint::ALL.into_iter().find(may).unwrap_or(Endpoint::Totals);
            let account = scopes.accounts.as_ref().and_then(|ids| ids.first());
            let account = account.map_or("@alice".to_owned(), ToString::to_string);
            call(&host, endpoint, &account, secret.expose())
        }
    };
    let is_admin = key.role.kind() == Kind::Admin;
    let row = row(Ok(key), host.clock().now());
    let created = Created { key: &row, secret: secret.expose(), curl: &curl, is_admin };
    Ok(page(StatusCode::OK, view::created(&chrome(&session, Section::Keys, None), &created)))
}

/// The form for a key's limits, as they are.
pub(crate) async fn limits(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let key = host.gateway().get_key(&id).await?;
    let limits = key.as_ref().map(|key| key.limits).unwrap_or_default();
    let (fields, errors) = (limits.into(), FieldErrors::default());
    Ok(limits_page(&host, &session, key, &fields, StatusCode::OK, &errors))
}

/// Changes a key's limits; or shows the form again, with its mistakes.
pub(crate) async fn change_limits(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let fields: LimitFields = form::read(&host, request).await?;
    let changed = match fields.read().map_err(Error::InvalidRequest) {
        Ok(limits) => {
            host.gateway().update_key_by_id(&id, limits.into(), &session.actor()).await.map(drop)
        }
        Err(error) => Err(error),
    };
    let Err(error) = changed else {
        return Ok(see_other(&with_query(PATH, &[("done", "limited")])));
    };
    let (status, errors) = form::field_errors(error)?;
    let key = host.gateway().get_key(&id).await?;
    Ok(limits_page(&host, &session, key, &fields, status, &errors))
}

pub(crate) async fn confirm_revoke(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let key = host.gateway().get_key(&id).await?;
    let is_own = Unreadable::id_of(&key) == session.key.key.id;
    let row = row(key, host.clock().now());
    let chrome = chrome(&session, Section::Keys, None);
    Ok(page(StatusCode::OK, view::revoke(&chrome, &row, is_own)))
}

pub(crate) async fn revoke(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let revoked = host.gateway().revoke_key_by_id(&id, &session.actor()).await;
    // A key whose row cannot be read is revoked all the same.
    drop(revoked?);
    Ok(see_other(&with_query(PATH, &[("done", "revoked")])))
}

impl Fields {
    fn read(&self) -> Result<NewKey, Vec<Detail>> {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let ids = self.accounts.split([' ', ',', '\n', '\r', '\t']).filter(|id| !id.is_empty());
        let origins =
            self.origins.split([' ', ',', '\n', '\r', '\t']).filter(|text| !text.is_empty());
        let chosen = self.endpoints().into_iter().filter(|endpoint| endpoint.1);
        let new = wire::NewKey {
            name: self.name.trim().to_owned(),
            role: given(&self.role),
            app: given(&self.app),
            accounts: ids.map(str::to_owned).collect(),
            endpoints: chosen.map(|endpoint| endpoint.0.name().to_owned()).collect(),
            origins: origins.map(str::to_owned).collect(),
            expires: given(&self.expires),
            ..wire::NewKey::default()
        }
        .read();
        let (mut new, limits) = match (new, self.limits.read()) {
            (Ok(new), Ok(limits)) => (new, limits),
            (new, limits) => {
                let problems = [new.err(), limits.err()];
                return Err(problems.into_iter().flatten().flatten().collect());
            }
        };
        new.scopes.rights.clone_from(&self.rights);
        Ok(NewKey { limits, ..new })
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
    let form = Form { role: fields.role(), fields, apps: &apps, errors };
    page(status, view::new(&chrome(session, Section::Keys, None), &form))
}

fn limits_page(
    host: &Host,
    session: &Session,
    key: Result<Key, Unreadable>,
    fields: &LimitFields,
    status: StatusCode,
    errors: &FieldErrors,
) -> Response {
    let row = row(key, host.clock().now());
    let chrome = chrome(session, Section::Keys, None);
    page(status, view::limits(&chrome, &row, fields, errors))
}

fn search(query: &ListQuery, now: OffsetDateTime) -> KeySearch {
    let after = query.after.split_once('/').map(|(id, name)| (search_text(name), search_text(id)));
    KeySearch {
        role: Role::from_name(&query.role),
        working_at: (query.state != "any").then_some(now),
        search: Some(search_text(&query.search)).filter(|text| !text.is_empty()),
        after,
        limit: ROWS,
    }
}

fn row(key: Result<Key, Unreadable>, now: OffsetDateTime) -> Row {
    match key {
        Ok(key) => readable(&key, now),
        Err(unreadable) => Row {
            id: unreadable.id,
            name: unreadable.name,
            holder: "",
            app: String::new(),
            may: format!("none: {}", unreadable.why),
            limits: String::new(),
            created: time(unreadable.created_at),
            expires: "unknown".to_owned(),
            last_used: "unknown".to_owned(),
            works: false,
            is_limitable: false,
            tokens: None,
            is_revocable: unreadable.revoked_at.is_none(),
            state: if unreadable.revoked_at.is_some() { "revoked" } else { "unreadable" },
            revoked: unreadable.revoked_at.map(time),
        },
    }
}

fn readable(key: &Key, now: OffsetDateTime) -> Row {
    let has_expired = key.expires_at.is_some_and(|end| end <= now);
    let never = || "never".to_owned();
    let works = key.revoked_at.is_none() && !has_expired;
    Row {
        id: key.id.clone(),
        name: key.name.clone(),
        holder: view::holder(key.role),
        app: key.scopes.app.clone().unwrap_or_default(),
        may: view::may(key),
        limits: view::limits_in_words(key.limits),
        created: time(key.created_at),
        expires: key.expires_at.map_or_else(never, time),
        last_used: key.last_used_at.map_or_else(never, hour),
        works,
        is_limitable: works && key.role.kind() == Kind::Caller,
        tokens: (works && key.scopes.rights.contains(&Right::Browser))
            .then(|| format!("{PATH}/{}/tokens", key.id)),
        is_revocable: works,
        state: match key.revoked_at {
            Some(_) => "revoked",
            None if has_expired => "expired",
            None => "active",
        },
        revoked: key.revoked_at.map(time),
    }
}

/// A command that calls an endpoint with that key and, if the endpoint needs one, as that account.
pub(super) fn call(host: &Host, endpoint: Endpoint, account: &str, key: &str) -> String {
    let today = host.clock().now().date();
    let until = today.previous_day().unwrap_or(today);
    let (signer, metrics, window) = match endpoint {
        Endpoint::Totals => (String::new(), r#""favorites","retweets""#, String::new()),
        Endpoint::TwentyEightHours => (
            format!(" \\\n  -H 'Countersign-Account: {account}'"),
            r#""impressions""#,
            String::new(),
        ),
        Endpoint::Historical => (
            format!(" \\\n  -H 'Countersign-Account: {account}'"),
            r#""impressions""#,
            format!(r#""start":"{until}","end":"{today}","#),
        ),
    };
    let url = callers_url(host);
    let path = endpoint.path();
    format!(
        "curl --compressed {url}{path} \\\n  -H 'Authorization: Bearer {key}'{signer} \\\n  -H 'Content-Type: application/json' \\\n  -d '{{\"tweet_ids\":[\"20\"],\"engagement_types\":[{metrics}],{window}\n       \"groupings\":{{\"by_tweet\":{{\"group_by\":[\"tweet.id\",\"engagement.type\"]}}}}}}'"
    )
}
