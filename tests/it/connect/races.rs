//! Replays and races: a callback counts once, whoever makes it and however often.

use std::time::Duration;

use countersign::gateway::NewLink;
use countersign::model::UserId;
use countersign::sandbox::Settings;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::connect::browser::Browser;
use crate::connect::replica::Replica;
use crate::connect::{fault, path_of, start_gateway, token_in};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::sandbox::handshake::{ACCESS_TOKEN, decide};
use crate::upstream::{TestSandbox, small};

/// A deadline for tests that fail; no test measures time.
const PATIENCE: Duration = Duration::from_secs(30);

async fn a_hundred_callbacks_at_once_on_two_gateways_make_one_exchange(database: Database) {
    let one = start_gateway(&database).await;
    let two = TestGateway::build(one.sandbox.again(), &database.settings(), |_| ()).await;
    let (link, mut browser) = (one.link().await, Browser::new());
    let back = one.allow(&mut browser, &link, "carol").await;
    let (path, before) = (back.strip_prefix(&one.url).unwrap(), one.steps().await.1);
    let urls = [format!("{}{path}", one.url), format!("{}{path}", two.url)];
    let mut asked = JoinSet::new();
    for number in 0..100 {
        asked.spawn(browser.ask("GET", &urls[number % 2]).send());
    }
    let answers = asked.join_all().await;
    for answer in &answers {
        answer.goes_to(path_of(&link));
    }
    assert_eq!(one.steps().await.1, before + 1);
    assert_eq!(one.audited("account.connected").await.len(), 1);
    // Afterwards both replicas say the same.
    for url in &urls {
        browser.follow(url).await.goes_to(path_of(&link));
    }
    browser.open(&link).await.is_page(200, &["as @carol"]);
    browser.open(&format!("{}{}", two.url, path_of(&link))).await.is_page(200, &["as @carol"]);
    assert_eq!(one.steps().await.1, before + 1);
    assert_eq!(one.audited("account.connected").await.len(), 1);
}

async fn a_link_is_used_once_though_it_was_begun_twice(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let first = gateway.allow(&mut browser, &link, "carol").await;
    let second = gateway.allow(&mut browser, &link, "dave").await;
    browser.follow(&first).await.goes_to(path_of(&link));
    browser.follow(&second).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
    assert!(gateway.is_connected("carol").await && !gateway.is_connected("dave").await);
    assert_eq!(gateway.audited("account.connected").await.len(), 1);
}

async fn of_many_browsers_that_begin_at_once_one_has_the_link(database: Database) {
    let gateway = start_gateway(&database).await;
    let link = gateway.link().await;
    let mut asked = JoinSet::new();
    for _ in 0..20 {
        let ask = Browser::new().button(&link).header("sec-fetch-site", "same-origin");
        asked.spawn(ask.send());
    }
    let answers = asked.join_all().await;
    let answers: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == 303).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == 403).count(), 19, "{answers:?}");
    assert_eq!(gateway.steps().await.0, 1);
}

async fn a_browser_that_goes_away_in_the_middle_does_not_lose_the_account(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    gateway.order(json!([fault(ACCESS_TOKEN, &json!({ "kind": "hold" }))])).await;
    let cookie = format!("{}={}", browser.cookies[0].0, browser.cookies[0].1);
    let address = gateway.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let path = back.strip_prefix(&gateway.url).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // Crashes as soon as the exchange has begun.
    while gateway.fired().await != [1] {
        tokio::task::yield_now().await;
    }
    drop(stream);
    gateway.order(json!([])).await;
    let connected = async {
        while !gateway.is_connected("carol").await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, connected).await.expect("the account is lost");
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
    assert_eq!(gateway.audited("account.connected").await.len(), 1);
}

async fn who_comes_back_twice_is_told_that_the_link_is_in_use(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    gateway.order(json!([fault(ACCESS_TOKEN, &json!({ "kind": "hold" }))])).await;
    let first = tokio::spawn(browser.ask("GET", &back).send());
    while gateway.fired().await != [1] {
        assert!(!first.is_finished(), "X was not asked");
        tokio::task::yield_now().await;
    }
    browser.follow(&back).await.goes_to(path_of(&link));
    let told = [
        "Not connected yet.",
        "This link is in use: the response from X is being processed.",
        "Reload this page in a moment; if that does not help, try again.",
    ];
    browser.open(&link).await.is_page(200, &told);
    Browser::new().open(&link).await.is_page(403, &["already open in another browser"]);
    gateway.order(json!([])).await;
    first.await.unwrap().goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
    browser.follow(&back).await.goes_to(path_of(&link));
    assert_eq!(gateway.steps().await.1, 1);
}

async fn who_lost_xs_answer_to_a_crash_is_told_and_begins_again(database: Database) {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    let store = database.store().await;
    let replica = Replica::open(&sandbox, &database.settings()).await;
    let link = replica.link(NewLink { label: "x".to_owned(), ..NewLink::default() }).await;
    let mut browser = Browser::new();
    let token = token_in(&browser.press(&replica.at(&link)).await);
    let back = decide(&sandbox, &token, "allow", "carol").await.header("location").to_owned();
    sandbox.put("/sandbox/faults", json!([fault(ACCESS_TOKEN, &json!({ "kind": "hold" }))])).await;
    let asked = tokio::spawn(browser.ask("GET", &replica.at(&back)).try_send());
    while sandbox.get("/sandbox/faults").await[0]["fired"] != 1 {
        assert!(!asked.is_finished(), "X was not asked");
        tokio::task::yield_now().await;
    }
    let next = Replica::open(&sandbox, &database.settings()).await;
    replica.crash().await;
    assert!(asked.await.unwrap().is_err());
    sandbox.put("/sandbox/faults", json!([])).await;

    browser.follow(&next.at(&back)).await.goes_to(path_of(&link));
    browser.open(&next.at(&link)).await.is_page(
        200,
        &["Not connected yet.", "if that does not help, try again.", "Try again at X</button>"],
    );
    let carol = UserId::parse(&sandbox.user("carol").user_id).unwrap();
    assert!(store.find_account("demo", carol).await.unwrap().is_none());
    let token = token_in(&browser.press(&next.at(&link)).await);
    let back = decide(&sandbox, &token, "allow", "carol").await.header("location").to_owned();
    browser.follow(&next.at(&back)).await.goes_to(path_of(&link));
    browser.open(&next.at(&link)).await.is_page(200, &["as @carol"]);
    assert_eq!(sandbox.get("/sandbox/counts").await[ACCESS_TOKEN], 2);
}

on_both!(
    a_hundred_callbacks_at_once_on_two_gateways_make_one_exchange,
    a_link_is_used_once_though_it_was_begun_twice,
    of_many_browsers_that_begin_at_once_one_has_the_link,
    a_browser_that_goes_away_in_the_middle_does_not_lose_the_account,
    who_comes_back_twice_is_told_that_the_link_is_in_use,
    who_lost_xs_answer_to_a_crash_is_told_and_begins_again
);
