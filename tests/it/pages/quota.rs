//! Pages when X's quota is short: they take at most their share while anybody else waits.

use countersign::gateway::CallFilter;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::database::{Kind, fresh};
use crate::pages::Pages;
use crate::quota::{call, limited, until_waiting};

/// How many of the newest calls were for pages, of how many.
async fn of_pages(pages: &Pages, newest: usize) -> (usize, usize) {
    let filter = CallFilter { limit: 1000, ..CallFilter::default() };
    let calls = pages.gateway.inner.list_calls(filter).await.unwrap();
    let newest = &calls[..calls.len().min(newest)];
    (newest.iter().filter(|call| call.subject.is_some()).count(), newest.len())
}

#[tokio::test]
async fn a_page_that_floods_takes_its_share_and_no_more_while_services_wait() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 10, |config| {
        config.limits.key_questions = 50;
        // All of them wait, however many windows that takes.
        config.limits.request_deadline = std::time::Duration::from_mins(10);
        config.browser.share = 0.25;
    })
    .await;
    let pages = Pages::of(gateway).await;
    // The window's calls are used up.
    assert_eq!(call(&pages.gateway, 10).await, [200; 10]);
    let ids = |begin: u64| (1..=40).map(move |number| (begin + number).to_string());
    let all: Vec<String> = ids(1_560_000_000_000_000_000).collect();
    let question =
        json!({ "tweet_ids": all, "engagement_types": ["favorites"], "windows": ["totals"] });
    let token = pages.token(&json!({ "question": question, "subject": "flood" })).await;
    let mut asked = JoinSet::new();
    for post in all.iter().take(16) {
        let ask = pages.ask(&token, &json!({ "tweet_ids": [post] }));
        asked.spawn(async move { ask.send().await });
    }
    until_waiting(&pages.gateway, 16).await;
    for post in ids(1_570_000_000_000_000_000).take(16) {
        let wanted = json!({ "tweet_ids": [post], "engagement_types": ["favorites"] });
        let ask = pages.gateway.ask("POST", "/v1/engagement");
        let ask = ask.header("content-type", "application/json").body(wanted.to_string());
        asked.spawn(async move { ask.send().await });
    }
    until_waiting(&pages.gateway, 32).await;
    let arrived = async || pages.gateway.arrived("/insights/").await.len();
    // The next window: its calls are spread over it, since two keys want them.
    while arrived().await < 18 {
        pages.gateway.sandbox.clock.forward(time::Duration::seconds(1));
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
    let (flood, all) = of_pages(&pages, 8).await;
    assert!(all == 8 && (1..=2).contains(&flood), "{flood} of {all}");
    asked.abort_all();
}

/// What a page does first thing in a window leaves its rest to others who called of late.
#[tokio::test]
async fn a_page_that_floods_leaves_the_rest_of_a_window_to_services() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 10, |config| {
        config.limits.key_questions = 50;
        config.limits.request_deadline = std::time::Duration::from_mins(10);
    })
    .await;
    let pages = Pages::of(gateway).await;
    let arrived = async || pages.gateway.arrived("/insights/").await.len();
    assert_eq!(call(&pages.gateway, 1).await, [200]);
    pages.gateway.sandbox.clock.forward(time::Duration::MINUTE);
    let ids = (1..=16).map(|number| (1_560_000_000_000_000_000_u64 + number).to_string());
    let all: Vec<String> = ids.collect();
    let question =
        json!({ "tweet_ids": all, "engagement_types": ["favorites"], "windows": ["totals"] });
    let token = pages.token(&json!({ "question": question })).await;
    let mut asked = JoinSet::new();
    for post in &all {
        let ask = pages.ask(&token, &json!({ "tweet_ids": [post] }));
        asked.spawn(async move { ask.send().await });
    }
    until_waiting(&pages.gateway, 11).await;
    assert_eq!(arrived().await, 1 + 5);
    assert_eq!(call(&pages.gateway, 5).await, [200; 5], "as without the flood");
    assert_eq!(arrived().await, 1 + 10);
    asked.abort_all();
}

/// A question of a service begins, however many of its key's pages are being answered.
#[tokio::test]
async fn pages_take_no_turns_of_their_keys_services() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = crate::gateway::TestGateway::start_with(&database, |config| {
        config.limits.key_questions = 2;
    })
    .await;
    let pages = Pages::of(gateway).await;
    pages.gateway.order(json!([{ "kind": "hold", "path": "/insights/", "times": 2 }])).await;
    let token = pages.plain_token().await;
    let mut asked = JoinSet::new();
    for post in pages.posts().into_iter().take(2) {
        let ask = pages.ask(&token, &json!({ "tweet_ids": [post] }));
        asked.spawn(async move { ask.send().await });
    }
    while pages.gateway.arrived("/insights/").await.len() < 2 {
        tokio::task::yield_now().await;
    }
    let wanted: Value = json!({ "tweet_ids": pages.posts(), "engagement_types": ["replies"] });
    let service = pages.gateway.ask("POST", "/v1/engagement");
    let service = service.header("authorization", &format!("Bearer {}", pages.key));
    let service = service.header("content-type", "application/json").body(wanted.to_string());
    assert_eq!(service.send().await.status, 200);
    asked.abort_all();
}
