//! The schemas of what the gateway answers itself (RFC 9457).

use std::collections::BTreeSet;

use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::api::openapi::problems::Sample;
use crate::api::openapi::schemas::named;
use crate::wire::schema::{one_of, text};

/// The body of each of these.
pub(super) fn schemas(samples: &[Sample]) -> [(String, RefOr<Schema>); 3] {
    let codes: BTreeSet<&'static str> = samples.iter().map(|it| it.problem.code()).collect();
    let place = ObjectBuilder::new()
        .description(Some("One mistake: what it is, and one member that says where."))
        .property("detail", text("What is wrong, and what would be right."))
        .property("pointer", text("Where in the body, as a JSON pointer; empty for the whole."))
        .property("line", ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)))
        .property("header", text("Which header."))
        .property("part", one_of("Which part of the address.", ["path", "query"]))
        .required("detail")
        .additional_properties(Some(false_schema()));
    let list = |of: RefOr<Schema>| ArrayBuilder::new().items(of);
    let problem = ObjectBuilder::new()
        .description(Some("What the gateway answers itself when something is wrong (RFC 9457)."))
        .property("type", text("`urn:countersign:problem:` and the code."))
        .property("title", text("The same for each code."))
        .property("status", ObjectBuilder::new().schema_type(Type::Integer))
        .property("code", named("ErrorCode"))
        .property("detail", text("What is wrong here, and what would help."))
        .property("request_id", text("Under this the log has more."))
        .property(
            "errors",
            list(text("The detail, where clients of X's API look for it.").build().into()),
        )
        .property("problems", list(named("Mistake").into()))
        .property("reconnect_url", text("With `account_not_active`, for keys that may make links: where the user connects again."))
        .property("reconnect_until", named("Time"))
        .property("missing", list(named("Missing").into()));
    let problem = ["type", "title", "status", "code", "detail", "request_id", "errors", "problems"]
        .into_iter()
        .fold(problem, ObjectBuilder::required);
    [
        ("Problem".to_owned(), Schema::from(problem.build()).into()),
        ("Mistake".to_owned(), Schema::from(place.build()).into()),
        (
            "ErrorCode".to_owned(),
            one_of("What went wrong; it never changes its meaning.", codes).into(),
        ),
    ]
}

fn false_schema() -> AdditionalProperties<Schema> {
    AdditionalProperties::FreeForm(false)
}
