//! Questions whose callers allow kept numbers: what need not be asked of X again, and what must be.

use std::time::Duration;

use countersign::config::Config;
use countersign::model::{AccountRef, AccountState, Clock as _};
use countersign::sandbox::Settings;
use serde_json::{Value, json};

use crate::database::{Database, Kind, fresh, on_both};
use crate::dice::Dice;
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::question::oracle::{difference, random_question};
use crate::question::{PATH, missing, start_gateway};
use crate::upstream::{TestSandbox, small};

/// The age that most callers here allow, in seconds.
const MAX_AGE: &str = "60";

fn keeping(config: &mut Config) {
    config.cache.fresh = Duration::from_mins(2);
}

async fn start(database: &Database) -> TestGateway {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    build(sandbox, database, keeping).await
}

/// A gateway that has read of its new accounts: nothing is kept of an answer if an account changes under way.
async fn build(
    sandbox: TestSandbox,
    database: &Database,
    change: impl FnOnce(&mut Config),
) -> TestGateway {
    let gateway = TestGateway::build(sandbox, &database.settings(), change).await;
    gateway.inner.catch_up_once().await.unwrap();
    gateway
}

async fn ask_allowing(gateway: &TestGateway, allowed: &str, question: &Value) -> Answer {
    let ask = gateway.ask("POST", PATH).header("content-type", "application/json");
    let ask = ask.header("cache-control", allowed).body(question.to_string());
    ask.send().await
}

/// Lets so much time pass, during which the gateway hears of all changes.
async fn pass(gateway: &TestGateway, time: time::Duration) {
    gateway.sandbox.clock.forward(time);
    gateway.inner.catch_up_once().await.unwrap();
}

