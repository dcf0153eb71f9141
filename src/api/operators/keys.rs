//! `/admin/v1/keys`: operators list, create, limit and revoke API keys.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

use crate::api::openapi::examples::{ORIGIN, USER_ID};
use crate::api::openapi::for_operators::{KEY, after, in_path, limit, operation, query, with};
use crate::api::openapi::operation::{Content, Operation};
use crate::api::openapi::problems;
use crate::api::openapi::schemas::named;
use crate::api::openapi::shape::{page_of, shape};
use crate::api::operators::guard::Actor;
use crate::gateway::{Detail, Page};
use crate::model::key::Unreadable;
use crate::web::extract;
use crate::web::extract::{Path, Query};
use crate::web::host::Host;
use crate::web::paging::{Limit, page};
use crate::web::problem::Problem;
use crate::wire::{
    CreatedKey, Key, KeyChanges, KeyTerms, NewKey, Subjects, Withdrawal, Withdrawn, read_day,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    after: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// The descriptions of this file's handlers.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        describe_list(),
        describe_create(),
        describe_update(),
        describe_subjects(),
        describe_withdraw(),
        describe_revoke(),
    ]
}

/// Keys by id; `next` is the `after` of the next page.
pub(crate) async fn list(
    State(host): State<Host>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let wanted = Page { after: query.after, limit: query.limit.0 };
    let keys = host.gateway().list_keys(&wanted).await?;
    let id = |key: &Result<_, _>| Unreadable::id_of(key).to_owned();
    Ok(page::<_, Key, _>("keys", keys, &query.limit, id))
}

fn describe_list() -> Operation {
    let listed = json!({ "keys": [key_example()], "next": null });
    operation(HttpMethod::Get, "/admin/v1/keys", "list_keys", "List keys")
        .takes(after(KEY))
        .takes(limit())
        .gives(
            "200",
            "The keys, by id, without their secrets.",
            page_of::<Key>("keys", "after", Type::String),
            listed,
        )
        .refuses(problems::of_queries())
}

