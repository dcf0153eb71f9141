//! The database away: known callers are served, unknown ones are told to wait, and everything is back after its return.

use std::time::Duration;

use countersign::config;

use crate::bench::{Answer, Bench};
use crate::database::{Kind, PrivatePostgres, fresh, on_both, settings};
use crate::house::House;
use crate::trouble::{
    at_once, eventually, eventually_status, id_of, mints, private, public, with_key,
};

/// With a wait that a busy machine does not use up, and that a test can wait for.
fn settings_of(server: &PrivatePostgres) -> config::Database {
    config::Database { call_wait: Duration::from_secs(1), ..settings(&server.url()) }
}

/// A house on a server of its own, with everything that alice's and the app's calls need in memory.
pub async fn warm(server: &PrivatePostgres) -> House {
    let mut settings = settings_of(server);
    settings.wait = Duration::from_secs(2);
    settings.statement_timeout = Duration::from_secs(2);
    let house = House::build(Bench::start().await, &settings, |_| ()).await;
    warm_up(&house).await;
    house
}

/// What the house itself has changed is forgotten and remembered again, so that the feed has nothing left to tell.
async fn warm_up(house: &House) {
    for _ in 0..3 {
        known_are_served(house).await;
        private(house, "alice")
            .header("countersign-account", "@Alice")
            .send()
            .await
            .is_relayed(200);
        house.gateway.catch_up_once().await.unwrap();
    }
}

async fn known_are_served(house: &House) {
    public(house).send().await.is_relayed(200);
    private(house, "alice").send().await.is_relayed(200);
}

