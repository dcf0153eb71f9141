//! Tokens for all posts of an author.

use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::pages::{Pages, page_key, page_key_with, places};

/// A gateway that looks posts up.
async fn start(database: &Database) -> Pages {
    let change = |config: &mut countersign::config::Config| {
        config.apps.get_mut("demo").unwrap().lookup = true;
        config.browser.per_minute = 1000;
    };
    Pages::of(TestGateway::start_with(database, change).await).await
}

impl Pages {
    async fn of_author(&self, name: &str, more: Value) -> String {
        let author = &self.gateway.sandbox.user(name).user_id;
        let mut question = json!({ "author": author, "engagement_types": ["impressions"] });
        question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.token(&json!({ "question": question })).await
    }
}

fn ids(pages: &Pages, name: &str, count: usize) -> Vec<String> {
    pages.gateway.sandbox.ids(name, count)
}

async fn posts_count_as_theirs_once_a_look_up_finds_it(database: Database) {
    let pages = start(&database).await;
    let token = pages.of_author("alice", json!({})).await;
    let alices = ids(&pages, "alice", 3);
    for look_ups in [1, 0] {
        let answer = pages.ask(&token, &json!({ "tweet_ids": alices })).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let report = &answer.json()["countersign"];
        assert_eq!(report["complete"], true, "{report}");
        // One call is for the numbers.
        assert_eq!(report["calls"]["made"], look_ups + 1, "{report}");
    }
    assert_eq!(pages.gateway.arrived("/2/tweets").await.len(), 1);
    let nothing = pages.ask(&token, &json!({})).send().await;
    nothing.is_own(400, "invalid_request");
    assert_eq!(places(&nothing), ["/tweet_ids"]);
}

async fn posts_of_others_and_of_nobody_are_refused_at_their_places(database: Database) {
    let pages = start(&database).await;
    let (alices, bobs) = (ids(&pages, "alice", 2), ids(&pages, "bob", 1));
    // Public numbers, too: the token is for alice's posts.
    let token = pages.of_author("alice", json!({ "engagement_types": ["favorites"] })).await;
    let mixed = json!({ "tweet_ids": [alices[0], bobs[0], alices[1], "20"] });
    for _ in 0..2 {
        let refused = pages.ask(&token, &mixed).send().await;
        refused.is_own(403, "not_allowed");
        assert_eq!(places(&refused), ["/tweet_ids/1", "/tweet_ids/3"], "{}", refused.text());
        assert!(!refused.text().contains(&pages.gateway.sandbox.user("bob").user_id));
    }
    // Nothing is kept of strangers' posts that pages name.
    let bobs: Vec<u64> = bobs.iter().map(|id| id.parse().unwrap()).collect();
    assert!(pages.gateway.store.find_authors(&bobs).await.unwrap().is_empty());
    // What was looked up in vain is not looked up again at once.
    assert_eq!(pages.gateway.arrived("/2/tweets").await.len(), 1);
    assert_eq!(pages.gateway.arrived("/insights").await.len(), 0);
    let twice = json!({ "tweet_ids": [alices[0], alices[1], alices[0]] });
    let refused = pages.ask(&token, &twice).send().await;
    refused.is_own(400, "invalid_request");
    assert_eq!(places(&refused), ["/tweet_ids"]);
}

