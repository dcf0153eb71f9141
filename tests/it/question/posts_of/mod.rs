//! Questions about the posts of accounts: which posts these are, where they come from, and what it takes to list them.

mod known;
mod top;

use std::collections::BTreeSet;

use countersign::model::post::created_at;
use countersign::sandbox::Settings;
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::question::{PATH, PLAN, ask, ask_with};
use crate::upstream::{NOW, TestSandbox, small};

/// Where X lists posts.
const LISTS: &str = "/2/users/";

/// As `start_gateway`, with that many posts of each user, of which some are deleted, and with look-ups enabled.
async fn gateway_with_lists(database: &Database, posts_per_user: usize) -> TestGateway {
    let sandbox = TestSandbox::start_with(Settings { users: 4, posts_per_user, ..small() }).await;
    TestGateway::build(sandbox, &database.settings(), |config| {
        config.apps.get_mut("demo").unwrap().lookup = true;
    })
    .await
}

/// A gateway without look-ups, on the same database and in front of the same sandbox.
async fn without_lookup(gateway: &TestGateway, database: &Database) -> TestGateway {
    TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await
}

/// A question about the newest posts of accounts.
fn last(accounts: &[&str], count: usize) -> Value {
    json!({ "posts_of": accounts, "last": count, "engagement_types": ["favorites"] })
}

fn set(ids: &[String]) -> BTreeSet<&str> {
    ids.iter().map(String::as_str).collect()
}

/// The posts that have numbers.
fn answered(answer: &Value) -> BTreeSet<&str> {
    let posts = answer["by_tweet"].as_object().unwrap_or_else(|| panic!("{answer}"));
    posts.keys().map(String::as_str).collect()
}