fn is_told_to_wait(answer: &Answer) {
    answer.is_own(503, "store_unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}

async fn ready(house: &House) -> (u16, String, String) {
    let answer = house.ask("GET", "/readyz").header("authorization", "").send().await;
    let body = answer.json();
    let reasons = body["reasons"].as_array().unwrap();
    let first = reasons.first().map_or("", |it| it.as_str().unwrap());
    (answer.status.as_u16(), body["status"].as_str().unwrap().to_owned(), first.to_owned())
}

async fn is_live(house: &House) {
    for listener in [&house.url, &house.admin_url] {
        let answer = house.http.get(format!("{listener}/livez")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

on_both! {
    async fn a_call_in_steady_state_asks_the_database_nothing(database: Database) {
        let house = House::start(&database).await;
        let unused = house.new_key(|_| ()).await;
        warm_up(&house).await;
        for table in ["key", "account", "bearer"] {
            database.run(&format!("alter table {table} rename to {table}_away")).await;
        }
        let named = private(&house, "alice").header("countersign-account", "@Alice");
        for ask in [public(&house), private(&house, "alice"), named] {
            for answer in at_once(&ask, 50).await {
                answer.is_relayed(200);
            }
        }
        // Whoever does ask the database is found out.
        with_key(public(&house), &unused).send().await.is_own(500, "internal");
        private(&house, "bob").send().await.is_own(500, "internal");
    }
}

#[tokio::test]
async fn known_callers_are_served_while_postgres_is_stopped() {
    let server = PrivatePostgres::start_new();
    let house = warm(&server).await;
    let (unused, revoked) = (house.new_key(|_| ()).await, house.new_key(|_| ()).await);
    with_key(public(&house), &revoked).send().await.is_relayed(200);
    house.gateway.revoke_key(id_of(&revoked), "test").await.unwrap().unwrap();
    with_key(public(&house), &revoked).send().await.is_own(401, "unknown_key");
    assert_eq!(ready(&house).await, (200, "ready".to_owned(), String::new()));

    server.stop();
    for ask in [public(&house), private(&house, "alice")] {
        for answer in at_once(&ask, 100).await {
            answer.is_relayed(200);
        }
    }
    is_told_to_wait(&with_key(public(&house), &unused).send().await);
    is_told_to_wait(&private(&house, "bob").send().await);
    is_told_to_wait(&private(&house, "alice").header("countersign-account", "@bob").send().await);
    with_key(public(&house), "csk_nonsense").send().await.is_own(401, "unknown_key");
    let admin = house.admin(&unused, "GET", "/admin/v1/keys").send().await;
    admin.is_own(401, "unknown_key");
    is_live(&house).await;

    house.bench.clock.forward(time::Duration::seconds(2));
    let away = "the database is unavailable; known callers are served for another 298 s";
    assert_eq!(ready(&house).await, (200, "degraded".to_owned(), away.to_owned()));
    known_are_served(&house).await;

    house.bench.clock.forward(time::Duration::minutes(5));
    is_told_to_wait(&public(&house).send().await);
    is_told_to_wait(&private(&house, "alice").send().await);
    let away = "the database has been unavailable for too long";
    assert_eq!(ready(&house).await, (503, "not ready".to_owned(), away.to_owned()));
    is_live(&house).await;

    server.start();
    let readyz = house.ask("GET", "/readyz");
    eventually(&readyz, |it| it.status == 200 && it.json()["status"] == "ready").await;
    for ask in [
        public(&house),
        private(&house, "alice"),
        private(&house, "bob"),
        with_key(public(&house), &unused),
    ] {
        ask.send().await.is_relayed(200);
    }
    house.gateway.revoke_key(id_of(&unused), "test").await.unwrap().unwrap();
    with_key(public(&house), &unused).send().await.is_own(401, "unknown_key");
    with_key(public(&house), &revoked).send().await.is_own(401, "unknown_key");
    assert_eq!(mints(&house).await, 1);
}

#[tokio::test]
async fn what_was_revoked_elsewhere_meanwhile_is_obeyed_after_the_return() {
    let server = PrivatePostgres::start_new();
    let house = warm(&server).await;
    let key = house.new_key(|_| ()).await;
    house.gateway.catch_up_once().await.unwrap();
    let call = with_key(private(&house, "alice"), &key);
    call.clone().send().await.is_relayed(200);
    server.stop();
    call.clone().send().await.is_relayed(200);
    server.start();
    let other = House::build(house.bench.again(), &settings_of(&server), |_| ()).await;
    other.gateway.revoke_key(id_of(&key), "test").await.unwrap().unwrap();
    eventually_status(&call, 401).await.is_own(401, "unknown_key");
    known_are_served(&house).await;
}

#[tokio::test]
async fn known_callers_are_served_while_postgres_hangs() {
    let server = PrivatePostgres::start_new();
    let house = warm(&server).await;
    let unused = house.new_key(|_| ()).await;
    server.hang();
    known_are_served(&house).await;
    is_told_to_wait(&with_key(public(&house), &unused).send().await);
    is_told_to_wait(&private(&house, "bob").send().await);
    house.bench.clock.forward(time::Duration::minutes(6));
    is_told_to_wait(&private(&house, "alice").send().await);
    assert_eq!(ready(&house).await.0, 503);
    server.resume();
    eventually_status(&private(&house, "alice"), 200).await.is_relayed(200);
    eventually_status(&private(&house, "bob"), 200).await;
    eventually_status(&with_key(public(&house), &unused), 200).await;
}

#[tokio::test]
async fn a_bearer_is_renewed_while_postgres_is_stopped() {
    let server = PrivatePostgres::start_new();
    let house = warm(&server).await;
    server.stop();
    crate::trouble::rotate_bearer(&house).await;
    for answer in at_once(&public(&house), 20).await {
        answer.is_relayed(200);
    }
    assert_eq!(mints(&house).await, 2);
    server.start();
    public(&house).send().await.is_relayed(200);
}

#[tokio::test]
async fn an_account_that_x_refuses_is_told_while_postgres_is_stopped() {
    let server = PrivatePostgres::start_new();
    let house = warm(&server).await;
    crate::trouble::user_becomes(&house, "alice", "revoked").await;
    server.stop();
    private(&house, "alice").send().await.is_relayed(401);
    server.start();
    eventually_status(&private(&house, "alice"), 409).await.is_own(409, "account_not_active");
}

#[tokio::test]
async fn a_gateway_that_stops_is_not_ready_but_alive_and_still_answers() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    assert_eq!(ready(&house).await, (200, "ready".to_owned(), String::new()));
    house.life.close();
    let stopping = "the gateway is stopping";
    assert_eq!(ready(&house).await, (503, "not ready".to_owned(), stopping.to_owned()));
    is_live(&house).await;
    let answer = private(&house, "alice").send().await;
    answer.is_relayed(200);
    assert_eq!(answer.header("connection"), "close");
}

/// Without a limit of its own, each of these waits would last an hour.
#[tokio::test]
async fn answers_do_not_wait_for_a_database_that_hangs() {
    let server = PrivatePostgres::start_new();
    let mut settings = settings_of(&server);
    settings.wait = Duration::from_hours(1);
    let house = House::build(Bench::start().await, &settings, |_| ()).await;
    warm_up(&house).await;
    crate::trouble::user_becomes(&house, "alice", "revoked").await;
    crate::trouble::rotate_bearer(&house).await;
    server.hang();
    private(&house, "alice").send().await.is_relayed(401);
    public(&house).send().await.is_relayed(200);
    server.resume();
    eventually_status(&private(&house, "alice"), 409).await.is_own(409, "account_not_active");
}

#[tokio::test]
async fn nothing_is_remembered_for_those_who_want_it_so() {
    let server = PrivatePostgres::start_new();
    let house = House::build(Bench::start().await, &settings_of(&server), |config| {
        config.database.stale = Duration::ZERO;
    })
    .await;
    known_are_served(&house).await;
    server.stop();
    house.bench.clock.forward(time::Duration::seconds(3));
    is_told_to_wait(&private(&house, "alice").send().await);
    server.start();
    eventually_status(&private(&house, "alice"), 200).await.is_relayed(200);
}
