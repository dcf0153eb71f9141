//! Looking up whose posts they are: as few look-ups as can be, then nothing but what is needed, and a way on without.

use std::collections::BTreeSet;

use countersign::model::Secret;
use countersign::sandbox::Settings;
use serde_json::{Map, Value, json};
use time::Duration;

use crate::bench::{Answer, Bench, small};
use crate::database::{Database, fresh, on_both};
use crate::house::House;
use crate::question::{PATH, PLAN, ask, ask_with, calls, missing, open_house, question};

const LOOKUP: &str = "/2/tweets";

/// As `open_house`, with so many posts of each user and the look-up on.
async fn lookup_house(database: &Database, posts_per_user: usize) -> House {
    let bench = Bench::start_with(Settings { users: 4, posts_per_user, ..small() }).await;
    House::build(bench, &database.settings(), |it| {
        it.apps.get_mut("demo").unwrap().lookup = true;
    })
    .await
}

/// The posts of alice, bob and carol in turns; carol is not connected.
fn mixed(house: &House) -> Vec<String> {
    let of = ["alice", "bob", "carol"].map(|it| house.bench.ids(it, usize::MAX));
    (0..of[0].len()).flat_map(|at| of.iter().filter_map(move |it| it.get(at).cloned())).collect()
}

/// A question that the posts' authors alone are told.
fn private(ids: &[String]) -> Value {
    let mut wanted = question(ids, &["impressions"]);
    wanted["window"] = json!("28hr");
    wanted
}