/// How many posts each list or look-up had, and its status.
fn listed(answer: &Value) -> Vec<(u64, Value)> {
    let calls = answer["countersign"]["calls"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let made = calls.iter().filter(|call| call["endpoint"] == "lookup");
    made.map(|call| (call["tweet_count"].as_u64().unwrap(), call["status"].clone())).collect()
}

/// What the report says of one account's posts.
fn of(gateway: &TestGateway, name: &str, source: &str, posts: usize, complete: bool) -> Value {
    let account = gateway.id(name).to_string();
    json!({ "account": account, "source": source, "posts": posts, "complete": complete })
}

async fn the_newest_posts_are_listed_page_by_page(database: Database) {
    let gateway = gateway_with_lists(&database, 150).await;
    let answer = ask(&gateway, &last(&["@alice"], 120)).await;
    assert_eq!(answer.header("countersign-note"), "");
    let answer = answer.json();
    let ids = gateway.sandbox.ids("alice", 120);
    assert_eq!(answered(&answer), set(&ids));
    assert_eq!(listed(&answer), [(100, json!(200)), (20, json!(200))]);
    let report = &answer["countersign"];
    assert_eq!(report["posts_of"], json!([of(&gateway, "alice", "x", 120, true)]));
    assert_eq!((&report["complete"], &report["notes"]), (&json!(true), &json!([])));
    let lists = gateway.arrived(LISTS).await;
    let queries: Vec<&str> = lists.iter().map(|call| call["query"].as_str().unwrap()).collect();
    let (first, second) = (queries[0], queries[1]);
    assert_eq!(first, "max_results=100&exclude=retweets");
    assert!(second.starts_with("max_results=20&exclude=retweets&pagination_token="), "{second}");
    for list in &lists {
        let path = format!("/2/users/{}/tweets", gateway.id("alice"));
        assert_eq!((&list["path"], &list["auth_kind"]), (&json!(path), &json!("bearer")));
    }

    // Whose posts they are is known from the list, so that private types need no further look-up.
    let mut private = last(&["@alice", "@bob"], 40);
    private["window"] = json!({ "last": "7d" });
    private["engagement_types"] = json!(["impressions"]);
    let answer = ask(&gateway, &private).await.json();
    assert_eq!(answer["countersign"]["missing"], json!([]), "{answer}");
    let both = ["alice", "bob"].map(|name| gateway.sandbox.ids(name, 40)).concat();
    assert_eq!(answered(&answer), set(&both));
    let sources = ["alice", "bob"].map(|name| of(&gateway, name, "x", 40, true));
    assert_eq!(answer["countersign"]["posts_of"], json!(sources));
    assert_eq!(gateway.arrived("/2/tweets").await.len(), 0);

    // Other replicas know them, too.
    let elsewhere = without_lookup(&gateway, &database).await;
    let known = ask(&elsewhere, &last(&["@alice"], 120)).await.json();
    assert_eq!(known["by_tweet"].as_object().unwrap().len(), 120);
    assert_eq!(
        known["countersign"]["posts_of"],
        json!([of(&gateway, "alice", "known", 120, false)])
    );
}

async fn a_range_selects_by_when_posts_were_written(database: Database) {
    let gateway = gateway_with_lists(&database, 150).await;
    let between = |from: OffsetDateTime, to: OffsetDateTime| -> Vec<String> {
        let is_there =
            |id: &String| created_at(id.parse().unwrap()).is_some_and(|at| from <= at && at < to);
        gateway.sandbox.ids("alice", usize::MAX).into_iter().filter(is_there).collect()
    };
    let hour = datetime!(2026-03-10 21:00 UTC);
    let february = (datetime!(2026-02-01 0:00 UTC), datetime!(2026-03-01 0:00 UTC));
    for (written, (from, to)) in [
        (json!({ "start": "2026-02-01", "end": "2026-03-01" }), february),
        (json!({ "last": "7d" }), (hour - Duration::days(7), hour)),
        (
            json!({ "start": "2026-03-09T12:30:00Z", "end": "2026-12-31" }),
            (datetime!(2026-03-09 12:30 UTC), NOW),
        ),
    ] {
        let mut wanted = last(&["@alice"], 1);
        wanted.as_object_mut().unwrap().remove("last");
        wanted["written"] = written.clone();
        let ids = between(from, to);
        assert!(ids.len() > 2, "{written}");
        let answer = ask(&gateway, &wanted).await.json();
        assert_eq!(answered(&answer), set(&ids), "{written}");
        let expected = json!([of(&gateway, "alice", "x", ids.len(), true)]);
        assert_eq!(answer["countersign"]["posts_of"], expected);
        wanted["last"] = json!(2);
        let answer = ask(&gateway, &wanted).await.json();
        assert_eq!(answered(&answer), set(&ids[..2]), "the newest of {written}");
    }
    let cut = json!({
        "posts_of": ["@alice"],
        "written": { "start": "2026-03-09", "end": "2026-12-31" },
        "engagement_types": ["favorites"],
    });
    let cut = ask(&gateway, &cut).await.json();
    let note = cut["countersign"]["notes"][0].as_str().unwrap();
    assert!(note.starts_with("written.end, 2026-12-31T00:00:00Z, is in the future"), "{note}");
    // An account that has written nothing then has no posts, and nothing is missing.
    let mut early = last(&["@alice"], 9);
    early["written"] = json!({ "start": "2025-03-11", "end": "2025-03-11T01:00:00Z" });
    let answer = ask(&gateway, &early).await;
    assert_eq!((answer.status.as_u16(), answer.header("countersign-complete")), (200, "true"));
    assert_eq!(
        answer.json()["countersign"]["posts_of"],
        json!([of(&gateway, "alice", "x", 0, true)])
    );
}

async fn x_lists_the_newest_3200_alone(database: Database) {
    let born = Some(NOW - Duration::days(3000));
    let sandbox = TestSandbox::start_with(Settings { born, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.apps.get_mut("demo").unwrap().lookup = true;
        config.limits.question_days = 4000;
    })
    .await;
    let ids = gateway.sandbox.ids("alice", usize::MAX);
    assert!(ids.len() > 3_500, "{}", ids.len());
    let mut ever = last(&["@alice"], 3200);
    ever["top"] = json!({ "by": "favorites", "count": 1 });
    let answer = ask(&gateway, &ever).await.json();
    assert_eq!(answer["countersign"]["posts_of"], json!([of(&gateway, "alice", "x", 3200, true)]));
    assert_eq!(listed(&answer), vec![(100, json!(200)); 32]);
    ever.as_object_mut().unwrap().remove("last");
    ever["written"] = json!({ "last": "3990d" });
    let answer = ask(&gateway, &ever).await.json();
    assert_eq!(answer["countersign"]["posts_of"], json!([of(&gateway, "alice", "x", 3200, false)]));
    let note = answer["countersign"]["notes"][0].as_str().unwrap();
    assert_eq!(note, "posts of @alice: X lists the newest 3200 alone");
}

async fn only_accounts_of_the_key_can_be_named(database: Database) {
    let gateway = gateway_with_lists(&database, 16).await;
    let alice = gateway.id("alice");
    let key = gateway.new_key(|key| key.scopes.accounts = Some(vec![alice])).await;
    for (key, name, place) in
        [(&key, "@bob", 1), (&gateway.key, "@carol", 1), (&gateway.key, "12", 1)]
    {
        for path in [PATH, PLAN] {
            let refused = ask_with(&gateway, key, path, &last(&["@alice", name], 5)).await;
            refused.is_own(400, "invalid_request");
            let detail = "there is no such account for this key";
            let expected = json!([{ "pointer": format!("/posts_of/{place}"), "detail": detail }]);
            assert_eq!(refused.json()["problems"], expected, "{name}");
        }
    }
    assert_eq!(gateway.arrived(LISTS).await.len(), 0);
    let own = ask_with(&gateway, &key, PATH, &last(&["@ALICE", &alice.to_string()], 5)).await;
    assert_eq!(own.json()["countersign"]["posts_of"], json!([of(&gateway, "alice", "x", 5, true)]));
}

async fn what_is_wrong_with_a_selection_is_said_where_it_is(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        config.limits.question_posts = 50;
        config.apps.get_mut("demo").unwrap().lookup = true;
    })
    .await;
    let two = ["@alice", "@bob"];
    let many: Vec<String> = (1..=101).map(|number| number.to_string()).collect();
    for (selection, pointer, detail) in [
        (json!({ "posts_of": two }), "/posts_of", "needs last, such as 200, or written"),
        (json!({ "posts_of": "@alice", "last": 5 }), "/posts_of", "must be an array of accounts"),
        (json!({ "posts_of": [], "last": 5 }), "/posts_of", "is empty; give one or more accounts"),
        (json!({ "posts_of": ["alice"], "last": 5 }), "/posts_of/0", "must be a user id"),
        (json!({ "posts_of": many, "last": 1 }), "/posts_of", "name at most 100"),
        (json!({ "posts_of": two, "last": 0 }), "/last", "from 1 to 3200"),
        (json!({ "posts_of": two, "last": 3201 }), "/last", "from 1 to 3200"),
        (json!({ "posts_of": two, "last": "7d" }), "/last", "from 1 to 3200"),
        (json!({ "posts_of": two, "last": 26 }), "/last", "limits.question_posts allows 50"),
        (json!({ "posts_of": two, "written": "7d" }), "/written", "must be an object like"),
        (
            json!({ "posts_of": two, "written": { "last": "0d" } }),
            "/written/last",
            "must be a number",
        ),
        (
            json!({ "posts_of": two, "written": { "start": "2026-01-01" } }),
            "/written/end",
            "is missing",
        ),
        (json!({ "tweet_ids": [20], "posts_of": two, "last": 5 }), "/tweet_ids", "beside posts_of"),
        (json!({ "posts_of": two, "last": 5, "owners": {} }), "/owners", "beside posts_of"),
        (json!({ "tweet_ids": [20], "last": 5 }), "/last", "posts_of, which is missing"),
        (json!({ "tweet_ids": [20], "written": {} }), "/written", "posts_of, which is missing"),
    ] {
        let mut wanted = selection.clone();
        wanted["engagement_types"] = json!(["favorites"]);
        let refused = ask(&gateway, &wanted).await;
        refused.is_own(400, "invalid_request");
        let refused = refused.json();
        let problems = refused["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 1, "{selection}: {refused}");
        assert_eq!(problems[0]["pointer"], pointer, "{selection}");
        assert!(problems[0]["detail"].as_str().unwrap().contains(detail), "{selection}: {refused}");
    }
    assert_eq!(gateway.arrived(LISTS).await.len(), 0);
}

