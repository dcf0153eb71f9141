//! Posts of accounts that X does not list: those that were asked for before stand in, and the answer says so.

use serde_json::{Value, json};
use time::Duration;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::question::posts_of::{
    LISTS, answered, gateway_with_lists, last, listed, of, set, without_lookup,
};
use crate::question::{PATH, PLAN, ask, ask_with, question, start_gateway};

async fn switch(gateway: &TestGateway, switches: Value) {
    assert_eq!(gateway.sandbox.put("/sandbox/switches", switches).await.status, 200);
}

async fn forward(gateway: &TestGateway, by: Duration) {
    gateway.sandbox.clock.forward(by);
    gateway.inner.catch_up_once().await.unwrap();
}

/// Asks for these posts by their ids, by which their author becomes known.
async fn ask_before(gateway: &TestGateway, ids: &[String]) {
    let mut wanted = question(ids, &["impressions"]);
    wanted["window"] = json!("28hr");
    assert_eq!(ask(gateway, &wanted).await.status, 200);
}

async fn without_look_ups_the_posts_are_those_asked_for_before(database: Database) {
    let gateway = start_gateway(&database).await;
    for path in [PATH, PLAN] {
        let refused = ask_with(&gateway, &gateway.key, path, &last(&["@alice"], 200)).await;
        refused.is_own(400, "invalid_request");
        let problem = &refused.json()["problems"][0];
        let detail = "no posts of @alice are known, and X is not asked for them, since apps.demo.lookup is off; name tweet_ids";
        assert_eq!(problem, &json!({ "pointer": "/posts_of", "detail": detail }));
    }
    let ids = gateway.sandbox.ids("alice", 5);
    ask_before(&gateway, &ids).await;
    let answer = ask(&gateway, &last(&["@alice"], 200)).await;
    let note = "posts of @alice: the 5 that are known, since X's list was not read: apps.demo.lookup is off";
    assert_eq!(answer.header("countersign-note"), note);
    let answer = answer.json();
    assert_eq!(answered(&answer), set(&ids));
    let report = &answer["countersign"];
    assert_eq!(report["posts_of"], json!([of(&gateway, "alice", "known", 5, false)]));
    assert_eq!((&report["notes"], &report["complete"]), (&json!([note]), &json!(true)));
    assert_eq!(listed(&answer), []);
    // The newest of them, and those of a range.
    let answer = ask(&gateway, &last(&["@alice"], 2)).await.json();
    assert_eq!(answered(&answer), set(&ids[..2]));
    let mut early = last(&["@alice"], 200);
    early["written"] = json!({ "start": "2026-01-01", "end": "2026-01-02" });
    ask(&gateway, &early).await.is_own(400, "invalid_request");
    // Tables say it in their headers.
    let table = gateway.ask("POST", PATH).header("accept", "text/csv");
    let table = table.header("content-type", "application/json");
    let table = table.body(last(&["@alice"], 200).to_string()).send().await;
    assert_eq!(table.header("countersign-note"), note);
    let plan = ask_with(&gateway, &gateway.key, PLAN, &last(&["@alice"], 200)).await.json();
    assert_eq!(plan["calls"].as_array().unwrap().len(), 1);
    assert_eq!(
        plan["notes"],
        json!(["the posts are those known, since X is not asked: apps.demo.lookup is off"])
    );
    assert_eq!(gateway.arrived("/2/").await.len(), 0);
}

async fn a_spent_quota_leaves_what_was_listed_before(database: Database) {
    let gateway = gateway_with_lists(&database, 150).await;
    switch(&gateway, json!({ "post_lists_per_15_minutes": 0 })).await;
    let refused = ask(&gateway, &last(&["@alice"], 120)).await;
    refused.is_own(429, "nothing_answered");
    // The quarter of an hour ends at half past.
    assert_eq!(refused.header("retry-after"), "870");
    let missing = &refused.json()["missing"][0];
    assert_eq!((&missing["reason"], &missing["tweet_ids"]), (&json!("quota"), &json!([])));
    assert_eq!(missing["account"], gateway.id("alice").to_string());
    // X is left alone until then; only lists are.
    ask(&gateway, &last(&["@alice"], 120)).await.is_own(502, "nothing_answered");
    assert_eq!(gateway.arrived(LISTS).await.len(), 1);
    ask_before(&gateway, &gateway.sandbox.ids("bob", 2)).await;
    assert_eq!(gateway.arrived("/2/tweets").await.len(), 1);

    forward(&gateway, Duration::seconds(14 * 60 + 30)).await;
    switch(&gateway, json!({ "post_lists_per_15_minutes": 1 })).await;
    let answer = ask(&gateway, &last(&["@alice"], 120)).await.json();
    assert_eq!(listed(&answer), [(100, json!(200)), (0, json!(429))]);
    assert_eq!(answered(&answer), set(&gateway.sandbox.ids("alice", 100)));
    let report = &answer["countersign"];
    assert_eq!(report["posts_of"], json!([of(&gateway, "alice", "known", 100, false)]));
    let note = "posts of @alice: the 100 that are known, since X's list was not read: the app's quota of look-ups is used up";
    assert_eq!(report["notes"], json!([note]));
    forward(&gateway, Duration::minutes(15)).await;
    switch(&gateway, json!({ "post_lists_per_15_minutes": 2 })).await;
    let answer = ask(&gateway, &last(&["@alice"], 120)).await.json();
    assert_eq!(answer["countersign"]["posts_of"], json!([of(&gateway, "alice", "x", 120, true)]));
}

