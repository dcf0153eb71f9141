//! Look-ups that X refuses, delays or spoils: the question is answered all the same, and X is left alone for a while.

use countersign::model::Secret;
use countersign::sandbox::Settings;
use serde_json::{Value, json};
use time::Duration;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::question::lookups::{
    LOOKUP, ask_for_new, forward, gateway_with_lookup, lookups, mixed, private, switch,
};
use crate::question::{PATH, PLAN, ask, ask_with, missing};
use crate::upstream::{TestSandbox, small};

async fn a_look_up_that_fails_costs_calls_and_no_answer(database: Database) {
    let gateway = gateway_with_lookup(&database, 40).await;
    let faults = [
        (json!({ "kind": "status", "status": 500 }), json!(500)),
        (json!({ "kind": "status", "status": 404 }), json!(404)),
        (
            json!({ "kind": "status", "status": 302, "headers": { "location": "/2/tweets" } }),
            json!(302),
        ),
        (json!({ "kind": "html" }), json!(200)),
        (json!({ "kind": "bad_json" }), json!(200)),
        (json!({ "kind": "status", "status": 200, "body": { "data": "none" } }), json!(200)),
        (json!({ "kind": "reset" }), Value::Null),
        (json!({ "kind": "cut_body" }), Value::Null),
        (
            json!({ "kind": "status", "status": 200, "text": "x".repeat(1 << 20) + "x" }),
            Value::Null,
        ),
    ];
    let count = faults.len();
    for (at, (mut fault, status)) in faults.into_iter().enumerate() {
        fault["path"] = json!(LOOKUP);
        gateway.order(json!([fault])).await;
        assert_eq!(ask_for_new(&gateway, 2 * at).await, [(2, status, 1)], "{fault}");
        assert_eq!(gateway.fired().await, [1], "{fault}");
        // No further look-up is tried for a while.
        gateway.order(json!([])).await;
        assert_eq!(ask_for_new(&gateway, 2 * at + 1).await, []);
        forward(&gateway, Duration::MINUTE).await;
    }
    assert_eq!(ask_for_new(&gateway, 2 * count).await, [(2, json!(200), 1)]);
}

async fn an_app_that_may_not_look_posts_up_asks_every_quarter_of_an_hour(database: Database) {
    let gateway = gateway_with_lookup(&database, 40).await;
    switch(&gateway, json!({ "unlisted_lookup_apps": ["demo"] })).await;
    assert_eq!(ask_for_new(&gateway, 0).await, [(2, json!(403), 1)]);
    forward(&gateway, Duration::seconds(15 * 60 - 1)).await;
    assert_eq!(ask_for_new(&gateway, 1).await, []);
    let plan = ask_with(&gateway, &gateway.key, PLAN, &private(&gateway.sandbox.ids("alice", 9)))
        .await
        .json();
    assert_eq!(
        plan["cost"]["calls"]["lookup"],
        Value::Null,
        "a plan is of what would be asked now"
    );
    switch(&gateway, json!({ "unlisted_lookup_apps": [] })).await;
    forward(&gateway, Duration::SECOND).await;
    assert_eq!(ask_for_new(&gateway, 2).await, [(2, json!(200), 1)]);
}

async fn a_spent_quota_of_look_ups_is_waited_for(database: Database) {
    let gateway = gateway_with_lookup(&database, 40).await;
    switch(&gateway, json!({ "lookups_per_15_minutes": 1 })).await;
    assert_eq!(ask_for_new(&gateway, 0).await, [(2, json!(200), 1)]);
    assert_eq!(ask_for_new(&gateway, 1).await, [(2, json!(429), 1)]);
    // The quarter of an hour ends at half past.
    forward(&gateway, Duration::seconds(14 * 60 + 29)).await;
    assert_eq!(ask_for_new(&gateway, 2).await, []);
    forward(&gateway, Duration::SECOND).await;
    assert_eq!(ask_for_new(&gateway, 3).await, [(2, json!(200), 1)]);
}

async fn what_some_look_ups_found_counts_though_others_were_refused(database: Database) {
    let sandbox =
        TestSandbox::start_with(Settings { users: 4, posts_per_user: 100, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.apps.get_mut("demo").unwrap().lookup = true;
        config.limits.question_calls = 1;
    })
    .await;
    switch(&gateway, json!({ "lookups_per_15_minutes": 1 })).await;
    let answer = ask(&gateway, &private(&mixed(&gateway))).await.json();
    // The third look-up is not made.
    let mut statuses: Vec<Value> = lookups(&answer).into_iter().map(|lookup| lookup.1).collect();
    statuses.sort_by_key(ToString::to_string);
    assert_eq!(statuses, [200, 429]);
    assert_eq!(
        missing(&answer).iter().map(|part| part.1).sum::<usize>(),
        gateway.sandbox.ids("carol", usize::MAX).len()
    );
}

