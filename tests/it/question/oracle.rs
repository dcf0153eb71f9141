//! Random questions, compared with the sandbox's answer to a single call when its limits are lifted.

use std::collections::BTreeSet;
use std::ops::Range;

use countersign::model::{Endpoint, GroupBy, Metric};
use countersign::sandbox::Settings;
use serde_json::{Map, Value, json};

use crate::database::{Kind, fresh};
use crate::dice::Dice;
use crate::gateway::TestGateway;
use crate::question::least::{created, is_too_old, least_calls};
use crate::question::{PATH, PLAN, ask, ask_with, start_gateway};
use crate::upstream::{NOW, TestSandbox, small};

/// How many random questions each of the tests below asks.
const QUESTIONS: u64 = 500;

/// A period that takes one call, or more if it is long.
fn random_period(dice: &mut Dice, is_long: bool) -> Value {
    let hours = |days: usize| 24 * i64::try_from(days).unwrap();
    let below = |dice: &mut Dice, hours: i64| {
        i64::try_from(dice.below(usize::try_from(hours).unwrap())).unwrap()
    };
    let back = 1 + below(dice, hours(if is_long { 364 } else { 300 }));
    let long = 1 + below(dice, hours(if is_long { 364 } else { 32 }));
    let start = NOW - time::Duration::hours(back);
    let end = (start + time::Duration::hours(long)).min(NOW);
    let written = |at: time::OffsetDateTime| {
        at.format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    json!({ "start": written(start), "end": written(end) })
}

/// Every post with its author.
fn everybodys_posts(gateway: &TestGateway) -> Vec<(String, String)> {
    let users = gateway.sandbox.world.users.iter();
    let posts = users
        .flat_map(|user| user.posts.iter().map(|post| (post.id.clone(), user.user_id.clone())));
    posts.collect()
}

/// A question, the endpoint that answers it, and its period if it has one.
pub fn random_question(gateway: &TestGateway, dice: &mut Dice) -> (Value, &'static str) {
    let everybody = everybodys_posts(gateway);
    let endpoint = *dice.pick(&Endpoint::ALL);
    let is_long = endpoint == Endpoint::Historical && dice.below(8) == 0;
    let posts = dice.some(&everybody, if is_long { 4 } else { 30 });
    let served: Vec<Metric> =
        Metric::ALL.into_iter().filter(|metric| metric.is_served_by(endpoint)).collect();
    let metrics: Vec<&str> = dice
        .some(&served, if is_long { 2 } else { 14 })
        .iter()
        .map(|metric| metric.name())
        .collect();
    let mut groupings = Map::new();
    let levels = &GroupBy::ALL[..if endpoint.has_time_series() { 4 } else { 2 }];
    for name in ["one", "two", "three"].iter().take(1 + dice.below(3)) {
        let mut group_by = dice.some(levels, 4);
        if group_by.len() == 4 {
            let is_second = groupings
                .values()
                .any(|grouping: &Value| grouping["group_by"].as_array().unwrap().len() == 4);
            group_by =
                dice.pick(&GroupBy::FOUR_LEVEL_ORDERS)[..if is_second { 3 } else { 4 }].to_vec();
        }
        let group_by: Vec<&str> = group_by.iter().map(|level| level.name()).collect();
        groupings.insert((*name).to_owned(), json!({ "group_by": group_by }));
    }
    let mut question = json!({
        "tweet_ids": posts.iter().map(|post| &post.0).collect::<Vec<_>>(),
        "engagement_types": metrics,
        "groupings": groupings,
    });
    let owners: Map<String, Value> = posts
        .iter()
        .filter(|_| dice.below(3) > 0)
        .map(|post| (post.0.clone(), json!(post.1)))
        .collect();
    question["owners"] = owners.into();
    match endpoint {
        Endpoint::TwentyEightHours => question["window"] = json!("28hr"),
        Endpoint::Historical => question["window"] = random_period(dice, is_long),
        Endpoint::Totals => (),
    }
    without_untold_ones(gateway, &mut question);
    (question, endpoint.name())
}

/// Takes out unavailable posts that X is not asked about, since their ids tell enough: that they did not exist in the
/// range, or are too old for what is asked.
fn without_untold_ones(gateway: &TestGateway, question: &mut Value) {
    let form = &time::format_description::well_known::Rfc3339;
    let end = question["window"]["end"].as_str();
    let end = end.map(|text| time::OffsetDateTime::parse(text, form).unwrap());
    let types = question["engagement_types"].as_array().unwrap().iter();
    let is_private =
        types.clone().all(|name| ["impressions", "engagements"].contains(&name.as_str().unwrap()));
    let is_asked = |id: &str| match end {
        Some(end) => created(id) < end,
        None => question["window"].is_string() || !is_private || !is_too_old(id),
    };
    let users = gateway.sandbox.world.users.iter();
    let gone = users.flat_map(|user| {
        let is_gone = user.state != "active";
        user.posts.iter().filter(move |post| is_gone || post.state == "deleted")
    });
    let untold: Vec<String> =
        gone.filter(|post| !is_asked(&post.id)).map(|post| post.id.clone()).collect();
    let is_told = |id: &Value| !untold.iter().any(|untold| id == untold);
    question["owners"].as_object_mut().unwrap().retain(|id, _| is_told(&json!(id)));
    let ids = question["tweet_ids"].as_array_mut().unwrap();
    ids.retain(is_told);
    if ids.is_empty() {
        ids.push(json!(gateway.sandbox.old_ids("alice", 1)[0]));
    }
}

/// The sandbox's answer to a single call for all of it, except for what is missing.
pub async fn lifted(
    gateway: &TestGateway,
    question: &Value,
    endpoint: &str,
    missing: &[Value],
) -> Value {
    let mut asked = json!({
        "tweet_ids": question["tweet_ids"],
        "engagement_types": question["engagement_types"],
        "groupings": question["groupings"],
    });
    if endpoint == "historical" {
        asked["start"] = question["window"]["start"].clone();
        asked["end"] = question["window"]["end"].clone();
    }
    let told_by_x = ["unavailable", "unsupported_age"];
    let except =
        missing.iter().filter(|part| !told_by_x.contains(&part["reason"].as_str().unwrap()));
    asked["except"] = except
        .map(|part| json!({ "tweet_ids": part["tweet_ids"], "engagement_types": part["engagement_types"] }))
        .collect();
    let ask = gateway.sandbox.ask("POST", &format!("/sandbox/answer/{endpoint}"));
    ask.header("content-type", "application/json").body(asked.to_string()).send().await.json()
}

/// A member of an answer, without the order of lists, which has no meaning, and without X's text on old posts, which it
/// is not asked about.
pub fn sorted(member: &Value) -> Value {
    let mut member = member.clone();
    if let Some(items) = member.as_array_mut() {
        let is_on_age = |item: &Value| item.to_string().contains("tweets older than 90 days");
        items.retain(|item| !is_on_age(item));
        items.sort_by_key(ToString::to_string);
    }
    if member == json!([]) { Value::Null } else { member }
}

/// The first place where two values differ.
pub fn difference(one: &Value, other: &Value, at: &str) -> Option<String> {
    let (Some(ones), Some(others)) = (one.as_object(), other.as_object()) else {
        return (one != other)
            .then(|| format!("{at}: {:.200} and {:.200}", one.to_string(), other.to_string()));
    };
    let names: BTreeSet<&String> = ones.keys().chain(others.keys()).collect();
    names.into_iter().find_map(|name| difference(&one[name], &other[name], &format!("{at}/{name}")))
}

#[tokio::test]
async fn ten_thousand_posts_of_fifty_authors_are_one_question() {
    let database = fresh(Kind::Sqlite).await;
    let sandbox =
        TestSandbox::start_with(Settings { users: 50, posts_per_user: 200, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |_| ()).await;
    let users: Vec<_> =
        gateway.sandbox.world.users.iter().filter(|user| user.state == "active").take(50).collect();
    let names: Vec<&str> = users.iter().map(|user| &*user.screen_name).collect();
    gateway.connect(&names).await;
    let posts =
        || users.iter().flat_map(|user| user.posts.iter().map(|post| (post, &user.user_id)));
    let ids: Vec<&String> = posts().map(|post| &post.0.id).take(10_000).collect();
    let owners: Map<String, Value> =
        posts().take(10_000).map(|post| (post.0.id.clone(), json!(post.1))).collect();
    let question = json!({
        "tweet_ids": ids,
        "engagement_types": ["impressions", "favorites"],
        "groupings": {
            "each": { "group_by": ["tweet.id", "engagement.type"] },
            "all": { "group_by": ["engagement.type"] },
        },
        "owners": owners,
    });
    let answer = ask(&gateway, &question).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut answer = answer.json();
    let report = answer.as_object_mut().unwrap().remove("countersign").unwrap();
    assert_eq!((ids.len(), users.len()), (10_000, 50));
    // One for each author, and as few as can be for the public metrics of posts too old for private ones.
    let old = ids.iter().filter(|id| is_too_old(id)).count();
    assert_eq!(report["calls"].as_array().unwrap().len(), 50 + old.div_ceil(250));
    let whole = lifted(&gateway, &question, "totals", report["missing"].as_array().unwrap()).await;
    for part in ["each", "all"] {
        assert_eq!(answer[part], whole[part], "{part}");
    }
}

/// The keys and the value of every number, sorted.
fn numbers(value: &Value, keys: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    if let Value::Object(entries) = value {
        for (key, below) in entries {
            keys.push(key.clone());
            numbers(below, keys, found);
            keys.pop();
        }
    } else {
        let mut keys = keys.clone();
        keys.sort();
        found.push((keys, value.as_str().unwrap().to_owned()));
    }
}

/// The same question as lines has the same numbers.
async fn lines_are_the_same(gateway: &TestGateway, question: &Value, answer: &Value) {
    let ask = gateway.ask("POST", PATH).header("content-type", "application/json");
    let lines =
        ask.header("accept", "application/x-ndjson").body(question.to_string()).send().await;
    let mut told = Vec::new();
    for line in lines.text().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let Some(value) = line.get("value") else { continue };
        let names = ["grouping", "tweet_id", "engagement_type", "day", "hour"];
        let keys = names.iter().filter_map(|name| line[name].as_str().map(str::to_owned));
        let mut keys: Vec<String> = keys.collect();
        keys.sort();
        told.push((keys, value.to_string()));
    }
    let mut expected = Vec::new();
    for name in question["groupings"].as_object().unwrap().keys() {
        numbers(&answer[name], &mut vec![name.clone()], &mut expected);
    }
    told.sort();
    expected.sort();
    assert!(told == expected, "{question}: {} lines for {} numbers", told.len(), expected.len());
}

/// Unless X gave the reason itself, a post is missing only because its author is not connected, and no post of a
/// connected author is.
fn is_rightly_missing(gateway: &TestGateway, question: &Value, missing: &[Value], seed: u64) {
    let connected = ["alice", "bob"].map(|name| gateway.id(name).to_string());
    let users = &gateway.sandbox.world.users;
    let is_connected = |id: &str| {
        let author = users.iter().find(|user| user.posts.iter().any(|post| post.id == id));
        author.is_some_and(|user| connected.contains(&user.user_id))
    };
    for part in missing {
        let (reason, posts) =
            (part["reason"].as_str().unwrap(), part["tweet_ids"].as_array().unwrap());
        if ["unavailable", "unsupported_age"].contains(&reason) {
            continue;
        }
        assert_eq!(
            (reason, &part["windows"]),
            ("not_connected", &json!([])),
            "seed {seed}: {part}"
        );
        let wrong = posts.iter().find(|id| is_connected(id.as_str().unwrap()));
        assert_eq!(wrong, None, "seed {seed}: {part} of {question}");
    }
}

/// Two gateways, one of which may look authors up.
async fn are_answered_as_one_call_without_limits_would_be(seeds: Range<u64>) {
    let databases = [fresh(Kind::Sqlite).await, fresh(Kind::Sqlite).await];
    let plain = start_gateway(&databases[0]).await;
    let looking_up =
        TestGateway::build(plain.sandbox.again(), &databases[1].settings(), |config| {
            config.apps.get_mut("demo").unwrap().lookup = true;
        })
        .await;
    let (mut answered, mut lacking) = (0, 0);
    for seed in seeds {
        let dice = &mut Dice(seed);
        let gateway = *dice.pick(&[&plain, &looking_up]);
        let (question, endpoint) = random_question(gateway, dice);
        let mut known = question.clone();
        known["owners"] = everybodys_posts(gateway)
            .into_iter()
            .filter(|(id, _)| question["tweet_ids"].as_array().unwrap().contains(&json!(id)))
            .map(|(id, owner)| (id, json!(owner)))
            .collect::<Map<_, _>>()
            .into();
        let planned = ask_with(gateway, &gateway.key, PLAN, &known).await.json();
        let least = least_calls(gateway, &question, endpoint);
        let calls = planned["calls"].as_array().unwrap().len();
        assert_eq!(calls, least, "seed {seed}: {known}");
        let answer = ask(gateway, &question).await;
        if answer.status != 200 {
            answer.is_own(404, "nothing_answered");
            let told = answer.json();
            is_rightly_missing(gateway, &question, told["missing"].as_array().unwrap(), seed);
            let posts = question["tweet_ids"].as_array().unwrap().iter();
            let told = told["missing"].to_string();
            assert!(posts.into_iter().all(|id| told.contains(id.as_str().unwrap())), "seed {seed}");
            continue;
        }
        let mut answer = answer.json();
        let report = answer.as_object_mut().unwrap().remove("countersign").unwrap();
        let missing = report["missing"].as_array().unwrap();
        assert_eq!(report["complete"], missing.is_empty(), "seed {seed}");
        is_rightly_missing(gateway, &question, missing, seed);
        let whole = lifted(gateway, &question, endpoint, missing).await;
        for (name, told) in whole.as_object().unwrap() {
            let difference = difference(&sorted(&answer[name]), &sorted(told), name);
            assert_eq!(difference, None, "seed {seed}: {question}");
        }
        let members = |answer: &Value| {
            answer
                .as_object()
                .unwrap()
                .values()
                .map(sorted)
                .filter(|member| !member.is_null())
                .count()
        };
        assert_eq!(members(&answer), members(&whole), "seed {seed}: {answer} and {whole}");
        if seed % 8 == 0 {
            lines_are_the_same(gateway, &question, &answer).await;
        }
        answered += 1;
        lacking += u64::from(!missing.is_empty());
    }
    assert!(
        answered > QUESTIONS / 2 && lacking > QUESTIONS / 5,
        "{answered} answered, {lacking} of them in part"
    );
    let looked_up = looking_up.arrived("/2/tweets").await.len();
    assert!(looked_up > 10, "{looked_up} look-ups");
}

#[tokio::test]
async fn questions_of_any_kind() {
    are_answered_as_one_call_without_limits_would_be(0..QUESTIONS).await;
}

#[tokio::test]
async fn more_questions_of_any_kind() {
    are_answered_as_one_call_without_limits_would_be(QUESTIONS..2 * QUESTIONS).await;
}

#[tokio::test]
async fn still_more_questions_of_any_kind() {
    are_answered_as_one_call_without_limits_would_be(2 * QUESTIONS..3 * QUESTIONS).await;
}

#[tokio::test]
async fn questions_of_any_kind_to_the_end() {
    are_answered_as_one_call_without_limits_would_be(3 * QUESTIONS..4 * QUESTIONS).await;
}
