//! How much pages may ask: by token, by holder, by address, and in calls to X.

use countersign::config::Config;
use countersign::model::Origin;
use countersign::model::key::Right;
use serde_json::json;

use crate::database::{Database, on_both};
use crate::gateway::{ORIGIN, TestGateway};
use crate::http::Answer;
use crate::pages::{Pages, ask_at, places};

async fn start(database: &Database, change: impl FnOnce(&mut Config)) -> Pages {
    Pages::of(TestGateway::start_with(database, change).await).await
}

/// The answer is that there were too many, and of what; it gives the seconds to wait.
#[track_caller]
fn waits(answer: &Answer, what: &str) -> i64 {
    answer.is_own(429, "browser_limit");
    assert!(answer.json()["detail"].as_str().unwrap().contains(what), "{}", answer.text());
    assert!(!answer.header("access-control-allow-origin").is_empty());
    answer.number("retry-after")
}

async fn a_token_asks_so_often_a_minute_and_again_after_the_wait_that_is_told(database: Database) {
    let pages = start(&database, |_| ()).await;
    let body = json!({ "question": pages.question(), "limits": { "per_minute": 3 } });
    let (token, other) = (pages.token(&body).await, pages.token(&body).await);
    let ask = async |token: &str| pages.ask(token, &json!({})).send().await;
    for _ in 0..3 {
        assert_eq!(ask(&token).await.status, 200);
    }
    let wait = waits(&ask(&token).await, "this token has asked");
    assert!((1..=70).contains(&wait), "{wait}");
    assert_eq!(ask(&other).await.status, 200, "tokens of nobody in particular count alone");
    // What is refused for another reason was asked all the same.
    pages.ask(&other, &json!({ "tweet_ids": ["20"] })).send().await.is_own(403, "not_allowed");
    pages.ask(&other, &json!({})).body("{").send().await.is_own(400, "invalid_request");
    waits(&ask(&other).await, "this token has asked");
    let clock = &pages.gateway.sandbox.clock;
    clock.forward(time::Duration::seconds(wait - 1));
    waits(&ask(&token).await, "this token has asked");
    clock.forward(time::Duration::SECOND);
    assert_eq!(ask(&token).await.status, 200);
}

async fn a_holder_asks_no_more_with_many_tokens(database: Database) {
    let pages = start(&database, |config| config.browser.per_minute = 2).await;
    let second = crate::pages::page_key(&pages.gateway).await;
    let of = async |key: &str, subject: &str| {
        let body = json!({ "question": pages.question(), "subject": subject });
        let made = pages.mint_with(key, &body).send().await.json();
        made["token"].as_str().unwrap().to_owned()
    };
    let (first, again) = (of(&pages.key, "ann").await, of(&pages.key, "ann").await);
    let (ben, namesake) = (of(&pages.key, "ben").await, of(&second, "ann").await);
    let ask = async |token: &str| pages.ask(token, &json!({})).send().await;
    for token in [&first, &again] {
        assert_eq!(ask(token).await.status, 200);
    }
    for token in [&first, &again] {
        waits(&ask(token).await, "the holder of this token");
    }
    for token in [&ben, &namesake] {
        assert_eq!(ask(token).await.status, 200);
    }
}

async fn an_address_asks_no_more_with_many_tokens(database: Database) {
    let pages = start(&database, |config| config.browser.address_per_minute = 2).await;
    let ask =
        async |body: &serde_json::Value| pages.ask(&pages.plain_token().await, body).send().await;
    for _ in 0..2 {
        assert_eq!(ask(&json!({})).await.status, 200);
    }
    waits(&ask(&json!({})).await, "from this address");
    // Back ends at the same address are not limited so.
    let body = json!({ "tweet_ids": pages.posts(), "engagement_types": ["favorites"] });
    let service = pages.gateway.ask("POST", "/v1/engagement");
    let service = service.header("content-type", "application/json").body(body.to_string());
    assert_eq!(service.send().await.status, 200);
    // Strangers with made-up tokens use nothing up.
    pages.gateway.sandbox.clock.forward(time::Duration::seconds(70));
    for _ in 0..5 {
        pages.ask("csb_x", &json!({})).send().await.is_own(401, "token_invalid");
    }
    assert_eq!(ask(&json!({})).await.status, 200);
}

/// A key's own limits hold for its services, and once more for all its pages together.
async fn pages_take_nothing_of_the_limits_of_their_keys_services(database: Database) {
    let pages = start(&database, |_| ()).await;
    let origins = vec![Origin::parse(ORIGIN).unwrap()];
    let key = pages
        .gateway
        .new_key(|new| {
            new.scopes.rights = [Right::Browser].into();
            new.scopes.origins = origins;
            new.limits.per_minute = Some(4);
        })
        .await;
    pages.gateway.inner.catch_up_once().await.unwrap();
    // Making two tokens is two requests of the service.
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let made = pages.mint_with(&key, &json!({ "question": pages.question() })).send().await;
        tokens.push(made.json()["token"].as_str().unwrap().to_owned());
    }
    for number in 0..4 {
        assert_eq!(pages.ask(&tokens[number % 2], &json!({})).send().await.status, 200);
    }
    for token in &tokens {
        waits(&pages.ask(token, &json!({})).send().await, "of this application");
    }
    for status in [201, 201, 429] {
        let made = pages.mint_with(&key, &json!({ "question": pages.question() })).send().await;
        assert_eq!(made.status, status, "{}", made.text());
    }
}