/// Creates a key and returns its text (shown only once).
pub(crate) async fn create(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    request: Request,
) -> Result<Response, Problem> {
    let new: NewKey = extract::json(&host, request).await?;
    let new = new.read().map_err(Problem::invalid)?;
    let (key, secret) = host.gateway().create_key(new, &actor.0).await?;
    let created = CreatedKey { secret: secret.expose().to_owned(), key: key.into() };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

fn describe_create() -> Operation {
    let new = json!({
        "name": "dashboard", "app": "demo", "accounts": [USER_ID],
        "endpoints": ["totals", "28hr"], "browser": true, "origins": [ORIGIN], "expires": "90d",
    });
    let created = with(key_example(), "secret", format!("csk_{KEY}_{}", "x".repeat(49)));
    operation(HttpMethod::Post, "/admin/v1/keys", "create_key", "Create a key")
        .about("The response has the key itself as `secret`, which is shown only once.")
        .reads(Content::json(shape::<NewKey>(), new))
        .gives("201", "The key, with its secret.", shape::<CreatedKey>(), created)
        .refuses(problems::of_bodies())
        .refuses(problems::of_field("/name", "must be 1 to 100 printable characters"))
        .refuses(vec![problems::already_exists("key", "a key named dashboard")])
}

/// Changes the limits of a key, given by id or name.
pub(crate) async fn update(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path(key): Path,
    request: Request,
) -> Result<Json<Key>, Problem> {
    let changes: KeyChanges = extract::json(&host, request).await?;
    Ok(Json(host.gateway().update_key(&key, changes.into(), &actor.0).await?.into()))
}

fn describe_update() -> Operation {
    let updated = with(key_example(), "per_minute", 120);
    operation(HttpMethod::Patch, "/admin/v1/keys/{key}", "update_key", "Change a key's limits")
        .about("What is left out stays as it is; `null` removes a limit. All replicas apply it within a second.")
        .takes(in_path("key", "The key's id, name or secret.", "dashboard"))
        .reads(Content::json(shape::<KeyChanges>(), json!({ "per_minute": 120 })))
        .gives("200", "The key, changed.", shape::<Key>(), updated)
        .refuses(problems::of_bodies())
        .refuses(problems::of_field("/weight", "must be from 1 to 1000"))
        .refuses(problems::not_found("key"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubjectsQuery {
    day: Option<String>,
}

/// What pages have asked with the tokens of a key.
pub(crate) async fn subjects(
    State(host): State<Host>,
    Path(key): Path,
    Query(query): Query<SubjectsQuery>,
) -> Result<Json<Subjects>, Problem> {
    let wrong = || Problem::invalid(vec![Detail::in_query("day must be a day like 2026-01-31")]);
    let day = query.day.map(|day| read_day(&day).ok_or_else(wrong)).transpose()?;
    Ok(Json(Subjects::new(host.gateway().list_subjects(&key, day).await?)))
}

fn describe_subjects() -> Operation {
    let subjects = json!([
        { "subject": "viewer-42", "questions": 31, "calls": 12 },
        { "subject": null, "questions": 4, "calls": 4 },
    ]);
    let listed = json!({ "key": KEY, "day": "2026-03-10", "subjects": subjects });
    let path = "/admin/v1/keys/{key}/subjects";
    operation(HttpMethod::Get, path, "list_subjects", "List whose tokens asked")
        .about("What pages asked on a day with the tokens that the key has made, by the tokens' subjects. Kept for 30 days.")
        .takes(in_path("key", "The key's id, name or secret.", "dashboard"))
        .takes(query("day", "The day, in UTC; today by default.", named("Date").into(), "2026-03-10".into()))
        .gives("200", "Those who asked the most come first.", shape::<Subjects>(), listed)
        .refuses(problems::of_queries())
        .refuses(problems::not_found("key"))
}

/// Withdraws the tokens that a key, given by id or name, has made.
pub(crate) async fn withdraw_tokens(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path(key): Path,
    request: Request,
) -> Result<Json<Withdrawn>, Problem> {
    let Withdrawal { subject } = extract::json_or_default(&host, request).await?;
    Ok(Json(host.gateway().withdraw_tokens(&key, subject, &actor.0).await?.into()))
}

fn describe_withdraw() -> Operation {
    let subject = || Some("viewer-42".to_owned());
    let withdrawn = Withdrawn {
        key: KEY.to_owned(),
        name: "dashboard".to_owned(),
        subject: subject(),
        tokens_after: "2026-03-10T21:15:30Z".to_owned(),
    };
    let path = "/admin/v1/keys/{key}/withdraw-tokens";
    operation(HttpMethod::Post, path, "withdraw_tokens", "Withdraw tokens")
        .about("Tokens in browsers that the key has made are refused by all replicas within a second; those that it makes a second later are good.")
        .takes(in_path("key", "The key's id, name or secret.", "dashboard"))
        .reads(Content::json(shape::<Withdrawal>(), json!({ "subject": subject() })))
        .gives("200", "What was withdrawn.", shape::<Withdrawn>(), json!(withdrawn))
        .refuses(problems::of_bodies())
        .refuses(problems::of_field("/subject", "must be 1 to 100 printable characters"))
        .refuses(problems::not_found("key"))
}

/// Revokes a key, given by id or name.
pub(crate) async fn revoke(
    State(host): State<Host>,
    Extension(actor): Extension<Actor>,
    Path(key): Path,
) -> Result<Json<Key>, Problem> {
    Ok(Json(host.gateway().revoke_key(&key, &actor.0).await?.into()))
}

fn describe_revoke() -> Operation {
    let revoked = with(key_example(), "revoked_at", "2026-03-10T21:15:30Z");
    operation(HttpMethod::Delete, "/admin/v1/keys/{key}", "revoke_key", "Revoke a key")
        .about("All replicas refuse it within a second.")
        .takes(in_path("key", "The key's id, name or secret.", "dashboard"))
        .gives("200", "The key, revoked.", shape::<Key>(), revoked)
        .refuses(problems::not_found("key"))
}

fn key_example() -> Value {
    let terms = key_terms_example();
    json!(Key { terms, role: Some("caller"), ..Key::default() })
}

/// The part of it that its holder sees.
pub(crate) fn key_terms_example() -> KeyTerms {
    KeyTerms {
        id: KEY.to_owned(),
        name: "dashboard".to_owned(),
        app: Some("demo".to_owned()),
        accounts: Some(vec![USER_ID.to_owned()]),
        endpoints: Some(vec!["totals", "28hr"]),
        browser: true,
        origins: vec![ORIGIN.to_owned()],
        weight: 1,
        created_at: "2026-03-10T21:15:30Z".to_owned(),
        expires_at: Some("2026-06-08T21:15:30Z".to_owned()),
        ..KeyTerms::default()
    }
}