/// The answer for a caller who allows numbers of a minute.
async fn ask(gateway: &TestGateway, question: &Value) -> Value {
    let answer = ask_allowing(gateway, &format!("max-age={MAX_AGE}"), question).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn arrived(gateway: &TestGateway) -> usize {
    gateway.arrived("/insights/").await.len()
}

/// Puts an account in that state, as X's word on its token would.
async fn mark(gateway: &TestGateway, name: &str, state: AccountState) {
    let stored = gateway.store.find_account("demo", gateway.id(name)).await.unwrap().unwrap();
    let now = gateway.sandbox.clock.now();
    assert!(gateway.store.update_account_state(&stored, state, "", "test", now).await.unwrap());
    gateway.inner.catch_up_once().await.unwrap();
}

/// A question about posts of alice's and bob's, whose owners it names.
fn question(gateway: &TestGateway, ids: &[String], types: &[&str], more: &Value) -> Value {
    let mut owners = json!({});
    for name in ["alice", "bob"] {
        let user = gateway.sandbox.user(name);
        for id in ids.iter().filter(|id| user.posts.iter().any(|post| post.id == **id)) {
            owners[id] = json!(user.user_id);
        }
    }
    let mut question = json!({ "tweet_ids": ids, "engagement_types": types, "owners": owners });
    question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    question
}

fn by(levels: &[&str]) -> Value {
    json!({ "g": { "group_by": levels } })
}

/// Five days, with these groupings.
fn in_february(from: u8, until: u8, levels: &[&str]) -> Value {
    let (start, end) = (format!("2026-02-{from:02}"), format!("2026-02-{until:02}"));
    json!({ "window": { "start": start, "end": end }, "groupings": by(levels) })
}

async fn only_what_is_not_kept_is_asked_for(database: Database) {
    let gateway = start(&database).await;
    let ids = gateway.sandbox.ids("alice", 4);
    let of = |ids: &[String]| question(&gateway, ids, &["favorites", "impressions"], &json!({}));
    let first = ask(&gateway, &of(&ids[..3])).await;
    assert_eq!(arrived(&gateway).await, 1);
    let answer = ask_allowing(&gateway, "max-age=60", &of(&ids[1..])).await;
    let told = answer.json();
    assert_eq!(arrived(&gateway).await, 2);
    let asked = gateway.arrived("/insights/").await.swap_remove(1);
    let asked: Value = serde_json::from_str(asked["body"].as_str().unwrap()).unwrap();
    assert_eq!(asked["tweet_ids"], json!([&ids[3]]));
    for id in &ids[1..3] {
        assert_eq!(told["by_tweet"][id], first["by_tweet"][id]);
    }
    assert!(told["by_tweet"][&ids[3]]["impressions"].is_string(), "{told}");

    // It says what was kept, and for how long.
    assert_eq!(answer.header("age"), "0");
    let calls = &told["countersign"]["calls"];
    let of =
        |call: &Value| (call["saved"].clone(), call["age"].clone(), call["tweet_count"].clone());
    assert_eq!(of(&calls[0]), (json!("kept"), json!(0), json!(2)), "{calls}");
    assert_eq!(of(&calls[1]), (json!(null), json!(null), json!(1)), "{calls}");
}

async fn nothing_is_older_than_allowed(database: Database) {
    let gateway = start(&database).await;
    let wanted = question(&gateway, &gateway.sandbox.ids("alice", 2), &["favorites"], &json!({}));
    let forward = |seconds| gateway.sandbox.clock.forward(time::Duration::seconds(seconds));
    ask(&gateway, &wanted).await;
    forward(60);
    let answer = ask_allowing(&gateway, "max-age=60", &wanted).await;
    assert_eq!((arrived(&gateway).await, answer.header("age")), (1, "60"));
    let calls = [("max-age=59", 2), ("max-age=0", 3), ("public", 4), ("no-cache, max-age=60", 5)];
    for (allowed, count) in calls {
        let answer = ask_allowing(&gateway, allowed, &wanted).await;
        assert_eq!(answer.status, 200);
        assert_eq!(arrived(&gateway).await, count, "{allowed}");
    }
    // cache.fresh bounds what callers allow: the numbers of max-age=59 are 120 and then 121 seconds old.
    forward(120);
    ask_allowing(&gateway, "max-age=600", &wanted).await;
    assert_eq!(arrived(&gateway).await, 5);
    forward(1);
    ask_allowing(&gateway, "max-age=600", &wanted).await;
    assert_eq!(arrived(&gateway).await, 6);
}

async fn an_account_that_is_no_longer_usable_leaves_nothing_behind(database: Database) {
    let gateway = start(&database).await;
    let ids = gateway.sandbox.ids("alice", 2);
    let wanted = question(&gateway, &ids, &["impressions"], &json!({}));
    let whole = question(
        &gateway,
        &ids,
        &["engagements"],
        &json!({ "groupings": by(&["engagement.type"]) }),
    );
    let kept = ask(&gateway, &wanted).await;
    ask(&gateway, &whole).await;
    assert_eq!(arrived(&gateway).await, 2);
    let alice = gateway.id("alice");
    for state in [AccountState::Revoked, AccountState::Blocked, AccountState::Quarantined] {
        mark(&gateway, "alice", state).await;
        for wanted in [&wanted, &whole] {
            let refused = ask_allowing(&gateway, "max-age=60", wanted).await;
            assert_eq!(refused.header("countersign-error"), "nothing_answered", "{state}");
        }
        assert_eq!(arrived(&gateway).await, 2, "{state}");
    }
    // Whoever connects again begins with nothing.
    gateway.sandbox.clock.forward(time::Duration::seconds(1));
    gateway.connect(&["alice"]).await;
    assert_eq!(ask(&gateway, &wanted).await["by_tweet"], kept["by_tweet"]);
    assert_eq!(arrived(&gateway).await, 3);
    gateway.inner.remove_account(Some("demo"), &AccountRef::Id(alice), "test").await.unwrap();
    ask_allowing(&gateway, "max-age=60", &wanted).await.is_own(404, "nothing_answered");
}

async fn a_key_gets_only_what_it_may_ask_for(database: Database) {
    let gateway = start(&database).await;
    let ids = gateway.sandbox.ids("alice", 2);
    let wanted = question(&gateway, &ids, &["favorites", "impressions"], &json!({}));
    ask(&gateway, &wanted).await;
    let bob = gateway.id("bob");
    let stranger = gateway.new_key(|key| key.scopes.accounts = Some(vec![bob])).await;
    let stranger = format!("Bearer {stranger}");
    let ask = gateway.ask("POST", PATH).header("content-type", "application/json");
    let ask = ask.header("authorization", &stranger).body(wanted.to_string());
    let without = ask.clone().send().await.json();
    let with = ask.header("cache-control", "max-age=60").send().await.json();
    assert_eq!(with["by_tweet"], without["by_tweet"]);
    assert_eq!(with["countersign"]["missing"], without["countersign"]["missing"]);
    assert_eq!(missing(&with), [("not_connected".to_owned(), 2)]);
    assert!(!with.to_string().contains("\"impressions\":\""), "{with}");
}

async fn saved_calls_are_counted(database: Database) {
    let gateway = start(&database).await;
    let admin = gateway.new_admin_key().await;
    let wanted = question(&gateway, &gateway.sandbox.ids("alice", 2), &["favorites"], &json!({}));
    for _ in 0..4 {
        ask(&gateway, &wanted).await;
    }
    gateway.inner.settle_usage().await;
    let usage = gateway.admin(&admin, "GET", "/admin/v1/usage").send().await.json();
    let sums = &usage["sums"][0];
    assert_eq!((&sums["calls"], &sums["saved"], &sums["posts"]), (&json!(1), &json!(3), &json!(2)));
    let usage = gateway.admin(&admin, "GET", "/admin/v1/usage?by=key").header("accept", "text/csv");
    let text = usage.send().await.text();
    assert!(text.starts_with("key,calls,posts,bytes,saved\n"), "{text}");
    assert!(text.trim_end().ends_with(",3"), "{text}");
    let metrics = gateway.admin("", "GET", "/metrics").send().await.text();
    assert!(metrics.contains("countersign_calls_saved_total{app=\"demo\",how=\"kept\"}"));
}

on_both!(
    only_what_is_not_kept_is_asked_for,
    nothing_is_older_than_allowed,
    an_account_that_is_no_longer_usable_leaves_nothing_behind,
    a_key_gets_only_what_it_may_ask_for,
    saved_calls_are_counted
);

#[tokio::test]
async fn nothing_is_kept_unless_it_is_set() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start_gateway(&database).await;
    let wanted = question(&gateway, &gateway.sandbox.ids("alice", 2), &["favorites"], &json!({}));
    for _ in 0..2 {
        let answer = ask_allowing(&gateway, "max-age=60", &wanted).await;
        assert_eq!((answer.status.as_u16(), answer.header("age")), (200, ""));
    }
    assert_eq!(arrived(&gateway).await, 2);
}

