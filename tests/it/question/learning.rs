//! What answers reveal about posts' authors: shared by replicas, kept over restarts, and never in an answer's way.

use countersign::config;
use countersign::model::UserId;
use serde_json::{Value, json};

use crate::database::{Database, PrivatePostgres, on_both, settings};
use crate::gateway::TestGateway;
use crate::question::{PATH, PLAN, ask, ask_with, calls, missing, question, start_gateway};
use crate::trouble::PATIENCE;
use crate::upstream::{TestSandbox, small};

/// Three posts of alice's and three of bob's, and the pairs of post and author.
fn posts(gateway: &TestGateway) -> (Vec<String>, Vec<(u64, UserId)>) {
    let authors = ["alice", "bob"].map(|name| {
        let ids = gateway.sandbox.ids(name, 3).into_iter();
        ids.map(|id| (id.parse().unwrap(), gateway.id(name))).collect::<Vec<(u64, UserId)>>()
    });
    let authors = authors.concat();
    (authors.iter().map(|author| author.0.to_string()).collect(), authors)
}

/// The stored authors of these posts, in their order.
async fn stored(gateway: &TestGateway, ids: &[String]) -> Vec<(u64, UserId)> {
    let posts: Vec<u64> = ids.iter().map(|id| id.parse().unwrap()).collect();
    let found = gateway.store.find_authors(&posts).await.unwrap();
    posts.iter().filter_map(|post| Some((*post, *found.get(post)?))).collect()
}

