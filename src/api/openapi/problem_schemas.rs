//! The schemas of the gateway's own errors (RFC 9457).

use std::collections::BTreeSet;

use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::api::openapi::problems::Sample;
use crate::api::openapi::schemas::named;
use crate::wire::schema::{one_of, text};

/// The schema of a problem document, and those that it refers to.
pub(super) fn schemas(samples: &[Sample]) -> [(String, RefOr<Schema>); 3] {
    let codes: BTreeSet<&'static str> =
        samples.iter().map(|sample| sample.problem.code()).collect();
    let place = ObjectBuilder::new()
        .description(Some("One mistake: what is wrong, and one member that says where."))
        .property("detail", text("What is wrong, and what would be accepted."))
        .property(
            "pointer",
            text("Where in the body, as a JSON pointer; empty for the whole body."),
        )
        .property("line", ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)))
        .property("header", text("The header."))
        .property("part", one_of("The part of the URL.", ["path", "query"]))
        .required("detail")
        .additional_properties(Some(false_schema()));
    let account = ObjectBuilder::new()
        .description(Some("With `account_not_active`: which account."))
        .property("id", named("UserId"))
        .property("screen_name", text("Its name, without `@`."))
        .required("id")
        .required("screen_name")
        .additional_properties(Some(false_schema()));
    let list = |of: RefOr<Schema>| ArrayBuilder::new().items(of);
    let problem = ObjectBuilder::new()
        .description(Some("An error of the gateway's own (RFC 9457)."))
        .property("type", text("`urn:countersign:problem:` followed by the code."))
        .property("title", text("A short summary, always the same for a code."))
        .property("status", ObjectBuilder::new().schema_type(Type::Integer))
        .property("code", named("ErrorCode"))
        .property("detail", text("What went wrong this time, and what to do about it."))
        .property("request_id", text("The gateway's log has more about the request under this id."))
        .property(
            "errors",
            list(text("The details again, where clients of X's API look for them.").build().into()),
        )
        .property("problems", list(named("Mistake").into()))
        .property("account", account)
        .property("reconnect_url", text("With `account_not_active`, for keys that may create links: where the user can connect the account again."))
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
            one_of("What went wrong. A code never changes its meaning.", codes).into(),
        ),
    ]
}

fn false_schema() -> AdditionalProperties<Schema> {
    AdditionalProperties::FreeForm(false)
}
