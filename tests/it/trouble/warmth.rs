//! Start-up: what was used recently is cached before the first call.

use std::time::Duration;

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::trouble::{PATIENCE, id_of, private, with_key};

/// A second gateway that has just started, on the database of the first.
async fn started(gateway: &TestGateway, database: &Database, limit: Duration) -> TestGateway {
    let change = |config: &mut countersign::config::Config| config.limits.warm_up = limit;
    let again = TestGateway::build(gateway.sandbox.again(), &database.settings(), change).await;
    // It imported accounts itself; the feed has now delivered those changes.
    again.inner.catch_up_once().await.unwrap();
    again
}

/// Alice's call with the key of the first gateway, once by user id and once by name.
fn calls(again: &TestGateway, key: &str) -> [Ask; 2] {
    let by_id = with_key(private(again, "alice"), key);
    [by_id.clone(), by_id.header("countersign-account", "@Alice")]
}

/// Makes a call as alice with the gateway's key, and waits until the database has recorded both.
async fn use_alice(gateway: &TestGateway) {
    for ask in calls(gateway, &gateway.key) {
        ask.send().await.is_relayed(200);
    }
    gateway.inner.settle_usage().await;
    let is_noted = async {
        while gateway
            .inner
            .get_key(id_of(&gateway.key))
            .await
            .unwrap()
            .unwrap()
            .last_used_at
            .is_none()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, is_noted).await.unwrap();
}

async fn what_was_used_of_late_needs_no_query_after_a_start(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let unused = gateway.new_key(|_| ()).await;
    use_alice(&gateway).await;
    let again = started(&gateway, &database, Duration::from_secs(20)).await;
    again.inner.warm_up().await;
    for table in ["key", "account"] {
        database.run(&format!("alter table {table} rename to {table}_away")).await;
    }
    for ask in calls(&again, &gateway.key) {
        ask.send().await.is_relayed(200);
    }
    // A call that does query the database fails.
    with_key(private(&again, "bob"), &gateway.key).send().await.is_own(500, "internal");
    with_key(private(&again, "alice"), &unused).send().await.is_own(500, "internal");
}

async fn a_name_that_changed_hands_leads_to_its_holder_after_a_start(database: Database) {
    let gateway = TestGateway::start(&database).await;
    use_alice(&gateway).await;
    let again = started(&gateway, &database, Duration::from_secs(20)).await;
    // Bob, whom nobody used, has alice's name now.
    database
        .run(&format!(
            "update account set screen_name = 'Alice', connected_at = '2026-03-10T23:00:00Z' \
                           where user_id = '{}'",
            gateway.id("bob")
        ))
        .await;
    again.inner.warm_up().await;
    let [_, by_name] = calls(&again, &gateway.key);
    by_name.send().await.is_relayed(403);
    let arrived = again.arrived("/insights/").await;
    assert_eq!(arrived.last().unwrap()["token"], *again.sandbox.user("bob").access_token);
}

async fn a_start_may_read_nothing(database: Database) {
    let gateway = TestGateway::start(&database).await;
    use_alice(&gateway).await;
    let again = started(&gateway, &database, Duration::ZERO).await;
    again.inner.warm_up().await;
    database.run("alter table account rename to account_away").await;
    with_key(private(&again, "alice"), &gateway.key).send().await.is_own(500, "internal");
}

on_both!(
    what_was_used_of_late_needs_no_query_after_a_start,
    a_name_that_changed_hands_leads_to_its_holder_after_a_start,
    a_start_may_read_nothing
);

#[tokio::test]
async fn a_database_that_does_not_answer_holds_no_start_up() {
    let database = fresh(Kind::Postgres).await;
    let gateway = TestGateway::start(&database).await;
    let again = started(&gateway, &database, Duration::from_millis(1)).await;
    let locked = database.lock("key").await;
    tokio::time::timeout(PATIENCE, again.inner.warm_up()).await.unwrap();
    drop(locked);
    private(&again, "alice").send().await.is_relayed(200);
}
