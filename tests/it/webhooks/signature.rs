//! Signatures, checked by an independent implementation of the specification; and new secrets.

use countersign::gateway::{Error, NewWebhook};
use countersign::model::{App, Clock, SystemClock};
use standardwebhooks::Webhook;
use time::Duration;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::upstream::{TestSandbox, small};
use crate::webhooks::receiver::{Arrived, Receiver};
use crate::webhooks::{names, start_gateway, with_http};

/// Whether that secret has signed the event, whatever its time.
fn signed_by(arrived: &Arrived, secret: &str) -> bool {
    let time = arrived.header("webhook-timestamp").parse().unwrap();
    let signature = Webhook::new(secret).unwrap().sign(arrived.id(), time, &arrived.body).unwrap();
    arrived.header("webhook-signature").split(' ').any(|part| part == signature)
}

async fn an_independent_receiver_takes_the_signature(database: Database) {
    // The library compares the event's time with its own clock.
    let sandbox = TestSandbox::start_at(small(), SystemClock.now()).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), with_http).await;
    let receiver = Receiver::start().await;
    let (id, secret) = gateway.hook(&receiver).await;
    gateway.connect(&["alice"]).await;
    gateway.deliver().await;
    gateway.inner.test_webhook(&id, "test").await.unwrap().unwrap();
    for arrived in receiver.arrived() {
        let check = Webhook::new(&secret).unwrap();
        check.verify(&arrived.body, &arrived.headers).unwrap();
        let mut other = arrived.body.to_vec();
        other.push(b' ');
        assert!(check.verify(&other, &arrived.headers).is_err());
        let mut headers = arrived.headers.clone();
        headers.insert("webhook-id", "evt_other".parse().unwrap());
        assert!(check.verify(&arrived.body, &headers).is_err());
    }
    assert_eq!(receiver.arrived().len(), 2);
}

async fn a_new_secret_signs_beside_the_old_one_for_a_while(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, first) = gateway.hook(&receiver).await;
    let hour = std::time::Duration::from_hours(1);
    let (webhook, second) = gateway.inner.rotate_webhook(&id, Some(hour), "test").await.unwrap();
    assert_eq!(webhook.old_secret_until, Some(gateway.sandbox.clock.now() + Duration::hours(1)));
    gateway.connect(&["alice"]).await;
    gateway.deliver().await;
    gateway.later(Duration::hours(1)).await;
    gateway.connect(&["alice"]).await;
    gateway.deliver().await;
    let arrived = receiver.arrived();
    let by =
        |at: usize| (signed_by(&arrived[at], &first), signed_by(&arrived[at], second.expose()));
    assert_eq!((by(0), by(1)), ((true, true), (false, true)));
    assert_eq!(gateway.audited("webhook.rotated").await.len(), 1);
}

async fn an_old_secret_can_end_at_once(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, first) = gateway.hook(&receiver).await;
    let at_once = Some(std::time::Duration::ZERO);
    let (_, second) = gateway.inner.rotate_webhook(&id, at_once, "test").await.unwrap();
    gateway.inner.test_webhook(&id, "test").await.unwrap().unwrap();
    let arrived = receiver.arrived();
    assert!(!signed_by(&arrived[0], &first) && signed_by(&arrived[0], second.expose()));
}

async fn while_an_old_secret_signs_there_is_no_further_one(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, first) = gateway.hook(&receiver).await;
    let rotate = || gateway.inner.rotate_webhook(&id, None, "test");
    // The overlap is a day by default; of two concurrent rotations, one takes place.
    let (one, two) = tokio::join!(rotate(), rotate());
    let made: Vec<_> = [one, two].into_iter().flatten().map(|pair| pair.1).collect();
    assert_eq!(made.len(), 1);
    let refused = rotate().await.err().unwrap();
    assert!(matches!(refused, Error::InvalidRequest(_)), "{refused}");
    gateway.inner.test_webhook(&id, "test").await.unwrap().unwrap();
    let arrived = receiver.arrived().remove(0);
    assert!(signed_by(&arrived, &first) && signed_by(&arrived, made[0].expose()));
    gateway.later(Duration::days(1)).await;
    rotate().await.unwrap();
    let (webhook, last) =
        gateway.inner.rotate_webhook(&id, Some(std::time::Duration::ZERO), "test").await.unwrap();
    assert_eq!(webhook.old_secret_until, None);
    gateway.inner.test_webhook(&id, "test").await.unwrap().unwrap();
    let arrived = receiver.arrived().pop().unwrap();
    assert_eq!(arrived.header("webhook-signature").split(' ').count(), 1);
    assert!(signed_by(&arrived, last.expose()));
}

