//! The simulated world, and the log of calls that arrived.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign::model::{UserId, post};
use countersign::sandbox::{Sandbox, Settings, WorldPost};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::upstream::{HandClock, LAST_28H, NOW, TOTALS, TestSandbox, VERIFY, body, leaves, small};

fn world(seed: u64, now: OffsetDateTime) -> Value {
    let settings = Settings { seed, ..small() };
    serde_json::to_value(Sandbox::new(settings, HandClock::at(now)).world()).unwrap()
}

/// The world without anything that depends on the time.
fn undated(mut world: Value) -> Value {
    for user in world["users"].as_array_mut().unwrap() {
        user.as_object_mut().unwrap().remove("posts");
    }
    world
}

#[test]
fn a_seed_gives_the_same_world() {
    assert_eq!(world(1, NOW), world(1, NOW));
    let later = NOW + Duration::days(3);
    assert_ne!(world(1, NOW), world(1, later), "posts are dated back from the start");
    assert_eq!(undated(world(1, NOW)), undated(world(1, later)));
    let (one, two) = (undated(world(1, NOW)), undated(world(2, NOW)));
    // The manual names her by this id.
    assert_eq!(
        (&one["users"][0]["user_id"], &two["users"][0]["user_id"]),
        (&json!("7588892"), &json!("7588892"))
    );
    for pointer in ["/apps/0/consumer_key", "/users/0/access_token", "/users/0/access_token_secret"]
    {
        assert_ne!(one.pointer(pointer).unwrap(), two.pointer(pointer).unwrap(), "{pointer}");
    }
}

#[test]
fn users_keep_their_identity_when_there_are_more() {
    let names = |users| {
        let settings = Settings { users, posts_per_user: 2, ..Settings::default() };
        let world = Sandbox::new(settings, HandClock::at(NOW)).world();
        world
            .users
            .into_iter()
            .map(|user| (user.screen_name, user.access_token))
            .collect::<Vec<_>>()
    };
    let (few, many) = (names(2), names(7));
    assert!(few.iter().all(|user| many.contains(user)));
    let expected = [
        "alice",
        "bob",
        "carol",
        "dave",
        "erin",
        "frank",
        "user7",
        "protected_pat",
        "suspended_sam",
    ];
    assert_eq!(many.iter().map(|user| &*user.0).collect::<Vec<_>>(), expected);
}

#[test]
fn tokens_and_ids_have_their_real_form() {
    let settings = Settings { posts_per_user: 4, ..Settings::default() };
    let world = Sandbox::new(settings, HandClock::at(NOW)).world();
    assert_eq!(world.apps.iter().map(|app| &*app.name).collect::<Vec<_>>(), ["demo", "other"]);
    let mut seen = BTreeSet::new();
    for user in &world.users {
        assert!(UserId::parse(&user.user_id).is_some());
        for token in [&user.access_token, &user.other_access_token] {
            let (id, rest) = token.split_once('-').unwrap();
            assert_eq!((id, rest.len()), (&*user.user_id, 40));
            assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert!(seen.insert(token.clone()));
        }
    }
    assert_eq!(world.users[6].state, "protected");
    assert_eq!(world.users[7].state, "suspended");
}

#[test]
fn posts_reach_from_hours_to_a_year() {
    let world = Sandbox::new(Settings::default(), HandClock::at(NOW)).world();
    let mut ids = BTreeSet::new();
    for user in &world.users {
        let ages: Vec<Duration> = user
            .posts
            .iter()
            .map(|post| NOW - OffsetDateTime::parse(&post.created_at, &Rfc3339).unwrap())
            .collect();
        let name = &user.screen_name;
        assert!(ages.is_sorted() && ages[0] >= Duration::HOUR, "{name}");
        assert!(ages.iter().filter(|age| **age < Duration::hours(28)).count() >= 4, "{name}");
        assert!(ages.iter().filter(|age| **age < Duration::days(28)).count() >= 10, "{name}");
        assert!(ages.iter().any(|age| *age > Duration::days(90)), "{name}");
        let ancient = ages.iter().filter(|age| **age > Duration::days(1800)).count();
        assert_eq!(ancient, usize::from(name == "alice"));
        assert_eq!(user.posts.len() - ancient, 40);
        assert!((2..6).contains(&user.posts.iter().filter(|post| post.state == "deleted").count()));
        for listed in &user.posts {
            let id: u64 = listed.id.parse().unwrap();
            let at = post::created_at(id).unwrap();
            assert_eq!(at.format(&Rfc3339).unwrap(), listed.created_at);
            assert!(ids.insert(id));
        }
    }
}

/// A world large enough for requests of thousands of posts.
#[tokio::test]
async fn fifty_users_have_ten_thousand_posts_of_every_kind() {
    let settings = Settings { users: 50, posts_per_user: 200, ..Settings::default() };
    let sandbox = TestSandbox::start_with(Settings { ancient_authors: 20, ..settings }).await;
    let listed = sandbox.get("/sandbox/world").await;
    assert_eq!(listed["users"].as_array().unwrap().len(), 52);
    let older = |listed: &&WorldPost, days: i64| {
        let at = post::created_at(listed.id.parse().unwrap()).unwrap();
        at < NOW - Duration::days(days)
    };
    let mut ids = BTreeSet::new();
    for (place, user) in sandbox.world.users.iter().enumerate() {
        let count = |is: &dyn Fn(&&WorldPost) -> bool| user.posts.iter().filter(is).count();
        assert_eq!(count(&|post| post.state == "deleted"), 18);
        assert!(count(&|post| older(post, 90)) > 50 && count(&|post| !older(post, 28)) > 50);
        assert_eq!(count(&|post| older(post, 1800)), usize::from(place < 20));
        ids.extend(user.posts.iter().map(|post| post.id.clone()));
    }
    assert_eq!(ids.len(), 52 * 200 + 20, "no id comes twice");

    let ids: Vec<String> = ids.into_iter().collect();
    let types = ["impressions", "engagements", "favorites", "quote_tweets", "video_views"];
    let asked = body(&ids, &types, &["tweet.id", "engagement.type"]);
    let whole = sandbox.post("/sandbox/answer/totals", &asked).send().await;
    let (g, whole) = (whole.g(), whole.json());
    let unavailable = 2 * 200 + 52 * 18 - 2 * 18;
    assert_eq!(whole["unavailable_tweet_ids"].as_array().unwrap().len(), unavailable);
    assert_eq!(g.as_object().unwrap().len(), ids.len() - unavailable);
}