/// The look-ups that an answer tells of: how many posts, which status, how many attempts.
fn lookups(answer: &Value) -> Vec<(u64, Value, u64)> {
    let calls = answer["countersign"]["calls"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let made = calls.iter().filter(|it| it["endpoint"] == "lookup");
    let told = |it: &Value| {
        assert_eq!((&it["auth"], &it["account"]), (&json!("app-only"), &Value::Null));
        (
            it["tweet_count"].as_u64().unwrap(),
            it["status"].clone(),
            it["attempts"].as_u64().unwrap(),
        )
    };
    let mut told: Vec<_> = made.map(told).collect();
    told.sort_by_key(|it| std::cmp::Reverse(it.0));
    told
}

async fn switch(house: &House, switches: Value) {
    assert_eq!(house.bench.put("/sandbox/switches", switches).await.status, 200);
}

async fn forward(house: &House, by: Duration) {
    house.bench.clock.forward(by);
    house.gateway.catch_up_once().await.unwrap();
}

/// Asks for a post of alice and one of bob that nobody has asked for yet, which is answered; gives the look-ups.
async fn ask_for_new(house: &House, at: usize) -> Vec<(u64, Value, u64)> {
    let ids = ["alice", "bob"].map(|it| house.bench.ids(it, at + 1)[at].clone());
    let answer = ask(house, &private(&ids)).await;
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
        .flat_map(|it| {
            let ids = it["tweet_ids"].as_array().unwrap().iter();
            ids.map(|id| (it["reason"].to_string(), id.to_string()))
        })
        .collect()
}

async fn authors_that_nobody_knows_are_looked_up_a_hundred_at_a_time(database: Database) {
    let house = lookup_house(&database, 100).await;
    let ids = mixed(&house);
    let carols = house.bench.ids("carol", usize::MAX).len();
    assert!(ids.len() > 250 && ids.len() < 300, "{}", ids.len());
    let answer = ask(&house, &private(&ids)).await.json();
    let rest = ids.len() as u64 - 200;
    assert_eq!(
        lookups(&answer),
        [(100, json!(200), 1), (100, json!(200), 1), (rest, json!(200), 1)]
    );
    assert_eq!(missing(&answer), [("not_connected".to_owned(), carols)]);
    assert_eq!(answer["countersign"]["missing"][0]["account"], house.id("carol").to_string());
    assert_eq!(answer["by_tweet"].as_object().unwrap().len(), ids.len() - carols);
    let least: usize =
        ["alice", "bob"].map(|it| house.bench.ids(it, usize::MAX).len().div_ceil(25)).iter().sum();
    assert_eq!(
        (house.arrived(LOOKUP).await.len(), house.arrived("/insights/").await.len()),
        (3, least)
    );
    for call in house.arrived(LOOKUP).await {
        assert_eq!((&call["method"], &call["auth_kind"]), (&json!("GET"), &json!("bearer")));
    }

    // What was found is known from then on, here and elsewhere.
    let elsewhere = House::build(house.bench.again(), &database.settings(), |_| ()).await;
    for house in [&house, &elsewhere] {
        let again = ask(house, &private(&ids)).await.json();
        assert_eq!(again["by_tweet"], answer["by_tweet"]);
        assert_eq!((lookups(&again).len(), missing(&again)), (0, missing(&answer)));
    }
    assert_eq!(
        (house.arrived(LOOKUP).await.len(), house.arrived("/insights/").await.len()),
        (3, 3 * least)
    );
}

async fn a_plan_lists_the_look_ups_and_makes_none(database: Database) {
    let house = lookup_house(&database, 100).await;
    let ids = mixed(&house);
    let plan = ask_with(&house, &house.key, PLAN, &private(&ids)).await;
    assert_eq!(plan.status, 200, "{}", plan.text());
    let plan = plan.json();
    assert_eq!(house.arrived("/").await.len(), 0);
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
    assert!(calls[3..].iter().all(|it| it["endpoint"] == "28hr" && it["probe"] == true));
}

async fn posts_that_x_does_not_show_are_asked_for_all_the_same(database: Database) {
    let house = lookup_house(&database, 40).await;
    let other = fresh(database.kind).await;
    let plain = House::build(house.bench.again(), &other.settings(), |_| ()).await;
    let hidden = |name: &str, state: &str| {
        let posts = house.bench.user(name).posts.iter().filter(|it| it.state == state);
        posts.take(2).map(|it| it.id.clone()).collect::<Vec<_>>()
    };
    let ids = [
        house.bench.ids("alice", 3),
        hidden("alice", "deleted"),
        hidden("protected_pat", "active"),
        house.bench.ids("bob", 3),
        hidden("bob", "deleted"),
        hidden("suspended_sam", "active"),
        vec!["20".to_owned()],
    ]
    .concat();
    let (answer, without) =
        (ask(&house, &private(&ids)).await.json(), ask(&plain, &private(&ids)).await.json());
    assert_eq!(lookups(&answer), [(ids.len() as u64, json!(200), 1)]);
    assert_eq!((lookups(&without).len(), house.arrived(LOOKUP).await.len()), (0, 1));
    assert_eq!(answer["by_tweet"], without["by_tweet"]);
    assert_eq!(answer["by_tweet"].as_object().unwrap().len(), 6);
    assert_eq!(lacking(&answer), lacking(&without));
    assert_eq!(lacking(&answer).len(), ids.len() - 6);
    let posts: Vec<u64> = ids.iter().map(|it| it.parse().unwrap()).collect();
    assert_eq!(house.store.find_authors(&posts).await.unwrap().len(), 6, "nothing is made up");
    let again = ask(&house, &private(&ids)).await.json();
    assert_eq!(
        (lookups(&again).len(), lacking(&again)),
        (0, lacking(&answer)),
        "nor looked up again soon"
    );
}

async fn nothing_is_looked_up_where_no_author_is_needed(database: Database) {
    let house = lookup_house(&database, 16).await;
    let ids = mixed(&house);
    ask(&house, &question(&ids, &["favorites", "retweets"])).await.json();
    let mut wanted = private(&house.bench.ids("alice", 5));
    let alice = json!(house.id("alice").to_string());
    wanted["owners"] = house
        .bench
        .ids("alice", 5)
        .into_iter()
        .map(|it| (it, alice.clone()))
        .collect::<Map<String, Value>>()
        .into();
    assert_eq!(ask(&house, &wanted).await.json()["countersign"]["complete"], true);
    // Who has no account to sign with needs no author either.
    for name in ["alice", "bob"] {
        let name = countersign::model::AccountRef::Id(house.id(name));
        house.gateway.remove_account(Some("demo"), &name, "test").await.unwrap();
    }
    ask(&house, &private(&ids)).await.is_own(404, "nothing_answered");
    assert_eq!(house.arrived(LOOKUP).await.len(), 0);
}

async fn unless_the_settings_say_so_nothing_is_looked_up(database: Database) {
    let house = open_house(&database).await;
    let answer = ask(&house, &private(&mixed(&house))).await.json();
    assert_eq!(lookups(&answer).len(), 0);
    let plan = ask_with(&house, &house.key, PLAN, &private(&mixed(&house))).await.json();
    assert_eq!(plan["cost"]["calls"]["lookup"], Value::Null);
    assert_eq!(house.arrived(LOOKUP).await.len(), 0);
}

async fn a_look_up_that_fails_costs_calls_and_no_answer(database: Database) {
    let house = lookup_house(&database, 40).await;
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
        house.order(json!([fault])).await;
        assert_eq!(ask_for_new(&house, 2 * at).await, [(2, status, 1)], "{fault}");
        assert_eq!(house.fired().await, [1], "{fault}");
        // It is left alone for a while.
        house.order(json!([])).await;
        assert_eq!(ask_for_new(&house, 2 * at + 1).await, []);
        forward(&house, Duration::MINUTE).await;
    }
    assert_eq!(ask_for_new(&house, 2 * count).await, [(2, json!(200), 1)]);
}