#[tokio::test]
async fn sums_of_what_is_kept_answer_other_questions() {
    const DAYS: &[&str] = &["tweet.id", "engagement.type", "engagement.day"];
    const HOURS: &[&str] = &["tweet.id", "engagement.type", "engagement.day", "engagement.hour"];
    const POSTS: &[&str] = &["tweet.id", "engagement.type"];
    const ALL: &[&str] = &["engagement.type"];
    let database = fresh(Kind::Sqlite).await;
    let gateway = start(&database).await;
    let plain = fresh(Kind::Sqlite).await;
    let plain = build(gateway.sandbox.again(), &plain, |_| ()).await;
    let ids = gateway.sandbox.old_ids("alice", 3);
    let of = |from, until, levels| {
        let window = in_february(from, until, levels);
        question(&gateway, &ids, &["impressions", "favorites"], &window)
    };
    ask(&gateway, &of(1, 6, DAYS)).await;
    ask(&gateway, &of(6, 9, HOURS)).await;
    ask(&gateway, &of(20, 22, POSTS)).await;
    ask(&gateway, &of(23, 25, ALL)).await;
    let kept = arrived(&gateway).await;
    let cases = [
        // Whole days, parts of what was asked for, and what stands in several answers.
        (of(1, 6, DAYS), true),
        (of(2, 4, DAYS), true),
        (of(1, 9, DAYS), true),
        (of(3, 8, POSTS), true),
        (of(3, 8, ALL), true),
        (of(7, 8, HOURS), true),
        (of(20, 22, ALL), true),
        (of(23, 25, ALL), true),
        // Finer than anything that is kept, or of other times.
        (of(2, 4, HOURS), false),
        (of(20, 21, POSTS), false),
        (of(8, 10, DAYS), false),
        (of(23, 25, POSTS), false),
    ];
    let mut calls = kept;
    for (wanted, is_kept) in cases {
        let mut told = ask(&gateway, &wanted).await;
        let mut right = ask(&plain, &wanted).await;
        for answer in [&mut told, &mut right] {
            answer.as_object_mut().unwrap().remove("countersign");
        }
        assert_eq!(told, right, "{wanted}");
        let arrived = arrived(&gateway).await;
        // Both gateways stand before the same sandbox.
        assert_eq!(arrived - calls == 1, is_kept, "{wanted}");
        calls = arrived;
    }
}

