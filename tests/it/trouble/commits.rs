//! The connection to PostgreSQL is lost in the moment of a change: what the caller hears is what happened.

use countersign::config;
use countersign::model::Secret;

use serde_json::json;

use crate::database::{Database, Kind, fresh};
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::postgres_relay::{Lost, Relay};
use crate::trouble::{PATIENCE, eventually, public, with_key};
use crate::upstream::TestSandbox;

async fn behind(relay: &Relay, database: &Database) -> TestGateway {
    let settings = config::Database {
        url: Secret::from(&*relay.url),
        wait: std::time::Duration::from_millis(300),
        statement_timeout: std::time::Duration::from_millis(500),
        ..database.settings()
    };
    TestGateway::build(TestSandbox::start().await, &settings, |_| ()).await
}

fn new_key(gateway: &TestGateway, admin: &str, name: &str) -> Ask {
    gateway
        .admin(admin, "POST", "/admin/v1/keys")
        .header("content-type", "application/json")
        .body(json!({ "name": name, "app": "demo" }).to_string())
}

/// The names of keys, as operators see them.
async fn has_key(gateway: &TestGateway, admin: &str, name: &str) -> bool {
    let keys = gateway.admin(admin, "GET", "/admin/v1/keys");
    let keys = eventually(&keys, |answer| answer.status == 200).await.json();
    keys["keys"].as_array().unwrap().iter().any(|key| key["name"] == name)
}

#[tokio::test]
async fn a_key_whose_connection_is_lost_is_given_out() {
    let database = fresh(Kind::Postgres).await;
    let relay = Relay::before(&database).await;
    let gateway = behind(&relay, &database).await;
    let admin = gateway.new_admin_key().await;
    for (lost, name) in
        [(Lost::Answer, "billing"), (Lost::Commit, "reports"), (Lost::Statement, "search")]
    {
        relay.cut("insert into key", lost);
        let answer = new_key(&gateway, &admin, name).send().await;
        assert!(relay.is_cut() && answer.status == 201, "{}", answer.text());
        let key = answer.json()["secret"].as_str().unwrap().to_owned();
        with_key(public(&gateway), &key).send().await.is_relayed(200);
    }
}

#[tokio::test]
async fn a_key_that_may_or_may_not_exist_is_reported_as_that() {
    let database = fresh(Kind::Postgres).await;
    let relay = Relay::before(&database).await;
    let gateway = behind(&relay, &database).await;
    let admin = gateway.new_admin_key().await;
    for (lost, name) in [(Lost::Answer, "billing"), (Lost::Commit, "reports")] {
        relay.sever("insert into key", lost);
        let asked = tokio::time::timeout(PATIENCE, new_key(&gateway, &admin, name).send());
        let answer = asked.await.unwrap();
        answer.is_own(500, "outcome_unknown");
        assert!(answer.text().contains("look whether it did before you try again"));
        assert_eq!(answer.header("retry-after"), "");
        relay.mend();
        assert_eq!(has_key(&gateway, &admin, name).await, lost == Lost::Answer, "{lost:?}");
    }
}
