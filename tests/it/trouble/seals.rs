//! Stored secrets that were changed or moved: refused, quarantined, and nobody else is affected.

use std::fmt::Write as _;

use countersign::gateway::ImportEvents;
use countersign::model::{App, Secret};
use countersign::store::StoredAccount;

use crate::database::{Database, Kind, on_both};
use crate::gateway::TestGateway;
use crate::trouble::{attempts, eventually_status, mints, private, public};

/// Bytes as an SQL literal for either database.
fn blob(database: &Database, bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in bytes {
        write!(hex, "{byte:02x}").unwrap();
    }
    match database.kind {
        Kind::Sqlite => format!("x'{hex}'"),
        Kind::Postgres => format!("'\\x{hex}'::bytea"),
    }
}

async fn sealed(gateway: &TestGateway, app: &str, name: &str) -> StoredAccount {
    let id = gateway.id(name);
    gateway.store.find_account(app, id).await.unwrap().unwrap()
}

async fn set(database: &Database, gateway: &TestGateway, name: &str, column: &str, bytes: &[u8]) {
    let (bytes, id) = (blob(database, bytes), gateway.id(name));
    database
        .run(&format!(
            "update account set {column} = {bytes} where app = 'demo' and user_id = '{id}'"
        ))
        .await;
}

/// Alice's call is refused without calling X, her account is quarantined, and the others go on.
async fn only_alice_is_quarantined(gateway: &TestGateway) {
    let before = attempts(gateway).await;
    let answer = private(gateway, "alice").send().await;
    answer.is_own(409, "account_not_active");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("quarantined since 2026-03-10T21:15:30Z"), "{detail}");
    assert!(detail.contains("import the token again"), "{detail}");
    assert_eq!(attempts(gateway).await, before);
    private(gateway, "bob").send().await.is_relayed(200);
    let key = gateway.new_admin_key().await;
    let path = "/admin/v1/accounts?state=quarantined&app=demo";
    let listed = gateway.admin(&key, "GET", path);
    let alice = gateway.id("alice").to_string();
    crate::trouble::eventually(&listed, |answer| {
        answer.json()["accounts"]
            .as_array()
            .is_some_and(|accounts| accounts.len() == 1 && accounts[0]["user_id"] == *alice)
    })
    .await;
}

async fn heal(gateway: &TestGateway) {
    gateway.connect(&["alice"]).await;
    eventually_status(&private(gateway, "alice"), 200).await;
    gateway.connect(&["alice"]).await;
}

/// Two apps with alice connected to both.
async fn two_apps(database: &Database) -> TestGateway {
    let sandbox = crate::upstream::TestSandbox::start().await;
    let other = sandbox.app("other").clone();
    let gateway = TestGateway::build(sandbox, &database.settings(), move |config| {
        let demo = config.apps.values().next().unwrap().clone();
        let app = App {
            name: "other".to_owned(),
            consumer_key: other.consumer_key,
            consumer_secret: Secret::new(other.consumer_secret),
            ..demo
        };
        config.apps.insert("other".to_owned(), app);
    })
    .await;
    let mut import = gateway.import_of("alice");
    let user = gateway.sandbox.user("alice");
    import.access_token = Secret::from(&*user.other_access_token);
    import.access_token_secret = Secret::from(&*user.other_access_token_secret);
    gateway
        .inner
        .import_accounts(Some("other"), &[import], ImportEvents::Each, "test", |_| ())
        .await
        .unwrap();
    gateway
}

async fn tokens_moved_between_users_are_refused(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let bob = sealed(&gateway, "demo", "bob").await;
    set(&database, &gateway, "alice", "sealed_token", &bob.sealed_token).await;
    set(&database, &gateway, "alice", "sealed_token_secret", &bob.sealed_token_secret).await;
    only_alice_is_quarantined(&gateway).await;
}

async fn a_secret_alone_that_was_moved_is_refused(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let bob = sealed(&gateway, "demo", "bob").await;
    set(&database, &gateway, "alice", "sealed_token_secret", &bob.sealed_token_secret).await;
    only_alice_is_quarantined(&gateway).await;
    heal(&gateway).await;
    private(&gateway, "alice").send().await.is_relayed(200);
}

