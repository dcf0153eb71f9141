//! `/docs`: the API description as a page for people.

mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::{HttpMethod, OpenApi};

use crate::api::openapi::operation::{Audience, Body, Operation, Parameter};
use crate::api::openapi::problems::Sample;
use crate::api::openapi::{description, operations, strangers};
use crate::pages::docs::view::{Answer, Field, Group, Page, Problem, Text};
use crate::web::fixed::Fixed;

static PAGE: LazyLock<Fixed> = LazyLock::new(|| {
    Fixed::new("text/html; charset=utf-8", &text(&operations(), &strangers(), &description()))
});

static STYLE: LazyLock<Fixed> =
    LazyLock::new(|| Fixed::new("text/css; charset=utf-8", &view::style()));

pub(crate) async fn page(headers: HeaderMap) -> Response {
    PAGE.answer(&headers)
}

pub(crate) async fn style(headers: HeaderMap) -> Response {
    STYLE.answer(&headers)
}

/// The page as HTML; `strangers` are the problems of requests that match no described operation.
pub(crate) fn text(operations: &[Operation], strangers: &[Sample], document: &OpenApi) -> String {
    let document = serde_json::to_value(document).unwrap_or_default();
    let titles = [
        (Audience::Callers, "For services"),
        (Audience::Operators, "For operators"),
        (Audience::Anybody, "Monitoring and documentation"),
    ];
    let group = |(audience, title): (Audience, &'static str)| {
        let tag = audience.tag();
        let of_group = operations.iter().filter(|operation| operation.audience.tag() == tag);
        Group {
            id: tag,
            title,
            about: Text(audience.about().to_owned()),
            operations: of_group
                .map(|operation| describe_operation(operation, &document))
                .collect(),
        }
    };
    let samples: Vec<&Sample> =
        operations.iter().flat_map(|operation| &operation.problems).chain(strangers).collect();
    let example = samples.iter().find(|sample| sample.name == "invalid_request_post_id");
    let page = Page {
        version: env!("CARGO_PKG_VERSION"),
        groups: titles.into_iter().map(group).collect(),
        problems: problems(&samples),
        problem_example: example.map(|sample| shown(&sample.body(), 0)).unwrap_or_default(),
    };
    view::text(&page)
}

fn describe_operation(operation: &Operation, document: &Value) -> view::Operation {
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
            status: if answer.status == "default" { "other" } else { answer.status },
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
        parameters: operation
            .parameters
            .iter()
            .map(|parameter| describe_parameter(parameter, document))
            .collect(),
        body: operation.body.as_ref().map(body).unwrap_or_default(),
        answers: answers.collect(),
        problems: codes.into_iter().collect(),
    }
}

fn describe_parameter(parameter: &Parameter, document: &Value) -> Field {
    let schema = serde_json::to_value(&parameter.schema).unwrap_or_default();
    Field {
        name: parameter.name.to_owned(),
        place: match parameter.place {
            ParameterIn::Path => "path",
            ParameterIn::Header => "header",
            _ => "query",
        },
        kind: kind(&schema, document),
        is_required: parameter.is_required(),
        about: Text(parameter.about.to_owned()),
    }
}

/// A command for a shell. It has only the first of the headers, which most calls need.
fn curl(operation: &Operation) -> String {
    let server = operation.audience.servers().first().copied().unwrap_or_default();
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
    let mut parts = vec![format!("curl{compressed}{method} {server}{path}")];
    match operation.audience {
        Audience::Callers => parts.push("-H \"Authorization: Bearer $KEY\"".to_owned()),
        Audience::Operators => parts.push("-H \"Authorization: Bearer $ADMIN_KEY\"".to_owned()),
        Audience::Anybody | Audience::Watchers => (),
    }
    if let Some(parameter) =
        operation.parameters.iter().find(|parameter| parameter.place == ParameterIn::Header)
    {
        parts.push(format!("-H '{}: {}'", parameter.name, example(&parameter.example)));
    }
    if let Some(body) = &operation.body {
        parts.push(format!("-H 'Content-Type: {}'", body.content.media));
        parts.push(format!("-d '{}'", example(&body.content.example)));
    }
    parts.join(" \\\n  ")
}

/// The members of an object.
fn fields(schema: &Value, document: &Value) -> Vec<Field> {
    let schema = resolved(schema, document);
    let required: Vec<&Value> = schema["required"].as_array().into_iter().flatten().collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let field = |(name, of): (&String, &Value)| Field {
        name: name.clone(),
        place: "",
        kind: kind(of, document),
        is_required: required.iter().any(|field| *field == name),
        about: Text(about(of, document)),
    };
    properties.map(field).collect()
}

fn about(schema: &Value, document: &Value) -> String {
    let first = schema["oneOf"].get(0).unwrap_or(schema);
    let places = [schema, first, resolved(first, document), resolved(&schema["items"], document)];
    let description = places.iter().find_map(|place| place["description"].as_str());
    description.unwrap_or_default().to_owned()
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
        "array" => format!("array of {}", kind(&schema["items"], document)),
        "boolean" => "boolean".to_owned(),
        "integer" => "integer".to_owned(),
        "object" => "object".to_owned(),
        _ => "string".to_owned(),
    }
}

fn resolved<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    let target = schema["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
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
                .map(|(name, value)| {
                    format!("{inner}{}: {}", Value::from(&**name), shown(value, depth + 1))
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
        _ => "",
    }
}
