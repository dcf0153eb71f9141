//! No call too many: public types go along with private ones, and what a post's id already says is not asked.

use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::question::{
    PLAN, ask, ask_with, calls, missing, question, start_gateway, start_observing,
};
use crate::upstream::NOW;

/// A question on posts whose authors it names.
fn owned(gateway: &TestGateway, names: &[&str], each: usize, metrics: &[&str]) -> Value {
    let mut owners = Map::new();
    for name in names {
        let owner = json!(gateway.id(name).to_string());
        owners.extend(gateway.sandbox.ids(name, each).into_iter().map(|id| (id, owner.clone())));
    }
    let mut wanted = question(&owners.keys().cloned().collect::<Vec<_>>(), metrics);
    wanted["owners"] = owners.into();
    wanted
}

/// An id of a post of that age.
fn id_of_age(days: i64) -> String {
    let ms = (NOW - time::Duration::days(days)).unix_timestamp() * 1000 - 1_288_834_974_657;
    (ms << 22).to_string()
}

async fn public_types_of_connected_authors_take_no_call_of_their_own(database: Database) {
    let gateway = start_gateway(&database).await;
    let wanted = owned(&gateway, &["alice", "bob"], 2, &["favorites", "impressions"]);
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
    let (alice, bob) = (gateway.id("alice").to_string(), gateway.id("bob").to_string());
    assert_eq!(calls(&answer), [(alice, 1), (bob, 1)].into());
    for (_, numbers) in answer["by_tweet"].as_object().unwrap() {
        assert_eq!(numbers.as_object().unwrap().len(), 2);
    }
    let plan = ask_with(&gateway, &gateway.key, PLAN, &wanted).await.json();
    assert_eq!(plan["saved"], json!({ "combined": 1, "too_old": 0, "before_posts": 0 }));
}

async fn public_types_are_asked_as_the_app_where_the_authors_call_fails(database: Database) {
    let gateway = start_observing(&database).await;
    let wanted = owned(&gateway, &["alice", "bob"], 2, &["favorites", "impressions"]);
    let posts = |answer: &Value, metric: &str| {
        let posts = answer["by_tweet"].as_object().unwrap().values();
        posts.filter(|numbers| numbers.get(metric).is_some()).count()
    };
    // X fails once for each way of failing; the second author's call is good.
    for (status, body) in [
        (403, json!({ "errors": ["Forbidden to access tweets: [1]"] })),
        (429, json!({ "errors": ["Too many requests"] })),
        (500, json!({ "errors": ["broken"] })),
        (200, json!({ "by_tweet": {} })),
        (200, json!("not an object")),
    ] {
        let fault = json!([{
            "kind": "status", "status": status, "body": body, "path": "/insights/", "times": 1,
        }]);
        gateway.order(fault).await;
        let answer = ask(&gateway, &wanted).await.json();
        assert_eq!(posts(&answer, "favorites"), 4, "{status}: {answer}");
        let lacking = &answer["countersign"]["missing"];
        for part in lacking.as_array().unwrap() {
            assert_eq!(part["engagement_types"], json!(["impressions"]), "{status}");
        }
        let app_only = calls(&answer).get("app").copied();
        assert_eq!(app_only, Some(1), "{status}: {answer}");
    }
}

async fn private_totals_of_old_posts_are_not_asked_and_bill_nobody(database: Database) {
    let gateway = start_gateway(&database).await;
    let mut wanted = question(&[id_of_age(92)], &["impressions"]);
    wanted["owners"] = json!({ id_of_age(92): gateway.id("alice").to_string() });
    let answer = ask(&gateway, &wanted).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(missing(&answer), [("unsupported_age".to_owned(), 1)]);
    assert_eq!(
        answer["unsupported_for_impressions_engagements_tweet_ids"],
        json!([id_of_age(92)]),
        "as X has it"
    );
    assert_eq!(gateway.arrived("/").await.len(), 0);
    let plan = ask_with(&gateway, &gateway.key, PLAN, &wanted).await.json();
    assert_eq!(
        (&plan["saved"]["too_old"], &plan["cost"]["accounts"], &plan["missing"][0]["reason"]),
        (&json!(1), &json!(0), &json!("unsupported_age"))
    );
    // A day's margin: X judges what is about as old as it allows.
    let mut wanted = question(&[id_of_age(90)], &["impressions"]);
    wanted["owners"] = json!({ id_of_age(90): gateway.id("alice").to_string() });
    ask(&gateway, &wanted).await;
    assert_eq!(gateway.arrived("/insights/").await.len(), 1);
}

