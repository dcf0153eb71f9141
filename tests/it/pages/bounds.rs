//! What a page may ask with its token: any part of the token's question, and nothing beyond it.

use countersign::model::Endpoint;
use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::pages::{ASK, Pages, page_key_with, places};

/// A question with a part of each kind.
fn wide(pages: &Pages) -> Value {
    json!({
        "tweet_ids": pages.posts(),
        "engagement_types": ["impressions", "favorites"],
        "windows": ["totals", "28hr", { "last": "28d" }, { "start": "2026-01-05", "end": "2026-01-09T06:30:00Z" }],
        "groupings": {
            "by_post": { "group_by": ["tweet.id", "engagement.type"] },
            "by_day": { "group_by": ["engagement.type", "engagement.day"] },
        },
    })
}

async fn what_is_left_out_comes_from_the_token(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.token(&json!({ "question": wide(&pages) })).await;
    // Totals have no days.
    let totals = pages.ask(&token, &json!({})).send().await.json();
    assert!(totals["by_post"].is_object() && totals["by_day"].is_null(), "{totals}");
    let days = pages.ask(&token, &json!({ "window": { "last": "28d" } })).send().await.json();
    assert_eq!(days["end"], "2026-03-10T21:00:00Z");
    assert_eq!(days["by_day"]["impressions"].as_object().unwrap().len(), 29);
    assert!(days["by_post"][&pages.posts()[0]]["favorites"].is_string(), "{days}");
    let no_body = pages.ask(&token, &json!({})).body("").send().await;
    no_body.is_own(400, "invalid_request");
}

async fn a_page_may_narrow_every_part(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.token(&json!({ "question": wide(&pages) })).await;
    let post = pages.posts()[1].clone();
    for narrower in [
        json!({ "tweet_ids": [post] }),
        json!({ "tweet_ids": [format!("https://x.com/alice/status/{post}")] }),
        json!({ "engagement_types": ["favorites"] }),
        json!({ "window": "totals" }),
        json!({ "window": "28hr" }),
        json!({ "window": { "last": "7d" } }),
        json!({ "window": { "last": "672h" } }),
        json!({ "window": { "start": "2026-02-10T21:00:00Z", "end": "2026-03-10T21:00:00Z" } }),
        json!({ "window": { "start": "2026-01-06", "end": "2026-01-09T07:00:00Z" } }),
        json!({ "groupings": { "mine": { "group_by": ["tweet.id", "engagement.type"] } } }),
        json!({
            "tweet_ids": [post], "engagement_types": ["impressions"], "window": { "last": "1d" },
            "groupings": { "days": { "group_by": ["engagement.type", "engagement.day"] } },
        }),
    ] {
        let answer = pages.ask(&token, &narrower).send().await;
        assert_eq!(answer.status, 200, "{narrower}: {}", answer.text());
        assert_eq!(answer.json()["countersign"]["complete"], true, "{}", answer.text());
    }
}

async fn each_part_widened_by_one_is_refused_at_its_place(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.token(&json!({ "question": wide(&pages) })).await;
    let (mut posts, other) = (pages.posts(), pages.gateway.sandbox.ids("alice", 4)[3].clone());
    posts.push(other);
    let levels = ["tweet.id", "engagement.type", "engagement.day"];
    let cases: [(Value, &[&str]); 14] = [
        (json!({ "tweet_ids": posts }), &["/tweet_ids/3"]),
        (json!({ "engagement_types": ["favorites", "retweets"] }), &["/engagement_types/1"]),
        (json!({ "window": { "last": "673h" } }), &["/window"]),
        (
            json!({ "window": { "start": "2026-02-10T20:59:59Z", "end": "2026-03-10T21:00:00Z" } }),
            &["/window"],
        ),
        (
            json!({ "window": { "start": "2026-03-10T20:00:00Z", "end": "2026-03-10T21:00:01Z" } }),
            &["/window"],
        ),
        (
            json!({ "window": { "start": "2026-01-04T23:59:59Z", "end": "2026-01-05T01:00:00Z" } }),
            &["/window"],
        ),
        (
            json!({ "window": { "start": "2026-01-09", "end": "2026-01-09T07:00:01Z" } }),
            &["/window"],
        ),
        (
            json!({ "groupings": { "g/h": { "group_by": levels } }, "window": "28hr" }),
            &["/groupings/g~1h"],
        ),
        (
            json!({ "groupings": { "g": { "group_by": ["engagement.type", "tweet.id"] } } }),
            &["/groupings/g"],
        ),
        (json!({ "accounts": ["@alice"] }), &["/accounts"]),
        (json!({ "owners": { &posts[0]: "7588892" } }), &["/owners"]),
        (json!({ "posts_of": ["@alice"], "last": 5 }), &["/posts_of", "/last"]),
        (json!({ "top": { "by": "replies", "count": 1 } }), &["/top"]),
        (
            json!({ "tweet_ids": ["20"], "engagement_types": ["replies"], "window": { "last": "29d" } }),
            &["/tweet_ids/0", "/engagement_types/0", "/window"],
        ),
    ];
    for (wider, at) in cases {
        let refused = pages.ask(&token, &wider).send().await;
        refused.is_own(403, "not_allowed");
        assert_eq!(places(&refused), at, "{wider}: {}", refused.text());
    }
    // As JavaScript writes a long id that it took for a number.
    let rounded = json!({ "tweet_ids": [2_031_475_923_501_522_944_u64] });
    let refused = pages.ask(&token, &rounded).send().await;
    refused.is_own(403, "not_allowed");
    assert!(refused.text().contains("write ids as strings"), "{}", refused.text());
    assert_eq!(pages.gateway.arrived("/insights").await, Vec::<Value>::new());
}

