//! Making tokens: what is given and what is refused, each mistake at its place.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::gateway::ORIGIN;
use crate::pages::{Pages, SECOND, places};

async fn a_token_is_made_and_answers_the_page(database: Database) {
    let pages = Pages::start(&database).await;
    let made = pages
        .mint(&json!({
            "subject": "viewer-42", "origins": [ORIGIN], "expires_in": "10m", "max_age": "60s",
            "question": pages.question(),
        }))
        .await;
    assert_eq!((made.status.as_u16(), made.header("cache-control")), (201, "no-store"));
    let mut made = made.json();
    let (token, id) = (made["token"].take(), made["id"].take());
    let token = token.as_str().unwrap();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    assert!(token.starts_with("csb_") && token.chars().all(is_plain), "{token}");
    assert!(id.as_str().unwrap().starts_with("bt_"), "{id}");
    let told = json!({
        "token": null, "id": null, "expires_in": 600, "renew_in": 540,
        "expires_at": "2026-03-10T21:25:30Z",
    });
    assert_eq!(made, told);

    let answer = pages.ask(token, &json!({})).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let found: BTreeSet<&String> = answer["by_tweet"].as_object().unwrap().keys().collect();
    assert_eq!(found, pages.posts().iter().collect());
    assert_eq!(answer["countersign"]["calls"], json!({ "made": 1, "saved": 0 }));
}

async fn what_is_left_out_has_a_default(database: Database) {
    let pages = Pages::start(&database).await;
    let made = pages.mint(&json!({ "question": pages.question() })).await.json();
    assert_eq!((&made["expires_in"], &made["renew_in"]), (&json!(600), &json!(540)));
    let token = made["token"].as_str().unwrap();
    for origin in [ORIGIN, SECOND] {
        let answer = pages.ask(token, &json!({})).header("origin", origin).send().await;
        assert_eq!(answer.status, 200, "{origin}: {}", answer.text());
    }
    for (life, seconds, renew) in [("1s", 1, 1), ("20s", 20, 18), ("1h", 3600, 3540)] {
        let made = pages.mint(&json!({ "question": pages.question(), "expires_in": life })).await;
        let made = made.json();
        assert_eq!((&made["expires_in"], &made["renew_in"]), (&json!(seconds), &json!(renew)));
    }
}

async fn what_is_wrong_is_told_at_its_place(database: Database) {
    let pages = Pages::start(&database).await;
    let mut question = pages.question();
    question["windows"] = json!(["totals", "7d", { "last": "0d" }, { "start": "2026-03-01" }]);
    question["tweet_ids"] = json!(["abc"]);
    question["engagement_types"] = json!(["likes"]);
    question["groupings"] = json!({ "g": { "group_by": ["post"] } });
    question["accounts"] = json!(["@alice"]);
    let cases: [(Value, &[&str]); 10] = [
        (json!({}), &[""]),
        (json!({ "question": {} }), &["/question/tweet_ids"]),
        (json!({ "question": [] }), &["/question"]),
        (
            json!({ "question": question }),
            &[
                "/question/accounts",
                "/question/tweet_ids/0",
                "/question/windows/1",
                "/question/windows/2/last",
                "/question/windows/3/end",
                "/question/engagement_types/0",
                "/question/groupings/g/group_by/0",
            ],
        ),
        (
            json!({ "question": pages.question(), "expires_in": "61m", "max_age": "25h", "subject": "" }),
            &["/subject", "/expires_in", "/max_age"],
        ),
        (json!({ "question": pages.question(), "expires_in": "0s" }), &["/expires_in"]),
        (
            json!({ "question": pages.question(), "expires_in": 600, "max_age": "soon" }),
            &["/expires_in", "/max_age"],
        ),
        (
            json!({ "question": pages.question(), "expires_in": "10m", "subject": "other" }),
            &["/subject"],
        ),
        (
            json!({ "question": pages.question(), "max_age": "soon", "origins": ["null"] }),
            &["/max_age", "/origins/0"],
        ),
        (json!({ "question": pages.question(), "origins": [] }), &["/origins"]),
    ];
    for (body, at) in cases {
        let refused = pages.mint(&body).await;
        refused.is_own(400, "invalid_request");
        assert_eq!(places(&refused), at, "{body}: {}", refused.text());
    }
}

/// Ranges are near enough to the present to be asked for, and members occur once.
async fn ranges_and_members_that_cannot_be_meant_are_refused(database: Database) {
    let pages = Pages::start(&database).await;
    for (window, at) in [
        (json!({ "start": "0001-01-01", "end": "2026-03-01" }), "start"),
        (json!({ "start": "2025-03-10T21:15:29Z", "end": "2026-03-01" }), "start"),
        (json!({ "start": "2026-01-01", "end": "9999-12-31T23:30:00Z" }), "end"),
        (json!({ "start": "2026-01-01", "end": "2027-03-10T21:15:31Z" }), "end"),
        (json!({ "start": "2026-03-02", "end": "2026-03-01" }), "end"),
    ] {
        let question = json!({ "tweet_ids": pages.posts(), "windows": [window] });
        let refused = pages.mint(&json!({ "question": question })).await;
        refused.is_own(400, "invalid_request");
        assert_eq!(places(&refused), [format!("/question/windows/0/{at}")], "{}", refused.text());
    }
    let twice = r#"{"question": {"tweet_ids": ["20"], "tweet_ids": ["21"]}}"#;
    let refused = pages.mint_with(&pages.key, &json!({})).body(twice).send().await;
    refused.is_own(400, "invalid_request");
    assert_eq!(places(&refused), ["/question/tweet_ids"], "{}", refused.text());
    for (member, odd) in [("expires_in", "1900ms"), ("max_age", "500ms")] {
        let mut body = json!({ "question": pages.question() });
        body[member] = json!(odd);
        let refused = pages.mint(&body).await;
        refused.is_own(400, "invalid_request");
        assert_eq!(places(&refused), [format!("/{member}")]);
    }
}