async fn eventually_stored(gateway: &TestGateway, ids: &[String], expected: &[(u64, UserId)]) {
    let waiting = async {
        while stored(gateway, ids).await != expected {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("what was learnt was never stored");
}

/// Another gateway on the same database, in front of the same sandbox.
async fn replica(gateway: &TestGateway, database: &Database) -> TestGateway {
    TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await
}

async fn what_one_replica_learnt_another_and_a_later_one_need_not_find_out(database: Database) {
    let one = start_gateway(&database).await;
    let two = replica(&one, &database).await;
    let (ids, authors) = posts(&one);
    let wanted = question(&ids, &["impressions"]);
    let first = ask(&one, &wanted).await.json();
    let found_out = one.arrived("/insights/").await.len();
    assert!(found_out > 2, "{found_out} calls, and the authors were not known");
    assert_eq!(stored(&one, &ids).await, authors);
    let second = ask(&two, &wanted).await.json();
    drop((one, two));
    // In front of another sandbox with the same world.
    let later = start_gateway(&database).await;
    let third = ask(&later, &wanted).await.json();
    for told in [&second, &third] {
        assert_eq!(told["by_tweet"], first["by_tweet"]);
        // One call for each author.
        assert_eq!(calls(told).into_values().collect::<Vec<_>>(), [1, 1]);
    }
    assert_eq!(later.arrived("/insights/").await.len(), 2);
}

async fn only_what_answers_prove_is_learnt(database: Database) {
    let gateway = start_gateway(&database).await;
    let (ids, authors) = posts(&gateway);
    ask(&gateway, &question(&ids, &["favorites"])).await.json();
    assert_eq!(stored(&gateway, &ids).await, [], "the app's calls prove nothing");
    let owned = |of: &dyn Fn(usize) -> UserId| {
        let mut wanted = question(&ids, &["impressions"]);
        let owners = ids.iter().enumerate().map(|(at, id)| (id.clone(), json!(of(at).to_string())));
        wanted["owners"] = owners.collect::<serde_json::Map<String, Value>>().into();
        wanted
    };
    let answer = ask(&gateway, &owned(&|_| gateway.id("alice"))).await.json();
    assert_eq!(missing(&answer), [("forbidden".to_owned(), 3)]);
    assert_eq!(stored(&gateway, &ids).await, authors[..3]);
    ask(&gateway, &owned(&|at| authors[at].1)).await.json();
    assert_eq!(stored(&gateway, &ids).await, authors);
}

async fn an_author_that_was_learnt_wrongly_is_forgotten_on_all_replicas(database: Database) {
    let one = start_gateway(&database).await;
    let two = replica(&one, &database).await;
    let (ids, authors) = posts(&one);
    let (ids, authors) = (ids[3..].to_vec(), &authors[3..]);
    let wrong = authors.iter().map(|author| (author.0, one.id("alice"))).collect();
    one.store.insert_authors(&wrong).await.unwrap();
    let wanted = question(&ids, &["impressions"]);
    // It is cached now.
    let plan = ask_with(&two, &two.key, PLAN, &wanted).await.json();
    assert_eq!(plan["calls"][0]["account"], one.id("alice").to_string(), "{plan}");
    let refused = ask(&one, &wanted).await;
    refused.is_own(403, "nothing_answered");
    assert_eq!(stored(&one, &ids).await, []);
    two.inner.catch_up_once().await.unwrap();
    for gateway in [&two, &one] {
        let answer = ask(gateway, &wanted).await.json();
        assert_eq!(answer["countersign"]["complete"], true, "{answer}");
    }
    assert_eq!(stored(&one, &ids).await, authors);
}

async fn an_author_whom_x_refused_by_mistake_is_found_again(database: Database) {
    let gateway = start_gateway(&database).await;
    let (ids, authors) = posts(&gateway);
    let (ids, authors) = (ids[..3].to_vec(), &authors[..3]);
    let wanted = question(&ids, &["impressions"]);
    ask(&gateway, &wanted).await.json();
    let text = format!("Forbidden to access tweets: {}", ids.join(", "));
    let mistake = json!({
        "kind": "status",
        "status": 403,
        "body": { "errors": [text] },
        "path": "/insights/",
        "times": 1,
    });
    gateway.order(json!([mistake])).await;
    ask(&gateway, &wanted).await.is_own(403, "nothing_answered");
    assert_eq!(stored(&gateway, &ids).await, []);
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
    assert_eq!(stored(&gateway, &ids).await, authors);
}

async fn a_limited_key_is_told_of_no_account_but_its_own(database: Database) {
    let gateway = start_gateway(&database).await;
    let alice = gateway.id("alice");
    let narrow = gateway.new_key(|key| key.scopes.accounts = Some(vec![alice])).await;
    let learnt = ["bob", "carol"].map(|name| {
        let post = gateway.sandbox.ids(name, 1)[0].parse().unwrap();
        (post, gateway.id(name))
    });
    gateway.store.insert_authors(&learnt.into()).await.unwrap();
    let lack = async |name: &str, path: &str| {
        let answer = ask_with(
            &gateway,
            &narrow,
            path,
            &question(&gateway.sandbox.ids(name, 1), &["impressions"]),
        )
        .await
        .json();
        let mut lack = answer["missing"][0].clone();
        lack.as_object_mut().unwrap().remove("tweet_ids");
        lack
    };
    // It was found out just now that dave's post is not alice's.
    let dave = lack("dave", PATH).await;
    assert_eq!((&dave["reason"], &dave["account"]), (&json!("not_connected"), &Value::Null));
    assert_eq!(gateway.arrived("/insights/").await.len(), 1);
    for path in [PATH, PLAN] {
        for name in ["bob", "carol", "dave"] {
            assert_eq!(lack(name, path).await, dave, "{name} {path}");
        }
    }
    assert_eq!(gateway.arrived("/insights/").await.len(), 1, "nobody's token was tried in vain");
    let known =
        ask(&gateway, &question(&gateway.sandbox.ids("carol", 1), &["impressions"])).await.json();
    assert_eq!(known["missing"][0]["account"], gateway.id("carol").to_string(), "{known}");
}

async fn a_database_that_cannot_tell_costs_calls_and_no_answer(database: Database) {
    let gateway = start_gateway(&database).await;
    database.run("alter table author rename to author_away").await;
    let (ids, _) = posts(&gateway);
    let wanted = question(&ids, &["impressions"]);
    let first = ask(&gateway, &wanted).await.json();
    assert_eq!(first["countersign"]["complete"], true, "{first}");
    let second = ask(&gateway, &wanted).await.json();
    assert_eq!(second["by_tweet"], first["by_tweet"]);
    assert_eq!(calls(&second).into_values().collect::<Vec<_>>(), [1, 1], "it is in memory");
}

async fn no_answer_waits_long_for_what_was_learnt_to_be_stored(database: Database) {
    let gateway = start_gateway(&database).await;
    let (ids, authors) = posts(&gateway);
    let lock = database.lock_writers_out().await;
    // If the answer waited for its authors to be stored, storing them would fail first.
    let answer = ask(&gateway, &question(&ids, &["impressions"])).await.json();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
    assert_eq!(stored(&gateway, &ids).await, []);
    drop(lock);
    eventually_stored(&gateway, &ids, &authors).await;
}

on_both!(
    what_one_replica_learnt_another_and_a_later_one_need_not_find_out,
    only_what_answers_prove_is_learnt,
    an_author_that_was_learnt_wrongly_is_forgotten_on_all_replicas,
    an_author_whom_x_refused_by_mistake_is_found_again,
    a_limited_key_is_told_of_no_account_but_its_own,
    a_database_that_cannot_tell_costs_calls_and_no_answer,
    no_answer_waits_long_for_what_was_learnt_to_be_stored
);

#[tokio::test]
async fn what_is_in_memory_is_asked_for_while_postgres_is_stopped() {
    let server = PrivatePostgres::start_new();
    let settings = config::Database {
        call_wait: std::time::Duration::from_secs(1),
        ..settings(&server.url())
    };
    let sandbox =
        TestSandbox::start_with(countersign::sandbox::Settings { users: 4, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &settings, |_| ()).await;
    let (ids, _) = posts(&gateway);
    let wanted = question(&ids, &["impressions"]);
    for _ in 0..3 {
        assert_eq!(ask(&gateway, &wanted).await.status, 200);
        gateway.inner.catch_up_once().await.unwrap();
    }
    server.stop();
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
    assert_eq!(calls(&answer).into_values().collect::<Vec<_>>(), [1, 1]);
    // Alice's posts that nobody has asked for yet, with the caller's claim of who wrote them.
    let more = gateway.sandbox.ids("alice", 6)[3..].to_vec();
    let mut wanted = question(&more, &["impressions"]);
    let alice = json!(gateway.id("alice").to_string());
    wanted["owners"] = more
        .iter()
        .map(|id| (id.clone(), alice.clone()))
        .collect::<serde_json::Map<String, Value>>()
        .into();
    let answer = ask(&gateway, &wanted).await.json();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
}
