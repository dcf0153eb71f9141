//! Errors are described for the operations that return them: real refusals, compared with the description.

use serde_json::{Value, json};

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::openapi::{Doors, Operation, document, list, object, operations, resolved};

impl Operation {
    /// Asserts that the answer is the gateway's own, with a code that is described for its status.
    #[track_caller]
    fn refuses(&self, document: &Value, answer: &Answer, status: u16, code: &str) {
        answer.is_own(status, code);
        self.describes(document, answer);
        let response = &self.told["responses"][status.to_string()];
        let content = &response["content"]["application/problem+json"];
        let mut examples = object(&content["examples"]).values();
        let told = examples.any(|example| resolved(document, example)["value"]["code"] == code);
        assert!(told, "{}: {status} {code}", self.id());
        for name in ["retry-after", "www-authenticate"] {
            let is_sent = !answer.header(name).is_empty();
            let mut described = object(&response["headers"]).keys();
            let is_described = described.any(|header| header.eq_ignore_ascii_case(name));
            assert!(!is_sent || is_described, "{}: {status} sends {name}", self.id());
        }
    }

    fn has_parameter(&self, place: &str, name: &str) -> bool {
        list(&self.told["parameters"])
            .any(|parameter| parameter["in"] == place && parameter["name"] == name)
    }
}

#[tokio::test]
async fn keys_that_are_missing_wrong_or_two() {
    let (doors, document) = (Doors::fresh().await, document());
    let mut seen = 0;
    for operation in operations(&document).iter().filter(|operation| operation.tag() != "probes") {
        let ask = operation.ask(&doors, &operation.example_path());
        let none = ask.clone().header("authorization", "").send().await;
        operation.refuses(&document, &none, 401, "missing_key");
        let unknown = ask.clone().header("authorization", "Bearer csk_x").send().await;
        operation.refuses(&document, &unknown, 401, "unknown_key");
        let two = ask.header("x-api-key", "csk_other").send().await;
        operation.refuses(&document, &two, 400, "invalid_request");
        seen += 1;
    }
    assert!(seen > 20);
}

#[tokio::test]
async fn bodies_that_are_not_what_is_asked_for() {
    let (doors, document) = (Doors::fresh().await, document());
    for operation in operations(&document).iter().filter(|operation| operation.body().is_some()) {
        let ask = operation.ask(&doors, &operation.example_path());
        let other = ask.clone().header("content-type", "text/plain").send().await;
        operation.refuses(&document, &other, 415, "not_json");
        let broken = ask.clone().body("{").send().await;
        if operation.id() != "rotate_webhook" {
            operation.refuses(&document, &broken, 400, "invalid_request");
        }
        let large = ask.body(" ".repeat(4 * 1024 * 1024 + 1)).send().await;
        operation.refuses(&document, &large, 413, "body_too_large");
    }
}

#[tokio::test]
async fn refusals_in_the_form_of_x() {
    let (mut doors, document) = (Doors::fresh().await, document());
    doors.gateway.key = doors.gateway.mighty_key().await;
    let alice = doors.gateway.sandbox.user("alice").user_id.clone();
    doors
        .gateway
        .sandbox
        .put(&format!("/sandbox/users/{alice}"), json!({ "state": "revoked" }))
        .await;
    let operations = operations(&document);
    let verify = operations.iter().find(|operation| operation.id() == "verify_account").unwrap();
    assert_eq!(verify.ask(&doors, &verify.example_path()).send().await.status, 200);
    let of_x = |operation: &&Operation| operation.path.starts_with("/insights/");
    for operation in operations.iter().filter(of_x) {
        let ask = operation.ask(&doors, &operation.path).header("accept", "*/*");
        for (ask, status, code) in [
            (ask.clone().header("authorization", ""), 401, "missing_key"),
            (ask.clone().header("content-type", "text/plain"), 400, "not_json"),
            (ask.clone().body("{"), 400, "invalid_request"),
            (
                ask.header("countersign-account", "@alice").header("countersign-auth", "user"),
                403,
                "account_not_active",
            ),
        ] {
            let answer = ask.send().await;
            answer.is_own(status, code);
            assert_eq!(answer.header("content-type"), "application/json");
            operation.describes(&document, &answer);
        }
    }
}

#[tokio::test]
async fn queries_and_paths_that_cannot_be_read_or_lead_nowhere() {
    let (doors, document) = (Doors::fresh().await, document());
    for operation in operations(&document) {
        let path = operation.example_path();
        if operation.has_parameter("query", "limit") {
            let answer = operation.ask(&doors, &format!("{path}?limit=0")).send().await;
            operation.refuses(&document, &answer, 400, "invalid_request");
        }
        // Usage and calls may name an app that is no longer configured.
        let is_past = ["list_calls", "show_usage"].contains(&operation.id());
        if operation.has_parameter("query", "app") && !is_past {
            let answer = operation.ask(&doors, &format!("{path}?app=nowhere")).send().await;
            // The account is looked up all the same, since its app may have been configured before.
            if operation.has_parameter("path", "account") {
                operation.refuses(&document, &answer, 404, "not_found");
            } else {
                operation.refuses(&document, &answer, 400, "invalid_request");
            }
        }
        for (name, code, status) in [
            ("account", "not_found", 404),
            ("key", "not_found", 404),
            ("webhook", "not_found", 404),
            ("link", "not_found", 404),
        ] {
            if operation.has_parameter("path", name) {
                let nobody = operation.path.replace(&format!("{{{name}}}"), "9999999999");
                let answer = operation.ask(&doors, &nobody).send().await;
                operation.refuses(&document, &answer, status, code);
            }
        }
        if operation.has_parameter("path", "account") {
            let answer =
                operation.ask(&doors, &operation.path.replace("{account}", "alice")).send().await;
            operation.refuses(&document, &answer, 400, "invalid_request");
        }
    }
}

