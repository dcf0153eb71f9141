//! Events that something else has written or changed in the database: not sent, not linked to, and marked as such.

use countersign::config::Config;
use serde_json::Value;
use time::Duration;

use crate::database::{Database, on_both};
use crate::gateway::{RING, TestGateway};
use crate::trouble::private;
use crate::webhooks::receiver::Receiver;
use crate::webhooks::{names, start_gateway, with_http};

const NEWER: (&str, &str) = ("newerkey", "IB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=");
const COLUMNS: &str =
    "webhook_id, event, app, user_id, screen_name, reason, occurred_at, attempt_at, sealed_proof";

/// The entries in the log of deliveries, newest first.
async fn listed(gateway: &TestGateway, admin: &str, id: &str) -> Vec<Value> {
    let path = format!("/admin/v1/webhooks/{id}/deliveries");
    let answer = gateway.admin(admin, "GET", &path).send().await;
    answer.json()["deliveries"].as_array().unwrap().clone()
}

#[track_caller]
fn is_put_aside(listed: &Value) {
    assert_eq!((listed["state"].as_str(), &listed["event"]), (Some("given_up"), &Value::Null));
    let failure = listed["failure"].as_str().unwrap();
    assert!(
        failure.contains("does not match its seal") && failure.contains("not sent"),
        "{failure}"
    );
}

/// Another gateway on the same database, whose ring has these keys.
async fn with_ring(
    gateway: &TestGateway,
    database: &Database,
    keys: &[(&str, &str)],
) -> TestGateway {
    let change = |config: &mut Config| {
        with_http(config);
        config.vault.keys = keys.iter().map(|entry| (entry.0.to_owned(), entry.1.into())).collect();
        keys[0].0.clone_into(&mut config.vault.active);
    };
    TestGateway::build(gateway.sandbox.again(), &database.settings(), change).await
}

async fn a_row_that_was_made_in_the_database_is_not_sent_and_makes_no_link(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, admin) = (Receiver::start().await, gateway.new_admin_key().await);
    let (id, _) = gateway.hook(&receiver).await;
    gateway.connect(&["alice"]).await;
    assert_eq!(gateway.deliver().await, 1);
    for (event, proof) in [
        ("account.revoked", "null"),
        ("account.revoked", "sealed_proof"),
        ("account.connected", "sealed_proof"),
    ] {
        database.run(&format!("insert into delivery ({COLUMNS}) select webhook_id, '{event}', app, user_id, \
                               screen_name, reason, occurred_at, occurred_at, {proof} from delivery where \
                               delivery_id = 1")).await;
    }
    gateway.connect(&["bob"]).await;
    assert_eq!(gateway.deliver().await, 4, "none is in the way of another");
    assert_eq!(receiver.told(), names(&[("connected", "alice"), ("connected", "bob")]));
    let told = listed(&gateway, &admin, &id).await;
    assert_eq!(
        (told.len(), told[0]["state"].as_str(), told[4]["state"].as_str()),
        (5, Some("delivered"), Some("delivered"))
    );
    told[1..4].iter().for_each(is_put_aside);
    assert!(gateway.inner.list_links(None, None, 10).await.unwrap().is_empty());
    let metrics =
        gateway.ask("GET", "").to(&format!("{}/metrics", gateway.admin_url)).send().await.text();
    assert!(metrics.contains("countersign_webhook_attempts_total{outcome=\"distrusted\"}"));

    // Resent, it is put aside again.
    let path = format!("/admin/v1/webhooks/{id}/deliveries/{}/resend", told[3]["number"]);
    let again = gateway.admin(&admin, "POST", &path).send().await;
    assert_eq!((again.status.as_u16(), &again.json()["event"]), (200, &Value::Null));
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!(receiver.arrived().len(), 2);
    is_put_aside(&listed(&gateway, &admin, &id).await[3]);
    assert!(
        gateway.inner.get_vault_status().await.unwrap().unopened.is_empty(),
        "none is in a rotation's way"
    );
}

