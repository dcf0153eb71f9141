//! Keys whose row was edited in the database: none of them opens anything, and all look like unknown keys.

use std::time::Duration;

use countersign::gateway::NewKey;
use countersign::model::Endpoint;
use countersign::model::key::{Kind, Right};
use serde_json::json;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::trouble::{attempts, id_of, private, public, with_key};
use crate::upstream::NOW;

/// Restricts a key in every possible way.
fn narrow(gateway: &TestGateway) -> impl FnOnce(&mut NewKey) {
    let alice = gateway.id("alice");
    move |key: &mut NewKey| {
        key.scopes.accounts = Some(vec![alice]);
        key.scopes.endpoints = Some(vec![Endpoint::Totals]);
        key.expires_in = Some(Duration::from_hours(1));
    }
}

async fn edit(database: &Database, key: &str, what: &str) {
    database.run(&format!("update key set {what} where key_id = '{}'", id_of(key))).await;
}

async fn is_refused(gateway: &TestGateway, key: &str, why: &str) {
    let before = attempts(gateway).await;
    let answer = with_key(private(gateway, "alice"), key).send().await;
    assert_eq!(answer.status, 401, "{why}: {}", answer.text());
    answer.is_own(401, "unknown_key");
    assert_eq!(attempts(gateway).await, before, "{why}");
}

async fn a_row_edited_in_any_column_is_refused(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let bob = gateway.id("bob");
    let edits = [
        "name = 'another'".to_owned(),
        "app = 'other'".to_owned(),
        "app = null".to_owned(),
        "accounts = null".to_owned(),
        "accounts = ''".to_owned(),
        format!("accounts = '{bob}'"),
        format!("accounts = accounts || ' {bob}'"),
        "endpoints = null".to_owned(),
        "endpoints = '28hr'".to_owned(),
        "endpoints = 'totals historical'".to_owned(),
        "endpoints = 'everything'".to_owned(),
        "accounts = 'everybody'".to_owned(),
        "expires_at = null".to_owned(),
        "expires_at = '2036-01-01 00:00:00+00:00'".to_owned(),
        "created_at = '2020-01-01 00:00:00+00:00'".to_owned(),
        "role = 'owner'".to_owned(),
        "revoked_at = '2026-01-01 00:00:00+00:00'".to_owned(),
        "sealed_verifier = substr(sealed_verifier, 2)".to_owned(),
    ];
    for what in edits {
        let key = gateway.new_key(narrow(&gateway)).await;
        edit(&database, &key, &what).await;
        is_refused(&gateway, &key, &what).await;
    }
    let untouched = gateway.new_key(narrow(&gateway)).await;
    with_key(private(&gateway, "alice"), &untouched).send().await.is_relayed(200);
    private(&gateway, "alice").send().await.is_relayed(200);
}

/// A right of an unknown name may have been granted by a later version.
async fn a_row_with_other_rights_is_refused(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let rights = Right::ALL.map(Right::name);
    for added in rights.into_iter().chain(["everything"]) {
        let key = gateway.new_key(narrow(&gateway)).await;
        edit(&database, &key, &format!("rights = '{added}'")).await;
        is_refused(&gateway, &key, added).await;
    }
    for what in ["rights = ''", "rights = rights || ' everything'"] {
        let key = gateway.mighty_key().await;
        edit(&database, &key, what).await;
        is_refused(&gateway, &key, what).await;
    }
}

async fn a_revoked_key_stays_so_when_its_row_says_otherwise(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_key(|_| ()).await;
    with_key(public(&gateway), &key).send().await.is_relayed(200);
    gateway.inner.revoke_key(id_of(&key), "test").await.unwrap().unwrap();
    is_refused(&gateway, &key, "revoked").await;
    edit(&database, &key, "revoked_at = null").await;
    gateway.inner.catch_up_once().await.unwrap();
    let again = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
    is_refused(&again, &key, "revoked, then edited").await;
}

async fn an_auditor_does_not_become_an_owner_in_the_database(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let auditor = gateway.auditor_key().await;
    let create = |gateway: &TestGateway| {
        let body = json!({ "name": "mine", "role": "owner" }).to_string();
        gateway.admin(&auditor, "POST", "/admin/v1/keys").body(body)
    };
    create(&gateway).send().await.is_own(403, "not_allowed");
    edit(&database, &auditor, "role = 'owner'").await;
    let again = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
    create(&again).send().await.is_own(401, "unknown_key");
    again.admin(&auditor, "GET", "/admin/v1/keys").send().await.is_own(401, "unknown_key");
}

async fn rows_do_not_stand_in_for_one_another(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let (wide, narrow) = (gateway.new_key(|_| ()).await, gateway.new_key(narrow(&gateway)).await);
    edit(&database, &narrow, "key_id = 'aside'").await;
    edit(&database, &wide, &format!("key_id = '{}'", id_of(&narrow))).await;
    is_refused(&gateway, &narrow, "another key's row under this id").await;
    is_refused(&gateway, &wide, "no row under this id").await;
}