/// Whoever has an IPv6 network has all of its addresses.
async fn pages_behind_a_trusted_proxy_count_by_the_network_that_it_names(database: Database) {
    let pages = start(&database, |config| {
        config.browser.address_per_minute = 1;
        config.server.trusted_proxies = crate::gateway::trusting("127.0.0.1");
    })
    .await;
    let ask = async |from: &str| {
        let ask = pages.ask(&pages.plain_token().await, &json!({}));
        ask.header("x-forwarded-for", from).send().await
    };
    for from in ["203.0.113.9", "198.51.100.1", "2001:db8::1", "2001:db8:0:1::1"] {
        assert_eq!(ask(from).await.status, 200, "{from}");
    }
    for from in ["203.0.113.9", "2001:db8::2", "2001:db8:0:1:ffff::1"] {
        waits(&ask(from).await, "from this address");
    }
}

async fn a_token_takes_so_many_calls_over_all_replicas(database: Database) {
    let pages = start(&database, |_| ()).await;
    let other =
        TestGateway::build(pages.gateway.sandbox.again(), &database.settings(), |_| ()).await;
    let sandbox = &pages.gateway.sandbox;
    let (alices, bobs) = (sandbox.ids("alice", 1).remove(0), sandbox.ids("bob", 1).remove(0));
    // Whose the posts are is known, so that no call has to find it out.
    let owners = json!({
        &alices: sandbox.user("alice").user_id, &bobs: sandbox.user("bob").user_id,
    });
    let known = json!({ "tweet_ids": [alices, bobs], "engagement_types": ["impressions"], "owners": owners });
    crate::question::ask(&pages.gateway, &known).await.is_relayed(200);
    let question = json!({
        "tweet_ids": [alices, bobs], "engagement_types": ["impressions"], "windows": ["28hr"],
    });
    let made = pages.mint(&json!({ "question": question, "limits": { "calls": 4 } })).await.json();
    let token = made["token"].as_str().unwrap();
    // Two authors are two calls.
    let (two, one) = (json!({}), json!({ "tweet_ids": [alices] }));
    let ask = async |gateway: &TestGateway, body| ask_at(gateway, token, body).send().await;
    let reconcile = async || {
        for gateway in [&pages.gateway, &other, &pages.gateway] {
            gateway.inner.reconcile_page_calls().await.unwrap();
        }
    };
    let first = ask(&pages.gateway, &two).await;
    assert_eq!(first.json()["countersign"]["calls"]["made"], 2, "{}", first.text());
    reconcile().await;
    assert_eq!(ask(&other, &one).await.status, 200, "it knows of none yet");
    reconcile().await;
    // Three were made: one is left, and not two.
    for gateway in [&pages.gateway, &other] {
        assert_eq!(waits(&ask(gateway, &two).await, "too few calls"), 600);
    }
    assert_eq!(ask(&pages.gateway, &one).await.status, 200);
    reconcile().await;
    for gateway in [&pages.gateway, &other] {
        waits(&ask(gateway, &one).await, "too few calls");
    }
    let late =
        TestGateway::build(pages.gateway.sandbox.again(), &database.settings(), |_| ()).await;
    waits(&ask(&late, &one).await, "too few calls");
    assert_eq!(pages.gateway.arrived("/insights/engagement/28hr").await.len(), 4);
    // What ended is forgotten.
    let now = pages.gateway.sandbox.clock.now_s() + 700;
    let id = [made["id"].as_str().unwrap().into()];
    let kept = async || pages.gateway.store.list_token_calls(&id).await.unwrap().len();
    assert_eq!(kept().await, 1);
    pages.gateway.store.prune_tokens(now, now).await.unwrap();
    assert_eq!(kept().await, 0);
}

async fn calls_that_were_not_made_are_not_counted(database: Database) {
    let pages = start(&database, |config| {
        config.cache.fresh = std::time::Duration::from_mins(5);
    })
    .await;
    let body = json!({ "question": pages.question(), "max_age": "5m", "limits": { "calls": 1 } });
    let token = pages.token(&body).await;
    for saved in [0, 1, 1] {
        let answer = pages.ask(&token, &json!({})).send().await;
        assert_eq!(answer.json()["countersign"]["calls"]["saved"], saved, "{}", answer.text());
    }
    pages.gateway.sandbox.clock.forward(time::Duration::seconds(301));
    waits(&pages.ask(&token, &json!({})).send().await, "too few calls");
}