async fn tokens_moved_between_columns_are_refused(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let alice = sealed(&gateway, "demo", "alice").await;
    set(&database, &gateway, "alice", "sealed_token", &alice.sealed_token_secret).await;
    set(&database, &gateway, "alice", "sealed_token_secret", &alice.sealed_token).await;
    only_alice_is_quarantined(&gateway).await;
    heal(&gateway).await;
    private(&gateway, "alice").send().await.is_relayed(200);
}

async fn tokens_moved_between_apps_are_refused(database: Database) {
    let gateway = two_apps(&database).await;
    let other = sealed(&gateway, "other", "alice").await;
    set(&database, &gateway, "alice", "sealed_token", &other.sealed_token).await;
    set(&database, &gateway, "alice", "sealed_token_secret", &other.sealed_token_secret).await;
    only_alice_is_quarantined(&gateway).await;
    let key = gateway.new_key(|key| key.scopes.app = Some("other".to_owned())).await;
    let answer = crate::trouble::with_key(private(&gateway, "alice"), &key).send().await;
    answer.is_relayed(200);
}

async fn a_flipped_bit_anywhere_in_a_record_is_refused(database: Database) {
    let gateway = TestGateway::start(&database).await;
    for column in ["sealed_token", "sealed_token_secret"] {
        let stored = sealed(&gateway, "demo", "alice").await;
        let record =
            if column == "sealed_token" { stored.sealed_token } else { stored.sealed_token_secret };
        // Version, nonce, ciphertext, tag; another key id names a key that this gateway may lack.
        for place in [0, 9, 21, record.len() - 16, record.len() - 1] {
            let stored = sealed(&gateway, "demo", "alice").await;
            let mut record = if column == "sealed_token" {
                stored.sealed_token
            } else {
                stored.sealed_token_secret
            };
            record[place] ^= 1;
            set(&database, &gateway, "alice", column, &record).await;
            only_alice_is_quarantined(&gateway).await;
            heal(&gateway).await;
        }
    }
}

async fn records_cut_or_emptied_are_refused(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let record = sealed(&gateway, "demo", "alice").await.sealed_token;
    for length in [0, 1, 20, record.len() - 1] {
        set(&database, &gateway, "alice", "sealed_token", &record[..length]).await;
        only_alice_is_quarantined(&gateway).await;
        heal(&gateway).await;
    }
}

async fn a_record_put_back_heals_by_a_check(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let alice = sealed(&gateway, "demo", "alice").await;
    set(&database, &gateway, "alice", "sealed_token", b"nonsense").await;
    only_alice_is_quarantined(&gateway).await;
    let key = gateway.new_admin_key().await;
    let path = format!("/admin/v1/accounts/{}/verify", gateway.id("alice"));
    let verify = gateway.admin(&key, "POST", &path);
    assert_eq!(verify.clone().send().await.json()["state"], "quarantined");
    set(&database, &gateway, "alice", "sealed_token", &alice.sealed_token).await;
    assert_eq!(verify.send().await.json()["works"], true);
    private(&gateway, "alice").send().await.is_relayed(200);
}

async fn a_bearer_of_another_app_is_refused_and_minted_anew(database: Database) {
    let gateway = two_apps(&database).await;
    public(&gateway).send().await.is_relayed(200);
    let key = gateway.new_key(|key| key.scopes.app = Some("other".to_owned())).await;
    crate::trouble::with_key(public(&gateway), &key).send().await.is_relayed(200);
    assert_eq!(mints(&gateway).await, 2);
    let other = gateway.store.find_bearer("other").await.unwrap().unwrap();
    let bytes = blob(&database, &other.sealed_token);
    database.run(&format!("update bearer set sealed_token = {bytes} where app = 'demo'")).await;

    let again = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
    public(&again).send().await.is_relayed(200);
    let arrived = again.arrived("/insights/").await;
    assert_eq!(arrived.last().unwrap()["token"], *again.sandbox.app("demo").bearer_token);
    assert_eq!(mints(&again).await, 3);
}

on_both!(
    tokens_moved_between_users_are_refused,
    a_secret_alone_that_was_moved_is_refused,
    tokens_moved_between_columns_are_refused,
    tokens_moved_between_apps_are_refused,
    a_flipped_bit_anywhere_in_a_record_is_refused,
    records_cut_or_emptied_are_refused,
    a_record_put_back_heals_by_a_check,
    a_bearer_of_another_app_is_refused_and_minted_anew
);
