//! That the description is a sound OpenAPI 3.1 document by itself, without asking any gateway.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::openapi::shape::faults;
use countersign::api::openapi::Api;

use crate::openapi::{document, document_of, list, object, operations, resolved};

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
    for document in [Api::Callers, Api::Operators].map(document_of) {
        let mut targets = BTreeSet::new();
        references(&document, &mut targets);
        for target in &targets {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
        for kind in ["schemas", "headers", "examples"] {
            for name in object(&document["components"][kind]).keys() {
                let is_used = targets.contains(&format!("#/components/{kind}/{name}"));
                assert!(is_used || is_of_no_operation(name), "nothing refers to {kind} {name}");
            }
        }
    }
}

/// Examples of requests that match no operation.
fn is_of_no_operation(example: &str) -> bool {
    ["not_found", "method_not_allowed"].contains(&example)
}

fn references(value: &Value, targets: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            targets.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|it| references(it, targets));
        }
        Value::Array(items) => items.iter().for_each(|it| references(it, targets)),
        _ => (),
    }
}

#[test]
fn every_operation_says_what_it_is_for_and_how_it_ends() {
    for api in [Api::Callers, Api::Operators] {
        check_operations(&document_of(api));
    }
}

fn check_operations(document: &Value) {
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let tags: Vec<&Value> = list(&document["tags"]).map(|it| &it["name"]).collect();
    let schemes = object(&document["components"]["securitySchemes"]);
    let mut ids = BTreeSet::new();
    for it in operations(document) {
        let id = it.id().to_owned();
        assert!(it.told["summary"].as_str().unwrap().len() > 3, "{id}");
        assert_eq!(list(&it.told["tags"]).count(), 1, "{id}");
        assert!(tags.contains(&&it.told["tags"][0]), "{id}");
        let security: Vec<&Value> = list(&it.told["security"]).collect();
        assert_eq!(security.is_empty(), it.tag() == "probes", "{id} asks for a key or does not");
        for name in security.iter().flat_map(|it| object(it).keys()) {
            assert!(schemes.contains_key(name), "{id}: {name}");
        }
        let responses = object(&it.told["responses"]);
        let has = |family: char| responses.keys().any(|it| it.starts_with(family));
        assert!(has('2') && has('5') && (it.tag() == "probes" || has('4')), "{id}");
        for (status, response) in responses {
            assert_ne!(response["description"].as_str().unwrap(), "", "{id} {status}");
            assert!(!object(&response["content"]).is_empty(), "{id} {status}");
            let is_error = status.starts_with(['4', '5']) && id != "readyz";
            assert!(!is_error || response["content"].get("application/problem+json").is_some());
            assert!(!is_error || response["headers"].get("Countersign-Error").is_some(), "{id}");
        }
        assert!(ids.insert(id.clone()), "{id} stands there twice");
    }
}

#[test]
fn what_stands_in_a_path_is_described_and_nothing_else_is() {
    for it in operations(&document()) {
        let written: BTreeSet<&str> =
            it.path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters: Vec<&Value> = list(&it.told["parameters"]).collect();
        let described = parameters.iter().filter(|it| it["in"] == "path");
        let described: BTreeSet<&str> = described.map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(written, described, "{}", it.id());
        let unique: BTreeSet<String> =
            parameters.iter().map(|it| format!("{} {}", it["in"], it["name"])).collect();
        assert_eq!(unique.len(), parameters.len(), "{}", it.id());
        assert!(parameters.iter().all(|it| (it["required"] == true) == (it["in"] == "path")));
    }
}

#[test]
fn every_example_fits_its_schema() {
    let document = document();
    let mut seen = 0;
    let mut check = |what: &str, schema: &Value, example: &Value| {
        assert!(!example.is_null(), "{what} has no example");
        assert_eq!(faults(&document, schema, example), [""; 0], "{what}: {example}");
        seen += 1;
    };
    for it in operations(&document) {
        for parameter in list(&it.told["parameters"]) {
            check(it.id(), &parameter["schema"], &parameter["example"]);
        }
        let answers = object(&it.told["responses"]).values();
        for holder in answers.chain(it.told.get("requestBody")) {
            let others = holder["x-other-content"].as_object().into_iter().flatten();
            for (_, content) in object(&holder["content"]).into_iter().chain(others) {
                let examples = content["examples"].as_object().into_iter().flatten();
                let examples = examples.map(|it| &resolved(&document, it.1)["value"]);
                let examples = examples.chain(content.get("example"));
                let examples: Vec<&Value> = examples.collect();
                assert!(!examples.is_empty(), "{}: {holder}", it.id());
                for example in examples {
                    check(it.id(), &content["schema"], example);
                }
            }
        }
    }
    assert!(seen > 300, "{seen}");
}

#[test]
fn the_codes_are_those_of_the_manual() {
    let manual = include_str!("../../../docs/calling.md");
    let table = manual.split("| status | code | what to do |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|it| it.starts_with('|'));
    let told: BTreeSet<&str> =
        rows.flat_map(|it| it.split('|').nth(2).unwrap().split('`').skip(1).step_by(2)).collect();
    let document = document();
    let described: BTreeSet<&str> = list(&document["components"]["schemas"]["ErrorCode"]["enum"])
        .map(|it| it.as_str().unwrap())
        .collect();
    assert_eq!(described, told);
}
