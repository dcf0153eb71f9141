//! Parameters and examples that operations for operators share.

use serde_json::Value;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use crate::api::openapi::audience::Audience;
use crate::api::openapi::operation::{Operation, Parameter};
use crate::api::openapi::problems;
use crate::model::key::Kind;
use crate::web::extract::{ITEMS, MOST_ITEMS};
use crate::wire::schema::text;

/// The id of a key in examples.
pub(super) const KEY: &str = "4vJ0aBcDeFgH";

pub(super) const NEXT: &str = "The `next` of the previous page.";

pub(super) fn of_app() -> Parameter {
    let about = "The app's name; optional if only one app is configured.";
    query("app", about, text("").into(), "demo".into())
}

pub(super) fn after(example: &str) -> Parameter {
    query("after", NEXT, text("").into(), example.into())
}

pub(super) fn before(example: i64) -> Parameter {
    query("before", NEXT, ObjectBuilder::new().schema_type(Type::Integer).into(), example.into())
}

pub(super) fn limit() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(MOST_ITEMS))
        .default(Some(ITEMS.into()));
    query("limit", "The most items to return.", schema.into(), ITEMS.into())
}

pub(super) fn in_path(name: &'static str, about: &'static str, example: &str) -> Parameter {
    let (place, example) = (ParameterIn::Path, example.into());
    Parameter { name, place, about, schema: text("").into(), example }
}

pub(super) fn query(
    name: &'static str,
    about: &'static str,
    schema: RefOr<Schema>,
    example: Value,
) -> Parameter {
    Parameter { name, place: ParameterIn::Query, about, schema, example }
}

pub(super) fn operation(
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(Audience::Operators, method, path, id, summary)
        .refuses(problems::of_keys(Kind::Admin))
}

/// An example with this member added or replaced.
pub(super) fn with(mut example: Value, name: &str, value: impl Into<Value>) -> Value {
    if let Value::Object(members) = &mut example {
        members.insert(name.to_owned(), value.into());
    }
    example
}