async fn a_row_that_was_edited_in_any_column_is_not_sent(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, admin) = (Receiver::start().await, gateway.new_admin_key().await);
    let (id, _) = gateway.hook(&receiver).await;
    let elsewhere = Receiver::start().await;
    let (other, _) = gateway.hook(&elsewhere).await;
    for edit in [
        "event = 'account.removed'".to_owned(),
        "app = 'other'".to_owned(),
        format!("user_id = '{}'", gateway.id("bob")),
        "screen_name = 'alicia'".to_owned(),
        "reason = 'a lie'".to_owned(),
        "occurred_at = '2026-03-10T20:00:00Z'".to_owned(),
        format!("webhook_id = '{id}' where webhook_id = '{other}' and attempt_at is not null --"),
        "sealed_proof = (select sealed_proof from delivery as first order by delivery_id limit 1)"
            .to_owned(),
    ] {
        gateway.connect(&["alice"]).await;
        let sound = receiver.arrived().len();
        database
            .run(&format!(
                "update delivery set {edit} where webhook_id = '{id}' and attempt_at is not null"
            ))
            .await;
        gateway.deliver().await;
        let aside: Vec<_> = listed(&gateway, &admin, &id)
            .await
            .into_iter()
            .filter(|delivery| delivery["event"].is_null())
            .collect();
        let moved = edit.starts_with("webhook_id");
        assert_eq!(receiver.arrived().len(), sound + usize::from(moved), "{edit}");
        is_put_aside(&aside[0]);
        database
            .run(&format!("delete from delivery where delivery_id = {}", aside[0]["number"]))
            .await;
    }
    gateway.connect(&["alice"]).await;
    let sound = receiver.arrived().len();
    gateway.deliver().await;
    assert_eq!(receiver.arrived().len(), sound + 1);
}

async fn an_event_whose_vault_key_is_not_here_waits_for_it(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, admin) = (Receiver::start().await, gateway.new_admin_key().await);
    let (id, _) = gateway.hook(&receiver).await;
    gateway.connect(&["alice"]).await;
    let without = with_ring(&gateway, &database, &[NEWER]).await;
    // Genuine events of the same account wait behind it.
    without.deliver().await;
    assert_eq!(receiver.arrived().iter().filter(|event| event.what().1 == "alice").count(), 0);
    let waits = listed(&gateway, &admin, &id).await.pop().unwrap();
    assert_eq!(
        (waits["state"].as_str(), waits["event"].as_str()),
        (Some("waiting"), Some("account.connected"))
    );
    assert!(waits["failure"].as_str().unwrap().contains("not in vault.keys"), "{waits}");
    gateway.later(Duration::minutes(1)).await;
    assert!(gateway.deliver().await >= 1);
    assert_eq!(receiver.told()[0], names(&[("connected", "alice")])[0]);
}

async fn an_event_that_waits_is_sealed_anew_with_the_rest(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    gateway.connect(&["alice"]).await;
    let (old, text) = RING.split_once('=').unwrap();
    let both = with_ring(&gateway, &database, &[NEWER, (old, text)]).await;
    assert!(both.inner.list_sealing_keys().await.unwrap().contains(&old.to_owned()));
    both.inner.rotate_vault("test").await.unwrap();
    let status = both.inner.get_vault_status().await.unwrap();
    assert_eq!(status.records.keys().collect::<Vec<_>>(), [NEWER.0]);
    assert!(status.unopened.is_empty(), "{status:?}");
    let without = with_ring(&gateway, &database, &[NEWER]).await;
    assert!(without.deliver().await >= 1);
    assert_eq!(receiver.told()[0], names(&[("connected", "alice")])[0]);
    private(&without, "alice").send().await.is_relayed(200);
}

on_both!(
    a_row_that_was_made_in_the_database_is_not_sent_and_makes_no_link,
    a_row_that_was_edited_in_any_column_is_not_sent,
    an_event_whose_vault_key_is_not_here_waits_for_it,
    an_event_that_waits_is_sealed_anew_with_the_rest
);
