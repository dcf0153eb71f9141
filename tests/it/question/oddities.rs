//! Answers that the upstream should not give, and questions that nobody should ask: an incomplete answer is never
//! called complete, and nothing is believed without proof.

use countersign::sandbox::Settings;
use serde_json::{Map, Value, json};

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::question::{PATH, PLAN, ask, ask_with, missing, question, start_gateway};
use crate::upstream::{TestSandbox, small};

/// Orders the upstream's next answers.
async fn answers(gateway: &TestGateway, status: u16, bodies: &[Value]) {
    let fault = |body: &Value| {
        json!({
            "kind": "status",
            "status": status,
            "body": body,
            "path": "/insights/",
            "times": 1,
        })
    };
    gateway.order(bodies.iter().map(fault).collect()).await;
}

fn owned(gateway: &TestGateway, name: &str, ids: &[String], metrics: &[&str]) -> Value {
    let owner = json!(gateway.id(name).to_string());
    let mut wanted = question(ids, metrics);
    wanted["owners"] =
        ids.iter().map(|id| (id.clone(), owner.clone())).collect::<Map<_, _>>().into();
    wanted
}

async fn an_answer_with_errors_is_not_called_complete(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = gateway.sandbox.ids("alice", 3);
    let wanted = owned(&gateway, "alice", &ids, &["impressions"]);
    answers(&gateway, 200, &[json!({ "errors": ["Could not read some data"] })]).await;
    ask(&gateway, &wanted).await.is_own(502, "nothing_answered");
    answers(
        &gateway,
        200,
        &[json!({
            "by_tweet": { &ids[0]: { "impressions": "7" } },
            "errors": ["Could not read some data"],
        })],
    )
    .await;
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(
        (&answer["by_tweet"][&ids[0]]["impressions"], &answer["countersign"]["complete"]),
        (&json!("7"), &json!(false))
    );
    assert_eq!(missing(&answer), [("upstream_error".to_owned(), 3)]);
    assert_eq!(answer["countersign"]["missing"][0]["detail"], "X says: Could not read some data");
    // Omitted silently.
    answers(&gateway, 200, &[json!({ "by_tweet": { &ids[0]: { "impressions": "7" } } })]).await;
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(missing(&answer), [("upstream_error".to_owned(), 2)]);
    assert_eq!(answer["countersign"]["missing"][0]["tweet_ids"], json!(ids[1..]));
}

async fn an_answer_that_says_nothing_of_a_post_proves_no_author(database: Database) {
    let gateway = start_gateway(&database).await;
    let id = gateway.sandbox.ids("bob", 1).remove(0);
    let wanted = question(std::slice::from_ref(&id), &["impressions"]);
    answers(&gateway, 200, &[json!({ "by_tweet": {}, "errors": ["Could not read some data"] })])
        .await;
    ask(&gateway, &wanted).await.is_own(502, "nothing_answered");
    answers(&gateway, 200, &[json!({ "by_tweet": {} })]).await;
    ask(&gateway, &wanted).await.is_own(502, "nothing_answered");
    gateway.order(json!([])).await;
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
    assert!(answer["by_tweet"][&id]["impressions"].is_string());
}

async fn posts_that_nobody_asked_for_spoil_one_call_and_not_the_question(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = gateway.sandbox.ids("alice", 2);
    let wanted = owned(&gateway, "alice", &ids, &["impressions"]);
    answers(
        &gateway,
        400,
        &[json!({ "errors": ["1 Tweet ID(s) are unavailable"], "unavailable_tweet_ids": ["999"] })],
    )
    .await;
    ask(&gateway, &wanted).await.is_own(502, "nothing_answered");
    answers(
        &gateway,
        400,
        &[json!({
            "errors": ["1 Tweet ID(s) are unavailable"],
            "unavailable_tweet_ids": [format!(" {} ", ids[0])],
        })],
    )
    .await;
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(missing(&answer), [("unavailable".to_owned(), 1)]);
    assert!(answer["by_tweet"][&ids[1]]["impressions"].is_string());
}

