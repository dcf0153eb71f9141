//! Strangers who make up plausible keys and links: they have to wait, and nobody else does.

use std::time::Duration;

use countersign::model::handshake;
use countersign::model::key::{Kind as Holder, compose};
use tokio::task::JoinSet;

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::trouble::{PATIENCE, id_of, public, with_key};

/// How many wrong keys an address may try in a minute.
const MOST: usize = 20;

pub fn unknown_key(holder: Holder, number: usize) -> String {
    let digits = format!("{number:012}{:043}", 0);
    compose(holder, digits.as_bytes().try_into().unwrap()).1.expose().to_owned()
}

/// The id of that key with another secret.
fn with_other_secret(holder: Holder, key: &str) -> String {
    let digits = format!("{}{:043}", id_of(key), 7);
    compose(holder, digits.as_bytes().try_into().unwrap()).1.expose().to_owned()
}

/// A client at another address of this machine.
fn elsewhere() -> reqwest::Client {
    let stay = reqwest::redirect::Policy::none();
    let http = reqwest::Client::builder().no_proxy().redirect(stay);
    http.local_address("127.0.0.2".parse().ok()).build().unwrap()
}

fn is_told_to_wait(answer: &crate::http::Answer) {
    answer.is_own(429, "too_many_guesses");
    assert_eq!(answer.header("retry-after"), "60");
}

async fn an_address_that_guesses_keys_waits_and_its_good_keys_do_not(database: Database) {
    // An unknown key is remembered for longer than the test may take.
    let gateway = TestGateway::start_with(&database, |config| {
        config.limits.negative_cache = Duration::from_mins(1);
    })
    .await;
    let unused = gateway.new_key(|_| ()).await;
    let revoked = gateway.new_key(|_| ()).await;
    gateway.inner.revoke_key(&revoked, "test").await.unwrap().unwrap();
    // A change that arrives during a look-up would have its result forgotten.
    gateway.inner.catch_up_once().await.unwrap();
    for number in 0..MOST {
        let ask = with_key(public(&gateway), &unknown_key(Holder::Caller, number));
        ask.send().await.is_own(401, "unknown_key");
    }
    let unknown = with_key(public(&gateway), &unknown_key(Holder::Caller, MOST));
    is_told_to_wait(&unknown.clone().send().await);
    is_told_to_wait(
        &with_key(public(&gateway), &with_other_secret(Holder::Caller, &unused)).send().await,
    );
    public(&gateway).send().await.is_relayed(200);
    with_key(public(&gateway), &unused).send().await.is_relayed(200);
    // A cached key needs no look-up, so it is answered as ever.
    with_key(public(&gateway), &revoked).send().await.is_own(401, "unknown_key");
    with_key(public(&gateway), &unknown_key(Holder::Caller, 0))
        .send()
        .await
        .is_own(401, "unknown_key");
    let there = Ask::new(&elsewhere(), &gateway.url, "POST", crate::upstream::TOTALS).body("{}");
    with_key(there, &unknown_key(Holder::Caller, MOST)).send().await.is_own(401, "unknown_key");
    // Attempts at the operators' listener are counted separately.
    let admin = gateway.new_admin_key().await;
    gateway
        .admin(&unknown_key(Holder::Admin, 0), "GET", "/admin/v1/keys")
        .send()
        .await
        .is_own(401, "unknown_key");
    assert_eq!(gateway.admin(&admin, "GET", "/admin/v1/keys").send().await.status, 200);
}

async fn the_operators_api_and_the_sign_in_count_guesses_together(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let ask =
        |number: usize| gateway.admin(&unknown_key(Holder::Admin, number), "GET", "/admin/v1/keys");
    for number in 0..MOST {
        ask(number).send().await.is_own(401, "unknown_key");
    }
    is_told_to_wait(&ask(MOST).send().await);
    assert_eq!(gateway.admin(&admin, "GET", "/admin/v1/keys").send().await.status, 200);
    let sign_in = Ask::new(&gateway.http, &gateway.admin_url, "POST", "/console/sign-in");
    let sign_in = sign_in.header("content-type", "application/x-www-form-urlencoded");
    let sign_in = sign_in
        .header("origin", &gateway.admin_url)
        .body(format!("key={}", unknown_key(Holder::Admin, MOST)));
    assert_eq!(sign_in.send().await.status, 429);
}

async fn a_key_that_another_replica_has_made_is_known_by_the_feed(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let other = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
    let made = other.new_key(|_| ()).await;
    gateway.inner.catch_up_once().await.unwrap();
    for number in 0..MOST {
        with_key(public(&gateway), &unknown_key(Holder::Caller, number))
            .send()
            .await
            .is_own(401, "unknown_key");
    }
    with_key(public(&gateway), &made).send().await.is_relayed(200);
}

async fn an_address_that_guesses_links_waits_and_others_do_not(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let new = countersign::gateway::NewLink { label: "a friend".to_owned(), ..Default::default() };
    let link = gateway.inner.create_link(new, "test").await.unwrap();
    let path = link.url.expose().strip_prefix(&gateway.url).unwrap().to_owned();
    let stranger = |number: usize| {
        let id = handshake::compose(format!("{number:043}").as_bytes().try_into().unwrap());
        gateway.ask("GET", &format!("/connect/{}", id.expose()))
    };
    for number in 0..MOST {
        assert_eq!(stranger(number).send().await.status, 404);
    }
    let refused = stranger(MOST).send().await;
    assert_eq!(refused.status, 429);
    assert!(refused.text().contains("too many attempts from your address"), "{}", refused.text());
    let answer = Ask::new(&elsewhere(), &gateway.url, "GET", &path).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

on_both!(
    an_address_that_guesses_keys_waits_and_its_good_keys_do_not,
    the_operators_api_and_the_sign_in_count_guesses_together,
    a_key_that_another_replica_has_made_is_known_by_the_feed,
    an_address_that_guesses_links_waits_and_others_do_not
);

#[tokio::test]
async fn look_ups_of_what_may_not_exist_leave_connections_to_others() {
    let database = fresh(Kind::Postgres).await;
    let gateway = TestGateway::start(&database).await;
    let cold = gateway.new_key(|_| ()).await;
    // The change has been read, so that nothing else reads keys.
    gateway.inner.catch_up_once().await.unwrap();
    let locked = database.lock("key").await;
    let mut flood = JoinSet::new();
    for number in 0..MOST + 10 {
        flood.spawn(with_key(public(&gateway), &unknown_key(Holder::Caller, number)).send());
    }
    // Once the excess is told to wait, all the others are being looked up.
    for _ in 0..10 {
        let refused = tokio::time::timeout(PATIENCE, flood.join_next()).await.unwrap();
        is_told_to_wait(&refused.unwrap().unwrap());
    }
    assert_eq!(database.waiting_for_locks(1).await, 1, "one connection of five is theirs");
    let good = tokio::spawn(with_key(public(&gateway), &cold).send());
    assert_eq!(database.waiting_for_locks(2).await, 2, "a key that exists has no part in it");
    gateway.store.ping().await.unwrap();
    gateway
        .store
        .list_accounts(&countersign::store::AccountFilter { limit: 1, ..Default::default() })
        .await
        .unwrap();
    assert!(flood.try_join_next().is_none() && !good.is_finished());
    drop(locked);
    good.await.unwrap().is_relayed(200);
    let answers = tokio::time::timeout(PATIENCE, flood.join_all()).await.unwrap();
    for answer in answers {
        answer.is_own(401, "unknown_key");
    }
}
