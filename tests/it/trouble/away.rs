//! The database is away: known callers are served, unknown ones are told to wait, and everything recovers.

use std::time::Duration;

use countersign::config;

use crate::database::{Database, Kind, PrivatePostgres, fresh, on_both, settings};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::trouble::{
    at_once, eventually, eventually_status, id_of, mints, private, public, with_key,
};
use crate::upstream::TestSandbox;

/// With waits that a busy machine does not exhaust, and that a test can sit out.
fn settings_of(server: &PrivatePostgres) -> config::Database {
    config::Database { call_wait: Duration::from_secs(1), ..settings(&server.url()) }
}

/// A gateway on a database server of its own, with everything that alice's and the app's calls need in memory.
pub async fn warm(server: &PrivatePostgres) -> TestGateway {
    let mut settings = settings_of(server);
    settings.wait = Duration::from_secs(2);
    settings.statement_timeout = Duration::from_secs(2);
    let gateway = TestGateway::build(TestSandbox::start().await, &settings, |_| ()).await;
    warm_up(&gateway).await;
    gateway
}

/// Evicts what the gateway itself has changed and caches it again, so that the change feed has nothing left to deliver.
async fn warm_up(gateway: &TestGateway) {
    for _ in 0..3 {
        known_are_served(gateway).await;
        private(gateway, "alice")
            .header("countersign-account", "@Alice")
            .send()
            .await
            .is_relayed(200);
        gateway.inner.catch_up_once().await.unwrap();
    }
}

async fn known_are_served(gateway: &TestGateway) {
    public(gateway).send().await.is_relayed(200);
    private(gateway, "alice").send().await.is_relayed(200);
}

