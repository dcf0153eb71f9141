//! Which event goes first, and how many go at once.

use std::future::pending;

use countersign::gateway::{DeliveryFilter, Import, ImportEvents};
use countersign::model::AccountState;
use countersign::sandbox::Settings;
use countersign::store::ClaimedDelivery;
use time::Duration;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::trouble::PATIENCE;
use crate::upstream::{NOW, TestSandbox, small};
use crate::webhooks::imports::stranger;
use crate::webhooks::receiver::Receiver;
use crate::webhooks::{mark, names, read, start_gateway, with_http};

/// How many events a receiver gets at a time.
const AT_ONCE: usize = 8;

/// A gateway that has one more user than a receiver gets events at a time.
async fn start_with_many(database: &Database) -> (TestGateway, Vec<String>) {
    let sandbox = TestSandbox::start_with(Settings { users: AT_ONCE + 1, ..small() }).await;
    let users = sandbox.world.users.iter().map(|user| user.screen_name.clone()).collect();
    (TestGateway::build(sandbox, &database.settings(), with_http).await, users)
}

async fn what_ends_an_account_goes_before_what_others_wait_for(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    for _ in 0..3 {
        gateway.connect(&["alice"]).await;
    }
    gateway.connect(&["bob"]).await;
    mark(&gateway, "bob", AccountState::Revoked).await;
    assert_eq!(gateway.deliver().await, 5);
    let alice = ("connected", "alice");
    let told = [("connected", "bob"), ("revoked", "bob"), alice, alice, alice];
    assert_eq!(receiver.told(), names(&told), "its own events stay in order");

    // One that has to wait for its next attempt is in nobody's way.
    receiver.next(&[422]);
    gateway.connect(&["bob"]).await;
    mark(&gateway, "bob", AccountState::Blocked).await;
    gateway.deliver().await;
    mark(&gateway, "alice", AccountState::Revoked).await;
    gateway.connect(&["alice"]).await;
    assert_eq!(gateway.deliver().await, 2);
    assert_eq!(receiver.told()[6..], names(&[("revoked", "alice"), ("connected", "alice")]));
    gateway.later(Duration::seconds(5)).await;
    assert_eq!(gateway.deliver().await, 2);
    assert_eq!(receiver.told()[8..], names(&[("connected", "bob"), ("blocked", "bob")]));
}

async fn a_receiver_gets_eight_at_once_and_one_of_each_account(database: Database) {
    let (one, users) = start_with_many(&database).await;
    let two = TestGateway::build(one.sandbox.again(), &database.settings(), with_http).await;
    let receiver = Receiver::start().await;
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    one.connect(&users).await;
    one.hook(&receiver).await;
    receiver.close();
    // Two events of the first account, which are not sent together, and one of each other.
    one.connect(&users[..1]).await;
    one.connect(&users).await;
    let sending = [
        tokio::spawn(one.inner.deliver_events(pending())),
        tokio::spawn(two.inner.deliver_events(pending())),
    ];
    receiver.wait_for(AT_ONCE).await;
    assert_eq!(two.deliver().await, 0, "the ninth waits");
    let mut first: Vec<_> = receiver.told().into_iter().map(|(_, name)| name).collect();
    first.sort();
    first.dedup();
    assert_eq!(first.len(), AT_ONCE, "each of another account");
    receiver.open();
    receiver.wait_for(users.len() + 1).await;
    assert_eq!(receiver.most_at_once(), AT_ONCE);
    sending.iter().for_each(tokio::task::JoinHandle::abort);
}

async fn a_receiver_that_fails_gets_one_at_a_time_until_it_answers(database: Database) {
    let (gateway, users) = start_with_many(&database).await;
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    gateway.connect(&users).await;
    let claim = async |now| {
        gateway.store.claim_deliveries(99, now, now + Duration::seconds(15)).await.unwrap().len()
    };
    receiver.answers(503);
    assert_eq!(gateway.deliver().await, 1);
    gateway.later(Duration::seconds(5)).await;
    assert_eq!(claim(NOW + Duration::seconds(5)).await, 1);
    gateway.later(Duration::seconds(15)).await;
    receiver.answers(204);
    assert!(gateway.inner.deliver_next().await.unwrap());
    assert_eq!(claim(NOW + Duration::seconds(20)).await, AT_ONCE);
}