/// A window about which nothing may be asked would only be found out by the page.
async fn parts_that_do_not_go_together_are_refused(database: Database) {
    let pages = Pages::start(&database).await;
    for (types, windows, groupings, at) in [
        (json!(["impressions"]), json!(["28hr", "totals"]), json!(null), None),
        (json!(["url_clicks"]), json!(["28hr", "totals"]), json!(null), Some("/windows/1")),
        (json!(["url_clicks"]), json!(["totals"]), json!(null), Some("/engagement_types/0")),
        (
            json!(["impressions"]),
            json!([{ "last": "7d" }, "totals"]),
            json!({ "g": { "group_by": ["engagement.day"] } }),
            Some("/windows/1"),
        ),
        (
            json!(["impressions"]),
            json!(["totals"]),
            json!({ "g": { "group_by": ["engagement.day"] } }),
            Some("/groupings/g/group_by/0"),
        ),
    ] {
        let question = json!({
            "tweet_ids": pages.posts(), "engagement_types": types, "windows": windows,
            "groupings": groupings,
        });
        let made = pages.mint(&json!({ "question": question })).await;
        let Some(at) = at else {
            assert_eq!(made.status, 201, "{}", made.text());
            continue;
        };
        made.is_own(400, "invalid_request");
        assert_eq!(places(&made), [format!("/question{at}")], "{}", made.text());
    }
}

async fn a_key_gives_no_more_than_it_has(database: Database) {
    let pages = Pages::start(&database).await;
    let other = pages
        .mint(&json!({ "question": pages.question(), "origins": [ORIGIN, "https://third.example.com"] }))
        .await;
    other.is_own(403, "not_allowed");
    assert_eq!(places(&other), ["/origins/1"]);

    let plain = pages.gateway.new_key(|_| ()).await;
    let body = json!({ "question": pages.question() });
    let refused = pages.mint_with(&plain, &body).send().await;
    refused.is_own(403, "not_allowed");
    assert!(refused.text().contains("--browser"), "{}", refused.text());

    let narrow = pages
        .gateway
        .new_key(|key| {
            key.scopes.rights = [countersign::model::key::Right::Browser].into();
            key.scopes.origins = vec![countersign::model::Origin::parse(ORIGIN).unwrap()];
            key.scopes.endpoints = Some(vec![countersign::model::Endpoint::Totals]);
        })
        .await;
    let mut question = pages.question();
    question["engagement_types"] = json!(["favorites", "impressions"]);
    question["windows"] = json!(["totals", "28hr"]);
    let refused = pages.mint_with(&narrow, &json!({ "question": question })).send().await;
    refused.is_own(403, "not_allowed");
    assert_eq!(places(&refused), ["/question/windows/1"]);
    let token = pages.plain_token().await;
    pages.mint_with(&token, &body).send().await.is_own(403, "not_allowed");
}

async fn fifty_posts_fit_into_fifteen_hundred_characters(database: Database) {
    let pages = Pages::start(&database).await;
    let ids: Vec<String> =
        (0..50_u64).map(|number| (1_990_000_000_000_000_000 + number * 7).to_string()).collect();
    let token = pages
        .token(&json!({
            "subject": "viewer-42", "max_age": "60s",
            "question": {
                "tweet_ids": ids,
                "engagement_types": ["impressions", "engagements", "favorites", "url_clicks"],
                "windows": ["totals", "28hr", { "last": "28d" }],
                "groupings": {
                    "by_post": { "group_by": ["tweet.id", "engagement.type"] },
                    "by_day": { "group_by": ["engagement.type", "engagement.day"] },
                },
            },
        }))
        .await;
    assert!(token.len() < 1500, "{}", token.len());
    let many: Vec<String> = (0..2000).map(|number| (10_u64.pow(18) + number).to_string()).collect();
    let refused = pages.mint(&json!({ "question": { "tweet_ids": many } })).await;
    refused.is_own(400, "invalid_request");
    assert_eq!(places(&refused), ["/question"]);
}

on_both!(
    a_token_is_made_and_answers_the_page,
    what_is_left_out_has_a_default,
    what_is_wrong_is_told_at_its_place,
    ranges_and_members_that_cannot_be_meant_are_refused,
    parts_that_do_not_go_together_are_refused,
    a_key_gives_no_more_than_it_has,
    fifty_posts_fit_into_fifteen_hundred_characters,
);
