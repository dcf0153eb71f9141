//! Keys that may make links: for their own accounts, and in the answer that an account has ended.

use serde_json::{Value, json};
use time::Duration;

use crate::bench::{Answer, Ask};
use crate::connect::browser::Browser;
use crate::connect::{open_house, path_of};
use crate::database::on_both;
use crate::house::House;
use crate::trouble::{private, user_becomes};

const PATH: &str = "/v1/links";

async fn ask(house: &House, key: &str, wanted: &Value) -> Answer {
    let ask = house.ask("POST", PATH).header("authorization", &format!("Bearer {key}"));
    ask.header("content-type", "application/json").body(wanted.to_string()).send().await
}

/// A call as that user with that key.
fn call(house: &House, name: &str, key: &str) -> Ask {
    private(house, name).header("authorization", &format!("Bearer {key}"))
}

/// Alice's account comes to be revoked.
async fn revoke(house: &House) {
    user_becomes(house, "alice", "revoked").await;
    call(house, "alice", &house.key).send().await.is_relayed(401);
    call(house, "alice", &house.key).send().await.is_own(409, "account_not_active");
    // What the feed tells of it is known from here on, and makes nothing forgotten later.
    house.gateway.catch_up_once().await.unwrap();
}

/// The link in an answer that the account has ended.
async fn link_for(house: &House, key: &str) -> String {
    let answer = call(house, "alice", key).send().await;
    answer.is_own(409, "account_not_active");
    answer.json()["reconnect_url"].as_str().unwrap().to_owned()
}

async fn made(house: &House) -> usize {
    house.audited("link.created").await.len()
}

