//! Every example of a request, sent to a running gateway.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::openapi::{Doors, Operation, document, operations};

/// The operations in an order in which each finds what it needs, with the status of a successful answer.
const STORY: [(&str, u16); 44] = [
    ("totals", 200),
    ("last_28_hours", 200),
    ("historical", 200),
    ("plan", 200),
    ("engagement", 200),
    ("create_browser_token", 201),
    ("create_link", 201),
    ("show_own_key", 200),
    ("list_own_accounts", 200),
    ("show_own_usage", 200),
    ("create_link_as_admin", 201),
    ("list_links", 200),
    ("withdraw_link", 200),
    ("list_apps", 200),
    ("get_account", 200),
    ("verify_account", 200),
    ("create_key", 201),
    ("list_keys", 200),
    ("update_key", 200),
    ("list_subjects", 200),
    ("withdraw_tokens", 200),
    ("revoke_key", 200),
    ("add_webhook", 201),
    ("list_webhooks", 200),
    ("rotate_webhook", 200),
    ("test_webhook", 200),
    ("remove_account", 200),
    ("import_accounts", 201),
    ("list_accounts", 200),
    ("list_deliveries", 200),
    ("resend_delivery", 200),
    ("remove_webhook", 200),
    ("list_calls", 200),
    ("get_call", 200),
    ("show_usage", 200),
    ("show_overview", 200),
    ("list_audit", 200),
    ("livez", 200),
    ("readyz", 200),
    ("metrics", 200),
    ("client", 200),
    ("client_types", 200),
    ("openapi", 200),
    ("docs", 200),
];

/// The ids in the examples, and the real ids that replace them.
struct Ids(Vec<(String, String)>);

impl Ids {
    fn of(gateway: &TestGateway) -> Ids {
        let post = gateway.sandbox.ids("alice", 1).remove(0);
        Ids(vec![("1560000000000000000".to_owned(), post)])
    }

    fn put_into(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (example, real)| text.replace(example, real))
    }
}

async fn open(database: &Database) -> Doors {
    let mut gateway = TestGateway::start(database).await;
    gateway.key = gateway.mighty_key().await;
    Doors::open(gateway).await
}

/// The request with the header and query parameters of the examples, and real ids.
fn with_parameters(operation: &Operation, ids: &Ids, doors: &Doors) -> crate::http::Ask {
    let parameters: Vec<&Value> =
        operation.told["parameters"].as_array().into_iter().flatten().collect();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let path = ids.put_into(&operation.example_path());
    let mut ask = operation.ask(doors, &path);
    if let Some((_, content)) = operation.body() {
        ask = ask.body(ids.put_into(&text(&content["example"])));
    }
    let headers = parameters.iter().filter(|parameter| parameter["in"] == "header");
    headers.fold(ask, |ask, header| {
        ask.header(&header["name"].as_str().unwrap().to_lowercase(), &text(&header["example"]))
    })
}

async fn every_example_is_taken_and_answered_as_described(database: Database) {
    let doors = open(&database).await;
    let document = document();
    let operations = operations(&document);
    let told: BTreeSet<&str> = STORY.iter().map(|step| step.0).collect();
    assert_eq!(told, operations.iter().map(Operation::id).collect::<BTreeSet<_>>());
    let mut ids = Ids::of(&doors.gateway);
    for (id, status) in STORY {
        let operation = operations.iter().find(|operation| operation.id() == id).unwrap();
        let answer = with_parameters(operation, &ids, &doors).send().await;
        assert_eq!(answer.status, status, "{id}: {}", answer.text());
        operation.describes(&document, &answer);
        if id == "engagement" {
            for form in ["text/csv", "application/x-ndjson"] {
                let answer =
                    with_parameters(operation, &ids, &doors).header("accept", form).send().await;
                assert_eq!((answer.status.as_u16(), answer.header("content-type")), (status, form));
                operation.describes(&document, &answer);
                let example =
                    &operation.told["responses"]["200"]["x-other-content"][form]["example"];
                let first = |text: &str| text.lines().next().unwrap().to_owned();
                let columns = |text: &str| {
                    text.split(',')
                        .map(|column| column.split(':').next().unwrap().to_owned())
                        .collect::<Vec<_>>()
                };
                let (told, real) = (first(example.as_str().unwrap()), first(&answer.text()));
                assert_eq!(columns(&told), columns(&real), "{told} and {real}");
            }
        }
        if id == "list_deliveries" {
            let real = answer.json()["deliveries"][0]["number"].to_string();
            ids.0.push(("/17/".to_owned(), format!("/{real}/")));
        }
        if id == "list_calls" {
            let real = format!("calls/{}", answer.json()["calls"][0]["id"]);
            ids.0.push(("calls/42".to_owned(), real));
        }
        if id == "create_link_as_admin" {
            let real = answer.json()["id"].as_str().unwrap().to_owned();
            ids.0.push(("4b1f6f0c7a2d9e83".to_owned(), real));
        }
        if id == "add_webhook" {
            let real = answer.json()["id"].as_str().unwrap().to_owned();
            ids.0.push(("kP3vN8sT2xQa".to_owned(), real));
        }
    }
}

async fn every_example_is_understood_as_it_stands(database: Database) {
    let doors = open(&database).await;
    let document = document();
    for operation in operations(&document) {
        let answer = with_parameters(&operation, &Ids(Vec::new()), &doors).send().await;
        assert!(
            ![400, 405, 415].contains(&answer.status.as_u16())
                || answer.header("countersign-error").is_empty(),
            "{}: {}",
            operation.id(),
            answer.text()
        );
        operation.describes(&document, &answer);
    }
}

async fn every_parameter_of_a_query_is_taken(database: Database) {
    let doors = open(&database).await;
    let document = document();
    for operation in operations(&document) {
        let parameters = operation.told["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["in"] == "query") {
            let (name, example) = (parameter["name"].as_str().unwrap(), &parameter["example"]);
            let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            let path = format!("{}?{name}={example}", operation.example_path());
            let answer = operation.ask(&doors, &path).send().await;
            assert_ne!(answer.status, 400, "{path}: {}", answer.text());
            operation.describes(&document, &answer);
        }
    }
}

on_both!(
    every_example_is_taken_and_answered_as_described,
    every_example_is_understood_as_it_stands,
    every_parameter_of_a_query_is_taken
);
