//! Bearer tokens that are shared, replaced and rejected: as few mints as possible, and no caller notices a rotation.

use countersign::model::{AppOnly, Secret};
use serde_json::json;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::trouble::{PATIENCE, at_once, attempts, mints, private, public, rotate_bearer};

/// Another gateway on the same database, in front of the same sandbox.
async fn replica(gateway: &TestGateway, database: &crate::database::Database) -> TestGateway {
    TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await
}

async fn a_bearer_is_minted_once_and_kept_verbatim(database: Database) {
    let gateway = TestGateway::start(&database).await;
    assert_eq!(mints(&gateway).await, 0, "none is minted before it is needed");
    for answer in at_once(&public(&gateway), 50).await {
        answer.is_relayed(200);
    }
    assert_eq!(mints(&gateway).await, 1);
    let token = gateway.sandbox.app("demo").bearer_token.clone();
    assert!(token.contains("%2F") && token.contains("%3D"));
    for call in gateway.arrived("/insights/").await {
        assert_eq!(call["header_values"]["authorization"], format!("Bearer {token}"));
    }
}

async fn a_restarted_gateway_uses_the_stored_bearer(database: Database) {
    let gateway = TestGateway::start(&database).await;
    public(&gateway).send().await.is_relayed(200);
    let again = replica(&gateway, &database).await;
    public(&again).send().await.is_relayed(200);
    assert_eq!(mints(&again).await, 1);
    let stored = again.store.find_bearer("demo").await.unwrap().unwrap();
    assert_eq!(stored.generation, 1);
    let token = again.sandbox.app("demo").bearer_token.clone().into_bytes();
    assert!(
        !stored
            .sealed_token
            .windows(20)
            .any(|window| token.windows(20).any(|other| window == other))
    );
}

async fn a_thousand_callers_after_a_rotation_see_one_mint_and_no_error(database: Database) {
    let gateway = TestGateway::start(&database).await;
    for _ in 0..2 {
        public(&gateway).send().await.is_relayed(200);
        gateway.inner.catch_up_once().await.unwrap();
    }
    rotate_bearer(&gateway).await;
    for answer in at_once(&public(&gateway), 1000).await {
        answer.is_relayed(200);
    }
    assert_eq!(mints(&gateway).await, 2);
    let refused =
        gateway.arrived("/insights/").await.iter().filter(|call| call["status"] == 401).count();
    assert!(refused > 0, "the rotation was met");
    // On a busy machine the callers have their answers before the database has the token.
    let stored = async || gateway.store.find_bearer("demo").await.unwrap().unwrap().generation;
    let waiting = async {
        while stored().await != 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the new token was never stored");
}

async fn two_replicas_share_a_rotation(database: Database) {
    let one = TestGateway::start(&database).await;
    let two = replica(&one, &database).await;
    public(&one).send().await.is_relayed(200);
    public(&two).send().await.is_relayed(200);
    rotate_bearer(&one).await;
    let (ask_one, ask_two) = (public(&one), public(&two));
    let (left, right) = tokio::join!(at_once(&ask_one, 50), at_once(&ask_two, 50));
    for answer in left.iter().chain(&right) {
        answer.is_relayed(200);
    }
    let minted = mints(&one).await;
    assert!((2..=3).contains(&minted), "{minted} mints, the first one included");
}

async fn a_replica_takes_over_what_another_has_minted(database: Database) {
    let one = TestGateway::start(&database).await;
    let two = replica(&one, &database).await;
    public(&one).send().await.is_relayed(200);
    public(&two).send().await.is_relayed(200);
    rotate_bearer(&one).await;
    public(&one).send().await.is_relayed(200);
    public(&two).send().await.is_relayed(200);
    assert_eq!(mints(&two).await, 2, "the second replica found the first one's");
}

async fn a_stored_bearer_that_is_outdated_too_is_replaced(database: Database) {
    let one = TestGateway::start(&database).await;
    public(&one).send().await.is_relayed(200);
    // This replica must learn of the second generation from the database alone.
    let two = TestGateway::build(one.sandbox.again(), &database.settings(), |config| {
        config.database.poll = std::time::Duration::from_hours(1);
    })
    .await;
    database.run("update bearer set sealed_token = sealed_token").await;
    public(&two).send().await.is_relayed(200);
    rotate_bearer(&one).await;
    database.run("update bearer set generation = 2").await;
    public(&two).send().await.is_relayed(200);
    assert_eq!(mints(&two).await, 2);
    assert_eq!(two.store.find_bearer("demo").await.unwrap().unwrap().generation, 3);
}

async fn an_edited_bearer_row_is_replaced(database: Database) {
    let gateway = TestGateway::start(&database).await;
    public(&gateway).send().await.is_relayed(200);
    database.run("update bearer set sealed_token = substr(sealed_token, 1, 40)").await;
    public(&gateway).send().await.is_relayed(200);
    assert_eq!(mints(&gateway).await, 1, "what is remembered is not what was edited");

    for _ in 0..2 {
        let again = replica(&gateway, &database).await;
        public(&again).send().await.is_relayed(200);
    }
    assert_eq!(mints(&gateway).await, 2, "the new one was stored in its place");
    assert_eq!(gateway.store.find_bearer("demo").await.unwrap().unwrap().generation, 2);
}

async fn a_bearer_from_the_settings_is_never_minted(database: Database) {
    let gateway = TestGateway::start_with(&database, |_| ()).await;
    let token = gateway.sandbox.app("demo").bearer_token.clone();
    let configured =
        TestGateway::build(gateway.sandbox.again(), &database.settings(), move |config| {
            config.apps.get_mut("demo").unwrap().bearer_token = Some(Secret::new(token));
        })
        .await;
    public(&configured).send().await.is_relayed(200);
    rotate_bearer(&configured).await;
    let answer = public(&configured).send().await;
    answer.is_relayed(401);
    assert_eq!(mints(&configured).await, 0);
    assert!(configured.store.find_bearer("demo").await.unwrap().is_none());
}

async fn two_legged_calls_need_no_bearer(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        config.apps.get_mut("demo").unwrap().app_only = AppOnly::TwoLegged;
    })
    .await;
    let answer = public(&gateway).send().await;
    answer.is_relayed(200);
    assert_eq!(answer.header("countersign-auth"), "app-only");
    assert_eq!(gateway.arrived("/insights/").await[0]["auth_kind"], "two_legged");
    assert_eq!(mints(&gateway).await, 0);
}

async fn calls_of_users_never_mint(database: Database) {
    let gateway = TestGateway::start(&database).await;
    rotate_bearer(&gateway).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    gateway
        .order(json!([{ "kind": "status", "code": 89, "status": 401, "path": "/insights/" }]))
        .await;
    private(&gateway, "alice").send().await.is_relayed(401);
    assert_eq!(gateway.fired().await, [1]);
    assert_eq!((mints(&gateway).await, attempts(&gateway).await), (0, 2));
}

on_both!(
    a_bearer_is_minted_once_and_kept_verbatim,
    a_restarted_gateway_uses_the_stored_bearer,
    a_thousand_callers_after_a_rotation_see_one_mint_and_no_error,
    two_replicas_share_a_rotation,
    a_replica_takes_over_what_another_has_minted,
    a_stored_bearer_that_is_outdated_too_is_replaced,
    an_edited_bearer_row_is_replaced,
    a_bearer_from_the_settings_is_never_minted,
    two_legged_calls_need_no_bearer,
    calls_of_users_never_mint
);