#[tokio::test]
async fn what_is_not_allowed_not_there_or_there_already() {
    let (mut doors, document) = (Doors::fresh().await, document());
    let operations = operations(&document);
    let find = |id: &str| operations.iter().find(|operation| operation.id() == id).unwrap();
    for id in ["create_key", "add_webhook"] {
        let operation = find(id);
        assert_eq!(operation.ask(&doors, &operation.path).send().await.status, 201);
        let again = operation.ask(&doors, &operation.path).send().await;
        operation.refuses(&document, &again, 409, "already_exists");
    }
    let (analyst, list) = (doors.gateway.analyst_key().await, find("list_keys"));
    let refused = doors.gateway.admin(&analyst, "GET", &list.path).send().await;
    list.refuses(&document, &refused, 403, "not_allowed");
    let link = find("create_link");
    link.refuses(&document, &link.ask(&doors, &link.path).send().await, 403, "not_allowed");
    for (id, pointer) in
        [("create_key", "name"), ("create_link_as_admin", "label"), ("add_webhook", "url")]
    {
        let operation = find(id);
        let mut body = operation.body().unwrap().1["example"].clone();
        body[pointer] = json!("");
        let answer = operation.ask(&doors, &operation.path).body(body.to_string()).send().await;
        operation.refuses(&document, &answer, 400, "invalid_request");
        body["surplus"] = json!(1);
        let answer = operation.ask(&doors, &operation.path).body(body.to_string()).send().await;
        operation.refuses(&document, &answer, 400, "invalid_request");
    }

    for id in ["create_key", "create_link_as_admin", "add_webhook"] {
        let operation = find(id);
        let mut body = operation.body().unwrap().1["example"].clone();
        body["app"] = json!("nowhere");
        let answer = operation.ask(&doors, &operation.path).body(body.to_string()).send().await;
        operation.refuses(&document, &answer, 400, "invalid_request");
    }

    let historical = find("historical");
    let nobody = historical.ask(&doors, &historical.path).header("countersign-account", "999");
    historical.refuses(&document, &nobody.send().await, 404, "account_not_found");
    let nothing = historical.ask(&doors, &historical.path).header("accept-encoding", "*;q=0");
    historical.refuses(&document, &nothing.send().await, 406, "not_acceptable");
    doors.gateway.key = doors
        .gateway
        .new_key(|key| key.scopes.endpoints = Some(vec![countersign::model::Endpoint::Totals]))
        .await;
    for id in ["historical", "engagement", "plan"] {
        let operation = find(id);
        let answer = operation
            .ask(&doors, &operation.path)
            .header("countersign-account", "@alice")
            .send()
            .await;
        operation.refuses(&document, &answer, 403, "not_allowed");
    }
}

#[tokio::test]
async fn an_upstream_that_fails_and_accounts_that_have_ended() {
    let (mut doors, document) = (Doors::fresh().await, document());
    let operations = operations(&document);
    let find = |id: &str| operations.iter().find(|operation| operation.id() == id).unwrap();
    let (historical, question, verify) =
        (find("historical"), find("engagement"), find("verify_account"));
    doors.gateway.key = doors.gateway.mighty_key().await;

    for (fault, code) in [("reset", "upstream_unreachable"), ("cut_body", "upstream_cut_short")] {
        doors.gateway.order(json!([{ "kind": fault, "path": "/insights/" }])).await;
        let ask = historical.ask(&doors, &historical.path).header("countersign-account", "@alice");
        historical.refuses(&document, &ask.send().await, 502, code);
    }
    let answer = question.ask(&doors, &question.path).send().await;
    question.refuses(&document, &answer, 502, "nothing_answered");
    doors.gateway.order(json!([{ "kind": "reset", "path": "/1.1/" }])).await;
    let answer = verify.ask(&doors, &verify.example_path()).send().await;
    verify.refuses(&document, &answer, 502, "upstream_unreachable");

    let spent = json!({ "kind": "status", "code": 88, "headers": { "retry-after": "60" } });
    doors.gateway.order(json!([spent])).await;
    let ask = historical.ask(&doors, &historical.path).header("countersign-account", "@alice");
    let relayed = ask.send().await;
    relayed.is_relayed(429);
    historical.describes(&document, &relayed);
    doors.gateway.order(json!([])).await;

    let alice = doors.gateway.sandbox.user("alice").user_id.clone();
    doors
        .gateway
        .sandbox
        .put(&format!("/sandbox/users/{alice}"), json!({ "state": "revoked" }))
        .await;
    let marked = verify.ask(&doors, &verify.example_path()).send().await;
    assert_eq!(marked.json()["works"], false);
    verify.describes(&document, &marked);
    let ask = historical.ask(&doors, &historical.path).header("countersign-account", "@alice");
    let ended = ask.send().await;
    assert!(ended.json()["reconnect_url"].is_string(), "{}", ended.text());
    historical.refuses(&document, &ended, 409, "account_not_active");
}

#[tokio::test]
async fn a_database_that_is_away() {
    let database = fresh(Kind::Sqlite).await;
    let doors = Doors::open(TestGateway::start(&database).await).await;
    let document = document();
    for (table, gone) in [("account", "gone"), ("webhook", "gone_too")] {
        database.run(&format!("alter table {table} rename to {gone}")).await;
    }
    for operation in operations(&document)
        .iter()
        .filter(|operation| ["list_accounts", "list_webhooks"].contains(&operation.id()))
    {
        let answer = operation.ask(&doors, &operation.path).send().await;
        let code = answer.header("countersign-error").to_owned();
        operation.refuses(&document, &answer, answer.status.as_u16(), &code);
    }
}
