//! Looking up authors: with as few look-ups as possible, only where they are needed, and with a fallback.

mod failures;

use std::collections::BTreeSet;

use countersign::sandbox::Settings;
use serde_json::{Map, Value, json};
use time::Duration;

use crate::database::{Database, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::question::{PATH, PLAN, ask, ask_with, calls, missing, question, start_gateway};
use crate::upstream::{TestSandbox, small};

const LOOKUP: &str = "/2/tweets";

/// As `start_gateway`, with that many posts of each user and look-ups enabled.
async fn gateway_with_lookup(database: &Database, posts_per_user: usize) -> TestGateway {
    let sandbox = TestSandbox::start_with(Settings { users: 4, posts_per_user, ..small() }).await;
    TestGateway::build(sandbox, &database.settings(), |config| {
        config.apps.get_mut("demo").unwrap().lookup = true;
    })
    .await
}

/// The posts of alice, bob and carol in turns; carol is not connected.
fn mixed(gateway: &TestGateway) -> Vec<String> {
    let of = ["alice", "bob", "carol"].map(|name| gateway.sandbox.ids(name, usize::MAX));
    (0..of[0].len()).flat_map(|at| of.iter().filter_map(move |ids| ids.get(at).cloned())).collect()
}

/// A question that only the posts' authors may ask.
fn private(ids: &[String]) -> Value {
    let mut wanted = question(ids, &["impressions"]);
    wanted["window"] = json!("28hr");
    wanted
}

/// The look-ups that an answer lists: number of posts, status, and attempts.
fn lookups(answer: &Value) -> Vec<(u64, Value, u64)> {
    let calls = answer["countersign"]["calls"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let made = calls.iter().filter(|call| call["endpoint"] == "lookup");
    let told = |value: &Value| {
        assert_eq!((&value["auth"], &value["account"]), (&json!("app-only"), &Value::Null));
        (
            value["tweet_count"].as_u64().unwrap(),
            value["status"].clone(),
            value["attempts"].as_u64().unwrap(),
        )
    };
    let mut told: Vec<_> = made.map(told).collect();
    told.sort_by_key(|lookup| std::cmp::Reverse(lookup.0));
    told
}

async fn switch(gateway: &TestGateway, switches: Value) {
    assert_eq!(gateway.sandbox.put("/sandbox/switches", switches).await.status, 200);
}

async fn forward(gateway: &TestGateway, by: Duration) {
    gateway.sandbox.clock.forward(by);
    gateway.inner.catch_up_once().await.unwrap();
}

/// Asks for one post each of alice's and bob's that nobody has asked for yet, which succeeds; gives the look-ups.
async fn ask_for_new(gateway: &TestGateway, at: usize) -> Vec<(u64, Value, u64)> {
    let ids = ["alice", "bob"].map(|name| gateway.sandbox.ids(name, at + 1)[at].clone());
    let answer = ask(gateway, &private(&ids)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
    assert_eq!(answer["by_tweet"].as_object().unwrap().len(), 2);
    lookups(&answer)
}

/// The ids that are missing, by reason.
fn lacking(answer: &Value) -> BTreeSet<(String, String)> {
    let parts = answer["countersign"]["missing"].as_array().unwrap().iter();
    parts
        .flat_map(|part| {
            let ids = part["tweet_ids"].as_array().unwrap().iter();
            ids.map(|id| (part["reason"].to_string(), id.to_string()))
        })
        .collect()
}

async fn authors_that_nobody_knows_are_looked_up_a_hundred_at_a_time(database: Database) {
    let gateway = gateway_with_lookup(&database, 100).await;
    let ids = mixed(&gateway);
    let carols = gateway.sandbox.ids("carol", usize::MAX).len();
    assert!(ids.len() > 250 && ids.len() < 300, "{}", ids.len());
    let answer = ask(&gateway, &private(&ids)).await.json();
    let rest = ids.len() as u64 - 200;
    assert_eq!(
        lookups(&answer),
        [(100, json!(200), 1), (100, json!(200), 1), (rest, json!(200), 1)]
    );
    assert_eq!(missing(&answer), [("not_connected".to_owned(), carols)]);
    assert_eq!(answer["countersign"]["missing"][0]["account"], gateway.id("carol").to_string());
    assert_eq!(answer["by_tweet"].as_object().unwrap().len(), ids.len() - carols);
    let least: usize = ["alice", "bob"]
        .map(|name| gateway.sandbox.ids(name, usize::MAX).len().div_ceil(25))
        .iter()
        .sum();
    assert_eq!(
        (gateway.arrived(LOOKUP).await.len(), gateway.arrived("/insights/").await.len()),
        (3, least)
    );
    for call in gateway.arrived(LOOKUP).await {
        assert_eq!((&call["method"], &call["auth_kind"]), (&json!("GET"), &json!("bearer")));
    }

    // The authors are known from then on, here and on other replicas.
    let elsewhere = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
    for gateway in [&gateway, &elsewhere] {
        let again = ask(gateway, &private(&ids)).await.json();
        assert_eq!(again["by_tweet"], answer["by_tweet"]);
        assert_eq!((lookups(&again).len(), missing(&again)), (0, missing(&answer)));
    }
    assert_eq!(
        (gateway.arrived(LOOKUP).await.len(), gateway.arrived("/insights/").await.len()),
        (3, 3 * least)
    );
}

async fn authors_are_read_in_either_of_xs_vocabularies(database: Database) {
    let gateway = gateway_with_lookup(&database, 40).await;
    for (at, form) in ["tweet", "post", "includes"].into_iter().enumerate() {
        switch(&gateway, json!({ "lookup_form": form })).await;
        assert_eq!(ask_for_new(&gateway, at).await, [(2, json!(200), 1)], "{form}");
        let signed = gateway.arrived("/insights/").await;
        assert_eq!(signed.len(), 2 * (at + 1), "{form}");
        assert!(signed.iter().all(|call| call["status"] == 200), "{form}: no account was tried");
    }
    // The old names, which X's guides and clients use, and the expansion of its newest description.
    let query = gateway.arrived(LOOKUP).await[0]["query"].as_str().unwrap().to_owned();
    assert!(query.ends_with("&tweet.fields=author_id&expansions=author_id"), "{query}");
}

async fn a_plan_lists_the_look_ups_and_makes_none(database: Database) {
    let gateway = gateway_with_lookup(&database, 100).await;
    let ids = mixed(&gateway);
    let plan = ask_with(&gateway, &gateway.key, PLAN, &private(&ids)).await;
    assert_eq!(plan.status, 200, "{}", plan.text());
    let plan = plan.json();
    assert_eq!(gateway.arrived("/").await.len(), 0);
    let probes = ids.len().div_ceil(25);
    assert_eq!(
        plan["cost"],
        json!({ "calls": { "lookup": 3, "app-only": 0, "user-context": probes }, "accounts": 1, "new_accounts": 1 })
    );
    let calls = plan["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 3 + probes);
    for (call, ids) in calls.iter().zip(ids.chunks(100)) {
        assert_eq!(
            (&call["endpoint"], &call["auth"], &call["account"]),
            (&json!("lookup"), &json!("app-only"), &Value::Null)
        );
        assert_eq!((&call["tweet_ids"], &call["tweet_count"]), (&json!(ids), &json!(ids.len())));
        assert_eq!((&call["engagement_types"], &call["probe"]), (&json!([]), &json!(false)));
    }
    assert!(calls[3..].iter().all(|call| call["endpoint"] == "28hr" && call["probe"] == true));
}

async fn posts_that_x_does_not_show_are_asked_for_all_the_same(database: Database) {
    let gateway = gateway_with_lookup(&database, 40).await;
    let other = fresh(database.kind).await;
    let plain = TestGateway::build(gateway.sandbox.again(), &other.settings(), |_| ()).await;
    let hidden = |name: &str, state: &str| {
        let posts = gateway.sandbox.user(name).posts.iter().filter(|post| post.state == state);
        posts.take(2).map(|post| post.id.clone()).collect::<Vec<_>>()
    };
    let ids = [
        gateway.sandbox.ids("alice", 3),
        hidden("alice", "deleted"),
        hidden("protected_pat", "active"),
        gateway.sandbox.ids("bob", 3),
        hidden("bob", "deleted"),
        hidden("suspended_sam", "active"),
        vec!["20".to_owned()],
    ]
    .concat();
    let (answer, without) =
        (ask(&gateway, &private(&ids)).await.json(), ask(&plain, &private(&ids)).await.json());
    assert_eq!(lookups(&answer), [(ids.len() as u64, json!(200), 1)]);
    assert_eq!((lookups(&without).len(), gateway.arrived(LOOKUP).await.len()), (0, 1));
    assert_eq!(answer["by_tweet"], without["by_tweet"]);
    assert_eq!(answer["by_tweet"].as_object().unwrap().len(), 6);
    assert_eq!(lacking(&answer), lacking(&without));
    assert_eq!(lacking(&answer).len(), ids.len() - 6);
    let posts: Vec<u64> = ids.iter().map(|id| id.parse().unwrap()).collect();
    assert_eq!(gateway.store.find_authors(&posts).await.unwrap().len(), 6, "nothing is made up");
    let again = ask(&gateway, &private(&ids)).await.json();
    assert_eq!(
        (lookups(&again).len(), lacking(&again)),
        (0, lacking(&answer)),
        "nor looked up again soon"
    );
}

async fn nothing_is_looked_up_where_no_author_is_needed(database: Database) {
    let gateway = gateway_with_lookup(&database, 16).await;
    let ids = mixed(&gateway);
    ask(&gateway, &question(&ids, &["favorites", "retweets"])).await.json();
    let mut wanted = private(&gateway.sandbox.ids("alice", 5));
    let alice = json!(gateway.id("alice").to_string());
    wanted["owners"] = gateway
        .sandbox
        .ids("alice", 5)
        .into_iter()
        .map(|id| (id, alice.clone()))
        .collect::<Map<String, Value>>()
        .into();
    assert_eq!(ask(&gateway, &wanted).await.json()["countersign"]["complete"], true);
    // Without an account to sign with, no author is needed either.
    for name in ["alice", "bob"] {
        let name = countersign::model::AccountRef::Id(gateway.id(name));
        gateway.inner.remove_account(Some("demo"), &name, "test").await.unwrap();
    }
    ask(&gateway, &private(&ids)).await.is_own(404, "nothing_answered");
    assert_eq!(gateway.arrived(LOOKUP).await.len(), 0);
}

async fn unless_the_settings_say_so_nothing_is_looked_up(database: Database) {
    let gateway = start_gateway(&database).await;
    let answer = ask(&gateway, &private(&mixed(&gateway))).await.json();
    assert_eq!(lookups(&answer).len(), 0);
    let plan = ask_with(&gateway, &gateway.key, PLAN, &private(&mixed(&gateway))).await.json();
    assert_eq!(plan["cost"]["calls"]["lookup"], Value::Null);
    assert_eq!(gateway.arrived(LOOKUP).await.len(), 0);
}

async fn no_more_look_ups_run_at_a_time_than_the_settings_say(database: Database) {
    let sandbox =
        TestSandbox::start_with(Settings { users: 4, posts_per_user: 100, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.apps.get_mut("demo").unwrap().lookup = true;
        config.limits.question_calls = 2;
    })
    .await;
    gateway.order(json!([{ "kind": "hold", "path": LOOKUP }])).await;
    let wanted = private(&mixed(&gateway)).to_string();
    let asks: Vec<_> = (0..2)
        .map(|_| {
            let ask = gateway
                .ask("POST", PATH)
                .header("content-type", "application/json")
                .body(wanted.clone());
            tokio::spawn(ask.send())
        })
        .collect();
    while gateway.fired().await != [2] {
        tokio::task::yield_now().await;
    }
    assert_eq!(gateway.arrived(LOOKUP).await.len(), 2);
    gateway.order(json!([])).await;
    for ask in asks {
        let answer: Answer = ask.await.unwrap();
        assert_eq!(missing(&answer.json()).len(), 1);
    }
}

async fn look_ups_are_counted_beside_the_endpoints(database: Database) {
    // A gateway registers its counters when it is created.
    countersign::telemetry::start_metrics();
    let gateway = gateway_with_lookup(&database, 16).await;
    gateway.order(json!([{ "kind": "status", "status": 500, "path": LOOKUP, "times": 1 }])).await;
    ask_for_new(&gateway, 0).await;
    forward(&gateway, Duration::MINUTE).await;
    ask_for_new(&gateway, 1).await;
    let metrics = gateway
        .http
        .get(format!("{}/metrics", gateway.admin_url))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for outcome in ["2xx", "5xx"] {
        let counter = format!(
            "countersign_upstream_attempts_total{{endpoint=\"lookup\",outcome=\"{outcome}\"}} "
        );
        let count = metrics.lines().find_map(|line| line.strip_prefix(&*counter));
        assert!(count.is_some_and(|count| count != "0"), "{outcome}: {count:?}");
    }
}

async fn a_key_for_one_account_learns_of_no_other_by_a_token(database: Database) {
    let gateway = gateway_with_lookup(&database, 16).await;
    let alice = gateway.id("alice");
    let key = gateway.new_key(|key| key.scopes.accounts = Some(vec![alice])).await;
    let ids = [gateway.sandbox.ids("alice", 3), gateway.sandbox.ids("bob", 3)].concat();
    let answer = ask_with(&gateway, &key, PATH, &private(&ids)).await.json();
    assert_eq!(
        (lookups(&answer).len(), missing(&answer)),
        (1, vec![("not_connected".to_owned(), 3)])
    );
    assert_eq!(calls(&answer), [("app".to_owned(), 1), (alice.to_string(), 1)].into());
}

on_both!(
    authors_that_nobody_knows_are_looked_up_a_hundred_at_a_time,
    authors_are_read_in_either_of_xs_vocabularies,
    a_plan_lists_the_look_ups_and_makes_none,
    posts_that_x_does_not_show_are_asked_for_all_the_same,
    nothing_is_looked_up_where_no_author_is_needed,
    unless_the_settings_say_so_nothing_is_looked_up,
    no_more_look_ups_run_at_a_time_than_the_settings_say,
    look_ups_are_counted_beside_the_endpoints,
    a_key_for_one_account_learns_of_no_other_by_a_token
);
