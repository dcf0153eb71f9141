//! Mistakes that people make in questions, met halfway: taken as they are meant, or told with what is meant.

use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::question::{PATH, PLAN, ask, ask_with, question, start_gateway};

async fn a_post_may_be_named_by_its_url(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = [gateway.sandbox.ids("alice", 2), gateway.sandbox.ids("bob", 1)].concat();
    let urls = [
        format!("https://x.com/alice/status/{}?s=46&t=aBcDeFgHiJkLmNoPqRsTuV", ids[0]),
        format!("http://www.twitter.com/alice/statuses/{}/photo/1", ids[1]),
        format!(" x.com/i/web/status/{}\n", ids[2]),
    ];
    let owners = |posts: &[String]| -> Value {
        let names = ["alice", "alice", "bob"].map(|name| gateway.id(name).to_string());
        posts.iter().cloned().zip(names).collect()
    };
    let mut by_id = question(&ids, &["impressions", "favorites"]);
    by_id["owners"] = owners(&ids);
    let mut by_url = question(&urls, &["impressions", "favorites"]);
    by_url["owners"] = owners(&urls);
    let [by_id_plan, by_url_plan] = [
        ask_with(&gateway, &gateway.key, PLAN, &by_id).await.json(),
        ask_with(&gateway, &gateway.key, PLAN, &by_url).await.json(),
    ];
    assert_eq!(by_url_plan, by_id_plan);
    let (of_ids, of_urls) =
        (ask(&gateway, &by_id).await.json(), ask(&gateway, &by_url).await.json());
    assert_eq!(of_urls["countersign"]["complete"], true, "{of_urls}");
    assert_eq!(of_urls["by_tweet"], of_ids["by_tweet"]);
    // As many as there may be, in the longest form that people copy, with their owners.
    let long = |index: u64| {
        let id = 1_560_000_000_000_000_000 + index;
        format!("https://twitter.com/abcdefghijklmno/status/{id}?s=20&t=aBcDeFgHiJkLmNoPqRsTuV")
    };
    let urls: Vec<String> = (0..10_000).map(long).collect();
    let mut many = question(&urls, &["favorites"]);
    many["owners"] = urls.into_iter().map(|url| (url, json!("1234567890123456789"))).collect();
    let planned = ask_with(&gateway, &gateway.key, PLAN, &many).await;
    assert_eq!(planned.status, 200, "{}", planned.text());
    assert_eq!(planned.json()["calls"].as_array().unwrap().len(), 10_000 / 250);
}

async fn what_x_calls_otherwise_is_told_by_the_name_that_it_has_here(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = gateway.sandbox.ids("alice", 1);
    for (name, window, told) in [
        ("likes", "totals", "did you mean favorites? totals serves impressions"),
        ("quotes", "totals", "did you mean quote_tweets? totals serves"),
        ("retweet_count", "28hr", "did you mean retweets? 28hr serves"),
        ("video_view", "28hr", "did you mean video_views? 28hr serves"),
        ("profile_clicks", "28hr", "did you mean user_profile_clicks? 28hr serves"),
        ("link_clicks", "totals", "did you mean url_clicks, served by 28hr and historical? totals"),
        ("media_clicks", "totals", "media_clicks is not served by totals, only by 28hr and"),
        ("bookmarks", "totals", "\"bookmarks\" is not an engagement type; totals serves"),
    ] {
        let mut wanted = question(&ids, &[name]);
        wanted["window"] = json!(window);
        for path in [PATH, PLAN] {
            let refused = ask_with(&gateway, &gateway.key, path, &wanted).await;
            refused.is_own(400, "invalid_request");
            let problems = refused.json()["problems"].clone();
            assert_eq!(problems[0]["pointer"], "/engagement_types/0");
            assert!(problems[0]["detail"].as_str().unwrap().contains(told), "{problems}");
        }
    }
    assert!(gateway.arrived("/").await.is_empty());
}

async fn a_body_may_begin_with_a_byte_order_mark(database: Database) {
    let gateway = start_gateway(&database).await;
    let asked = question(&gateway.sandbox.ids("alice", 1), &["favorites"]).to_string();
    for path in [PATH, PLAN] {
        let ask = gateway.ask("POST", path).header("content-type", "application/json");
        let answer = ask.body(format!("\u{feff}{asked}")).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

on_both!(
    a_post_may_be_named_by_its_url,
    what_x_calls_otherwise_is_told_by_the_name_that_it_has_here,
    a_body_may_begin_with_a_byte_order_mark
);