async fn time_before_the_posts_is_answered_with_zeros_and_not_asked(database: Database) {
    let gateway = start_gateway(&database).await;
    let newest = gateway.sandbox.posts("alice").into_iter().next().unwrap().id.clone();
    let created =
        i64::try_from((newest.parse::<u64>().unwrap() >> 22) + 1_288_834_974_657).unwrap();
    let start = NOW - time::Duration::days(300);
    let mut wanted = question(std::slice::from_ref(&newest), &["impressions", "favorites"]);
    wanted["owners"] = json!({ &newest: gateway.id("alice").to_string() });
    wanted["window"] =
        json!({ "start": start.format(&Rfc3339).unwrap(), "end": NOW.format(&Rfc3339).unwrap() });
    wanted["groupings"] = json!({
        "hours": { "group_by": ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"] },
        "clock": { "group_by": ["engagement.hour", "engagement.type"] },
        "days": { "group_by": ["engagement.day"] },
    });
    let plan = ask_with(&gateway, &gateway.key, PLAN, &wanted).await.json();
    let slices = 11;
    let age = NOW.unix_timestamp() - created / 1000;
    let needed = usize::try_from(1 + age / (28 * 86_400)).unwrap();
    assert!(needed < slices - 1, "the sandbox's newest post is young: {age} s");
    assert_eq!(plan["calls"].as_array().unwrap().len(), needed, "{plan}");
    assert_eq!(plan["saved"]["before_posts"], json!(slices - needed));
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(answer["countersign"]["complete"], true);
    let days = answer["hours"][&newest]["impressions"].as_object().unwrap();
    assert_eq!(days.len(), 301, "each day that the range touches");
    let first = start.date().to_string();
    assert_eq!((days[&first]["22"].as_str(), &answer["days"][&first]), (Some("0"), &json!("0")));
    assert_eq!(answer["clock"].as_object().unwrap().len(), 24);
    // A range that ends before the post was created needs no call at all.
    wanted["window"]["end"] = json!((start + time::Duration::days(20)).format(&Rfc3339).unwrap());
    let arrived = gateway.arrived("/insights/").await.len();
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
    assert_eq!(answer["hours"][&newest]["favorites"].as_object().unwrap().len(), 21);
    assert_eq!(gateway.arrived("/insights/").await.len(), arrived);
}

async fn what_fails_after_a_time_without_posts_is_missing_from_the_start(database: Database) {
    let gateway = start_gateway(&database).await;
    // Created within the range, so that its first parts are not asked for.
    let id = gateway.sandbox.posts("alice").into_iter().rev().nth(3).unwrap().id.clone();
    let mut wanted = question(std::slice::from_ref(&id), &["impressions"]);
    wanted["owners"] = json!({ &id: gateway.id("alice").to_string() });
    wanted["window"] = json!({ "start": "2025-06-01", "end": "2026-03-01" });
    let plan = ask_with(&gateway, &gateway.key, PLAN, &wanted).await.json();
    assert!(plan["saved"]["before_posts"].as_u64() > Some(2), "{plan}");
    gateway.order(json!([{ "kind": "status", "status": 500, "path": "/insights/" }])).await;
    let answer = ask(&gateway, &wanted).await;
    answer.is_own(502, "nothing_answered");
    assert_eq!(answer.json()["missing"][0]["windows"], json!([]), "{}", answer.text());
}

async fn a_post_that_is_gone_is_named_once(database: Database) {
    let gateway = start_gateway(&database).await;
    let carol = gateway.sandbox.user("carol");
    let gone = carol.posts.iter().find(|post| post.state == "deleted").unwrap().id.clone();
    let ids = [gone.clone(), gateway.sandbox.ids("carol", 1).remove(0)];
    let mut wanted = question(&ids, &["favorites", "impressions"]);
    let owner = json!(carol.user_id);
    wanted["owners"] =
        ids.iter().map(|id| (id.clone(), owner.clone())).collect::<Map<_, _>>().into();
    let answer = ask(&gateway, &wanted).await.json();
    let parts = answer["countersign"]["missing"].as_array().unwrap();
    let of = |part: &Value| {
        let ids = part["tweet_ids"].as_array().unwrap().iter();
        let ids: Vec<String> = ids.map(|id| id.as_str().unwrap().to_owned()).collect();
        (part["reason"].as_str().unwrap().to_owned(), ids)
    };
    let named: Vec<_> = parts.iter().map(of).filter(|(_, ids)| ids.contains(&gone)).collect();
    assert_eq!(named, [("unavailable".to_owned(), vec![gone])], "{answer}");
}

on_both!(
    public_types_of_connected_authors_take_no_call_of_their_own,
    public_types_are_asked_as_the_app_where_the_authors_call_fails,
    private_totals_of_old_posts_are_not_asked_and_bill_nobody,
    time_before_the_posts_is_answered_with_zeros_and_not_asked,
    what_fails_after_a_time_without_posts_is_missing_from_the_start,
    a_post_that_is_gone_is_named_once
);