async fn a_verifier_copied_from_another_row_is_refused(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let (mine, victim) = (gateway.new_key(|_| ()).await, gateway.new_key(|_| ()).await);
    let copied = format!(
        "sealed_verifier = (select it.sealed_verifier from key as it where it.key_id = '{}')",
        id_of(&mine)
    );
    edit(&database, &victim, &copied).await;
    is_refused(&gateway, &victim, "the verifier is another row's").await;
    with_key(private(&gateway, "alice"), &mine).send().await.is_relayed(200);
}

async fn an_edited_row_can_still_be_revoked(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_key(|_| ()).await;
    edit(&database, &key, "name = 'another'").await;
    let revoked = gateway.inner.revoke_key(id_of(&key), "test").await.unwrap();
    assert!(revoked.unwrap_err().revoked_at.is_some());
    is_refused(&gateway, &key, "edited and revoked").await;
}

async fn a_row_that_cannot_be_read_is_listed_and_revoked_for_good(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let edits = [
        ("accounts = 'everybody'", format!("accounts = '{}'", gateway.id("alice"))),
        ("endpoints = 'everything'", "endpoints = 'totals'".to_owned()),
        ("rights = 'create_links'", "rights = ''".to_owned()),
        ("rights = 'everything'", "rights = ''".to_owned()),
    ];
    for (broken, mended) in &edits {
        let key = gateway.new_key(narrow(&gateway)).await;
        edit(&database, &key, broken).await;
        let id = id_of(&key);
        let listed = gateway.admin(&admin, "GET", "/admin/v1/keys").send().await.json();
        let listed = listed["keys"].as_array().unwrap();
        let broken_key = listed.iter().find(|key| key["id"] == id).unwrap();
        assert_eq!(
            (&broken_key["role"], &broken_key["revoked_at"]),
            (&json!(null), &json!(null)),
            "{broken}"
        );
        assert!(listed.iter().any(|key| key["role"] == "owner"), "it hides no other");

        let path = format!("/admin/v1/keys/{id}");
        for _ in 0..2 {
            let revoked = gateway.admin(&admin, "DELETE", &path).send().await;
            assert_eq!(revoked.status, 200, "{broken}: {}", revoked.text());
            assert_eq!(revoked.json()["revoked_at"], "2026-03-10T21:15:30Z", "{broken}");
        }
        edit(&database, &key, mended).await;
        edit(&database, &key, "revoked_at = null").await;
        let again = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
        is_refused(&again, &key, broken).await;
    }
    let revoked = gateway.audited("key.revoked").await;
    assert_eq!(revoked.len(), edits.len(), "{revoked:?}");
}

async fn a_row_that_only_says_that_it_is_revoked_is_revoked_for_good(database: Database) {
    let gateway = TestGateway::start(&database).await;
    for (and, not) in [("", ""), (", accounts = 'everybody'", ", accounts = null")] {
        let key = gateway.new_key(|_| ()).await;
        edit(&database, &key, &format!("revoked_at = '2026-01-01 00:00:00+00:00'{and}")).await;
        for _ in 0..2 {
            let revoked = gateway.inner.revoke_key(&key, "test").await.unwrap().unwrap_err();
            assert_eq!(revoked.revoked_at, Some(NOW));
        }
        edit(&database, &key, &format!("revoked_at = null{not}")).await;
        let again = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
        is_refused(&again, &key, "said to be revoked, revoked, then edited back").await;
    }
    assert_eq!(gateway.audited("key.revoked").await.len(), 2, "each once");
}

async fn it_is_revoked_by_its_name_too(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_key(|key| "broken".clone_into(&mut key.name)).await;
    edit(&database, &key, "accounts = 'everybody'").await;
    let revoked = gateway.inner.revoke_key("broken", "test").await.unwrap().unwrap_err();
    assert_eq!((&*revoked.id, revoked.revoked_at.is_some()), (id_of(&key), true));
}

async fn the_hour_of_use_is_not_sealed(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_key(|_| ()).await;
    edit(&database, &key, "last_used_at = '2026-01-01 00:00:00+00:00'").await;
    with_key(private(&gateway, "alice"), &key).send().await.is_relayed(200);
    assert!(gateway.inner.check_key(&key, Kind::Caller, [127, 0, 0, 1].into()).await.is_ok());
}

on_both!(
    a_row_edited_in_any_column_is_refused,
    a_row_with_other_rights_is_refused,
    a_revoked_key_stays_so_when_its_row_says_otherwise,
    an_auditor_does_not_become_an_owner_in_the_database,
    rows_do_not_stand_in_for_one_another,
    a_verifier_copied_from_another_row_is_refused,
    an_edited_row_can_still_be_revoked,
    a_row_that_cannot_be_read_is_listed_and_revoked_for_good,
    a_row_that_only_says_that_it_is_revoked_is_revoked_for_good,
    it_is_revoked_by_its_name_too,
    the_hour_of_use_is_not_sealed
);