async fn an_app_that_may_not_list_posts_asks_every_quarter_of_an_hour(database: Database) {
    let gateway = gateway_with_lists(&database, 16).await;
    switch(&gateway, json!({ "unlisted_lookup_apps": ["demo"] })).await;
    let refused = ask(&gateway, &last(&["@alice"], 5)).await;
    refused.is_own(502, "nothing_answered");
    let detail = "no results: X has not listed the posts of @alice, and none are known: X does not allow the app to look posts up";
    assert_eq!(refused.json()["detail"], detail);
    forward(&gateway, Duration::seconds(15 * 60 - 1)).await;
    ask(&gateway, &last(&["@alice"], 5)).await.is_own(502, "nothing_answered");
    assert_eq!(gateway.arrived(LISTS).await.len(), 1);
    forward(&gateway, Duration::SECOND).await;
    switch(&gateway, json!({ "unlisted_lookup_apps": [] })).await;
    assert_eq!(listed(&ask(&gateway, &last(&["@alice"], 5)).await.json()), [(5, json!(200))]);
}

async fn accounts_that_x_does_not_show_do_not_spoil_the_others(database: Database) {
    let gateway = gateway_with_lists(&database, 16).await;
    let bob = format!("/sandbox/users/{}", gateway.id("bob"));
    for state in ["protected", "suspended"] {
        assert_eq!(gateway.sandbox.put(&bob, json!({ "state": state })).await.status, 200);
        let answer = ask(&gateway, &last(&["@bob", "@alice"], 5)).await.json();
        assert_eq!(answered(&answer), set(&gateway.sandbox.ids("alice", 5)));
        let expected =
            [of(&gateway, "bob", "known", 0, false), of(&gateway, "alice", "x", 5, true)];
        assert_eq!(answer["countersign"]["posts_of"], json!(expected));
        let note = "posts of @bob: the 0 that are known, since X's list was not read: X does not show this account's posts to the app";
        assert_eq!(answer["countersign"]["notes"], json!([note]));
        ask(&gateway, &last(&["@bob"], 5)).await.is_own(404, "nothing_answered");
    }
}

async fn a_list_that_does_not_come_in_half_of_the_time_is_gone_without(database: Database) {
    let gateway = gateway_with_lists(&database, 16).await;
    gateway.order(json!([{ "kind": "hang", "path": LISTS }])).await;
    let within = |wanted: Value| {
        let ask = gateway.ask("POST", PATH).header("countersign-deadline", "300ms");
        ask.header("content-type", "application/json").body(wanted.to_string()).send()
    };
    within(last(&["@alice"], 5)).await.is_own(504, "nothing_answered");
    let plain = without_lookup(&gateway, &database).await;
    ask_before(&plain, &gateway.sandbox.ids("alice", 3)).await;
    let answer = within(last(&["@alice"], 5)).await.json();
    assert_eq!(answered(&answer), set(&gateway.sandbox.ids("alice", 3)), "{answer}");
    assert_eq!(listed(&answer), [(0, Value::Null)]);
    let note = answer["countersign"]["notes"][0].as_str().unwrap();
    assert!(note.ends_with("since X's list was not read: no time was left"), "{note}");
}

async fn a_list_that_is_spoilt_is_gone_without(database: Database) {
    let gateway = gateway_with_lists(&database, 16).await;
    let plain = without_lookup(&gateway, &database).await;
    ask_before(&plain, &gateway.sandbox.ids("alice", 3)).await;
    for fault in [
        json!({ "kind": "status", "status": 500 }),
        json!({ "kind": "html" }),
        json!({ "kind": "bad_json" }),
        json!({ "kind": "reset" }),
        json!({ "kind": "status", "status": 200, "body": { "data": [], "meta": { "next_token": "a&b" } } }),
    ] {
        let mut fault = fault;
        fault["path"] = json!(LISTS);
        gateway.order(json!([fault])).await;
        let answer = ask(&gateway, &last(&["@alice"], 5)).await.json();
        assert_eq!(answered(&answer), set(&gateway.sandbox.ids("alice", 3)), "{fault}");
        assert_eq!(gateway.fired().await, [1], "{fault}");
        forward(&gateway, Duration::MINUTE).await;
    }
    // A bearer that X has replaced is renewed.
    gateway.order(json!([])).await;
    gateway.sandbox.ask("POST", "/sandbox/apps/demo/rotate_bearer").send().await;
    let answer = ask(&gateway, &last(&["@alice"], 5)).await.json();
    assert_eq!(answer["countersign"]["posts_of"], json!([of(&gateway, "alice", "x", 5, true)]));
}

on_both!(
    without_look_ups_the_posts_are_those_asked_for_before,
    a_spent_quota_leaves_what_was_listed_before,
    an_app_that_may_not_list_posts_asks_every_quarter_of_an_hour,
    accounts_that_x_does_not_show_do_not_spoil_the_others,
    a_list_that_does_not_come_in_half_of_the_time_is_gone_without,
    a_list_that_is_spoilt_is_gone_without
);