async fn a_range_with_more_posts_than_a_question_takes_is_refused(database: Database) {
    let sandbox = TestSandbox::start_with(Settings { posts_per_user: 60, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        config.limits.question_posts = 50;
        config.apps.get_mut("demo").unwrap().lookup = true;
    })
    .await;
    let wanted = json!({
        "posts_of": ["@alice"], "written": { "last": "365d" }, "engagement_types": ["favorites"],
    });
    let refused = ask(&gateway, &wanted).await;
    refused.is_own(400, "invalid_request");
    let problem = &refused.json()["problems"][0];
    assert_eq!(problem["pointer"], "/written");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("limits.question_posts allows 50"), "{detail}");
}

async fn a_plan_lists_the_pages_and_asks_for_none(database: Database) {
    let gateway = gateway_with_lists(&database, 150).await;
    let plan_of = async |wanted: &Value| {
        let plan = ask_with(&gateway, &gateway.key, PLAN, wanted).await;
        assert_eq!(plan.status, 200, "{}", plan.text());
        plan.json()
    };
    let plan = plan_of(&last(&["@alice", "@bob"], 120)).await;
    assert_eq!(gateway.arrived("/").await.len(), 0);
    assert_eq!(plan["cost"]["calls"], json!({ "lookup": 4, "app-only": 0, "user-context": 0 }));
    let counts: Vec<&Value> =
        plan["calls"].as_array().unwrap().iter().map(|call| &call["tweet_count"]).collect();
    assert_eq!(counts, [100, 20, 100, 20]);
    assert_eq!(
        plan["posts_of"],
        json!(["alice", "bob"].map(|name| of(&gateway, name, "known", 0, false)))
    );
    ask(&gateway, &last(&["@alice"], 30)).await.json();
    let plan = plan_of(&last(&["@alice"], 30)).await;
    let calls = plan["calls"].as_array().unwrap();
    let told = |call: &Value| (call["endpoint"].clone(), call["tweet_count"].clone());
    let expected = [(json!("lookup"), json!(30)), (json!("totals"), json!(30))];
    assert_eq!(calls.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(calls[1]["tweet_ids"], json!(gateway.sandbox.ids("alice", 30)));
    let note = plan["notes"][0].as_str().unwrap();
    assert!(note.contains("the 30 posts known so far"), "{note}");
}

on_both!(
    the_newest_posts_are_listed_page_by_page,
    a_range_selects_by_when_posts_were_written,
    x_lists_the_newest_3200_alone,
    only_accounts_of_the_key_can_be_named,
    what_is_wrong_with_a_selection_is_said_where_it_is,
    a_range_with_more_posts_than_a_question_takes_is_refused,
    a_plan_lists_the_pages_and_asks_for_none
);