async fn a_mistake_is_a_mistake_before_it_is_too_wide(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.plain_token().await;
    for (wrong, at) in [
        (json!({ "tweet_ids": ["x", "20"] }), "/tweet_ids/0"),
        (json!({ "window": "tomorrow" }), "/window"),
        (json!({ "windows": ["totals"] }), "/windows"),
        (json!({ "engagement_types": ["likes"] }), "/engagement_types/0"),
        (
            json!({ "window": "28hr", "engagement_types": ["favorites"], "groupings": {} }),
            "/groupings",
        ),
    ] {
        let refused = pages.ask(&token, &wrong).send().await;
        refused.is_own(400, "invalid_request");
        assert_eq!(places(&refused), [at], "{}", refused.text());
    }
}

/// A range that is not over yet is asked for as far as it goes.
async fn a_range_that_ends_in_the_future_is_cut_at_now(database: Database) {
    let pages = Pages::start(&database).await;
    let range = json!({ "start": "2026-03-01", "end": "2026-03-31" });
    let question = json!({
        "tweet_ids": pages.posts(), "engagement_types": ["impressions"], "windows": [range],
    });
    let token = pages.token(&json!({ "question": question })).await;
    for asked in [json!({}), json!({ "window": range })] {
        let answer = pages.ask(&token, &asked).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let report = &answer.json()["countersign"];
        assert_eq!(report["complete"], true, "{}", answer.text());
        assert!(report["notes"][0].as_str().unwrap().contains("in the future"), "{report}");
    }
    let later = json!({ "start": "2026-03-20", "end": "2026-03-31" });
    let question = json!({
        "tweet_ids": pages.posts(), "engagement_types": ["impressions"], "windows": [later],
    });
    let token = pages.token(&json!({ "question": question })).await;
    let early = pages.ask(&token, &json!({})).send().await;
    early.is_own(400, "invalid_request");
    assert_eq!(places(&early), ["/window/start"]);
}

async fn numbers_that_are_kept_are_given_as_the_token_says(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        config.cache.fresh = std::time::Duration::from_mins(5);
    })
    .await;
    let pages = Pages::of(gateway).await;
    let of = async |max_age: Value| {
        pages.token(&json!({ "question": pages.question(), "max_age": max_age })).await
    };
    let (patient, plain) = (of(json!("60s")).await, of(Value::Null).await);
    let ask = async |token: &str, control: &str| {
        let answer = pages.ask(token, &json!({})).header("cache-control", control).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let calls = answer.json()["countersign"]["calls"].clone();
        (calls["made"].as_u64().unwrap(), calls["saved"].as_u64().unwrap(), answer)
    };
    let counts = |(made, saved, _): &(u64, u64, Answer)| (*made, *saved);
    assert_eq!(counts(&ask(&patient, "").await), (1, 0));
    pages.gateway.sandbox.clock.forward(time::Duration::seconds(40));
    let kept = ask(&patient, "").await;
    assert_eq!((counts(&kept), kept.2.header("age")), ((0, 1), "40"));
    // What the page itself says of caches counts neither way.
    assert_eq!(counts(&ask(&patient, "no-cache").await), (0, 1));
    assert_eq!(counts(&ask(&plain, "max-age=3600").await), (1, 0));
    pages.gateway.sandbox.clock.forward(time::Duration::seconds(61));
    assert_eq!(counts(&ask(&patient, "").await), (1, 0));
}

/// What a page is told names no account, app, key or vault key, and not how accounts fare.
async fn pages_are_told_nothing_of_accounts(database: Database) {
    let pages = Pages::start(&database).await;
    let question = json!({ "tweet_ids": pages.posts(), "engagement_types": ["impressions"] });
    let token = pages.token(&json!({ "question": question })).await;
    let alice = pages.gateway.sandbox.user("alice").user_id.clone();
    let revoked = json!({ "state": "revoked" });
    pages.gateway.sandbox.put(&format!("/sandbox/users/{alice}"), revoked).await;
    for _ in 0..2 {
        let answer = pages.ask(&token, &json!({})).send().await;
        answer.is_own(404, "nothing_answered");
        assert_eq!(answer.json()["missing"][0]["reason"], "not_connected");
        for word in [&*alice, "alice", "revoked", "token", "demo"] {
            assert!(!answer.text().contains(word), "{word}: {}", answer.text());
        }
        pages.gateway.sandbox.clock.forward(time::Duration::seconds(61));
    }
}