/// X has had the calls, whatever became of the question.
async fn calls_count_however_a_question_ends(database: Database) {
    let pages = start(&database, |_| ()).await;
    let body = json!({
        "question": pages.question(), "limits": { "calls": 3 }, "subject": "ann", "expires_in": "1m",
    });
    let (token, gateway) = (pages.token(&body).await, &pages.gateway);
    let arrived = async || gateway.arrived("/insights/").await.len();
    // X fails.
    let fails = json!([{ "kind": "status", "status": 403, "path": "/insights/", "times": 1 }]);
    gateway.order(fails).await;
    let failed = pages.ask(&token, &json!({})).send().await;
    assert_eq!(failed.json()["code"], "nothing_answered", "{}", failed.text());
    // The page is closed while it waits.
    gateway.order(json!([{ "kind": "hold", "path": "/insights/", "times": 1 }])).await;
    let asked = pages.ask(&token, &json!({ "tweet_ids": [pages.posts()[0]] }));
    let asked = tokio::spawn(async move { asked.send().await });
    while arrived().await < 2 {
        tokio::task::yield_now().await;
    }
    asked.abort();
    let given_up = async || {
        let subjects = gateway.inner.list_subjects(&pages.key[4..16], None).await.unwrap().2;
        subjects.iter().map(|row| (row.questions, row.calls)).collect::<Vec<_>>()
    };
    while given_up().await != [(2, 2)] {
        tokio::task::yield_now().await;
    }
    assert_eq!(pages.ask(&token, &json!({})).send().await.status, 200);
    // Not even in the seconds in which a token that has ended is still good.
    gateway.sandbox.clock.forward(time::Duration::seconds(75));
    gateway.inner.settle_pages().await.unwrap();
    let over = pages.ask(&token, &json!({})).send().await;
    assert_eq!(waits(&over, "too few calls"), 1);
    assert_eq!(given_up().await, [(3, 3)]);
    gateway.sandbox.clock.forward(time::Duration::seconds(20));
    pages.ask(&token, &json!({})).send().await.is_own(401, "token_expired");
}

async fn a_question_that_a_token_can_never_pay_is_refused_for_good(database: Database) {
    let pages = start(&database, |_| ()).await;
    // A call has at most 250 posts.
    let ids = (1..=300).map(|number| (1_560_000_000_000_000_000_u64 + number).to_string());
    let all: Vec<String> = ids.collect();
    let many = json!({ "tweet_ids": all, "engagement_types": ["favorites"] });
    let wide = pages.token(&json!({ "question": many, "limits": { "calls": 1 } })).await;
    let refused = pages.ask(&wide, &json!({})).send().await;
    refused.is_own(403, "not_allowed");
    assert_eq!(places(&refused), [""]);
    assert!(refused.text().contains("takes 2 calls to X, more than this token may take"));
    assert_eq!(pages.gateway.arrived("/insights/").await.len(), 0);
}

async fn what_cannot_be_written_counts_all_the_same(database: Database) {
    let pages = start(&database, |_| ()).await;
    let body = json!({ "question": pages.question(), "limits": { "calls": 2 }, "subject": "ann" });
    let token = pages.token(&body).await;
    let ask = async || pages.ask(&token, &json!({})).send().await;
    assert_eq!(ask().await.status, 200);
    let tables = ["token_calls", "subject_usage"];
    for table in tables {
        database.run(&format!("alter table {table} rename to {table}_gone")).await;
    }
    pages.gateway.inner.settle_pages().await.unwrap_err();
    for table in tables {
        database.run(&format!("alter table {table}_gone rename to {table}")).await;
    }
    pages.gateway.inner.settle_pages().await.unwrap();
    assert_eq!(ask().await.status, 200);
    waits(&ask().await, "too few calls");
    let key = &pages.key[4..16];
    let (_, _, subjects) = pages.gateway.inner.list_subjects(key, None).await.unwrap();
    assert_eq!((subjects[0].questions, subjects[0].calls), (2, 2));
}

async fn limits_of_nothing_are_refused(database: Database) {
    let pages = start(&database, |_| ()).await;
    let limits = json!({ "per_minute": 0, "calls": 0 });
    let refused = pages.mint(&json!({ "question": pages.question(), "limits": limits })).await;
    refused.is_own(400, "invalid_request");
    assert_eq!(places(&refused), ["/limits/per_minute", "/limits/calls"]);
}

on_both!(
    a_token_asks_so_often_a_minute_and_again_after_the_wait_that_is_told,
    a_holder_asks_no_more_with_many_tokens,
    an_address_asks_no_more_with_many_tokens,
    pages_take_nothing_of_the_limits_of_their_keys_services,
    pages_behind_a_trusted_proxy_count_by_the_network_that_it_names,
    a_token_takes_so_many_calls_over_all_replicas,
    calls_that_were_not_made_are_not_counted,
    calls_count_however_a_question_ends,
    a_question_that_a_token_can_never_pay_is_refused_for_good,
    what_cannot_be_written_counts_all_the_same,
    limits_of_nothing_are_refused,
);