/// An account whose event is refused holds up its own later events, however many such accounts there are.
async fn what_waits_for_its_turn_is_in_nobodys_way(database: Database) {
    const MANY: usize = 250;
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    let strangers: Vec<Import> = (1..=MANY).map(stranger).collect();
    let app = Some("demo");
    let import = async || {
        gateway.inner.import_accounts(app, &strangers, ImportEvents::Each, "test", |_| ()).await
    };
    import().await.unwrap();
    receiver.answers(422);
    assert_eq!(gateway.deliver().await, MANY);
    import().await.unwrap();
    receiver.answers(204);
    gateway.connect(&["alice"]).await;
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!(receiver.told()[MANY..], names(&[("connected", "alice")]));
    gateway.later(Duration::seconds(5)).await;
    assert_eq!(gateway.deliver().await, 2 * MANY);
    let told = receiver.told().split_off(MANY + 1);
    for import in &strangers {
        let of_one = told.iter().filter(|event| event.1 == import.screen_name).count();
        assert_eq!(of_one, 2, "{}", import.screen_name);
    }
}

async fn a_claim_lasts_while_it_is_renewed(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    gateway.connect(&["alice"]).await;
    let store = &gateway.store;
    let lease = Duration::seconds(15);
    let claim = async |now| store.claim_deliveries(9, now, now + lease).await.unwrap().pop();
    let renew = async |claimed: &ClaimedDelivery, now| {
        store.renew_claim(claimed, now + lease).await.unwrap()
    };
    let first = claim(NOW).await.unwrap();
    assert!(renew(&first, NOW + Duration::seconds(10)).await);
    assert!(claim(NOW + Duration::seconds(24)).await.is_none());
    let second = claim(NOW + Duration::seconds(25)).await.unwrap();
    assert_eq!(second.delivery.attempts, 2);
    assert!(!renew(&first, NOW + Duration::seconds(25)).await, "another has it");
    assert!(renew(&second, NOW + Duration::seconds(26)).await);
}

/// Takes as long as it takes until the first renewal, some seconds.
async fn a_gateway_renews_its_claims_and_leaves_an_event_that_is_gone(database: Database) {
    let one = start_gateway(&database).await;
    let two = TestGateway::build(one.sandbox.again(), &database.settings(), with_http).await;
    let receiver = Receiver::start().await;
    let (id, _) = one.hook(&receiver).await;
    receiver.close();
    one.connect(&["alice"]).await;
    let inner = one.inner.clone();
    let sending = tokio::spawn(async move { inner.deliver_next().await });
    receiver.wait_for(1).await;
    two.later(Duration::seconds(19)).await;
    // The claim is over in a second, unless it is renewed.
    let filter = DeliveryFilter { webhook_id: id.clone(), limit: 1, ..DeliveryFilter::default() };
    let ends = async || {
        read(two.inner.list_deliveries(&filter).await.unwrap()).remove(0).attempt_at.unwrap()
    };
    let renewed = async { while ends().await <= NOW + Duration::seconds(20) {} };
    tokio::time::timeout(PATIENCE, renewed).await.expect("no renewal");
    two.later(Duration::seconds(19)).await;
    assert_eq!(two.deliver().await, 0);
    // Nobody reads the answer of a receiver that was removed.
    two.inner.remove_webhook(&id, "test").await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, sending).await.expect("an end");
    assert!(ended.unwrap().unwrap());
}

on_both!(
    what_ends_an_account_goes_before_what_others_wait_for,
    a_receiver_gets_eight_at_once_and_one_of_each_account,
    a_receiver_that_fails_gets_one_at_a_time_until_it_answers,
    what_waits_for_its_turn_is_in_nobodys_way,
    a_claim_lasts_while_it_is_renewed,
    a_gateway_renews_its_claims_and_leaves_an_event_that_is_gone
);