async fn a_sum_that_does_not_fit_is_missing_in_every_form(database: Database) {
    let gateway = start_gateway(&database).await;
    let (alice, bob) = (gateway.sandbox.ids("alice", 1), gateway.sandbox.ids("bob", 1));
    let mut wanted = question(&[alice[0].clone(), bob[0].clone()], &["impressions"]);
    wanted["owners"] = json!({ &alice[0]: gateway.id("alice").to_string(), &bob[0]: gateway.id("bob").to_string() });
    wanted["groupings"] = json!({
        "all": { "group_by": ["engagement.type"] },
        "each": { "group_by": ["tweet.id", "engagement.type"] },
    });
    for accept in ["application/json", "text/csv", "application/x-ndjson"] {
        let most = |post: &String| {
            let most = i64::MAX.to_string();
            json!({ "all": { "impressions": most }, "each": { post: { "impressions": most } } })
        };
        gateway.order(json!([])).await;
        answers(&gateway, 200, &[most(&alice[0]), most(&bob[0])]).await;
        let asked = gateway
            .ask("POST", PATH)
            .header("content-type", "application/json")
            .header("accept", accept);
        let answer = asked.body(wanted.to_string()).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        // Only the sum is left out, and it is named.
        assert_eq!(text.matches("9223372036854775807").count(), 2, "{text}");
        if accept == "text/csv" {
            assert_eq!(answer.header("countersign-missing"), "upstream_error=2");
        } else {
            assert!(text.contains("a sum in \\\"all\\\" exceeds 64 bits"), "{text}");
        }
    }
}

async fn what_is_missing_of_a_range_is_told_window_by_window(database: Database) {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.limits.question_calls = 1;
    })
    .await;
    let ids = gateway.sandbox.old_ids("alice", 2);
    let mut wanted = owned(&gateway, "alice", &ids, &["impressions"]);
    wanted["window"] = json!({ "start": "2026-01-01", "end": "2026-03-01" });
    wanted["groupings"] = json!({ "days": { "group_by": ["tweet.id", "engagement.day"] } });
    answers(&gateway, 500, &[json!({ "errors": ["broken"] })]).await;
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(missing(&answer), [("upstream_error".to_owned(), 2)]);
    let windows = &answer["countersign"]["missing"][0]["windows"];
    assert_eq!(
        windows,
        &json!([{ "start": "2026-01-01T00:00:00Z", "end": "2026-01-04T00:00:00Z" }])
    );
    assert_eq!(answer["days"][&ids[0]].as_object().unwrap().len(), 56);
    // If it is the whole period, no windows are named.
    gateway.order(json!([{ "kind": "status", "status": 500, "path": "/insights/" }])).await;
    let nothing = ask(&gateway, &wanted).await;
    nothing.is_own(502, "nothing_answered");
    assert_eq!(
        (
            nothing.json()["missing"].as_array().unwrap().len(),
            &nothing.json()["missing"][0]["windows"]
        ),
        (1, &json!([]))
    );
}

async fn a_wrong_author_costs_one_call_of_a_range(database: Database) {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.limits.question_calls = 1;
    })
    .await;
    let ids = [gateway.sandbox.old_ids("alice", 3), gateway.sandbox.old_ids("bob", 1)].concat();
    let mut wanted = owned(&gateway, "alice", &ids, &["impressions"]);
    wanted["window"] = json!({ "start": "2025-11-01", "end": "2026-03-01" });
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(missing(&answer), [("forbidden".to_owned(), 1)]);
    let told = &answer["countersign"]["missing"][0];
    assert_eq!(
        (&told["tweet_ids"], &told["windows"]),
        (&json!(gateway.sandbox.old_ids("bob", 1)), &json!([]))
    );
    assert_eq!(answer["by_tweet"].as_object().unwrap().len(), 3);
    // 120 days take five windows; the first was requested twice.
    assert_eq!(answer["countersign"]["calls"].as_array().unwrap().len(), 6);
}