async fn an_event_that_cannot_be_read_holds_up_its_own_account_alone(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    gateway.connect(&["alice"]).await;
    database.run("update delivery set event = 'account.of_a_later_version'").await;
    gateway.connect(&["bob"]).await;
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!(receiver.told(), names(&[("connected", "bob")]));
    database.run("update delivery set event = 'account.connected'").await;
    gateway.later(Duration::hours(1)).await;
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!(receiver.arrived().len(), 2);
}

async fn an_event_whose_row_was_moved_to_another_apps_webhook_is_not_sent(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        config.webhooks.allow_http = true;
        let name = "other".to_owned();
        config.apps.insert(name.clone(), App { name, ..config.apps["demo"].clone() });
    })
    .await;
    let (own, thief) = (Receiver::start().await, Receiver::start().await);
    gateway.hook(&own).await;
    let new = NewWebhook { url: thief.url.clone(), app: Some("other".to_owned()) };
    let (webhook, _) = gateway.inner.add_webhook(new, "test").await.unwrap();
    gateway.inner.remove_account(None, &gateway.named("alice"), "test").await.err();
    gateway.inner.remove_account(Some("demo"), &gateway.named("alice"), "test").await.unwrap();
    database.run(&format!("update delivery set webhook_id = '{}'", webhook.id)).await;
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!((own.arrived().len(), thief.arrived().len()), (0, 0));
}

async fn a_row_that_was_edited_in_the_database_sends_nothing(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, thief) = (Receiver::start().await, Receiver::start().await);
    let (id, _) = gateway.hook(&receiver).await;
    let taken = format!("update webhook set url = '{}' where webhook_id = '{id}'", thief.url);
    database.run(&taken).await;
    gateway.inner.remove_account(None, &gateway.named("alice"), "test").await.unwrap();
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!((thief.arrived().len(), receiver.arrived().len()), (0, 0));
    let tested = gateway.inner.test_webhook(&id, "test").await.unwrap();
    assert!(tested.unwrap_err().why.contains("does not match its seal"));
    // Once it is repaired, nothing was lost.
    let back = format!("update webhook set url = '{}' where webhook_id = '{id}'", receiver.url);
    database.run(&back).await;
    gateway.later(Duration::seconds(5)).await;
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!(receiver.arrived().len(), 1);
}

async fn secrets_are_sealed_anew_when_the_vault_gets_a_new_key(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, first) = gateway.hook(&receiver).await;
    let (_, second) = gateway.inner.rotate_webhook(&id, None, "test").await.unwrap();
    let newer = TestGateway::build(gateway.sandbox.again(), &database.settings(), |config| {
        with_http(config);
        config
            .vault
            .keys
            .push(("newerkey".to_owned(), "IB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=".into()));
        config.vault.active = "newerkey".into();
    })
    .await;
    newer.inner.rotate_vault("test").await.unwrap();
    let status = newer.inner.get_vault_status().await.unwrap();
    assert_eq!(status.records.keys().collect::<Vec<_>>(), ["newerkey"]);
    newer.inner.test_webhook(&id, "test").await.unwrap().unwrap();
    let arrived = receiver.arrived().remove(0);
    assert!(signed_by(&arrived, &first) && signed_by(&arrived, second.expose()));
    assert_eq!(newer.inner.list_sealing_keys().await.unwrap(), ["newerkey"]);
}

on_both!(
    an_independent_receiver_takes_the_signature,
    a_new_secret_signs_beside_the_old_one_for_a_while,
    an_old_secret_can_end_at_once,
    while_an_old_secret_signs_there_is_no_further_one,
    an_event_that_cannot_be_read_holds_up_its_own_account_alone,
    an_event_whose_row_was_moved_to_another_apps_webhook_is_not_sent,
    a_row_that_was_edited_in_the_database_sends_nothing,
    secrets_are_sealed_anew_when_the_vault_gets_a_new_key
);
