//! `/docs`: the API description as a page for people, for each listener its own.

mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::response::Response;
use serde_json::Value;
use utoipa::openapi::HttpMethod;
use utoipa::openapi::path::ParameterIn;

use crate::api::openapi::audience::Audience;
use crate::api::openapi::examples::localized;
use crate::api::openapi::operation::{Body, Operation, Parameter};
use crate::api::openapi::problems::Sample;
use crate::api::openapi::{Api, description, operations, problems_elsewhere};
use crate::gateway::Gateway;
use crate::pages::docs::view::{Answer, Field, Group, Page, Problem, Text};
use crate::web::fixed::Fixed;

static CALLERS: LazyLock<Fixed> = LazyLock::new(|| html(Api::Callers));
static OPERATORS: LazyLock<Fixed> = LazyLock::new(|| html(Api::Operators));

static STYLE: LazyLock<Fixed> =
    LazyLock::new(|| Fixed::new("text/css; charset=utf-8", &view::style()));

/// The addresses in the page's commands, unless it was asked for by others.
const USUAL_CALLERS: &str = "http://127.0.0.1:8080";
const USUAL_OPERATORS: &str = "http://127.0.0.1:8081";
/// A name of the domain name system, and a port.
const LONGEST_HOST: usize = 260;

/// Problems of which the first one found is shown in full.
const EXAMPLES: [&str; 2] = ["invalid_request_post_id", "invalid_request_name"];

/// The page, with the address by which it was asked for.
pub(crate) fn page(api: Api, gateway: &Gateway, headers: &HeaderMap) -> Response {
    let (page, shown, public_url) = match api {
        Api::Callers => (&CALLERS, USUAL_CALLERS, gateway.public_url()),
        Api::Operators => (&OPERATORS, USUAL_OPERATORS, gateway.console_url()),
    };
    match asked_at(headers, public_url) {
        Some(address) if address != shown => page.answer_with(shown, address),
        _ => page.answer(headers),
    }
}

/// The scheme and authority of this request, if its header reads as one. A name without a port is taken for a proxy's,
/// which terminates TLS.
fn asked_at(headers: &HeaderMap, public_url: Option<&str>) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    if host.is_empty() || host.len() > LONGEST_HOST || !host.bytes().all(is_plain) {
        return None;
    }
    let public =
        public_url.filter(|url| url.split_once("://").is_some_and(|(_, name)| name == host));
    let scheme =
        if host.contains(':') || host.parse::<IpAddr>().is_ok() { "http" } else { "https" };
    Some(public.map_or_else(|| format!("{scheme}://{host}"), ToOwned::to_owned))
}

pub(crate) async fn style(headers: HeaderMap) -> Response {
    STYLE.answer(&headers)
}

fn html(api: Api) -> Fixed {
    Fixed::new("text/html; charset=utf-8", &localized(&text(api)))
}

fn text(api: Api) -> String {
    let document = serde_json::to_value(description(api)).unwrap_or_default();
    let (operations, elsewhere) = (operations(api), problems_elsewhere());
    let (for_operators, own) = match api {
        Api::Callers => (false, (Audience::Callers, "For services")),
        Api::Operators => (true, (Audience::Operators, "For operators")),
    };
    let group = |(audience, title): (Audience, &'static str)| {
        let tag = audience.tag();
        let of_group = operations.iter().filter(|operation| operation.audience.tag() == tag);
        Group {
            id: tag,
            title,
            about: Text(audience.about().to_owned()),
            operations: of_group.map(|listed| operation(listed, &document)).collect(),
        }
    };
    let own_problems = operations.iter().flat_map(|operation| &operation.problems);
    let samples: Vec<&Sample> = own_problems.chain(&elsewhere).collect();
    let example = samples.iter().find(|sample| EXAMPLES.contains(&&*sample.name));
    let page = Page {
        version: env!("CARGO_PKG_VERSION"),
        for_operators,
        groups: vec![group(own), group((Audience::Anyone, "Monitoring and documentation"))],
        problems: problems(&samples),
        problem_example: example.map(|sample| shown(&sample.body(), 0)).unwrap_or_default(),
    };
    view::text(&page)
}

fn operation(operation: &Operation, document: &Value) -> view::Operation {
    let mut codes: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    for sample in &operation.problems {
        let of_status = codes.entry(sample.problem.status().as_u16()).or_default();
        if !of_status.contains(&sample.problem.code()) {
            of_status.push(sample.problem.code());
        }
    }
    let body = |body: &Body| {
        let schema = serde_json::to_value(&body.content.schema).unwrap_or_default();
        fields(&schema, document)
    };
    let answers = operation.answers.iter().flat_map(|answer| {
        answer.contents.iter().enumerate().map(|(index, content)| Answer {
            status: if answer.status == "default" { "any other" } else { answer.status },
            media: content.media,
            about: Text(if index == 0 { answer.about.to_owned() } else { String::new() }),
            example: example(&content.example),
        })
    });
    view::Operation {
        id: operation.id,
        method: method(&operation.method).to_owned(),
        path: operation.path,
        summary: operation.summary,
        about: Text(operation.about.to_owned()),
        curl: curl(operation),
        parameters: operation.parameters.iter().map(|given| parameter(given, document)).collect(),
        body: operation.body.as_ref().map(body).unwrap_or_default(),
        answers: answers.collect(),
        problems: codes.into_iter().collect(),
    }
}