#[test]
fn a_single_post_a_user_is_a_world_too() {
    for posts_per_user in 0..4 {
        let settings = Settings { users: 0, posts_per_user, ..Settings::default() };
        let world = Sandbox::new(settings, HandClock::at(NOW)).world();
        assert_eq!(world.users.len(), 2);
    }
}

#[tokio::test]
async fn every_author_has_numbers_of_the_last_28_hours() {
    let sandbox =
        TestSandbox::start_with(Settings { posts_per_user: 12, ..Settings::default() }).await;
    for user in sandbox.world.users.iter().filter(|user| user.state == "active") {
        let body = body(
            &sandbox.ids(&user.screen_name, 6),
            &["impressions", "favorites"],
            &["engagement.type"],
        );
        let g = sandbox.own(&user.screen_name, LAST_28H, &body).await.g();
        assert!(
            leaves(&g["impressions"]) > 0 && leaves(&g["favorites"]) > 0,
            "{}",
            user.screen_name
        );
    }
}

#[tokio::test]
async fn its_first_page_says_what_it_is_and_where_to_go() {
    let sandbox = TestSandbox::start().await;
    let page = sandbox.ask("GET", "/").send().await;
    assert_eq!(
        (page.status.as_u16(), page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    let text = page.text();
    for link in text.split("<a href=\"").skip(1).filter_map(|it| it.split('"').next()) {
        assert_eq!(sandbox.ask("GET", link).send().await.status, 200, "{link}");
    }
    assert_eq!(text.matches("<a href=").count(), 3, "{text}");
    // X's own hosts have no such page.
    for host in ["api.x.com", "data-api.x.com"] {
        assert_eq!(sandbox.ask("GET", "/").header("host", host).send().await.status, 404, "{host}");
    }
}

#[tokio::test]
async fn the_world_is_listed_over_http() {
    let sandbox = TestSandbox::start().await;
    assert_eq!(sandbox.get("/sandbox/world").await, serde_json::to_value(&sandbox.world).unwrap());
}

#[tokio::test]
async fn calls_are_listed_as_they_arrived() {
    let sandbox = TestSandbox::start().await;
    let body = body(&sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    sandbox.own("alice", TOTALS, &body).await;
    sandbox.public(&json!({})).await;
    sandbox.post(TOTALS, &body).signed(&sandbox.two_legged()).send().await;
    sandbox.form("/oauth2/token", "").header("authorization", &sandbox.basic()).send().await;
    sandbox.ask("GET", &format!("{VERIFY}?skip_status=true")).send().await;

    let calls = sandbox.get("/sandbox/calls").await;
    let calls = calls.as_array().unwrap();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call["auth_kind"].as_str().unwrap(), call["status"].as_u64().unwrap()))
        .collect();
    let expected =
        [("user", 200), ("bearer", 400), ("two_legged", 200), ("basic", 403), ("none", 400)];
    assert_eq!(seen, expected);

    let (first, app, user) = (&calls[0], sandbox.app("demo"), sandbox.user("alice"));
    assert_eq!((&first["method"], &first["path"]), (&json!("POST"), &json!(TOTALS)));
    assert_eq!(first["consumer_key"], *app.consumer_key);
    assert_eq!(first["token"], *user.access_token);
    assert_eq!(first["nonce"], "nonce0");
    assert_eq!(first["timestamp"], NOW.unix_timestamp().to_string());
    assert_eq!(first["body"], body.to_string());
    assert_eq!(first["header_values"]["host"], *sandbox.address);
    assert!(first["headers"].as_array().unwrap().contains(&json!("accept-encoding")));
    assert_eq!(calls[1]["token"], *app.bearer_token);
    assert_eq!(calls[3]["consumer_key"], *app.consumer_key);
    assert_eq!(calls[4]["query"], "skip_status=true");

    let some = sandbox.get("/sandbox/calls?path=/oauth2").await;
    assert_eq!(some.as_array().unwrap().len(), 1);
    assert_eq!(
        sandbox.get("/sandbox/counts").await,
        json!({ TOTALS: 3, "/oauth2/token": 1, VERIFY: 1 })
    );
}

#[tokio::test]
async fn the_server_stops_when_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sandbox = Sandbox::new(small(), HandClock::at(NOW));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move { stopped.await.unwrap_or_default() };
    let server = tokio::spawn(countersign::sandbox::serve(listener, sandbox, shutdown));
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

/// The clock is a parameter, so that a sandbox works with any.
#[test]
fn any_clock_will_do() {
    let clock: Arc<dyn countersign::model::Clock> = HandClock::at(NOW);
    Sandbox::new(small(), clock);
}
