//! The description of the HTTP API, a document for each listener: for programs at `/openapi.json` (OpenAPI 3.1), and
//! what `/docs` shows to people.
//!
//! Operators' operations are described beside their handlers, the others in `callers`, `own` and `probes`. Schemas come from the
//! types in `wire`, and problems are built by the code that answers with them.

pub(crate) mod audience;
mod callers;
pub(crate) mod examples;
pub(crate) mod for_operators;
pub(crate) mod operation;
mod own;
mod page_problems;
mod probes;
mod problem_schemas;
pub(crate) mod problems;
mod references;
pub(crate) mod schemas;
pub(crate) mod shape;

use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, ServerBuilder,
};

pub use crate::api::openapi::audience::Api;
pub use crate::api::openapi::examples::use_examples_of;

use crate::api::openapi::audience::Audience;
use crate::api::openapi::operation::Operation;
use crate::api::openapi::problems::Sample;
use crate::api::operators;
use crate::model::key::Kind;
use crate::web::fixed::Fixed;

/// The document of one API.
struct Document {
    /// Indented JSON.
    text: String,
    served: Fixed,
}

static CALLERS: LazyLock<Document> = LazyLock::new(|| Document::of(Api::Callers));
static OPERATORS: LazyLock<Document> = LazyLock::new(|| Document::of(Api::Operators));

impl Document {
    fn of(api: Api) -> Document {
        let text = serde_json::to_string_pretty(&description(api)).unwrap_or_default();
        let text = examples::localized(&text);
        Document { served: Fixed::new("application/json", &text), text }
    }
}

fn document_of(api: Api) -> &'static Document {
    match api {
        Api::Callers => &CALLERS,
        Api::Operators => &OPERATORS,
    }
}

/// The document of an API as it is served.
pub fn text(api: Api) -> &'static str {
    &document_of(api).text
}

pub(crate) fn document(api: Api, headers: &HeaderMap) -> Response {
    document_of(api).served.answer(headers)
}

pub(crate) fn operations(api: Api) -> Vec<Operation> {
    let all =
        [callers::operations(), own::operations(), operators::operations(), probes::operations()];
    all.into_iter().flatten().filter(|operation| operation.audience.is_served_by(api)).collect()
}

/// The problems of requests that match no operation.
pub(crate) fn problems_elsewhere() -> Vec<Sample> {
    problems::of_unknown_routes()
}

pub(crate) fn description(api: Api) -> OpenApi {
    let operations = operations(api);
    let mut paths = Paths::new();
    for operation in &operations {
        let method = vec![operation.method.clone()];
        paths.add_path_operation(operation.path, method, operation.written());
    }
    let license = LicenseBuilder::new().name("MIT").identifier(Some(env!("CARGO_PKG_LICENSE")));
    let info = InfoBuilder::new()
        .title(api.title())
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(api.about()))
        .license(Some(license.build()));
    let audiences = match api {
        Api::Callers => [Audience::Callers, Audience::Anyone],
        Api::Operators => [Audience::Operators, Audience::Anyone],
    };
    let tag = |audience: Audience| {
        TagBuilder::new().name(audience.tag()).description(Some(audience.about())).build()
    };
    let server = ServerBuilder::new().url("/").description(Some("The listener that serves this."));
    let mut document = OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([server.build()]))
        .tags(Some(audiences.map(tag)))
        .paths(paths)
        .components(Some(components(api, &operations)))
        .build();
    references::drop_unused(&mut document);
    document
}

fn components(api: Api, operations: &[Operation]) -> Components {
    let mut samples: Vec<Sample> =
        operations.iter().flat_map(|operation| operation.problems.iter().cloned()).collect();
    samples.extend(problems_elsewhere());
    let mut components = Components::new();
    for operation in operations {
        for content in operation.answers.iter().flat_map(|answer| &answer.contents) {
            let brought = content.components.iter().cloned();
            components.schemas.extend(brought.map(|(name, schema)| (name, schemas::whole(schema))));
        }
        let read = operation.body.iter().flat_map(|body| &body.content.components);
        components.schemas.extend(read.cloned());
    }
    components.schemas.extend(schemas::all());
    components.schemas.extend(problem_schemas::schemas(&samples));
    components.examples.extend(problems::examples(&samples));
    components.headers.extend(
        problems::header_components().map(|(name, header)| (name.to_owned(), header.into())),
    );
    let audience = match api {
        Api::Callers => Audience::Callers,
        Api::Operators => Audience::Operators,
    };
    for (name, scheme) in audience.schemes().iter().zip(schemes(api.kind())) {
        components.add_security_scheme(*name, scheme);
    }
    components
}

/// The two headers in which a key may be sent.
fn schemes(kind: Kind) -> [SecurityScheme; 2] {
    let article = if kind == Kind::Admin { "An" } else { "A" };
    let about = format!("{article} {} key: `{}…`.", kind.name(), kind.prefix());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(&about));
    [
        SecurityScheme::Http(bearer.build()),
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("X-Api-Key", &about))),
    ]
}
