//! Parts of descriptions that operations for operators share.

use serde_json::{Value, json};
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use crate::api::openapi::audience::Audience;
use crate::api::openapi::examples::USER_ID;
use crate::api::openapi::operation::{Content, Operation, Parameter};
use crate::api::openapi::page_problems;
use crate::api::openapi::problems;
use crate::api::openapi::schemas::named;
use crate::api::openapi::shape::shape;
use crate::model::AccountState;
use crate::model::key::Kind;
use crate::web::paging::{ITEMS, MOST_ITEMS};
use crate::wire::schema::{one_of, text};
use crate::wire::{CreatedLink, NewLink};

/// The id of a key in examples.
pub(crate) const KEY: &str = "4vJ0aBcDeFgH";

/// The id of a link in examples.
pub(crate) const LINK: &str = "4b1f6f0c7a2d9e83";

const NEXT: &str = "The `next` of the previous page.";

pub(crate) fn of_app() -> Parameter {
    let about = "The app's name; optional if only one app is configured.";
    query("app", about, text("").into(), "demo".into())
}

pub(crate) fn after(example: &str) -> Parameter {
    query("after", NEXT, text("").into(), example.into())
}

pub(crate) fn before(example: i64) -> Parameter {
    query("before", NEXT, ObjectBuilder::new().schema_type(Type::Integer).into(), example.into())
}

pub(crate) fn limit() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(MOST_ITEMS))
        .default(Some(ITEMS.into()));
    query("limit", "The most items to return.", schema.into(), ITEMS.into())
}

pub(crate) fn in_path(name: &'static str, about: &'static str, example: &str) -> Parameter {
    let (place, example) = (ParameterIn::Path, example.into());
    Parameter { name, place, about, schema: text("").into(), example }
}

pub(crate) fn query(
    name: &'static str,
    about: &'static str,
    schema: RefOr<Schema>,
    example: Value,
) -> Parameter {
    Parameter { name, place: ParameterIn::Query, about, schema, example }
}

pub(crate) fn operation(
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    let changes = method != HttpMethod::Get;
    let operation = Operation::new(Audience::Operators, method, path, id, summary)
        .refuses(problems::of_keys(Kind::Admin))
        .refuses(vec![problems::not_allowed("role", "it is read-only")])
        .refuses(page_problems::of_leaks());
    if changes { operation.refuses(problems::of_changes()) } else { operation }
}

pub(crate) fn of_key() -> Parameter {
    query("key", "Only calls with this key, by id or name.", text("").into(), KEY.into())
}

pub(crate) fn of_state() -> Parameter {
    let states = one_of("", AccountState::ALL.map(AccountState::name));
    query("state", "Only accounts in this state.", states.into(), "active".into())
}

pub(crate) fn of_account() -> Parameter {
    let about = "Only calls with the token of this account, by user id.";
    query("account", about, named("UserId").into(), USER_ID.into())
}

/// Describes the creation of a link, which both APIs offer.
pub(crate) fn creates_link(operation: Operation) -> Operation {
    let new = json!({ "app": "demo", "label": "for Alice", "expires": "2h" });
    let created = json!({
        "id": LINK, "url": "https://countersign.example.com/connect/…", "app": "demo", "label": "for Alice",
        "user_id": null, "return_to": null, "expires_at": "2026-03-10T23:15:30Z",
    });
    operation
        .reads(Content::json(shape::<NewLink>(), new))
        .gives("201", "The link, with its URL.", shape::<CreatedLink>(), created)
        .refuses(problems::of_bodies())
        .refuses(problems::of_field("/label", "must be 1 to 100 printable characters"))
        .refuses(problems::of_apps())
}

/// An example with this member added or replaced.
pub(crate) fn with(mut example: Value, name: &str, value: impl Into<Value>) -> Value {
    if let Value::Object(members) = &mut example {
        members.insert(name.to_owned(), value.into());
    }
    example
}