/// What a token leaves open is up to the page, as far as the key may.
async fn parts_that_a_token_leaves_open_are_the_pages_own(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.token(&json!({ "question": { "tweet_ids": pages.posts() } })).await;
    let asked = json!({
        "engagement_types": ["url_clicks"], "window": "28hr",
        "groupings": { "g": { "group_by": ["engagement.type", "engagement.hour"] } },
    });
    let answer = pages.ask(&token, &asked).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let nothing = pages.ask(&token, &json!({})).send().await;
    nothing.is_own(400, "invalid_request");
    assert_eq!(places(&nothing), ["/engagement_types"]);
}

async fn rights_are_the_keys_at_the_time_of_the_question(database: Database) {
    let pages = Pages::start(&database).await;
    let bob = pages.gateway.id("bob");
    let narrow = page_key_with(&pages.gateway, |scopes| {
        scopes.endpoints = Some(vec![Endpoint::Totals]);
        scopes.accounts = Some(vec![bob]);
    })
    .await;
    let body = json!({ "question": { "tweet_ids": pages.posts() } });
    let token = pages.mint_with(&narrow, &body).send().await.json();
    let token = token["token"].as_str().unwrap();
    let recent = json!({ "engagement_types": ["impressions"], "window": "28hr" });
    let refused = pages.ask(token, &recent).send().await;
    refused.is_own(403, "not_allowed");
    assert_eq!(places(&refused), ["/window"], "{}", refused.text());
    assert!(!refused.text().contains("totals"), "{}", refused.text());
    // Alice's posts, with a key for bob's account alone.
    let private = pages.ask(token, &json!({ "engagement_types": ["impressions"] })).send().await;
    private.is_own(404, "nothing_answered");
    let missing = &private.json()["missing"][0];
    assert_eq!((&missing["account"], &missing["detail"]), (&Value::Null, &json!("")));
    let public = pages.ask(token, &json!({ "engagement_types": ["favorites"] })).send().await;
    assert_eq!(public.status, 200, "{}", public.text());
}

async fn a_token_opens_one_path_in_its_three_forms(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.plain_token().await;
    for (form, first) in [
        ("application/json", "{\""),
        ("text/csv", "tweet_id,"),
        ("application/x-ndjson", "{\"grouping\""),
    ] {
        let answer = pages.ask(&token, &json!({})).header("accept", form).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, form));
        assert!(answer.text().starts_with(first), "{}", answer.text());
        let has_calls = answer.text().contains(r#""calls":{"made":"#);
        assert!(has_calls || form == "text/csv", "{}", answer.text());
        assert!(!answer.text().contains("account"), "{}", answer.text());
    }
    let ask = pages.ask(&token, &pages.question());
    for (method, path) in [
        ("POST", "/v1/engagement/plan"),
        ("POST", "/insights/engagement/totals"),
        ("POST", "/v1/links"),
        ("POST", "/v1/browser-tokens"),
        ("GET", "/v1/key"),
        ("GET", "/v1/accounts"),
        ("GET", "/v1/usage"),
    ] {
        let ask = ask.clone().method(method).to(&format!("{}{path}", pages.gateway.url));
        ask.send().await.is_own(403, "not_allowed");
    }
    let admin = ask.clone().method("GET").to(&format!("{}/admin/v1/keys", pages.gateway.admin_url));
    admin.send().await.is_own(403, "not_allowed");
    let by_query = ask.header("authorization", "");
    let by_query = by_query.to(&format!("{}{ASK}?token={token}", pages.gateway.url)).send().await;
    by_query.is_own(401, "missing_key");
}

async fn a_page_sends_none_of_the_gateways_headers_but_the_deadline(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.plain_token().await;
    for name in ["countersign-account", "countersign-auth", "countersign-anything"] {
        let refused = pages.ask(&token, &json!({})).header(name, "@alice").send().await;
        refused.is_own(403, "not_allowed");
        assert!(places(&refused)[0].starts_with("Countersign-"), "{}", refused.text());
    }
    let hurried = pages.ask(&token, &json!({})).header("countersign-deadline", "10s").send().await;
    assert_eq!(hurried.status, 200, "{}", hurried.text());
}

on_both!(
    what_is_left_out_comes_from_the_token,
    a_page_may_narrow_every_part,
    each_part_widened_by_one_is_refused_at_its_place,
    a_mistake_is_a_mistake_before_it_is_too_wide,
    a_range_that_ends_in_the_future_is_cut_at_now,
    numbers_that_are_kept_are_given_as_the_token_says,
    pages_are_told_nothing_of_accounts,
    parts_that_a_token_leaves_open_are_the_pages_own,
    rights_are_the_keys_at_the_time_of_the_question,
    a_token_opens_one_path_in_its_three_forms,
    a_page_sends_none_of_the_gateways_headers_but_the_deadline,
);
