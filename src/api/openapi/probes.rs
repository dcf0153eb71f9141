//! Health checks, metrics and documentation, for which no key is required.

use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType};
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use crate::api::openapi::audience::Audience;
use crate::api::openapi::operation::{Content, Operation};
use crate::api::openapi::schemas::{closed, object};
use crate::wire::schema::{one_of, text};

pub(super) fn operations() -> Vec<Operation> {
    let get =
        |audience, path, id, summary| Operation::new(audience, HttpMethod::Get, path, id, summary);
    let ready = json!({ "status": "ready", "reasons": [] });
    let not_ready = json!({ "status": "not ready", "reasons": ["the gateway is stopping"] });
    let members = ["info", "servers", "tags", "paths", "components"];
    let document = members.into_iter().fold(
        ObjectBuilder::new()
            .property("openapi", text("The version of OpenAPI."))
            .required("openapi"),
        |document, member| {
            document.property(member, ObjectBuilder::new().schema_type(SchemaType::AnyValue))
        },
    );
    vec![
        get(Audience::Anyone, "/livez", "livez", "Check that the process is running").gives(
            "200",
            "It is running.",
            closed(status(&["live"])),
            json!({ "status": "live" }),
        ),
        get(Audience::Anyone, "/readyz", "readyz", "Check that calls can be served")
            .about("A degraded gateway still serves calls; `reasons` lists what is wrong.")
            .gives("200", "Calls can be served.", health(&["ready", "degraded"]), ready)
            .gives("503", "Calls cannot be served.", health(&["not ready"]), not_ready),
        get(Audience::Monitoring, "/metrics", "metrics", "Get the metrics").answers(
            "200",
            "All metrics, in Prometheus's text format.",
            vec![Content::text("text/plain", text("One line per value."), "countersign_database_up 1\n")],
        ),
        get(Audience::Pages, "/v1/client.js", "client", "Get the client for web pages")
            .about("A module without dependencies, which a page of any origin may load: `import { Countersign } from \"https://gateway.example.com/v1/client.js\"`. It asks `POST /v1/engagement` with tokens, which it has renewed.")
            .answers(
                "200",
                "The module.",
                vec![Content::text("text/javascript", text("JavaScript."), "export class Countersign {\n")],
            ),
        get(Audience::Pages, "/v1/client.d.ts", "client_types", "Get the types of the client for web pages")
            .answers(
                "200",
                "The types.",
                vec![Content::text("text/plain", text("TypeScript."), "export class Countersign {\n")],
            ),
        get(Audience::Anyone, "/openapi.json", "openapi", "Get this description, for programs")
            .about("OpenAPI 3.1. Each listener describes its own API; `countersign openapi` prints both documents.")
            .gives("200", "The document.", object(document), json!({ "openapi": "3.1.0" })),
        get(Audience::Anyone, "/docs", "docs", "Get this description, for people")
            .about("One page, without scripts, that loads nothing from other sites.")
            .answers(
                "200",
                "The page.",
                vec![Content::text("text/html", text("HTML."), "<!doctype html>…")],
            ),
    ]
}

fn health(words: &[&'static str]) -> RefOr<Schema> {
    let reasons = ArrayBuilder::new().items(text("A reason.").build());
    closed(status(words).property("reasons", reasons).required("reasons"))
}

fn status(words: &[&'static str]) -> ObjectBuilder {
    let word = one_of("The state.", words.iter().copied());
    ObjectBuilder::new().property("status", word).required("status")
}
