//! What can be asked over HTTP, told to programs (`/openapi.json`, OpenAPI 3.1) and to people (`/docs`).
//!
//! Each operation stands in `callers`, `operators` or `probes`; shapes come from the wire's own types, problems from
//! those that are really answered.

mod callers;
pub(crate) mod operation;
mod operators;
mod probes;
mod problem_schemas;
pub(crate) mod problems;
mod schemas;

use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, InfoBuilder, License, OpenApi, OpenApiBuilder, Paths, ServerBuilder,
};

use crate::api::openapi::operation::{Audience, Operation};
use crate::api::openapi::problems::Sample;
use crate::model::key::Kind;
use crate::web::fixed::Fixed;

const ABOUT: &str = "Countersign holds the credentials for X's enterprise Engagement API, and signs each call with the right ones.\n\nAn answer with the header `Countersign-Error` is the gateway's own; any other is X's. The gateway's own are problems (RFC 9457), but on X's own paths they have X's form unless `Accept` names `application/problem+json`. Whatever is not described here is answered with 404 `not_found` or 405 `method_not_allowed`. All answers come gzipped to those who ask for it.";

/// The description, indented.
static TEXT: LazyLock<String> =
    LazyLock::new(|| serde_json::to_string_pretty(&description()).unwrap_or_default());
static DOCUMENT: LazyLock<Fixed> = LazyLock::new(|| Fixed::new("application/json", text()));

/// The description as it is served.
pub fn text() -> &'static str {
    &TEXT
}

pub(crate) async fn document(headers: HeaderMap) -> Response {
    DOCUMENT.answer(&headers)
}

pub(crate) fn operations() -> Vec<Operation> {
    [callers::operations(), operators::operations(), probes::operations()]
        .into_iter()
        .flatten()
        .collect()
}

/// What is told of paths and methods that are not described.
pub(crate) fn strangers() -> Vec<Sample> {
    problems::of_strangers()
}

pub(crate) fn description() -> OpenApi {
    let operations = operations();
    let mut paths = Paths::new();
    for it in &operations {
        paths.add_path_operation(it.path, vec![it.method.clone()], it.written());
    }
    let info = InfoBuilder::new()
        .title("Countersign")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(License::new(env!("CARGO_PKG_LICENSE"))));
    let server = |it: Audience| {
        let url = it.servers().first().copied().unwrap_or_default();
        ServerBuilder::new().url(url).description(Some(it.about())).build()
    };
    let tag = |it: Audience| TagBuilder::new().name(it.tag()).description(Some(it.about())).build();
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([Audience::Callers, Audience::Operators].map(server)))
        .tags(Some([Audience::Callers, Audience::Operators, Audience::Anybody].map(tag)))
        .paths(paths)
        .components(Some(components(&operations)))
        .build()
}

fn components(operations: &[Operation]) -> Components {
    let mut samples: Vec<Sample> =
        operations.iter().flat_map(|it| it.problems.iter().cloned()).collect();
    samples.extend(strangers());
    let mut components = Components::new();
    components.schemas.extend(schemas::all());
    components.schemas.extend(problem_schemas::schemas(&samples));
    components.examples.extend(problems::examples(&samples));
    components
        .headers
        .extend(problems::header_components().map(|(name, it)| (name.to_owned(), it.into())));
    for (audience, kind) in [(Audience::Callers, Kind::Caller), (Audience::Operators, Kind::Admin)]
    {
        for (name, scheme) in audience.schemes().iter().zip(schemes(kind)) {
            components.add_security_scheme(*name, scheme);
        }
    }
    components
}

/// The two headers that a key may stand in.
fn schemes(kind: Kind) -> [SecurityScheme; 2] {
    let about = format!("A key of the kind `{}`: `{}…`.", kind.name(), kind.prefix());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(&about));
    [
        SecurityScheme::Http(bearer.build()),
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("X-Api-Key", &about))),
    ]
}