#[tokio::test]
async fn a_post_that_x_calls_unavailable_loses_what_was_kept() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start(&database).await;
    let ids = gateway.sandbox.ids("alice", 3);
    let all = json!({ "groupings": by(&["engagement.type"]) });
    let each = question(&gateway, &ids, &["favorites"], &json!({}));
    let together = question(&gateway, &ids, &["retweets"], &all);
    let kept = ask(&gateway, &each).await;
    ask(&gateway, &together).await;
    let gone = json!({
        "kind": "status", "status": 200, "path": "/insights/", "times": 1,
        "body": { "errors": ["1 Tweet ID(s) are unavailable"], "unavailable_tweet_ids": [&ids[0]] },
    });
    gateway.order(json!([gone])).await;
    let wanted = question(&gateway, &ids[..1], &["replies"], &json!({}));
    assert_eq!(missing(&ask(&gateway, &wanted).await), [("unavailable".to_owned(), 1)]);
    assert_eq!(arrived(&gateway).await, 3);
    // What X said of it is as fresh as the numbers of the others, which are still there.
    let told = ask(&gateway, &each).await;
    assert_eq!(missing(&told), [("unavailable".to_owned(), 1)]);
    assert_eq!(told["errors"], json!(["1 Tweet ID(s) are unavailable"]));
    assert_eq!(told["unavailable_tweet_ids"], json!([&ids[0]]));
    assert_eq!(told["by_tweet"][&ids[0]], Value::Null);
    assert_eq!(told["by_tweet"][&ids[1]], kept["by_tweet"][&ids[1]]);
    assert_eq!(arrived(&gateway).await, 3);
    // A sum with its numbers is not given either.
    ask(&gateway, &together).await;
    assert_eq!(arrived(&gateway).await, 4);
    gateway.sandbox.clock.forward(time::Duration::seconds(61));
    assert_eq!(ask(&gateway, &each).await["by_tweet"], kept["by_tweet"]);
}

#[tokio::test]
async fn a_range_that_is_over_may_be_kept_for_longer() {
    let database = fresh(Kind::Sqlite).await;
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    let gateway = build(sandbox, &database, |config| {
        keeping(config);
        config.cache.closed_after = Duration::from_hours(48);
    })
    .await;
    let ids = gateway.sandbox.old_ids("alice", 2);
    let closed = question(
        &gateway,
        &ids,
        &["impressions"],
        &in_february(1, 3, &["tweet.id", "engagement.type"]),
    );
    let open = json!({ "window": { "start": "2026-03-07", "end": "2026-03-10" } });
    let open = question(&gateway, &ids, &["impressions"], &open);
    for wanted in [&closed, &open] {
        ask(&gateway, wanted).await;
    }
    pass(&gateway, time::Duration::minutes(20)).await;
    for (wanted, allowed, calls) in
        [(&closed, "max-age=1200", 2), (&open, "max-age=1200", 3), (&closed, "max-age=1199", 4)]
    {
        ask_allowing(&gateway, allowed, wanted).await;
        assert_eq!(arrived(&gateway).await, calls, "{allowed}");
    }
}

#[tokio::test]
async fn other_forms_tell_the_age_too() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = start(&database).await;
    let ids = gateway.sandbox.ids("alice", 3);
    let wanted = question(&gateway, &ids, &["favorites", "impressions"], &json!({}));
    let whole = ask(&gateway, &wanted).await;
    gateway.sandbox.clock.forward(time::Duration::seconds(7));
    for form in ["text/csv", "application/x-ndjson"] {
        let ask = gateway.ask("POST", PATH).header("content-type", "application/json");
        let ask = ask.header("cache-control", "max-age=60").header("accept", form);
        let answer = ask.body(wanted.to_string()).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("age")), (200, "7"), "{form}");
        let text = answer.text();
        for id in &ids {
            let number = whole["by_tweet"][id]["impressions"].as_str().unwrap();
            assert!(text.contains(id) && text.contains(number), "{form}: {text}");
        }
    }
    assert_eq!(arrived(&gateway).await, 1);
}

#[tokio::test]
async fn the_last_hours_of_an_answer_are_the_same_for_all_posts() {
    let database = fresh(Kind::Sqlite).await;
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    let long = |config: &mut Config| config.cache.fresh = Duration::from_hours(2);
    let gateway = build(sandbox, &database, long).await;
    let plain = fresh(Kind::Sqlite).await;
    let plain = build(gateway.sandbox.again(), &plain, |_| ()).await;
    let ids = gateway.sandbox.ids("alice", 4);
    let hours = ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"];
    let recent = json!({ "window": "28hr", "groupings": by(&hours) });
    let of = |ids: &[String]| question(&gateway, ids, &["impressions"], &recent);
    ask(&gateway, &of(&ids[..2])).await;
    pass(&gateway, time::Duration::hours(1)).await;
    ask(&gateway, &of(&ids[2..])).await;
    let allowed = "max-age=7200";
    let mut told = ask_allowing(&gateway, allowed, &of(&ids)).await.json();
    assert_eq!(told["countersign"]["complete"], true, "{told}");
    let mut right = ask(&plain, &of(&ids)).await;
    for answer in [&mut told, &mut right] {
        answer.as_object_mut().unwrap().remove("countersign");
    }
    assert_eq!(told, right);
    // Two were kept, two asked for again, and then all four are kept.
    assert_eq!(arrived(&gateway).await, 4);
    ask_allowing(&gateway, allowed, &of(&ids)).await;
    assert_eq!(arrived(&gateway).await, 4);
}

