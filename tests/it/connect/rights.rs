//! Keys that may create links: for their own accounts, and in the answer that an account is disconnected.

use countersign::model::key::Right;
use serde_json::{Value, json};
use time::Duration;

use crate::connect::browser::Browser;
use crate::connect::{path_of, start_gateway};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};
use crate::trouble::{private, user_becomes};

const PATH: &str = "/v1/links";

async fn ask(gateway: &TestGateway, key: &str, wanted: &Value) -> Answer {
    let ask = gateway.ask("POST", PATH).header("authorization", &format!("Bearer {key}"));
    ask.header("content-type", "application/json").body(wanted.to_string()).send().await
}

/// A call as that user with that key.
fn call(gateway: &TestGateway, name: &str, key: &str) -> Ask {
    private(gateway, name).header("authorization", &format!("Bearer {key}"))
}

/// Alice revokes the app's access.
async fn revoke(gateway: &TestGateway) {
    user_becomes(gateway, "alice", "revoked").await;
    call(gateway, "alice", &gateway.key).send().await.is_relayed(401);
    call(gateway, "alice", &gateway.key).send().await.is_own(409, "account_not_active");
    // The change feed has delivered this, and will not evict anything later.
    gateway.inner.catch_up_once().await.unwrap();
}

/// The link in an answer that the account is disconnected.
async fn link_for(gateway: &TestGateway, key: &str) -> String {
    let answer = call(gateway, "alice", key).send().await;
    answer.is_own(409, "account_not_active");
    answer.json()["reconnect_url"].as_str().unwrap().to_owned()
}

async fn made(gateway: &TestGateway) -> usize {
    gateway.audited("link.created").await.len()
}

async fn a_key_with_the_right_makes_links_for_its_app(database: Database) {
    let gateway = start_gateway(&database).await;
    let key = gateway.new_key(|key| key.scopes.rights = [Right::CreateLinks].into()).await;
    let carol = gateway.id("carol").to_string();
    let made = ask(&gateway, &key, &json!({ "label": "from the app", "user_id": carol })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("cache-control"), "no-store");
    let body = made.json();
    assert_eq!(
        (&body["app"], &body["user_id"], &body["label"]),
        (&json!("demo"), &json!(carol), &json!("from the app"))
    );
    let (link, mut browser) = (body["url"].as_str().unwrap(), Browser::new());
    let back = gateway.allow(&mut browser, link, "carol").await;
    browser.follow(&back).await.goes_to(path_of(link));
    assert!(gateway.is_connected("carol").await);
    assert_eq!(gateway.audited("link.created").await[0].0, format!("key:{}", &key[4..16]));
}

async fn a_key_makes_no_links_beyond_its_rights(database: Database) {
    let gateway = start_gateway(&database).await;
    let alice = gateway.id("alice");
    let (without, wide) = (
        gateway.key.clone(),
        gateway.new_key(|key| key.scopes.rights = [Right::CreateLinks].into()).await,
    );
    let narrow = gateway
        .new_key(|key| {
            key.scopes.rights = [Right::CreateLinks].into();
            key.scopes.accounts = Some(vec![alice]);
        })
        .await;
    let label = "x";
    for (key, wanted, told) in [
        (&without, json!({ "label": label }), "may not create links"),
        (&wide, json!({ "label": label, "app": "other" }), "another app"),
        (&narrow, json!({ "label": label }), "user_id must be one of them"),
        (
            &narrow,
            json!({ "label": label, "user_id": gateway.id("bob").to_string() }),
            "user_id must be one of them",
        ),
    ] {
        let refused = ask(&gateway, key, &wanted).await;
        refused.is_own(403, "not_allowed");
        assert!(refused.text().contains(told), "{}", refused.text());
    }
    let admin = gateway.new_admin_key().await;
    ask(&gateway, &admin, &json!({ "label": label })).await.is_own(401, "unknown_key");
    gateway
        .http
        .post(format!("{}{PATH}", gateway.url))
        .send()
        .await
        .map(|response| assert_eq!(response.status(), 401))
        .unwrap();
    assert_eq!(made(&gateway).await, 0);
    let good = json!({ "label": label, "app": "demo", "user_id": alice.to_string() });
    assert_eq!(ask(&gateway, &narrow, &good).await.status, 201);
    for wrong in [
        json!({}),
        json!({ "label": "" }),
        json!({ "label": label, "more": 1 }),
        json!({ "label": label, "return_to": "https://evil.example/" }),
    ] {
        ask(&gateway, &wide, &wrong).await.is_own(400, "invalid_request");
    }
    gateway.ask("GET", PATH).send().await.is_own(405, "method_not_allowed");
}

