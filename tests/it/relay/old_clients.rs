//! Clients that were written for X: the gateway's own refusals look like X's to them.

use countersign::model::Endpoint;
use countersign::model::key::Right;
use serde_json::{Value, json};

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};
use crate::relay::{private, public};
use crate::upstream::{HISTORICAL, TOTALS};

/// A call as such a client makes it, which accepts any content type.
fn old(ask: Ask) -> Ask {
    ask.header("accept", "*/*")
}

/// A call as alice.
fn signed(gateway: &TestGateway) -> Ask {
    gateway.call_as("alice", Endpoint::Totals, &private(gateway, "alice"))
}

/// The answer is the gateway's own with that code, but a client of X sees nothing that X would not send.
#[track_caller]
fn is_as_of_x(answer: &Answer, status: u16, code: &str) {
    let body = answer.json();
    assert_eq!(
        (answer.status.as_u16(), answer.header("countersign-error")),
        (status, code),
        "{body}"
    );
    assert_eq!(answer.header("content-type"), "application/json");
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["errors"], "{body}");
    assert!(matches!(&body["errors"].as_array().unwrap()[..], [Value::String(_)]), "{body}");
    assert!(!answer.header("x-request-id").is_empty());
    assert!(answer.header("vary").contains("accept,"), "{}", answer.header("vary"));
}

/// The headers of X's quotas.
fn quotas(answer: &Answer) -> Vec<(String, String)> {
    let of_x = |name: &&str| name.starts_with("x-per-");
    let mut found: Vec<(String, String)> = answer
        .headers
        .keys()
        .map(reqwest::header::HeaderName::as_str)
        .filter(of_x)
        .map(|name| (name.to_owned(), answer.header(name).to_owned()))
        .collect();
    found.sort();
    found
}

async fn a_refusal_looks_as_if_it_were_of_x(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let call = || old(gateway.call(Endpoint::Totals, &public(&gateway)));
    for (ask, status, code) in [
        (call().header("authorization", ""), 401, "missing_key"),
        (call().header("authorization", "Bearer csk_unknown"), 401, "unknown_key"),
        (call().header("content-type", "text/csv"), 400, "not_json"),
        (call().body("{}"), 400, "invalid_request"),
        (call().body(" ".repeat(70_000)), 413, "body_too_large"),
        (call().header("accept-encoding", "*;q=0"), 406, "not_acceptable"),
        (call().method("GET"), 405, "method_not_allowed"),
        (old(signed(&gateway)).header("countersign-account", "999"), 404, "account_not_found"),
    ] {
        is_as_of_x(&ask.send().await, status, code);
    }
    gateway.order(json!([{ "kind": "reset", "path": "/insights/" }])).await;
    let away = call().send().await;
    is_as_of_x(&away, 502, "upstream_unreachable");
    assert_eq!(away.header("retry-after"), "1");
}

// A client once took 409 for success.
async fn an_account_that_has_ended_is_a_403_with_a_link_in_a_header(database: Database) {
    let mut gateway = TestGateway::start(&database).await;
    gateway.key = gateway.new_key(|key| key.scopes.rights = [Right::CreateLinks].into()).await;
    let alice = gateway.id("alice").to_string();
    gateway.sandbox.put(&format!("/sandbox/users/{alice}"), json!({ "state": "revoked" })).await;
    let call = || old(signed(&gateway));
    call().send().await.is_relayed(401);
    let ended = call().send().await;
    is_as_of_x(&ended, 403, "account_not_active");
    assert_eq!(ended.header("cache-control"), "no-store");
    let link = ended.header("countersign-reconnect-url");
    assert!(link.starts_with(&format!("{}/connect/", gateway.url)), "{link}");
    assert!(!ended.text().contains(link), "{}", ended.text());
    let said = call().header("accept", "application/problem+json").send().await;
    said.is_own(409, "account_not_active");
    assert_eq!(said.json()["reconnect_url"], said.header("countersign-reconnect-url"));
    gateway.key = gateway.new_key(|_| ()).await;
    let without = old(signed(&gateway)).send().await;
    is_as_of_x(&without, 403, "account_not_active");
    assert_eq!(without.header("countersign-reconnect-url"), "");
}

async fn a_refusal_has_the_quotas_that_x_told_last(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let refused = async || {
        let answer = old(gateway.call(Endpoint::Totals, &json!({}))).send().await;
        is_as_of_x(&answer, 400, "invalid_request");
        answer
    };
    assert_eq!(quotas(&refused().await), [], "nothing is known yet");
    let relayed = gateway.call(Endpoint::Totals, &public(&gateway)).send().await;
    assert_eq!(quotas(&relayed).len(), 6);
    assert_eq!(quotas(&refused().await), quotas(&relayed));
    // Signed calls have a quota of their own, and so does each endpoint.
    let own = signed(&gateway).send().await;
    own.is_relayed(200);
    let nobody = old(signed(&gateway)).header("countersign-account", "999").send().await;
    assert_eq!(quotas(&nobody), quotas(&own));
    let elsewhere = old(gateway.call(Endpoint::Historical, &json!({}))).send().await;
    assert_eq!(quotas(&elsewhere), []);
    gateway.sandbox.clock.forward(time::Duration::minutes(2));
    let later = refused().await;
    assert_eq!(later.header("x-per-minute-remaining"), later.header("x-per-minute-limit"));
    assert_ne!(relayed.header("x-per-minute-remaining"), relayed.header("x-per-minute-limit"));
}

on_both!(
    a_refusal_looks_as_if_it_were_of_x,
    an_account_that_has_ended_is_a_403_with_a_link_in_a_header,
    a_refusal_has_the_quotas_that_x_told_last
);

#[tokio::test]
async fn who_names_the_problem_type_is_told_all() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let ask = |accept: &str| {
        let ask = gateway.ask("POST", TOTALS).header("content-type", "text/csv");
        ask.header("accept", accept).body("{}")
    };
    for accept in [
        "application/problem+json",
        "application/json, Application/Problem+JSON;q=0.1",
        "text/html, application/problem+json; q=1, */*",
    ] {
        let answer = ask(accept).send().await;
        assert_eq!(answer.header("content-type"), "application/problem+json");
        answer.is_own(415, "not_json");
    }
    for accept in ["", "*/*", "application/*", "application/json", "application/problem+json;q=0"] {
        is_as_of_x(&ask(accept).send().await, 400, "not_json");
    }
}

#[tokio::test]
async fn only_the_paths_of_x_are_answered_so() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    for ask in [
        gateway.ask("POST", "/v1/engagement"),
        gateway.ask("POST", "/v1/links"),
        gateway.ask("POST", &format!("{TOTALS}/")),
        gateway.admin(&admin, "POST", HISTORICAL),
        gateway.admin(&admin, "POST", "/admin/v1/keys"),
    ] {
        let answer = old(ask).header("content-type", "text/csv").send().await;
        let (status, code) =
            (answer.status.as_u16(), answer.header("countersign-error").to_owned());
        assert!([404, 415].contains(&status), "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json");
        answer.is_own(status, &code);
    }
}