async fn without_look_ups_only_known_posts_are_theirs(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.of_author("alice", json!({})).await;
    let alices = ids(&pages, "alice", 2);
    pages.ask(&token, &json!({ "tweet_ids": alices })).send().await.is_own(403, "not_allowed");
    let owners = json!({ &alices[0]: pages.gateway.sandbox.user("alice").user_id });
    let known =
        json!({ "tweet_ids": [alices[0]], "engagement_types": ["impressions"], "owners": owners });
    crate::question::ask(&pages.gateway, &known).await.is_relayed(200);
    let answer = pages.ask(&token, &json!({ "tweet_ids": [alices[0]] })).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Made-up posts cost look-ups, which services need as well.
async fn pages_make_so_many_look_ups_a_minute(database: Database) {
    let pages = start(&database).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let key = page_key(&pages.gateway).await;
        let author = &pages.gateway.sandbox.user("alice").user_id;
        let body = json!({ "question": { "author": author, "engagement_types": ["impressions"] } });
        let made = pages.mint_with(&key, &body).send().await.json();
        tokens.push(made["token"].as_str().unwrap().to_owned());
    }
    let ask = async |token: usize, post: u64| {
        pages.ask(&tokens[token], &json!({ "tweet_ids": [post.to_string()] })).send().await
    };
    // Five of a key, and ten of its app.
    for post in 20..25 {
        ask(0, post).await.is_own(403, "not_allowed");
        ask(1, post + 10).await.is_own(403, "not_allowed");
    }
    let mut wait = 0;
    for token in 0..3 {
        let refused = ask(token, 25).await;
        refused.is_own(429, "browser_limit");
        assert!(refused.text().contains("the authors of too many posts"), "{}", refused.text());
        wait = refused.number("retry-after");
        assert!((1..=70).contains(&wait), "{wait}");
    }
    ask(0, 20).await.is_own(403, "not_allowed");
    assert_eq!(pages.gateway.arrived("/2/tweets").await.len(), 10);
    pages.gateway.sandbox.clock.forward(time::Duration::seconds(wait));
    ask(0, 25).await.is_own(403, "not_allowed");
    assert_eq!(pages.gateway.arrived("/2/tweets").await.len(), 11);
}

/// For the pages' other questions, candidates are tried when there are no look-ups left.
async fn look_ups_for_named_posts_count_as_well(database: Database) {
    let pages = start(&database).await;
    let bobs = ids(&pages, "bob", 7);
    let question = json!({ "tweet_ids": bobs, "engagement_types": ["impressions"] });
    let token = pages.token(&json!({ "question": question })).await;
    for post in &bobs {
        let answer = pages.ask(&token, &json!({ "tweet_ids": [post] })).send().await;
        assert_eq!(answer.json()["countersign"]["complete"], true, "{}", answer.text());
    }
    assert_eq!(pages.gateway.arrived("/2/tweets").await.len(), 5);
}

async fn a_look_up_that_fails_says_nothing_of_the_post(database: Database) {
    let pages = start(&database).await;
    let token = pages.of_author("alice", json!({})).await;
    let fails = json!([{ "kind": "status", "status": 503, "path": "/2/tweets" }]);
    pages.gateway.order(fails).await;
    let body = json!({ "tweet_ids": ids(&pages, "alice", 1) });
    for _ in 0..2 {
        pages.ask(&token, &body).send().await.is_own(503, "busy");
    }
}

async fn the_author_is_an_account_that_the_key_may_use(database: Database) {
    let pages = start(&database).await;
    let sandbox = &pages.gateway.sandbox;
    let bob = pages.gateway.id("bob");
    let narrow = page_key_with(&pages.gateway, |scopes| scopes.accounts = Some(vec![bob])).await;
    let alice = &sandbox.user("alice").user_id;
    for (key, question, at) in [
        (&narrow, json!({ "author": alice }), "/question/author"),
        (&pages.key, json!({ "author": "999" }), "/question/author"),
        (&pages.key, json!({ "author": "@alice" }), "/question/author"),
        (&pages.key, json!({ "author": alice, "tweet_ids": ["20"] }), "/question/author"),
        (&pages.key, json!({ "author": null }), "/question/tweet_ids"),
    ] {
        let refused = pages.mint_with(key, &json!({ "question": question })).send().await;
        refused.is_own(400, "invalid_request");
        assert_eq!(places(&refused), [at], "{question}: {}", refused.text());
    }
}

on_both!(
    posts_count_as_theirs_once_a_look_up_finds_it,
    posts_of_others_and_of_nobody_are_refused_at_their_places,
    without_look_ups_only_known_posts_are_theirs,
    pages_make_so_many_look_ups_a_minute,
    look_ups_for_named_posts_count_as_well,
    a_look_up_that_fails_says_nothing_of_the_post,
    the_author_is_an_account_that_the_key_may_use,
);
