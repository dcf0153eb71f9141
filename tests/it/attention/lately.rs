//! Failing calls are on the overview while they fail, in figures that equal the list.

use serde_json::{Value, json};
use time::Duration;

use crate::attention::one_post;
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use countersign::model::Endpoint;

fn failing() -> Value {
    json!([{ "kind": "status", "path": "/insights/", "status": 500, "body": { "errors": ["internal server error"] } }])
}

async fn failing_calls_come_with_figures_and_go_once_calls_succeed(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    // The day before, 1 of 3 failed.
    gateway.order(failing()).await;
    gateway.ask_publicly().await.is_relayed(500);
    gateway.order(json!([])).await;
    for _ in 0..2 {
        gateway.ask_publicly().await.is_relayed(200);
    }
    assert_eq!(gateway.causes(&admin).await, [""; 0], "one is few");
    gateway.later(Duration::days(1)).await;

    gateway.order(failing()).await;
    for _ in 0..3 {
        gateway.ask_privately().await.is_relayed(500);
    }
    let items = gateway.attention(&admin).await;
    let item = items.iter().find(|item| item["cause"] == "x_failing").unwrap();
    assert_eq!(
        item["figures"],
        json!({ "failed": 3, "calls": 3, "listed": 3, "failed_yesterday": 1, "calls_yesterday": 3 })
    );
    assert_eq!(item["app"], "demo");
    let (key, id) = (&item["keys"][0], gateway.id("alice").to_string());
    assert!(gateway.key.contains(key["key"].as_str().unwrap()) && key["calls"] == 3, "{item}");
    assert_eq!(item["accounts"], json!([{ "account": id, "screen_name": "alice", "calls": 3 }]));
    let since = item["since"].as_str().unwrap();
    let query = format!("?cause=x_failing&app=demo&from={since}");
    assert_eq!(gateway.list_calls(&admin, &query).await.len(), 3);
    let visitor = crate::console::Visitor::admin(&gateway).await;
    let page = visitor.open("/console/").await.text();
    let link = page.split_once("href=\"/console/calls?cause=x_failing").unwrap().1;
    let link = link.split_once('"').unwrap().0.replace("&#38;", "&").replace("&amp;", "&");
    let list = visitor.open(&format!("/console/calls?cause=x_failing{link}")).await.text();
    assert_eq!(list.matches("data-label=\"When\"").count(), 3, "{list}");
    let lately = gateway.admin(&admin, "GET", "/admin/v1/overview").send().await.json();
    assert_eq!(
        lately["lately"],
        json!({ "calls": 3, "failed": 3, "calls_yesterday": 3, "failed_yesterday": 1 })
    );

    gateway.order(json!([])).await;
    gateway.later(Duration::seconds(5)).await;
    gateway.ask_privately().await.is_relayed(200);
    assert_eq!(gateway.causes(&admin).await, ["x_failing"], "one call is no proof");
    gateway.later(Duration::seconds(45)).await;
    assert_eq!(gateway.causes(&admin).await, [""; 0]);
    assert_eq!(gateway.list_calls(&admin, "?cause=x_failing").await.len(), 4, "still listed");
}

async fn what_fails_seldom_needs_no_attention_unless_it_is_grave(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    for _ in 0..60 {
        gateway.ask_publicly().await.is_relayed(200);
    }
    let foreign = one_post(&gateway, "alice", "impressions");
    for _ in 0..3 {
        gateway.call_as("bob", Endpoint::Totals, &foreign).send().await.is_relayed(403);
    }
    assert_eq!(gateway.causes(&admin).await, [""; 0], "3 of 63 are less than 5 %");
    gateway.call_as("bob", Endpoint::Totals, &foreign).send().await.is_relayed(403);
    assert_eq!(gateway.causes(&admin).await, ["foreign_posts"], "4 of 64");
}

async fn a_list_that_is_only_a_sample_says_so(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    for _ in 0..4 {
        gateway.call(Endpoint::Totals, &json!({})).send().await.is_own(400, "invalid_request");
    }
    assert_eq!(gateway.list_calls(&admin, "").await.len(), 4);
    database.run("delete from call where call_id % 2 = 0").await;
    let item = gateway.attention(&admin).await.remove(0);
    assert_eq!(
        (&item["cause"], &item["figures"]["failed"], &item["figures"]["listed"]),
        (&json!("invalid_request"), &json!(4), &json!(2))
    );
    let page = crate::console::Visitor::admin(&gateway).await.open("/console/").await.text();
    assert!(page.contains("2 of 4 are listed"), "{page}");
}

on_both!(
    failing_calls_come_with_figures_and_go_once_calls_succeed,
    what_fails_seldom_needs_no_attention_unless_it_is_grave,
    a_list_that_is_only_a_sample_says_so
);
