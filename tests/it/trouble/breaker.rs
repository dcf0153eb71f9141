//! While most calls to X fail, none is made but a probe now and then.

use countersign::model::Endpoint;
use serde_json::{Value, json};

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::relay::public;

const TOTALS: Endpoint = Endpoint::Totals;
const HOURS: Endpoint = Endpoint::TwentyEightHours;

async fn call(gateway: &TestGateway, key: &str, endpoint: Endpoint) -> Answer {
    let ask = gateway.call_as("alice", endpoint, &public(gateway));
    ask.header("authorization", &format!("Bearer {key}")).send().await
}

async fn codes(gateway: &TestGateway, key: &str, endpoint: Endpoint, calls: usize) -> Vec<String> {
    let mut codes = Vec::new();
    for _ in 0..calls {
        let answer = call(gateway, key, endpoint).await;
        let code = answer.header("countersign-error");
        codes.push(if code.is_empty() {
            answer.status.as_str().to_owned()
        } else {
            code.to_owned()
        });
    }
    codes
}

async fn arrived(gateway: &TestGateway) -> usize {
    gateway.arrived("/insights/").await.len()
}

async fn fail_with(gateway: &TestGateway, fault: &str, path: &str) {
    gateway.order(json!([{ "kind": fault, "status": 500, "path": path }])).await;
}

async fn reasons(gateway: &TestGateway) -> Value {
    // The clock has moved since the database was last read.
    gateway.inner.catch_up_once().await.unwrap();
    gateway.ask("GET", "/readyz").send().await.json()["reasons"].clone()
}

#[tokio::test]
async fn a_dead_upstream_gets_a_probe_a_second_until_it_answers() {
    for fault in ["reset", "status"] {
        let database = fresh(Kind::Sqlite).await;
        let gateway = TestGateway::start(&database).await;
        fail_with(&gateway, fault, "/insights/").await;
        codes(&gateway, &gateway.key, TOTALS, 40).await;
        let before = arrived(&gateway).await;
        assert!((20..=24).contains(&before), "{fault}: {before}");
        let refused = call(&gateway, &gateway.key, TOTALS).await;
        refused.is_own(503, "upstream_down");
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(arrived(&gateway).await, before);
        let down = "app demo: most calls to totals failed, so only probes are made";
        assert_eq!(reasons(&gateway).await, json!([down]));
        for probes in 1..=2 {
            gateway.sandbox.clock.forward(time::Duration::seconds(1));
            let codes = codes(&gateway, &gateway.key, TOTALS, 5).await;
            assert_ne!(codes[0], "upstream_down");
            assert!(codes[1..].iter().all(|code| code == "upstream_down"), "{codes:?}");
            assert_eq!(arrived(&gateway).await, before + probes, "a probe is made once");
        }
        gateway.order(json!([])).await;
        gateway.sandbox.clock.forward(time::Duration::seconds(1));
        assert_eq!(codes(&gateway, &gateway.key, TOTALS, 3).await, ["200"; 3]);
        assert_eq!(reasons(&gateway).await, json!([]));
    }
}

#[tokio::test]
async fn many_calls_that_went_well_do_not_hide_a_sudden_end() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    codes(&gateway, &gateway.key, TOTALS, 60).await;
    gateway.sandbox.clock.forward(time::Duration::seconds(1));
    fail_with(&gateway, "status", "/insights/").await;
    codes(&gateway, &gateway.key, TOTALS, 40).await;
    let failed = arrived(&gateway).await - 60;
    assert!((20..=24).contains(&failed), "{failed}");
}

#[tokio::test]
async fn an_endpoint_that_fails_does_not_shut_the_others() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    fail_with(&gateway, "status", HOURS.path()).await;
    let codes_of_hours = codes(&gateway, &gateway.key, HOURS, 30).await;
    assert_eq!(codes_of_hours.last().unwrap(), "upstream_down");
    assert_eq!(codes(&gateway, &gateway.key, TOTALS, 3).await, ["200"; 3]);
}

#[tokio::test]
async fn the_failures_of_one_key_among_several_shut_nothing() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let other = gateway.new_key(|_| ()).await;
    assert_eq!(codes(&gateway, &other, TOTALS, 1).await, ["200"]);
    fail_with(&gateway, "status", "/insights/").await;
    assert_eq!(codes(&gateway, &gateway.key, TOTALS, 40).await, vec!["500"; 40]);
    // Once the other one fails, too, it is not the first key's fault.
    assert_eq!(codes(&gateway, &other, TOTALS, 2).await, ["500", "upstream_down"]);
}

#[tokio::test]
async fn what_x_refuses_shuts_nothing() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for status in [400, 403, 404] {
        let fault = json!({ "kind": "status", "status": status, "path": "/insights/" });
        gateway.order(json!([fault])).await;
        let codes = codes(&gateway, &gateway.key, TOTALS, 30).await;
        assert_eq!(codes, vec![status.to_string(); 30]);
    }
}

#[tokio::test]
async fn a_question_says_that_x_does_not_answer() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    fail_with(&gateway, "status", "/insights/").await;
    codes(&gateway, &gateway.key, TOTALS, 30).await;
    let before = arrived(&gateway).await;
    let wanted =
        json!({ "tweet_ids": gateway.sandbox.ids("alice", 1), "engagement_types": ["favorites"] });
    let ask = gateway.ask("POST", "/v1/engagement").header("content-type", "application/json");
    let answer = ask.body(wanted.to_string()).send().await;
    answer.is_own(502, "nothing_answered");
    let missing = answer.json()["missing"][0].clone();
    assert_eq!(missing["detail"], "X does not answer calls of the app demo to totals at present");
    assert_eq!((answer.header("retry-after"), arrived(&gateway).await), ("1", before));
}