async fn a_bearer_that_x_has_replaced_is_renewed_for_a_look_up(database: Database) {
    let gateway = gateway_with_lookup(&database, 40).await;
    assert_eq!(ask_for_new(&gateway, 0).await, [(2, json!(200), 1)]);
    gateway.sandbox.ask("POST", "/sandbox/apps/demo/rotate_bearer").send().await;
    assert_eq!(ask_for_new(&gateway, 1).await, [(2, json!(200), 2)]);
    assert_eq!(gateway.sandbox.get("/sandbox/counts").await["/oauth2/token"], 2);
    gateway.order(json!([{ "kind": "status", "status": 401, "path": LOOKUP }])).await;
    forward(&gateway, Duration::MINUTE).await;
    assert_eq!(ask_for_new(&gateway, 2).await, [(2, json!(401), 2)]);
    assert_eq!(ask_for_new(&gateway, 3).await, []);
}

async fn a_bearer_from_the_settings_is_not_renewed(database: Database) {
    let sandbox =
        TestSandbox::start_with(Settings { users: 4, posts_per_user: 40, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        let app = config.apps.get_mut("demo").unwrap();
        (app.lookup, app.bearer_token) = (true, Some(Secret::from("another")));
    })
    .await;
    assert_eq!(ask_for_new(&gateway, 0).await, [(2, json!(401), 1)]);
    assert_eq!(gateway.sandbox.get("/sandbox/counts").await["/oauth2/token"], Value::Null);
}

async fn without_a_bearer_the_candidates_are_asked(database: Database) {
    let gateway = gateway_with_lookup(&database, 40).await;
    gateway.order(json!([{ "kind": "status", "status": 500, "path": "/oauth2/token" }])).await;
    assert_eq!(ask_for_new(&gateway, 0).await, []);
    assert_eq!(gateway.arrived(LOOKUP).await.len(), 0);
    gateway.order(json!([])).await;
    forward(&gateway, Duration::MINUTE).await;
    assert_eq!(ask_for_new(&gateway, 1).await, [(2, json!(200), 1)]);
}

async fn a_look_up_that_never_ends_leaves_half_of_the_time(database: Database) {
    let sandbox =
        TestSandbox::start_with(Settings { users: 4, posts_per_user: 120, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.apps.get_mut("demo").unwrap().lookup = true;
        config.limits.question_calls = 1;
    })
    .await;
    gateway.order(json!([{ "kind": "hold", "path": LOOKUP }])).await;
    let wanted = private(&gateway.sandbox.ids("alice", 101)).to_string();
    let ask = gateway.ask("POST", PATH).header("countersign-deadline", "6s");
    let asked = tokio::spawn(ask.header("content-type", "application/json").body(wanted).send());
    while gateway.fired().await != [1] {
        tokio::task::yield_now().await;
    }
    gateway.sandbox.clock.forward(Duration::SECOND);
    let answer = asked.await.unwrap().json();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
    assert_eq!(answer["countersign"]["calls"][0]["ms"], 1000);
    // No other look-up was started once it was too late.
    assert_eq!(
        (lookups(&answer), gateway.arrived(LOOKUP).await.len()),
        (vec![(100, Value::Null, 1)], 1)
    );
    gateway.order(json!([{ "kind": "delay", "ms": 30, "path": LOOKUP }])).await;
    assert_eq!(
        ask_for_new(&gateway, 101).await,
        [(2, json!(200), 1)],
        "a caller's haste is no fault of X"
    );
}

on_both!(
    a_look_up_that_fails_costs_calls_and_no_answer,
    an_app_that_may_not_look_posts_up_asks_every_quarter_of_an_hour,
    a_spent_quota_of_look_ups_is_waited_for,
    what_some_look_ups_found_counts_though_others_were_refused,
    a_bearer_that_x_has_replaced_is_renewed_for_a_look_up,
    a_bearer_from_the_settings_is_not_renewed,
    without_a_bearer_the_candidates_are_asked,
    a_look_up_that_never_ends_leaves_half_of_the_time
);