async fn the_answer_that_an_account_has_ended_has_a_link_for_those_who_may(database: Database) {
    let gateway = start_gateway(&database).await;
    let key = gateway.new_key(|key| key.scopes.rights = [Right::CreateLinks].into()).await;
    revoke(&gateway).await;
    let without = call(&gateway, "alice", &gateway.key).send().await;
    assert!(
        without.json()["reconnect_url"].is_null() && !without.text().contains("reconnect_url"),
        "{}",
        without.text()
    );
    assert_eq!(made(&gateway).await, 0);

    let with = call(&gateway, "alice", &key).send().await;
    with.is_own(409, "account_not_active");
    assert_eq!(with.json()["reconnect_until"], "2026-03-11T21:15:30Z");
    assert_eq!(with.header("cache-control"), "no-store");
    assert!(
        with.json()["detail"].as_str().unwrap().ends_with(
            "; that link is in reconnect_url and in the header Countersign-Reconnect-Url"
        )
    );
    let link = with.json()["reconnect_url"].as_str().unwrap().to_owned();
    user_becomes(&gateway, "alice", "active").await;
    let mut browser = Browser::new();
    let back = gateway.allow(&mut browser, &link, "bob").await;
    browser.follow(&back).await.goes_to(path_of(&link));
    call(&gateway, "alice", &key).send().await.is_own(409, "account_not_active");
    let back = gateway.allow(&mut browser, &link, "alice").await;
    browser.follow(&back).await.goes_to(path_of(&link));
    call(&gateway, "alice", &key).send().await.is_relayed(200);
}

async fn calling_on_and_on_makes_one_link_until_somebody_begins_with_it(database: Database) {
    let gateway = start_gateway(&database).await;
    let key = gateway.new_key(|key| key.scopes.rights = [Right::CreateLinks].into()).await;
    revoke(&gateway).await;
    let asks: Vec<_> = (0..20).map(|_| link_for(&gateway, &key)).collect();
    let mut links = Vec::new();
    for ask in asks {
        links.push(ask.await);
    }
    links.dedup();
    assert_eq!((links.len(), made(&gateway).await), (1, 1));
    gateway.begin(&mut Browser::new(), &links[0]).await;
    gateway.sandbox.clock.forward(Duration::seconds(60));
    gateway.inner.catch_up_once().await.unwrap();
    // That link belongs to one browser now, so the next request gets a new one.
    assert_ne!(link_for(&gateway, &key).await, links[0]);
    gateway.sandbox.clock.forward(Duration::hours(11));
    gateway.inner.catch_up_once().await.unwrap();
    let second = link_for(&gateway, &key).await;
    assert_eq!(made(&gateway).await, 2);
    gateway.sandbox.clock.forward(Duration::hours(2));
    gateway.inner.catch_up_once().await.unwrap();
    assert_ne!(link_for(&gateway, &key).await, second, "it ends too soon");
}

