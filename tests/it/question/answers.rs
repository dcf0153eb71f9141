//! Answers: for public and private metrics, one author and many, with everything missing named.

use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::question::{PATH, ask, ask_with, calls, missing, question, start_gateway};
use crate::upstream::TOTALS;

async fn public_and_private_metrics_of_several_authors_come_in_one_answer(database: Database) {
    let gateway = start_gateway(&database).await;
    let (alice, bob, carol) = (
        gateway.sandbox.ids("alice", 3),
        gateway.sandbox.ids("bob", 2),
        gateway.sandbox.ids("carol", 1),
    );
    let ids = [alice.clone(), bob.clone(), carol.clone()].concat();
    let mut wanted = question(&ids, &["favorites", "impressions"]);
    let owner = |name: &str| json!(gateway.id(name).to_string());
    wanted["owners"] = ids
        .iter()
        .zip(["alice", "alice", "alice", "bob", "bob", "carol"])
        .map(|(id, name)| (id.clone(), owner(name)))
        .collect::<serde_json::Map<String, Value>>()
        .into();
    let answer = ask(&gateway, &wanted).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    for (name, ids) in [("alice", &alice), ("bob", &bob), ("carol", &carol)] {
        for post in gateway.sandbox.posts(name).iter().filter(|post| ids.contains(&post.id)) {
            let told = &answer["by_tweet"][&post.id];
            assert_eq!(told["favorites"], post.totals["favorites"].to_string());
            let private = if name == "carol" {
                Value::Null
            } else {
                json!(post.totals["impressions"].to_string())
            };
            assert_eq!(told["impressions"], private, "{name}");
        }
    }
    assert_eq!(missing(&answer), [("not_connected".to_owned(), 1)]);
    assert_eq!(answer["countersign"]["complete"], false);
    let part = &answer["countersign"]["missing"][0];
    assert_eq!(
        (&part["tweet_ids"], &part["engagement_types"], &part["account"]),
        (&json!(carol), &json!(["impressions"]), &owner("carol"))
    );
    let (alice, bob) = (gateway.id("alice").to_string(), gateway.id("bob").to_string());
    assert_eq!(calls(&answer), [("app".to_owned(), 1), (alice, 1), (bob, 1)].into());
    assert_eq!(gateway.arrived(TOTALS).await.len(), 3);
    let call = &answer["countersign"]["calls"][0];
    assert_eq!(
        (&call["status"], &call["attempts"], &call["endpoint"]),
        (&json!(200), &json!(1), &json!("totals"))
    );
}

async fn an_answer_is_compressed_for_those_who_take_that(database: Database) {
    let gateway = start_gateway(&database).await;
    let wanted = question(&gateway.sandbox.ids("bob", 3), &["favorites"]);
    let asked = gateway
        .ask("POST", PATH)
        .header("content-type", "application/json")
        .body(wanted.to_string());
    let plain = asked.clone().send().await;
    assert_eq!(
        (plain.header("content-encoding"), plain.header("content-type")),
        ("", "application/json")
    );
    let zipped = asked.clone().header("accept-encoding", "gzip").send().await;
    assert_eq!(
        (zipped.header("content-encoding"), zipped.header("vary")),
        ("gzip", "accept, accept-encoding, origin")
    );
    assert_eq!(zipped.json()["by_tweet"], plain.json()["by_tweet"]);
    asked
        .header("accept-encoding", "identity;q=0, gzip;q=0")
        .send()
        .await
        .is_own(406, "not_acceptable");
}

async fn authors_are_found_out_by_asking_and_remembered(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = [
        gateway.sandbox.ids("alice", 3),
        gateway.sandbox.ids("bob", 3),
        gateway.sandbox.ids("carol", 1),
    ]
    .concat();
    let wanted = question(&ids, &["impressions"]);
    let first = ask(&gateway, &wanted).await.json();
    assert_eq!(missing(&first), [("not_connected".to_owned(), 1)]);
    assert_eq!(first["by_tweet"].as_object().unwrap().len(), 6);
    let before = first["countersign"]["calls"].as_array().unwrap().len();
    let second = ask(&gateway, &wanted).await.json();
    assert_eq!(second["by_tweet"], first["by_tweet"]);
    // One call for each author, and none for carol's post, whose author is not connected.
    let after = second["countersign"]["calls"].as_array().unwrap().len();
    assert_eq!((before, after), (4, 2));
    assert_eq!(missing(&second), missing(&first));
}

async fn one_foreign_post_spoils_nothing(database: Database) {
    let gateway = start_gateway(&database).await;
    let alice = gateway.id("alice");
    let key = gateway.new_key(|key| key.scopes.accounts = Some(vec![alice])).await;
    let ids = [gateway.sandbox.ids("alice", 9), gateway.sandbox.ids("bob", 1)].concat();
    let answer = ask_with(&gateway, &key, PATH, &question(&ids, &["impressions"])).await.json();
    assert_eq!(answer["by_tweet"].as_object().unwrap().len(), 9);
    assert_eq!(missing(&answer), [("not_connected".to_owned(), 1)]);
    assert_eq!(
        answer["countersign"]["missing"][0]["tweet_ids"],
        json!(gateway.sandbox.ids("bob", 1))
    );
    assert!(answer["countersign"]["calls"].as_array().unwrap().len() <= 3, "{answer}");
}

async fn what_the_caller_says_wrongly_of_an_author_is_told_and_spoils_nothing(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = [gateway.sandbox.ids("alice", 2), gateway.sandbox.ids("bob", 1)].concat();
    let mut wanted = question(&ids, &["impressions"]);
    let alice = gateway.id("alice").to_string();
    wanted["owners"] = ids
        .iter()
        .map(|id| (id.clone(), json!(alice)))
        .collect::<serde_json::Map<String, Value>>()
        .into();
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(answer["by_tweet"].as_object().unwrap().len(), 2);
    assert_eq!(missing(&answer), [("forbidden".to_owned(), 1)]);
}

async fn many_posts_and_a_long_time_are_cut_into_as_few_calls_as_can_be(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = gateway.sandbox.old_ids("alice", 5);
    let mut wanted = question(&ids, &["impressions", "url_clicks"]);
    wanted["window"] = json!({ "start": "2025-11-01", "end": "2026-03-01" });
    wanted["groupings"] = json!({
        "days": { "group_by": ["tweet.id", "engagement.day"] },
        "all": { "group_by": ["engagement.type"] },
    });
    let alice = json!(gateway.id("alice").to_string());
    wanted["owners"] = ids
        .iter()
        .map(|id| (id.clone(), alice.clone()))
        .collect::<serde_json::Map<String, Value>>()
        .into();
    let answer = ask(&gateway, &wanted).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(
        (&answer["start"], &answer["end"]),
        (&json!("2025-11-01T00:00:00Z"), &json!("2026-03-01T00:00:00Z"))
    );
    // 120 days take five windows of at most 28.
    assert_eq!(answer["countersign"]["calls"].as_array().unwrap().len(), 5);
    assert_eq!(answer["days"][&ids[0]].as_object().unwrap().len(), 120);
    assert_eq!(answer["countersign"]["complete"], true);
}

on_both!(
    public_and_private_metrics_of_several_authors_come_in_one_answer,
    an_answer_is_compressed_for_those_who_take_that,
    authors_are_found_out_by_asking_and_remembered,
    one_foreign_post_spoils_nothing,
    what_the_caller_says_wrongly_of_an_author_is_told_and_spoils_nothing,
    many_posts_and_a_long_time_are_cut_into_as_few_calls_as_can_be
);