fn is_told_to_wait(answer: &Answer) {
    answer.is_own(503, "store_unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}

async fn ready(gateway: &TestGateway) -> (u16, String, String) {
    let answer = gateway.ask("GET", "/readyz").header("authorization", "").send().await;
    let body = answer.json();
    let reasons = body["reasons"].as_array().unwrap();
    let first = reasons.first().map_or("", |reason| reason.as_str().unwrap());
    (answer.status.as_u16(), body["status"].as_str().unwrap().to_owned(), first.to_owned())
}

async fn is_live(gateway: &TestGateway) {
    for listener in [&gateway.url, &gateway.admin_url] {
        let answer = gateway.http.get(format!("{listener}/livez")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

async fn a_call_in_steady_state_asks_the_database_nothing(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let unused = gateway.new_key(|_| ()).await;
    warm_up(&gateway).await;
    for table in ["key", "account", "bearer"] {
        database.run(&format!("alter table {table} rename to {table}_away")).await;
    }
    let named = private(&gateway, "alice").header("countersign-account", "@Alice");
    for ask in [public(&gateway), private(&gateway, "alice"), named] {
        for answer in at_once(&ask, 50).await {
            answer.is_relayed(200);
        }
    }
    // A call that does query the database fails.
    with_key(public(&gateway), &unused).send().await.is_own(500, "internal");
    private(&gateway, "bob").send().await.is_own(500, "internal");
}

on_both!(a_call_in_steady_state_asks_the_database_nothing);

#[tokio::test]
async fn known_callers_are_served_while_postgres_is_stopped() {
    let server = PrivatePostgres::start_new();
    let gateway = warm(&server).await;
    let (unused, revoked) = (gateway.new_key(|_| ()).await, gateway.new_key(|_| ()).await);
    with_key(public(&gateway), &revoked).send().await.is_relayed(200);
    gateway.inner.revoke_key(id_of(&revoked), "test").await.unwrap().unwrap();
    with_key(public(&gateway), &revoked).send().await.is_own(401, "unknown_key");
    assert_eq!(ready(&gateway).await, (200, "ready".to_owned(), String::new()));

    server.stop();
    for ask in [public(&gateway), private(&gateway, "alice")] {
        for answer in at_once(&ask, 100).await {
            answer.is_relayed(200);
        }
    }
    is_told_to_wait(&with_key(public(&gateway), &unused).send().await);
    is_told_to_wait(&private(&gateway, "bob").send().await);
    is_told_to_wait(&private(&gateway, "alice").header("countersign-account", "@bob").send().await);
    with_key(public(&gateway), "csk_nonsense").send().await.is_own(401, "unknown_key");
    let admin = gateway.admin(&unused, "GET", "/admin/v1/keys").send().await;
    admin.is_own(401, "unknown_key");
    is_live(&gateway).await;

    gateway.sandbox.clock.forward(time::Duration::seconds(2));
    let away = "the database is unavailable; known callers are served for another 298 s";
    assert_eq!(ready(&gateway).await, (200, "degraded".to_owned(), away.to_owned()));
    known_are_served(&gateway).await;

    gateway.sandbox.clock.forward(time::Duration::minutes(5));
    is_told_to_wait(&public(&gateway).send().await);
    is_told_to_wait(&private(&gateway, "alice").send().await);
    let away = "the database has been unavailable for too long";
    assert_eq!(ready(&gateway).await, (503, "not ready".to_owned(), away.to_owned()));
    is_live(&gateway).await;

    server.start();
    let readyz = gateway.ask("GET", "/readyz");
    eventually(&readyz, |answer| answer.status == 200 && answer.json()["status"] == "ready").await;
    for ask in [
        public(&gateway),
        private(&gateway, "alice"),
        private(&gateway, "bob"),
        with_key(public(&gateway), &unused),
    ] {
        ask.send().await.is_relayed(200);
    }
    gateway.inner.revoke_key(id_of(&unused), "test").await.unwrap().unwrap();
    with_key(public(&gateway), &unused).send().await.is_own(401, "unknown_key");
    with_key(public(&gateway), &revoked).send().await.is_own(401, "unknown_key");
    assert_eq!(mints(&gateway).await, 1);
}

#[tokio::test]
async fn what_was_revoked_elsewhere_meanwhile_is_obeyed_after_the_return() {
    let server = PrivatePostgres::start_new();
    let gateway = warm(&server).await;
    let key = gateway.new_key(|_| ()).await;
    gateway.inner.catch_up_once().await.unwrap();
    let call = with_key(private(&gateway, "alice"), &key);
    call.clone().send().await.is_relayed(200);
    server.stop();
    call.clone().send().await.is_relayed(200);
    server.start();
    let other = TestGateway::build(gateway.sandbox.again(), &settings_of(&server), |_| ()).await;
    other.inner.revoke_key(id_of(&key), "test").await.unwrap().unwrap();
    eventually_status(&call, 401).await.is_own(401, "unknown_key");
    known_are_served(&gateway).await;
}

#[tokio::test]
async fn known_callers_are_served_while_postgres_hangs() {
    let server = PrivatePostgres::start_new();
    let gateway = warm(&server).await;
    let unused = gateway.new_key(|_| ()).await;
    server.hang();
    known_are_served(&gateway).await;
    is_told_to_wait(&with_key(public(&gateway), &unused).send().await);
    is_told_to_wait(&private(&gateway, "bob").send().await);
    gateway.sandbox.clock.forward(time::Duration::minutes(6));
    is_told_to_wait(&private(&gateway, "alice").send().await);
    assert_eq!(ready(&gateway).await.0, 503);
    server.resume();
    eventually_status(&private(&gateway, "alice"), 200).await.is_relayed(200);
    eventually_status(&private(&gateway, "bob"), 200).await;
    eventually_status(&with_key(public(&gateway), &unused), 200).await;
}

#[tokio::test]
async fn a_bearer_is_renewed_while_postgres_is_stopped() {
    let server = PrivatePostgres::start_new();
    let gateway = warm(&server).await;
    server.stop();
    crate::trouble::rotate_bearer(&gateway).await;
    for answer in at_once(&public(&gateway), 20).await {
        answer.is_relayed(200);
    }
    assert_eq!(mints(&gateway).await, 2);
    server.start();
    public(&gateway).send().await.is_relayed(200);
}

#[tokio::test]
async fn an_account_that_x_refuses_is_told_while_postgres_is_stopped() {
    let server = PrivatePostgres::start_new();
    let gateway = warm(&server).await;
    crate::trouble::user_becomes(&gateway, "alice", "revoked").await;
    server.stop();
    private(&gateway, "alice").send().await.is_relayed(401);
    server.start();
    eventually_status(&private(&gateway, "alice"), 409).await.is_own(409, "account_not_active");
}

#[tokio::test]
async fn a_gateway_that_stops_is_not_ready_but_alive_and_still_answers() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    assert_eq!(ready(&gateway).await, (200, "ready".to_owned(), String::new()));
    gateway.life.close();
    let stopping = "the gateway is stopping";
    assert_eq!(ready(&gateway).await, (503, "not ready".to_owned(), stopping.to_owned()));
    is_live(&gateway).await;
    let answer = private(&gateway, "alice").send().await;
    answer.is_relayed(200);
    assert_eq!(answer.header("connection"), "close");
}

/// Without a limit, each of these waits would last an hour.
#[tokio::test]
async fn answers_do_not_wait_for_a_database_that_hangs() {
    let server = PrivatePostgres::start_new();
    let mut settings = settings_of(&server);
    settings.wait = Duration::from_hours(1);
    let gateway = TestGateway::build(TestSandbox::start().await, &settings, |_| ()).await;
    warm_up(&gateway).await;
    crate::trouble::user_becomes(&gateway, "alice", "revoked").await;
    crate::trouble::rotate_bearer(&gateway).await;
    server.hang();
    private(&gateway, "alice").send().await.is_relayed(401);
    public(&gateway).send().await.is_relayed(200);
    server.resume();
    eventually_status(&private(&gateway, "alice"), 409).await.is_own(409, "account_not_active");
}

#[tokio::test]
async fn nothing_is_remembered_for_those_who_want_it_so() {
    let server = PrivatePostgres::start_new();
    let gateway = TestGateway::build(TestSandbox::start().await, &settings_of(&server), |config| {
        config.database.stale = Duration::ZERO;
    })
    .await;
    known_are_served(&gateway).await;
    server.stop();
    gateway.sandbox.clock.forward(time::Duration::seconds(3));
    is_told_to_wait(&private(&gateway, "alice").send().await);
    server.start();
    eventually_status(&private(&gateway, "alice"), 200).await.is_relayed(200);
}
