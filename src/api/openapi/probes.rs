//! What nobody needs a key for.

use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType};
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use crate::api::openapi::operation::{Audience, Content, Operation};
use crate::api::openapi::schemas::{closed, object};
use crate::wire::schema::{one_of, text};

pub(super) fn operations() -> Vec<Operation> {
    let get =
        |audience, path, id, summary| Operation::new(audience, HttpMethod::Get, path, id, summary);
    let ready = json!({ "status": "ready", "reasons": [] });
    let not_ready = json!({ "status": "not ready", "reasons": ["the gateway is stopping"] });
    let parts = ["info", "servers", "tags", "paths", "components"];
    let document = parts.into_iter().fold(
        ObjectBuilder::new().property("openapi", text("The version.")).required("openapi"),
        |it, part| it.property(part, ObjectBuilder::new().schema_type(SchemaType::AnyValue)),
    );
    vec![
        get(Audience::Anybody, "/livez", "livez", "Whether the process runs").gives(
            "200",
            "It does.",
            closed(status(&["live"])),
            json!({ "status": "live" }),
        ),
        get(Audience::Anybody, "/readyz", "readyz", "Whether calls can be served")
            .about("A degraded gateway serves calls; `reasons` says what is wrong with it.")
            .gives("200", "They can.", health(&["ready", "degraded"]), ready)
            .gives("503", "They cannot.", health(&["not ready"]), not_ready),
        get(Audience::Watchers, "/metrics", "metrics", "Everything that is counted").answers(
            "200",
            "In Prometheus's text format.",
            vec![Content::text("text/plain", text("Lines."), "countersign_database_up 1\n")],
        ),
        get(Audience::Anybody, "/openapi.json", "openapi", "This description, for programs")
            .about("OpenAPI 3.1; `countersign openapi` prints the same.")
            .gives("200", "All of it.", object(document), json!({ "openapi": "3.1.0" })),
        get(Audience::Anybody, "/docs", "docs", "This description, for people")
            .about("One page without scripts, which loads nothing from elsewhere.")
            .answers(
                "200",
                "The page.",
                vec![Content::text("text/html", text("A page."), "<!doctype html>…")],
            ),
    ]
}

fn health(words: &[&'static str]) -> RefOr<Schema> {
    let reasons = ArrayBuilder::new().items(text("What is wrong.").build());
    closed(status(words).property("reasons", reasons).required("reasons"))
}

fn status(words: &[&'static str]) -> ObjectBuilder {
    let word = one_of("In a word.", words.iter().copied());
    ObjectBuilder::new().property("status", word).required("status")
}
