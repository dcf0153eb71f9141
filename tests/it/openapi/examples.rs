//! Every example of a request, asked of a running gateway.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::database::{Database, on_both};
use crate::house::House;
use crate::openapi::{Doors, Operation, document, operations};

/// In an order in which each finds what it needs, with the status of a good answer.
const STORY: [(&str, u16); 35] = [
    ("totals", 200),
    ("last_28_hours", 200),
    ("historical", 200),
    ("plan", 200),
    ("engagement", 200),
    ("create_link", 201),
    ("create_link_as_admin", 201),
    ("list_links", 200),
    ("withdraw_link", 200),
    ("list_apps", 200),
    ("show_account", 200),
    ("verify_account", 200),
    ("create_key", 201),
    ("list_keys", 200),
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
    ("show_call", 200),
    ("show_usage", 200),
    ("show_overview", 200),
    ("list_audit", 200),
    ("livez", 200),
    ("readyz", 200),
    ("metrics", 200),
    ("openapi", 200),
    ("docs", 200),
];

/// The ids of the examples, and those that there are.
struct Ids(Vec<(String, String)>);

impl Ids {
    fn of(house: &House) -> Ids {
        let post = house.bench.ids("alice", 1).remove(0);
        Ids(vec![("1560000000000000000".to_owned(), post)])
    }

    fn put_into(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (example, real)| text.replace(example, real))
    }
}

async fn open(database: &Database) -> Doors {
    let mut house = House::start(database).await;
    house.key = house.new_key(|it| it.links = true).await;
    Doors::open(house).await
}

/// With each header parameter and query as in the examples, and ids that there are.
fn with_parameters(it: &Operation, ids: &Ids, doors: &Doors) -> crate::bench::Ask {
    let parameters: Vec<&Value> = it.told["parameters"].as_array().into_iter().flatten().collect();
    let text = |it: &Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
    let path = ids.put_into(&it.example_path());
    let mut ask = it.ask(doors, &path);
    if let Some((_, content)) = it.body() {
        ask = ask.body(ids.put_into(&text(&content["example"])));
    }
    let headers = parameters.iter().filter(|it| it["in"] == "header");
    headers.fold(ask, |ask, it| {
        ask.header(&it["name"].as_str().unwrap().to_lowercase(), &text(&it["example"]))
    })
}

on_both! {
    async fn every_example_is_taken_and_answered_as_described(database: Database) {
        let doors = open(&database).await;
        let document = document();
        let operations = operations(&document);
        let told: BTreeSet<&str> = STORY.iter().map(|it| it.0).collect();
        assert_eq!(told, operations.iter().map(Operation::id).collect::<BTreeSet<_>>());
        let mut ids = Ids::of(&doors.house);
        for (id, status) in STORY {
            let it = operations.iter().find(|it| it.id() == id).unwrap();
            let answer = with_parameters(it, &ids, &doors).send().await;
            assert_eq!(answer.status, status, "{id}: {}", answer.text());
            it.describes(&document, &answer);
            if id == "engagement" {
                for form in ["text/csv", "application/x-ndjson"] {
                    let answer = with_parameters(it, &ids, &doors).header("accept", form).send().await;
                    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (status, form));
                    it.describes(&document, &answer);
                    let example = &it.told["responses"]["200"]["x-other-content"][form]["example"];
                    let first = |it: &str| it.lines().next().unwrap().to_owned();
                    let columns = |it: &str| it.split(',').map(|it| it.split(':').next().unwrap().to_owned()).collect::<Vec<_>>();
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
        for it in operations(&document) {
            let answer = with_parameters(&it, &Ids(Vec::new()), &doors).send().await;
            assert!(![400, 405, 415].contains(&answer.status.as_u16()) || answer.header("countersign-error").is_empty(), "{}: {}", it.id(), answer.text());
            it.describes(&document, &answer);
        }
    }

    async fn every_parameter_of_a_query_is_taken(database: Database) {
        let doors = open(&database).await;
        let document = document();
        for it in operations(&document) {
            let parameters = it.told["parameters"].as_array().into_iter().flatten();
            for parameter in parameters.filter(|it| it["in"] == "query") {
                let (name, example) = (parameter["name"].as_str().unwrap(), &parameter["example"]);
                let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
                let path = format!("{}?{name}={example}", it.example_path());
                let answer = it.ask(&doors, &path).send().await;
                assert_ne!(answer.status, 400, "{path}: {}", answer.text());
                it.describes(&document, &answer);
            }
        }
    }
}
