//! Plans: the calls that would be made, without making any.

use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::question::{PLAN, ask, ask_with, missing, question, start_gateway};
use crate::trouble::user_becomes;

async fn a_plan_names_the_calls_and_makes_none(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = [
        gateway.sandbox.ids("alice", 3),
        gateway.sandbox.ids("bob", 2),
        gateway.sandbox.ids("carol", 1),
    ]
    .concat();
    let mut wanted = question(&ids, &["favorites", "impressions"]);
    let owner = |name: &str| json!(gateway.id(name).to_string());
    wanted["owners"] = ids
        .iter()
        .zip(["alice", "alice", "alice", "bob", "bob", "carol"])
        .map(|(id, name)| (id.clone(), owner(name)))
        .collect::<serde_json::Map<String, Value>>()
        .into();
    let plan = ask_with(&gateway, &gateway.key, PLAN, &wanted).await;
    assert_eq!(plan.status, 200, "{}", plan.text());
    let plan = plan.json();
    assert_eq!(gateway.arrived("/").await.len(), 0);
    assert_eq!(
        plan["cost"],
        json!({ "calls": { "app-only": 1, "user-context": 2 }, "accounts": 2, "new_accounts": 2 })
    );
    let calls = plan["calls"].as_array().unwrap();
    // The connected authors' public types go along with their private ones.
    assert_eq!(
        (&calls[0]["auth"], &calls[0]["tweet_ids"], &calls[0]["engagement_types"]),
        (&json!("app-only"), &json!(ids[5..]), &json!(["favorites"]))
    );
    assert_eq!(
        (&calls[1]["account"], &calls[1]["tweet_count"], &calls[1]["probe"]),
        (&owner("alice"), &json!(3), &json!(false))
    );
    assert_eq!(plan["missing"][0]["reason"], "not_connected");
    // The calls are then made as planned.
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(answer["countersign"]["calls"].as_array().unwrap().len(), calls.len());
    // X counts an account once a month.
    let again = ask_with(&gateway, &gateway.key, PLAN, &wanted).await.json();
    assert_eq!(
        (&again["cost"]["accounts"], &again["cost"]["new_accounts"]),
        (&json!(2), &json!(0))
    );
    gateway.sandbox.clock.forward(time::Duration::days(31));
    let later = ask_with(&gateway, &gateway.key, PLAN, &wanted).await.json();
    assert_eq!(
        (&later["cost"]["accounts"], &later["cost"]["new_accounts"]),
        (&json!(2), &json!(2))
    );
}

async fn a_plan_tries_nobody_who_is_known_not_to_be_the_author(database: Database) {
    let gateway = start_gateway(&database).await;
    let (bob, carol) = (gateway.sandbox.ids("bob", 2), gateway.sandbox.ids("carol", 2));
    let wanted = question(&[bob, carol.clone()].concat(), &["impressions"]);
    let before = ask_with(&gateway, &gateway.key, PLAN, &wanted).await.json();
    assert_eq!(
        (before["calls"].as_array().unwrap().len(), before["calls"][0]["tweet_count"].as_u64()),
        (1, Some(4))
    );
    let answer = ask(&gateway, &wanted).await.json();
    let plan = ask_with(&gateway, &gateway.key, PLAN, &wanted).await.json();
    let calls = plan["calls"].as_array().unwrap();
    assert_eq!(
        (calls.len(), &calls[0]["account"], &calls[0]["probe"]),
        (1, &json!(gateway.id("bob").to_string()), &json!(false))
    );
    assert_eq!(
        (&plan["missing"][0]["tweet_ids"], &plan["missing"]),
        (&json!(carol), &answer["countersign"]["missing"])
    );
}

async fn who_is_next_is_tried_once_where_the_first_is_known_not_to_be_the_author(
    database: Database,
) {
    let gateway = start_gateway(&database).await;
    let wanted = question(&gateway.sandbox.ids("carol", 1), &["impressions", "favorites"]);
    let plan = ask_with(&gateway, &gateway.key, PLAN, &wanted).await.json();
    let first = plan["calls"][1]["account"].as_str().unwrap();
    let next =
        ["alice", "bob"].into_iter().find(|name| gateway.id(name).to_string() != first).unwrap();
    let mut of_first = wanted.clone();
    of_first["accounts"] = json!([first]);
    ask(&gateway, &of_first).await.json();
    let plan = ask_with(&gateway, &gateway.key, PLAN, &wanted).await.json();
    let calls = plan["calls"].as_array().unwrap();
    assert_eq!((calls.len(), &calls[1]["account"]), (2, &json!(gateway.id(next).to_string())));
    user_becomes(&gateway, next, "revoked").await;
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(missing(&answer), [("not_connected".to_owned(), 1)]);
    assert_eq!(answer["countersign"]["calls"].as_array().unwrap().len(), 2, "{answer}");
}

async fn mistakes_are_told_all_at_once_and_nothing_is_asked(database: Database) {
    let gateway = start_gateway(&database).await;
    let wrong = json!({
        "tweet_ids": ["x"], "engagement_types": ["likes"], "window": "1h", "accounts": ["?"], "more": 1,
    });
    for path in [PLAN, "/v1/engagement"] {
        let refused = ask_with(&gateway, &gateway.key, path, &wrong).await;
        refused.is_own(400, "invalid_request");
        let pointers: Vec<String> = refused.json()["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|problem| problem["pointer"].as_str().unwrap().to_owned())
            .collect();
        for pointer in ["/tweet_ids/0", "/engagement_types/0", "/window", "/accounts/0", "/more"] {
            assert!(pointers.contains(&pointer.to_owned()), "{pointer} of {pointers:?}");
        }
    }
    let stranger =
        json!({ "tweet_ids": ["1"], "engagement_types": ["impressions"], "accounts": ["@nobody"] });
    let refused = ask(&gateway, &stranger).await;
    refused.is_own(400, "invalid_request");
    assert_eq!(refused.json()["problems"][0]["pointer"], "/accounts/0");
    let many: Vec<String> = (1..=10_001).map(|number| number.to_string()).collect();
    ask(&gateway, &question(&many, &["favorites"])).await.is_own(400, "invalid_request");
    gateway.ask("GET", PLAN).send().await.is_own(405, "method_not_allowed");
    assert_eq!(gateway.arrived("/").await.len(), 0);
}

on_both!(
    a_plan_names_the_calls_and_makes_none,
    a_plan_tries_nobody_who_is_known_not_to_be_the_author,
    who_is_next_is_tried_once_where_the_first_is_known_not_to_be_the_author,
    mistakes_are_told_all_at_once_and_nothing_is_asked
);