fn parameter(parameter: &Parameter, document: &Value) -> Field {
    let schema = serde_json::to_value(&parameter.schema).unwrap_or_default();
    Field {
        name: parameter.name.to_owned(),
        place: match parameter.place {
            ParameterIn::Path => "in the path",
            ParameterIn::Header => "a header",
            _ => "in the query",
        },
        kind: kind(&schema, document),
        is_required: parameter.is_required(),
        about: Text(parameter.about.to_owned()),
    }
}

/// A command for a shell, with the first header parameter only, which most calls need.
fn curl(operation: &Operation) -> String {
    let path = operation
        .parameters
        .iter()
        .filter(|parameter| parameter.place == ParameterIn::Path)
        .fold(operation.path.to_owned(), |path, parameter| {
            path.replace(&format!("{{{}}}", parameter.name), &example(&parameter.example))
        });
    let compressed = if operation.audience == Audience::Callers { " --compressed" } else { "" };
    let method = match (&operation.method, &operation.body) {
        (HttpMethod::Get, _) | (HttpMethod::Post, Some(_)) => String::new(),
        (other, _) => format!(" -X {}", method(other)),
    };
    let mut parts = vec![format!("curl{compressed}{method} \"$URL{path}\"")];
    match operation.audience {
        Audience::Callers => parts.push("-H \"Authorization: Bearer $KEY\"".to_owned()),
        Audience::Operators => parts.push("-H \"Authorization: Bearer $ADMIN_KEY\"".to_owned()),
        Audience::Anyone | Audience::Monitoring | Audience::Pages => (),
    }
    if let Some(header) =
        operation.parameters.iter().find(|parameter| parameter.place == ParameterIn::Header)
    {
        parts.push(format!("-H '{}: {}'", header.name, example(&header.example)));
    }
    if let Some(body) = &operation.body {
        parts.push(format!("-H 'Content-Type: {}'", body.content.media));
        parts.push(format!("-d '{}'", example(&body.content.example)));
    }
    parts.join(" \\\n  ")
}

/// The members of an object, as fields.
fn fields(schema: &Value, document: &Value) -> Vec<Field> {
    let schema = resolved(schema, document);
    let required: Vec<&Value> = schema["required"].as_array().into_iter().flatten().collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let field = |(name, of): (&String, &Value)| Field {
        name: name.clone(),
        place: "",
        kind: kind(of, document),
        is_required: required.iter().any(|member| *member == name),
        about: Text(about(of, document)),
    };
    properties.map(field).collect()
}

fn about(schema: &Value, document: &Value) -> String {
    let first = schema["oneOf"].get(0).unwrap_or(schema);
    let places = [schema, first, resolved(first, document), resolved(&schema["items"], document)];
    let found = places.iter().find_map(|place| place["description"].as_str());
    found.unwrap_or_default().to_owned()
}

/// The type and format of a value, in words.
fn kind(schema: &Value, document: &Value) -> String {
    let schema = resolved(schema, document);
    if let Some(names) = schema["enum"].as_array() {
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        return format!("one of {}", names.join(", "));
    }
    let either = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    if let Some(either) = either {
        let kinds = either
            .iter()
            .filter(|schema| schema["type"] != "null")
            .map(|schema| kind(schema, document));
        return kinds.collect::<Vec<_>>().join(", or ");
    }
    let name = schema["type"].as_str().or(schema["type"].get(0).and_then(Value::as_str));
    match name.unwrap_or_default() {
        "array" => format!("a list: {}", kind(&schema["items"], document)),
        "boolean" => "true or false".to_owned(),
        "integer" => "a whole number".to_owned(),
        "object" => "an object".to_owned(),
        _ => "a string".to_owned(),
    }
}

fn resolved<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    let target = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(schema)
}

/// The problems of all samples, each code once.
fn problems(samples: &[&Sample]) -> Vec<Problem> {
    let mut problems: BTreeMap<&'static str, (BTreeSet<u16>, &Sample)> = BTreeMap::new();
    for sample in samples {
        let entry = problems.entry(sample.problem.code()).or_insert((BTreeSet::new(), sample));
        entry.0.insert(sample.problem.status().as_u16());
    }
    let problem = |(code, (statuses, sample)): (&'static str, (BTreeSet<u16>, &Sample))| Problem {
        code,
        statuses: statuses.into_iter().collect(),
        title: sample.problem.words().0,
        detail: Text(sample.problem.words().1.to_owned()),
    };
    problems.into_iter().map(problem).collect()
}

/// A text as it is, and anything else as JSON.
fn example(value: &Value) -> String {
    value.as_str().map_or_else(|| shown(value, 0), |text| text.trim_end().to_owned())
}

/// JSON with a line for each member, and lists of plain values on one line.
fn shown(value: &Value, depth: usize) -> String {
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    let is_plain = |value: &Value| !value.is_object() && !value.is_array();
    match value {
        Value::Object(members) if !members.is_empty() => {
            let lines: Vec<String> = members
                .iter()
                .map(|(name, member)| {
                    format!("{inner}{}: {}", Value::from(&**name), shown(member, depth + 1))
                })
                .collect();
            format!("{{\n{}\n{outer}}}", lines.join(",\n"))
        }
        Value::Array(items) if items.iter().all(is_plain) => {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| shown(item, depth)).collect();
            format!("[{}]", items.join(", "))
        }
        plain => plain.to_string(),
    }
}

fn method(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Patch => "PATCH",
        _ => "",
    }
}