async fn one_foreign_post_among_250_is_named_and_takes_one_call_more(database: Database) {
    let sandbox =
        TestSandbox::start_with(Settings { users: 4, posts_per_user: 280, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |_| ()).await;
    let ids = [gateway.sandbox.ids("alice", 249), gateway.sandbox.ids("bob", 1)].concat();
    assert_eq!(ids.len(), 250);
    let answer = ask(&gateway, &owned(&gateway, "alice", &ids, &["engagements", "impressions"]))
        .await
        .json();
    let told: Vec<_> =
        missing(&answer).into_iter().filter(|part| part.0 != "unsupported_age").collect();
    assert_eq!(told, [("forbidden".to_owned(), 1)]);
    let spoilt = answer["countersign"]["missing"]
        .as_array()
        .unwrap()
        .iter()
        .find(|part| part["reason"] == "forbidden")
        .unwrap();
    assert_eq!(spoilt["tweet_ids"], json!(gateway.sandbox.ids("bob", 1)));
    assert_eq!(answer["countersign"]["calls"].as_array().unwrap().len(), 2);
    let too_old: usize =
        missing(&answer).iter().filter(|part| part.0 == "unsupported_age").map(|part| part.1).sum();
    assert_eq!(answer["by_tweet"].as_object().unwrap().len() + too_old, 249);
}

async fn an_account_that_is_named_twice_is_tried_once(database: Database) {
    let gateway = start_gateway(&database).await;
    gateway.connect(&["carol", "dave"]).await;
    let id = gateway.sandbox.ids("dave", 1).remove(0);
    let mut wanted = question(std::slice::from_ref(&id), &["impressions"]);
    let both = |name: &str| [format!("@{name}"), gateway.id(name).to_string()];
    wanted["accounts"] =
        ["alice", "bob", "carol", "dave"].iter().flat_map(|name| both(name)).collect();
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
    wanted["accounts"] = (0..1001).map(|number| json!(number.to_string())).collect();
    let refused = ask(&gateway, &wanted).await;
    refused.is_own(400, "invalid_request");
    assert_eq!(
        refused.json()["problems"],
        json!([{ "pointer": "/accounts", "detail": "has 1001 accounts; name at most 1000" }])
    );
}

async fn calls_that_were_cut_off_are_told(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = gateway.sandbox.old_ids("alice", 1);
    gateway.order(json!([{ "kind": "hang", "path": "/insights/", "times": 1 }])).await;
    let asked = gateway
        .ask("POST", PATH)
        .header("countersign-deadline", "200ms")
        .header("content-type", "application/json");
    let mut wanted = owned(&gateway, "alice", &ids, &["impressions"]);
    wanted["window"] = json!({ "start": "2026-01-01", "end": "2026-02-10" });
    let answer = asked.body(wanted.to_string()).send().await.json();
    let calls = answer["countersign"]["calls"].as_array().unwrap();
    let cut_off: Vec<&Value> = calls.iter().filter(|call| call["status"].is_null()).collect();
    assert_eq!((calls.len(), cut_off.len(), &cut_off[0]["attempts"]), (2, 1, &json!(1)));
    assert_eq!(missing(&answer), [("deadline".to_owned(), 1)]);
}

async fn a_name_that_would_break_or_flood_the_answer_is_refused(database: Database) {
    let gateway = start_gateway(&database).await;
    let mut wanted = question(&gateway.sandbox.ids("alice", 1), &["favorites"]);
    let long = "n".repeat(101);
    wanted["groupings"] = json!({
        "countersign": { "group_by": ["tweet.id"] },
        &long: { "group_by": ["engagement.type"] },
    });
    let refused = ask(&gateway, &wanted).await;
    refused.is_own(400, "invalid_request");
    let refused = refused.json();
    let pointers: Vec<&str> = refused["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/groupings/countersign", &*format!("/groupings/{long}")]);
}

async fn a_part_of_a_second_is_asked_with_its_hour(database: Database) {
    let gateway = start_gateway(&database).await;
    let mut wanted = owned(&gateway, "alice", &gateway.sandbox.ids("alice", 1), &["impressions"]);
    wanted["window"] =
        json!({ "start": "2026-03-01T05:00:01.2Z", "end": "2026-03-01T05:00:01.7Z" });
    wanted["groupings"] = json!({ "hours": { "group_by": ["engagement.day", "engagement.hour"] } });
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(
        answer["hours"]["2026-03-01"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["05"]
    );
}

async fn the_settings_say_how_much_may_be_asked_and_how_long(database: Database) {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        (config.limits.question_posts, config.limits.question_days) = (2, 10);
        config.limits.request_deadline = std::time::Duration::from_millis(200);
    })
    .await;
    let mut wanted = owned(&gateway, "alice", &gateway.sandbox.ids("alice", 3), &["impressions"]);
    wanted["window"] = json!({ "start": "2026-02-20", "end": "2026-03-01" });
    let refused = ask_with(&gateway, &gateway.key, PLAN, &wanted).await;
    refused.is_own(400, "invalid_request");
    assert_eq!(refused.json()["problems"].as_array().unwrap().len(), 2, "{}", refused.text());
    // No longer than the settings allow, however long the caller would wait.
    gateway.order(json!([{ "kind": "hang", "path": "/insights/" }])).await;
    let wanted = owned(&gateway, "alice", &gateway.sandbox.ids("alice", 1), &["impressions"]);
    let asked = gateway
        .ask("POST", PATH)
        .header("countersign-deadline", "1h")
        .header("content-type", "application/json");
    asked.body(wanted.to_string()).send().await.is_own(504, "nothing_answered");
}

on_both!(
    an_answer_with_errors_is_not_called_complete,
    an_answer_that_says_nothing_of_a_post_proves_no_author,
    posts_that_nobody_asked_for_spoil_one_call_and_not_the_question,
    a_sum_that_does_not_fit_is_missing_in_every_form,
    what_is_missing_of_a_range_is_told_window_by_window,
    a_wrong_author_costs_one_call_of_a_range,
    one_foreign_post_among_250_is_named_and_takes_one_call_more,
    an_account_that_is_named_twice_is_tried_once,
    calls_that_were_cut_off_are_told,
    a_name_that_would_break_or_flood_the_answer_is_refused,
    a_part_of_a_second_is_asked_with_its_hour,
    the_settings_say_how_much_may_be_asked_and_how_long
);