async fn an_account_that_ended_again_has_a_new_link(database: Database) {
    let gateway = start_gateway(&database).await;
    let key = gateway.new_key(|key| key.scopes.rights = [Right::CreateLinks].into()).await;
    revoke(&gateway).await;
    let first = link_for(&gateway, &key).await;
    user_becomes(&gateway, "alice", "active").await;
    let mut browser = Browser::new();
    let back = gateway.allow(&mut browser, &first, "alice").await;
    browser.follow(&back).await.goes_to(path_of(&first));
    revoke(&gateway).await;
    assert_ne!(link_for(&gateway, &key).await, first);
}

async fn without_a_database_the_answer_comes_without_a_link(database: Database) {
    let gateway = start_gateway(&database).await;
    let key = gateway.new_key(|key| key.scopes.rights = [Right::CreateLinks].into()).await;
    revoke(&gateway).await;
    // The key is cached from here on.
    call(&gateway, "bob", &key).send().await.is_relayed(200);
    database.run("alter table link rename to elsewhere").await;
    let answer = call(&gateway, "alice", &key).send().await;
    answer.is_own(409, "account_not_active");
    assert!(answer.json()["reconnect_url"].is_null());
    database.run("alter table elsewhere rename to link").await;
    link_for(&gateway, &key).await;
}

async fn a_key_has_so_many_links_that_wait_and_no_more(database: Database) {
    let change = |config: &mut countersign::config::Config| config.limits.key_links = 3;
    let gateway = TestGateway::start_with(&database, change).await;
    let (key, other) = (
        gateway.new_key(|key| key.scopes.rights = [Right::CreateLinks].into()).await,
        gateway.new_key(|key| key.scopes.rights = [Right::CreateLinks].into()).await,
    );
    let wanted = |expires: &str| json!({ "label": "a friend", "expires": expires });
    assert_eq!(ask(&gateway, &key, &wanted("2h")).await.status, 201);
    let mut made = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let ask = gateway.ask("POST", PATH).header("authorization", &format!("Bearer {key}"));
        made.spawn(
            ask.header("content-type", "application/json").body(wanted("3h").to_string()).send(),
        );
    }
    let statuses: Vec<_> =
        made.join_all().await.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 2, "{statuses:?}");
    let refused = ask(&gateway, &key, &wanted("3h")).await;
    refused.is_own(429, "too_many_links");
    assert_eq!(refused.header("retry-after"), "7200");
    assert!(
        refused.json()["detail"].as_str().unwrap().contains("limits.key_links"),
        "{}",
        refused.text()
    );
    // Such an answer comes without a link, and the gateway does not try to create one again for a while.
    revoke(&gateway).await;
    let answer = call(&gateway, "alice", &key).send().await;
    answer.is_own(409, "account_not_active");
    assert!(answer.json()["reconnect_url"].is_null(), "{}", answer.text());
    database.run("alter table link rename to link_away").await;
    call(&gateway, "alice", &key).send().await.is_own(409, "account_not_active");
    database.run("alter table link_away rename to link").await;

    assert_eq!(ask(&gateway, &other, &wanted("3h")).await.status, 201, "each key has its own");
    let admins =
        countersign::gateway::NewLink { label: "an admin's".to_owned(), ..Default::default() };
    gateway.inner.create_link(admins, "test").await.unwrap();
    gateway.sandbox.clock.forward(Duration::hours(2));
    gateway.inner.catch_up_once().await.unwrap();
    assert_eq!(ask(&gateway, &key, &wanted("3h")).await.status, 201, "one is over");
    ask(&gateway, &key, &wanted("3h")).await.is_own(429, "too_many_links");
}

on_both!(
    a_key_with_the_right_makes_links_for_its_app,
    a_key_makes_no_links_beyond_its_rights,
    the_answer_that_an_account_has_ended_has_a_link_for_those_who_may,
    calling_on_and_on_makes_one_link_until_somebody_begins_with_it,
    an_account_that_ended_again_has_a_new_link,
    without_a_database_the_answer_comes_without_a_link,
    a_key_has_so_many_links_that_wait_and_no_more
);
