//! The description is a sound OpenAPI 3.1 document by itself, without asking any gateway.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::openapi::shape::faults;
use crate::openapi::{document, list, object, operations, resolved};

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
    let document = document();
    let mut targets = BTreeSet::new();
    references(&document, &mut targets);
    for target in &targets {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target}");
    }
    let text = document.to_string();
    for kind in ["schemas", "headers"] {
        for name in object(&document["components"][kind]).keys() {
            let is_used = targets.contains(&format!("#/components/{kind}/{name}"))
                || text.contains(&format!("`{name}`"));
            assert!(is_used, "nothing refers to {kind} {name}");
        }
    }
}

fn references(value: &Value, targets: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            targets.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, targets));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, targets)),
        _ => (),
    }
}

#[test]
fn every_operation_says_what_it_is_for_and_how_it_ends() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let tags: Vec<&Value> = list(&document["tags"]).map(|tag| &tag["name"]).collect();
    let schemes = object(&document["components"]["securitySchemes"]);
    let mut ids = BTreeSet::new();
    for operation in operations(&document) {
        let id = operation.id().to_owned();
        assert!(operation.told["summary"].as_str().unwrap().len() > 3, "{id}");
        assert_eq!(list(&operation.told["tags"]).count(), 1, "{id}");
        assert!(tags.contains(&&operation.told["tags"][0]), "{id}");
        assert!(list(&operation.told["servers"]).count() > 0, "{id} is served somewhere");
        let security: Vec<&Value> = list(&operation.told["security"]).collect();
        assert_eq!(
            security.is_empty(),
            operation.tag() == "probes",
            "{id} asks for a key or does not"
        );
        for name in security.iter().flat_map(|requirement| object(requirement).keys()) {
            assert!(schemes.contains_key(name), "{id}: {name}");
        }
        let responses = object(&operation.told["responses"]);
        let has = |family: char| responses.keys().any(|key| key.starts_with(family));
        assert!(has('2') && has('5') && (operation.tag() == "probes" || has('4')), "{id}");
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
    for operation in operations(&document()) {
        let written: BTreeSet<&str> = operation
            .path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        let parameters: Vec<&Value> = list(&operation.told["parameters"]).collect();
        let described = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let described: BTreeSet<&str> =
            described.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(written, described, "{}", operation.id());
        let unique: BTreeSet<String> = parameters
            .iter()
            .map(|parameter| format!("{} {}", parameter["in"], parameter["name"]))
            .collect();
        assert_eq!(unique.len(), parameters.len(), "{}", operation.id());
        assert!(
            parameters
                .iter()
                .all(|parameter| (parameter["required"] == true) == (parameter["in"] == "path"))
        );
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
    for operation in operations(&document) {
        for parameter in list(&operation.told["parameters"]) {
            check(operation.id(), &parameter["schema"], &parameter["example"]);
        }
        let answers = object(&operation.told["responses"]).values();
        for holder in answers.chain(operation.told.get("requestBody")) {
            for content in object(&holder["content"]).values() {
                let examples = content["examples"].as_object().into_iter().flatten();
                let examples = examples.map(|example| &resolved(&document, example.1)["value"]);
                let examples = examples.chain(content.get("example"));
                let examples: Vec<&Value> = examples.collect();
                assert!(!examples.is_empty(), "{}: {holder}", operation.id());
                for example in examples {
                    check(operation.id(), &content["schema"], example);
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
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let told: BTreeSet<&str> =
        rows.flat_map(|row| row.split('|').nth(2).unwrap().split('`').skip(1).step_by(2)).collect();
    let document = document();
    let described: BTreeSet<&str> = list(&document["components"]["schemas"]["ErrorCode"]["enum"])
        .map(|code| code.as_str().unwrap())
        .collect();
    assert_eq!(described, told);
}