on_both! {
    async fn a_key_with_the_right_makes_links_for_its_app(database: Database) {
        let house = open_house(&database).await;
        let key = house.new_key(|it| it.links = true).await;
        let carol = house.id("carol").to_string();
        let made = ask(&house, &key, &json!({ "label": "from the app", "user_id": carol })).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(made.header("cache-control"), "no-store");
        let body = made.json();
        assert_eq!((&body["app"], &body["user_id"], &body["label"]), (&json!("demo"), &json!(carol), &json!("from the app")));
        let (link, mut browser) = (body["url"].as_str().unwrap(), Browser::new());
        let back = house.allow(&mut browser, link, "carol").await;
        browser.follow(&back).await.goes_to(path_of(link));
        assert!(house.is_connected("carol").await);
        assert_eq!(house.audited("link.created").await[0].0, format!("key:{}", &key[4..16]));
    }

    async fn a_key_makes_no_links_beyond_its_rights(database: Database) {
        let house = open_house(&database).await;
        let alice = house.id("alice");
        let (without, wide) = (house.key.clone(), house.new_key(|it| it.links = true).await);
        let narrow = house.new_key(|it| { it.links = true; it.accounts = vec![alice] }).await;
        let label = "x";
        for (key, wanted, told) in [
            (&without, json!({ "label": label }), "may not make links"),
            (&wide, json!({ "label": label, "app": "other" }), "another app"),
            (&narrow, json!({ "label": label }), "user_id must name one"),
            (&narrow, json!({ "label": label, "user_id": house.id("bob").to_string() }), "user_id must name one"),
        ] {
            let refused = ask(&house, key, &wanted).await;
            refused.is_own(403, "not_allowed");
            assert!(refused.text().contains(told), "{}", refused.text());
        }
        let admin = house.new_admin_key().await;
        ask(&house, &admin, &json!({ "label": label })).await.is_own(401, "unknown_key");
        house.http.post(format!("{}{PATH}", house.url)).send().await.map(|it| assert_eq!(it.status(), 401)).unwrap();
        assert_eq!(made(&house).await, 0);
        let good = json!({ "label": label, "app": "demo", "user_id": alice.to_string() });
        assert_eq!(ask(&house, &narrow, &good).await.status, 201);
        for wrong in [json!({}), json!({ "label": "" }), json!({ "label": label, "more": 1 }), json!({ "label": label, "return_to": "https://evil.example/" })] {
            ask(&house, &wide, &wrong).await.is_own(400, "invalid_request");
        }
        house.ask("GET", PATH).send().await.is_own(405, "method_not_allowed");
    }

    async fn the_answer_that_an_account_has_ended_has_a_link_for_those_who_may(database: Database) {
        let house = open_house(&database).await;
        let key = house.new_key(|it| it.links = true).await;
        revoke(&house).await;
        let without = call(&house, "alice", &house.key).send().await;
        assert!(without.json()["reconnect_url"].is_null() && !without.text().contains("reconnect"), "{}", without.text());
        assert_eq!(made(&house).await, 0);

        let with = call(&house, "alice", &key).send().await;
        with.is_own(409, "account_not_active");
        assert_eq!(with.json()["reconnect_until"], "2026-03-11T21:15:30Z");
        assert_eq!(with.header("cache-control"), "no-store");
        assert!(with.json()["detail"].as_str().unwrap().ends_with("; that link is in reconnect_url and in the header Countersign-Reconnect-Url"));
        let link = with.json()["reconnect_url"].as_str().unwrap().to_owned();
        user_becomes(&house, "alice", "active").await;
        let mut browser = Browser::new();
        let back = house.allow(&mut browser, &link, "bob").await;
        browser.follow(&back).await.goes_to(path_of(&link));
        call(&house, "alice", &key).send().await.is_own(409, "account_not_active");
        let back = house.allow(&mut browser, &link, "alice").await;
        browser.follow(&back).await.goes_to(path_of(&link));
        call(&house, "alice", &key).send().await.is_relayed(200);
    }

    async fn calling_on_and_on_makes_one_link_until_somebody_begins_with_it(database: Database) {
        let house = open_house(&database).await;
        let key = house.new_key(|it| it.links = true).await;
        revoke(&house).await;
        let asks: Vec<_> = (0..20).map(|_| link_for(&house, &key)).collect();
        let mut links = Vec::new();
        for ask in asks {
            links.push(ask.await);
        }
        links.dedup();
        assert_eq!((links.len(), made(&house).await), (1, 1));
        house.begin(&mut Browser::new(), &links[0]).await;
        house.bench.clock.forward(Duration::seconds(60));
        house.gateway.catch_up_once().await.unwrap();
        // It belongs to that browser now, so whoever asks gets another one.
        assert_ne!(link_for(&house, &key).await, links[0]);
        house.bench.clock.forward(Duration::hours(11));
        house.gateway.catch_up_once().await.unwrap();
        let second = link_for(&house, &key).await;
        assert_eq!(made(&house).await, 2);
        house.bench.clock.forward(Duration::hours(2));
        house.gateway.catch_up_once().await.unwrap();
        assert_ne!(link_for(&house, &key).await, second, "it ends too soon");
    }

    async fn an_account_that_ended_again_has_a_new_link(database: Database) {
        let house = open_house(&database).await;
        let key = house.new_key(|it| it.links = true).await;
        revoke(&house).await;
        let first = link_for(&house, &key).await;
        user_becomes(&house, "alice", "active").await;
        let mut browser = Browser::new();
        let back = house.allow(&mut browser, &first, "alice").await;
        browser.follow(&back).await.goes_to(path_of(&first));
        revoke(&house).await;
        assert_ne!(link_for(&house, &key).await, first);
    }

    async fn without_a_database_the_answer_comes_without_a_link(database: Database) {
        let house = open_house(&database).await;
        let key = house.new_key(|it| it.links = true).await;
        revoke(&house).await;
        // The key is remembered from here on.
        call(&house, "bob", &key).send().await.is_relayed(200);
        database.run("alter table link rename to elsewhere").await;
        let answer = call(&house, "alice", &key).send().await;
        answer.is_own(409, "account_not_active");
        assert!(answer.json()["reconnect_url"].is_null());
        database.run("alter table elsewhere rename to link").await;
        link_for(&house, &key).await;
    }

    async fn a_key_has_so_many_links_that_wait_and_no_more(database: Database) {
        let change = |it: &mut countersign::config::Config| it.limits.key_links = 3;
        let house = House::start_with(&database, change).await;
        let (key, other) = (house.new_key(|it| it.links = true).await, house.new_key(|it| it.links = true).await);
        let wanted = |expires: &str| json!({ "label": "a friend", "expires": expires });
        assert_eq!(ask(&house, &key, &wanted("2h")).await.status, 201);
        let mut made = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let ask = house.ask("POST", PATH).header("authorization", &format!("Bearer {key}"));
            made.spawn(ask.header("content-type", "application/json").body(wanted("3h").to_string()).send());
        }
        let statuses: Vec<_> = made.join_all().await.iter().map(|it| it.status.as_u16()).collect();
        assert_eq!(statuses.iter().filter(|it| **it == 201).count(), 2, "{statuses:?}");
        let refused = ask(&house, &key, &wanted("3h")).await;
        refused.is_own(429, "too_many_links");
        assert_eq!(refused.header("retry-after"), "7200");
        assert!(refused.json()["detail"].as_str().unwrap().contains("limits.key_links"), "{}", refused.text());
        // An answer that an account has ended goes without one, and asks for none again for a while.
        revoke(&house).await;
        let answer = call(&house, "alice", &key).send().await;
        answer.is_own(409, "account_not_active");
        assert!(answer.json()["reconnect_url"].is_null(), "{}", answer.text());
        database.run("alter table link rename to link_away").await;
        call(&house, "alice", &key).send().await.is_own(409, "account_not_active");
        database.run("alter table link_away rename to link").await;

        assert_eq!(ask(&house, &other, &wanted("3h")).await.status, 201, "each key has its own");
        let admins = countersign::gateway::NewLink { label: "an admin's".to_owned(), ..Default::default() };
        house.gateway.create_link(admins, "test").await.unwrap();
        house.bench.clock.forward(Duration::hours(2));
        house.gateway.catch_up_once().await.unwrap();
        assert_eq!(ask(&house, &key, &wanted("3h")).await.status, 201, "one is over");
        ask(&house, &key, &wanted("3h")).await.is_own(429, "too_many_links");
    }
}