async fn an_app_that_may_not_look_posts_up_asks_every_quarter_of_an_hour(database: Database) {
    let house = lookup_house(&database, 40).await;
    switch(&house, json!({ "unlisted_lookup_apps": ["demo"] })).await;
    assert_eq!(ask_for_new(&house, 0).await, [(2, json!(403), 1)]);
    forward(&house, Duration::seconds(15 * 60 - 1)).await;
    assert_eq!(ask_for_new(&house, 1).await, []);
    let plan =
        ask_with(&house, &house.key, PLAN, &private(&house.bench.ids("alice", 9))).await.json();
    assert_eq!(
        plan["cost"]["calls"]["lookup"],
        Value::Null,
        "a plan is of what would be asked now"
    );
    switch(&house, json!({ "unlisted_lookup_apps": [] })).await;
    forward(&house, Duration::SECOND).await;
    assert_eq!(ask_for_new(&house, 2).await, [(2, json!(200), 1)]);
}

async fn a_spent_quota_of_look_ups_is_waited_for(database: Database) {
    let house = lookup_house(&database, 40).await;
    switch(&house, json!({ "lookups_per_15_minutes": 1 })).await;
    assert_eq!(ask_for_new(&house, 0).await, [(2, json!(200), 1)]);
    assert_eq!(ask_for_new(&house, 1).await, [(2, json!(429), 1)]);
    // The quarter ends at half past.
    forward(&house, Duration::seconds(14 * 60 + 29)).await;
    assert_eq!(ask_for_new(&house, 2).await, []);
    forward(&house, Duration::SECOND).await;
    assert_eq!(ask_for_new(&house, 3).await, [(2, json!(200), 1)]);
}

async fn what_some_look_ups_found_counts_though_others_were_refused(database: Database) {
    let bench = Bench::start_with(Settings { users: 4, posts_per_user: 100, ..small() }).await;
    let house = House::build(bench, &database.settings(), |it| {
        it.apps.get_mut("demo").unwrap().lookup = true;
        it.limits.question_calls = 1;
    })
    .await;
    switch(&house, json!({ "lookups_per_15_minutes": 1 })).await;
    let answer = ask(&house, &private(&mixed(&house))).await.json();
    // The third one is not made any more.
    let mut statuses: Vec<Value> = lookups(&answer).into_iter().map(|it| it.1).collect();
    statuses.sort_by_key(ToString::to_string);
    assert_eq!(statuses, [200, 429]);
    assert_eq!(
        missing(&answer).iter().map(|it| it.1).sum::<usize>(),
        house.bench.ids("carol", usize::MAX).len()
    );
}

async fn a_bearer_that_x_has_replaced_is_renewed_for_a_look_up(database: Database) {
    let house = lookup_house(&database, 40).await;
    assert_eq!(ask_for_new(&house, 0).await, [(2, json!(200), 1)]);
    house.bench.ask("POST", "/sandbox/apps/demo/rotate_bearer").send().await;
    assert_eq!(ask_for_new(&house, 1).await, [(2, json!(200), 2)]);
    assert_eq!(house.bench.get("/sandbox/counts").await["/oauth2/token"], 2);
    house.order(json!([{ "kind": "status", "status": 401, "path": LOOKUP }])).await;
    forward(&house, Duration::MINUTE).await;
    assert_eq!(ask_for_new(&house, 2).await, [(2, json!(401), 2)]);
    assert_eq!(ask_for_new(&house, 3).await, []);
}

async fn a_bearer_from_the_settings_is_not_renewed(database: Database) {
    let bench = Bench::start_with(Settings { users: 4, posts_per_user: 40, ..small() }).await;
    let house = House::build(bench, &database.settings(), |it| {
        let app = it.apps.get_mut("demo").unwrap();
        (app.lookup, app.bearer_token) = (true, Some(Secret::from("another")));
    })
    .await;
    assert_eq!(ask_for_new(&house, 0).await, [(2, json!(401), 1)]);
    assert_eq!(house.bench.get("/sandbox/counts").await["/oauth2/token"], Value::Null);
}

async fn without_a_bearer_the_candidates_are_asked(database: Database) {
    let house = lookup_house(&database, 40).await;
    house.order(json!([{ "kind": "status", "status": 500, "path": "/oauth2/token" }])).await;
    assert_eq!(ask_for_new(&house, 0).await, []);
    assert_eq!(house.arrived(LOOKUP).await.len(), 0);
    house.order(json!([])).await;
    forward(&house, Duration::MINUTE).await;
    assert_eq!(ask_for_new(&house, 1).await, [(2, json!(200), 1)]);
}

