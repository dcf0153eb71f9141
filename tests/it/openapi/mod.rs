//! The API's description: it is complete, and it is true.

mod documents;
mod examples;
mod local_examples;
mod nulls;
mod page;
mod problems;
pub mod routes;
mod shape;
mod structure;

use countersign::api::openapi::{Api, text};
use reqwest::header::HeaderName;
use serde_json::{Map, Value};

use crate::database::{Database, Kind, fresh};
use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};
use crate::openapi::shape::faults;

/// One operation of the description.
pub struct Operation {
    pub method: String,
    pub path: String,
    pub told: Value,
}

/// A gateway, with a key for each of its two listeners.
struct Doors {
    /// Kept for as long as the gateway runs.
    _database: Option<Database>,
    gateway: TestGateway,
    admin: String,
}

/// The document of one listener's API.
fn document_of(api: Api) -> Value {
    serde_json::from_str(text(api)).unwrap()
}

/// Both documents in one, for tests that ask both listeners. What both have is the same in both, but for the list of all
/// codes.
pub fn document() -> Value {
    let (mut whole, operators) = (document_of(Api::Callers), document_of(Api::Operators));
    let mut lists = vec!["/paths".to_owned()];
    let components = object(&operators["components"]).keys();
    lists.extend(components.map(|kind| format!("/components/{kind}")));
    let codes = "/components/schemas/ErrorCode/enum";
    let more = list(&operators.pointer(codes).unwrap().clone()).cloned().collect::<Vec<_>>();
    let all = whole.pointer_mut(codes).unwrap().as_array_mut().unwrap();
    all.extend(more);
    for at in lists {
        let members = whole.pointer_mut(&at).unwrap().as_object_mut().unwrap();
        for (name, member) in object(operators.pointer(&at).unwrap()) {
            let there = members.entry(name).or_insert_with(|| member.clone());
            assert!(there == member || name == "ErrorCode", "{at}/{name} differs");
        }
    }
    whole
}

pub fn operations(document: &Value) -> Vec<Operation> {
    let of_path = |(path, item): (&String, &Value)| {
        let of_method = |(method, told): (&String, &Value)| Operation {
            method: method.to_uppercase(),
            path: path.clone(),
            told: told.clone(),
        };
        item.as_object().unwrap().iter().map(of_method).collect::<Vec<_>>()
    };
    let mut all: Vec<Operation> = object(&document["paths"]).iter().flat_map(of_path).collect();
    // Last, since the others ask about what these remove.
    all.sort_by_key(|operation| operation.method == "DELETE");
    all
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object"))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The value, or what its `$ref` refers to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(target) => document.pointer(target.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

impl Operation {
    pub fn id(&self) -> &str {
        self.told["operationId"].as_str().unwrap()
    }

    fn tag(&self) -> &str {
        self.told["tags"][0].as_str().unwrap()
    }

    /// The media type and description of the request's body.
    fn body(&self) -> Option<(&str, &Value)> {
        let (media, content) = self.told["requestBody"]["content"].as_object()?.iter().next()?;
        Some((media, content))
    }

    /// The path with the examples of its parameters filled in.
    fn example_path(&self) -> String {
        list(&self.told["parameters"]).filter(|parameter| parameter["in"] == "path").fold(
            self.path.clone(),
            |path, parameter| {
                let name = format!("{{{}}}", parameter["name"].as_str().unwrap());
                path.replace(&name, parameter["example"].as_str().unwrap())
            },
        )
    }

    /// The example request, with the kind of key that the operation takes.
    fn ask(&self, doors: &Doors, path: &str) -> Ask {
        let ask = match self.tag() {
            "callers" if self.path.starts_with("/insights/") => doors
                .gateway
                .ask(&self.method, path)
                .header("accept", "application/json, application/problem+json"),
            "callers" => doors.gateway.ask(&self.method, path),
            "operators" => doors.gateway.admin(&doors.admin, &self.method, path),
            _ if self.path.starts_with("/v1/") => {
                doors.gateway.ask(&self.method, path).header("authorization", "")
            }
            _ => doors.gateway.admin("", &self.method, path).header("authorization", ""),
        };
        let Some((media, content)) = self.body() else { return ask };
        let example = &content["example"];
        let body = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        ask.header("content-type", media).body(body)
    }

    /// Asserts that the answer is described, in status, headers and body.
    #[track_caller]
    fn describes(&self, document: &Value, answer: &Answer) {
        let (id, status) = (self.id(), answer.status.as_u16());
        let responses = object(&self.told["responses"]);
        let is_own = !answer.header("countersign-error").is_empty();
        let response = responses.get(&status.to_string());
        let response = response.or(responses.get("default").filter(|_| !is_own));
        let response = response.unwrap_or_else(|| panic!("{id}: {status} {}", answer.text()));
        for name in answer.headers.keys().map(HeaderName::as_str) {
            let is_told = name.starts_with("countersign-")
                || ["retry-after", "www-authenticate", "x-request-id", "server-timing"]
                    .contains(&name);
            let mut described = object(&response["headers"]).keys();
            let is_described = described.any(|header| header.eq_ignore_ascii_case(name));
            assert!(!is_told || is_described, "{id}: {status} has a header {name}");
        }
        let media = answer.header("content-type").split(';').next().unwrap();
        let others = &response["x-other-content"];
        let content = response["content"].get(media).unwrap_or(&others[media]);
        assert!(content.is_object(), "{id}: {status} is {media}: {}", answer.text());
        let is_json = media.ends_with("json") && !media.ends_with("ndjson");
        let body = if is_json { answer.json() } else { answer.text().into() };
        assert_eq!(faults(document, &content["schema"], &body), [""; 0], "{id}: {status} {body}");
    }
}

impl Doors {
    async fn open(gateway: TestGateway) -> Doors {
        let admin = gateway.new_admin_key().await;
        Doors { _database: None, gateway, admin }
    }

    /// A gateway on a database of its own.
    async fn fresh() -> Doors {
        let database = fresh(Kind::Sqlite).await;
        let doors = Doors::open(TestGateway::start(&database).await).await;
        Doors { _database: Some(database), ..doors }
    }
}