/// Campaigns of as many posts as a call takes, of which each caller asks for some.
async fn calls_of_overlapping(
    gateway: &TestGateway,
    campaigns: &[Vec<String>],
    more: &Value,
) -> usize {
    let before = arrived(gateway).await;
    let dice = &mut Dice(7);
    for _ in 0..30 {
        let some = dice.some(campaigns, 3).concat();
        ask(gateway, &question(gateway, &some, &["favorites"], more)).await;
        gateway.sandbox.clock.forward(time::Duration::seconds(2));
    }
    arrived(gateway).await - before
}

#[tokio::test]
async fn thirty_overlapping_questions_in_a_minute_take_the_calls_of_their_union() {
    let database = fresh(Kind::Sqlite).await;
    let sandbox =
        TestSandbox::start_with(Settings { users: 2, posts_per_user: 1000, ..small() }).await;
    let gateway = build(sandbox, &database, keeping).await;
    // Some of them are unavailable, which X need not say each time either.
    let users = ["alice", "bob"].map(|name| gateway.sandbox.user(name));
    let ids: Vec<String> =
        users.iter().flat_map(|user| &user.posts).map(|post| post.id.clone()).collect();
    let campaigns =
        |size: usize| ids.chunks_exact(size).take(8).map(<[String]>::to_vec).collect::<Vec<_>>();
    let calls = calls_of_overlapping(&gateway, &campaigns(250), &json!({})).await;
    assert!(calls <= 8, "{calls} calls for totals");
    let week = json!({ "window": { "last": "7d" } });
    let calls = calls_of_overlapping(&gateway, &campaigns(25), &week).await;
    assert!(calls <= 8, "{calls} calls for a week");
}

/// Random questions, to gateways with and without keeping.
async fn are_answered_as_without_keeping(seeds: std::ops::Range<u64>) {
    let databases = [fresh(Kind::Sqlite).await, fresh(Kind::Sqlite).await];
    let plain = start_gateway(&databases[0]).await;
    let keeping = build(plain.sandbox.again(), &databases[1], keeping).await;
    let (mut kept, mut answered) = (0, 0);
    for seed in seeds {
        let (wanted, _) = random_question(&plain, &mut Dice(seed));
        let [right, told] = [
            ask_allowing(&plain, "max-age=60", &wanted).await,
            ask_allowing(&keeping, "max-age=60", &wanted).await,
        ];
        assert_eq!(right.status, told.status, "seed {seed}: {wanted}: {}", told.text());
        let [mut right, mut told] = [right.json(), told.json()];
        let reports = [&mut right, &mut told].map(|answer| {
            answer.as_object_mut().unwrap().remove("countersign").unwrap_or_default()
        });
        for answer in [&mut right, &mut told] {
            answer.as_object_mut().unwrap().remove("request_id");
        }
        let calls = &reports[1]["calls"];
        assert_eq!(difference(&told, &right, ""), None, "seed {seed}: {wanted}: {calls}");
        let [right, told] = reports;
        assert_eq!(sorted_missing(&told), sorted_missing(&right), "seed {seed}: {wanted}");
        let calls = told["calls"].as_array().into_iter().flatten();
        kept += calls.filter(|call| call["saved"] == "kept").count();
        answered += usize::from(!right.is_null());
    }
    assert!(kept > answered / 3, "{kept} kept in {answered}");
}

/// What is missing, without the order of entries and posts.
fn sorted_missing(report: &Value) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for entry in report["missing"].as_array().into_iter().flatten() {
        for id in entry["tweet_ids"].as_array().unwrap() {
            entries.push(format!(
                "{id} {} {} {}",
                entry["reason"], entry["engagement_types"], entry["windows"]
            ));
        }
    }
    entries.sort();
    entries
}

#[tokio::test]
async fn questions_of_any_kind_are_answered_as_without_keeping() {
    are_answered_as_without_keeping(0..1000).await;
}

#[tokio::test]
async fn more_questions_of_any_kind_are_answered_as_without_keeping() {
    are_answered_as_without_keeping(1000..2000).await;
}