async fn a_look_up_that_never_ends_leaves_half_of_the_time(database: Database) {
    let bench = Bench::start_with(Settings { users: 4, posts_per_user: 120, ..small() }).await;
    let house = House::build(bench, &database.settings(), |it| {
        it.apps.get_mut("demo").unwrap().lookup = true;
        it.limits.question_calls = 1;
    })
    .await;
    house.order(json!([{ "kind": "hold", "path": LOOKUP }])).await;
    let wanted = private(&house.bench.ids("alice", 101)).to_string();
    let ask = house.ask("POST", PATH).header("countersign-deadline", "6s");
    let asked = tokio::spawn(ask.header("content-type", "application/json").body(wanted).send());
    while house.fired().await != [1] {
        tokio::task::yield_now().await;
    }
    house.bench.clock.forward(Duration::SECOND);
    let answer = asked.await.unwrap().json();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
    assert_eq!(answer["countersign"]["calls"][0]["ms"], 1000);
    // No other was begun once it was too late.
    assert_eq!(
        (lookups(&answer), house.arrived(LOOKUP).await.len()),
        (vec![(100, Value::Null, 1)], 1)
    );
    house.order(json!([{ "kind": "delay", "ms": 30, "path": LOOKUP }])).await;
    assert_eq!(
        ask_for_new(&house, 101).await,
        [(2, json!(200), 1)],
        "a caller's haste is no fault of X"
    );
}

async fn no_more_look_ups_run_at_a_time_than_the_settings_say(database: Database) {
    let bench = Bench::start_with(Settings { users: 4, posts_per_user: 100, ..small() }).await;
    let house = House::build(bench, &database.settings(), |it| {
        it.apps.get_mut("demo").unwrap().lookup = true;
        it.limits.question_calls = 2;
    })
    .await;
    house.order(json!([{ "kind": "hold", "path": LOOKUP }])).await;
    let wanted = private(&mixed(&house)).to_string();
    let asks: Vec<_> = (0..2)
        .map(|_| {
            let ask = house
                .ask("POST", PATH)
                .header("content-type", "application/json")
                .body(wanted.clone());
            tokio::spawn(ask.send())
        })
        .collect();
    while house.fired().await != [2] {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.arrived(LOOKUP).await.len(), 2);
    house.order(json!([])).await;
    for ask in asks {
        let answer: Answer = ask.await.unwrap();
        assert_eq!(missing(&answer.json()).len(), 1);
    }
}

async fn look_ups_are_counted_beside_the_endpoints(database: Database) {
    // A gateway finds its counters when it is made.
    countersign::telemetry::start_metrics();
    let house = lookup_house(&database, 16).await;
    house.order(json!([{ "kind": "status", "status": 500, "path": LOOKUP, "times": 1 }])).await;
    ask_for_new(&house, 0).await;
    forward(&house, Duration::MINUTE).await;
    ask_for_new(&house, 1).await;
    let metrics = house
        .http
        .get(format!("{}/metrics", house.admin_url))
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
        let count = metrics.lines().find_map(|it| it.strip_prefix(&*counter));
        assert!(count.is_some_and(|it| it != "0"), "{outcome}: {count:?}");
    }
}

async fn a_key_for_one_account_learns_of_no_other_by_a_token(database: Database) {
    let house = lookup_house(&database, 16).await;
    let alice = house.id("alice");
    let key = house.new_key(|it| it.accounts = vec![alice]).await;
    let ids = [house.bench.ids("alice", 3), house.bench.ids("bob", 3)].concat();
    let answer = ask_with(&house, &key, PATH, &private(&ids)).await.json();
    assert_eq!(
        (lookups(&answer).len(), missing(&answer)),
        (1, vec![("not_connected".to_owned(), 3)])
    );
    assert_eq!(calls(&answer), [("app".to_owned(), 1), (alice.to_string(), 1)].into());
}

on_both!(
    authors_that_nobody_knows_are_looked_up_a_hundred_at_a_time,
    a_plan_lists_the_look_ups_and_makes_none,
    posts_that_x_does_not_show_are_asked_for_all_the_same,
    nothing_is_looked_up_where_no_author_is_needed,
    unless_the_settings_say_so_nothing_is_looked_up,
    a_look_up_that_fails_costs_calls_and_no_answer,
    an_app_that_may_not_look_posts_up_asks_every_quarter_of_an_hour,
    a_spent_quota_of_look_ups_is_waited_for,
    what_some_look_ups_found_counts_though_others_were_refused,
    a_bearer_that_x_has_replaced_is_renewed_for_a_look_up,
    a_bearer_from_the_settings_is_not_renewed,
    without_a_bearer_the_candidates_are_asked,
    a_look_up_that_never_ends_leaves_half_of_the_time,
    no_more_look_ups_run_at_a_time_than_the_settings_say,
    look_ups_are_counted_beside_the_endpoints,
    a_key_for_one_account_learns_of_no_other_by_a_token
);
