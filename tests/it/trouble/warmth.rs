//! A start: what was used of late is in memory before the first call.

use std::time::Duration;

use crate::bench::Ask;
use crate::database::{Database, Kind, fresh, on_both};
use crate::house::House;
use crate::trouble::{PATIENCE, id_of, private, with_key};

/// A second gateway that has just started, on the database of the first.
async fn started(house: &House, database: &Database, limit: Duration) -> House {
    let change = |it: &mut countersign::config::Config| it.limits.warm_up = limit;
    let again = House::build(house.bench.again(), &database.settings(), change).await;
    // It has imported accounts itself: those changes are behind it now.
    again.gateway.catch_up_once().await.unwrap();
    again
}

/// Alice's call with the key of the first gateway, once as that user id and once as that name.
fn calls(again: &House, key: &str) -> [Ask; 2] {
    let by_id = with_key(private(again, "alice"), key);
    [by_id.clone(), by_id.header("countersign-account", "@Alice")]
}

/// Uses alice and the key of the house, and waits until the database knows it.
async fn use_alice(house: &House) {
    for ask in calls(house, &house.key) {
        ask.send().await.is_relayed(200);
    }
    house.gateway.settle_usage().await;
    let is_noted = async {
        while house
            .gateway
            .get_key(id_of(&house.key))
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

on_both! {
    async fn what_was_used_of_late_needs_no_query_after_a_start(database: Database) {
        let house = House::start(&database).await;
        let unused = house.new_key(|_| ()).await;
        use_alice(&house).await;
        let again = started(&house, &database, Duration::from_secs(20)).await;
        again.gateway.warm_up().await;
        for table in ["key", "account"] {
            database.run(&format!("alter table {table} rename to {table}_away")).await;
        }
        for ask in calls(&again, &house.key) {
            ask.send().await.is_relayed(200);
        }
        // Whoever does ask the database is found out.
        with_key(private(&again, "bob"), &house.key).send().await.is_own(500, "internal");
        with_key(private(&again, "alice"), &unused).send().await.is_own(500, "internal");
    }

    async fn a_name_that_changed_hands_leads_to_its_holder_after_a_start(database: Database) {
        let house = House::start(&database).await;
        use_alice(&house).await;
        let again = started(&house, &database, Duration::from_secs(20)).await;
        // Bob, whom nobody used, has alice's name now.
        database.run(&format!("update account set screen_name = 'Alice', connected_at = '2026-03-10T23:00:00Z' where user_id = '{}'", house.id("bob"))).await;
        again.gateway.warm_up().await;
        let [_, by_name] = calls(&again, &house.key);
        by_name.send().await.is_relayed(403);
        let arrived = again.arrived("/insights/").await;
        assert_eq!(arrived.last().unwrap()["token"], *again.bench.user("bob").access_token);
    }

    async fn a_start_may_read_nothing(database: Database) {
        let house = House::start(&database).await;
        use_alice(&house).await;
        let again = started(&house, &database, Duration::ZERO).await;
        again.gateway.warm_up().await;
        database.run("alter table account rename to account_away").await;
        with_key(private(&again, "alice"), &house.key).send().await.is_own(500, "internal");
    }
}

#[tokio::test]
async fn a_database_that_does_not_answer_holds_no_start_up() {
    let database = fresh(Kind::Postgres).await;
    let house = House::start(&database).await;
    let again = started(&house, &database, Duration::from_millis(1)).await;
    let locked = database.lock("key").await;
    tokio::time::timeout(PATIENCE, again.gateway.warm_up()).await.unwrap();
    drop(locked);
    private(&again, "alice").send().await.is_relayed(200);
}
