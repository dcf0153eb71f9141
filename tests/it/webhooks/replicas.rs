//! Several gateways on one database, and gateways that disappear in the middle of sending.

use std::collections::{HashMap, HashSet};
use std::future::pending;

use countersign::gateway::DeliveryFilter;
use countersign::model::{AccountState, Clock};
use countersign::sandbox::Settings;
use time::Duration;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::upstream::{HandClock, NOW, TestSandbox, small};
use crate::webhooks::receiver::{Arrived, Receiver};
use crate::webhooks::{names, read, start_gateway, with_http};

const STATES: [AccountState; 4] =
    [AccountState::Blocked, AccountState::Active, AccountState::Revoked, AccountState::Active];

async fn two_replicas_send_each_event_once_and_those_of_an_account_in_order(database: Database) {
    let names = ["alice", "bob", "carol", "dave", "erin"];
    let sandbox = TestSandbox::start_with(Settings { users: 5, ..small() }).await;
    let one = TestGateway::build(sandbox, &database.settings(), with_http).await;
    let two = TestGateway::build(one.sandbox.again(), &database.settings(), with_http).await;
    one.connect(&names).await;
    let receivers = [Receiver::start().await, Receiver::start().await];
    for receiver in &receivers {
        one.hook(receiver).await;
    }
    let sending = [
        tokio::spawn(one.inner.deliver_events(pending())),
        tokio::spawn(two.inner.deliver_events(pending())),
    ];
    for state in STATES {
        for name in names {
            let stored = one.store.find_account("demo", one.id(name)).await.unwrap().unwrap();
            let now = one.sandbox.clock.now();
            let marked = one.store.update_account_state(&stored, state, "a test", "test", now);
            assert!(marked.await.unwrap());
        }
    }
    let expected = STATES.len() * names.len();
    for receiver in &receivers {
        receiver.wait_for(expected).await;
        let arrived = receiver.arrived();
        let ids: HashSet<&str> = arrived.iter().map(Arrived::id).collect();
        assert_eq!(ids.len(), expected);
        let mut by_account: HashMap<String, Vec<String>> = HashMap::new();
        for (event, name) in receiver.told() {
            by_account.entry(name).or_default().push(event);
        }
        for (name, events) in by_account {
            let right =
                ["account.blocked", "account.recovered", "account.revoked", "account.recovered"];
            assert_eq!(events, right, "{name}");
        }
    }
    sending.iter().for_each(tokio::task::JoinHandle::abort);
}

async fn what_a_gateway_was_sending_when_it_died_is_sent_by_another(database: Database) {
    let one = start_gateway(&database).await;
    let two = TestGateway::build(one.sandbox.again(), &database.settings(), with_http).await;
    let receiver = Receiver::start().await;
    one.hook(&receiver).await;
    receiver.close();
    one.inner.remove_account(None, &one.named("alice"), "test").await.unwrap();
    one.connect(&["alice"]).await;
    let inner = one.inner.clone();
    let sending = tokio::spawn(async move { inner.deliver_next().await });
    receiver.wait_for(1).await;
    // It is alive, so nobody else sends this account's events.
    assert_eq!(two.deliver().await, 0);
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    two.later(Duration::seconds(19)).await;
    assert_eq!(two.deliver().await, 0, "its claim is not over");
    receiver.open();
    two.later(Duration::seconds(1)).await;
    assert_eq!(two.deliver().await, 2);
    let arrived = receiver.arrived();
    assert_eq!(arrived[0].id(), arrived[1].id());
    assert_eq!(
        receiver.told(),
        names(&[("removed", "alice"), ("removed", "alice"), ("connected", "alice")])
    );
    assert_eq!(two.deliver().await, 0);
}

async fn one_who_was_away_for_long_takes_nothing_back(database: Database) {
    let one = start_gateway(&database).await;
    let two = TestGateway::build(one.sandbox.again(), &database.settings(), with_http).await;
    let receiver = Receiver::start().await;
    let (id, _) = one.hook(&receiver).await;
    receiver.close();
    receiver.next(&[500, 204]);
    one.inner.remove_account(None, &one.named("alice"), "test").await.unwrap();
    let inner = one.inner.clone();
    let slow = tokio::spawn(async move { inner.deliver_next().await });
    receiver.wait_for(1).await;
    two.later(Duration::minutes(1)).await;
    let inner = two.inner.clone();
    let quick = tokio::spawn(async move { inner.deliver_next().await });
    receiver.wait_for(2).await;
    receiver.open();
    assert!(slow.await.unwrap().unwrap() && quick.await.unwrap().unwrap());
    let filter = DeliveryFilter { webhook_id: id, limit: 9, ..DeliveryFilter::default() };
    let listed = read(one.inner.list_deliveries(&filter).await.unwrap());
    // The first attempt failed, but the second one counts.
    assert_eq!((listed[0].attempts, listed[0].status), (2, Some(204)));
    assert!(listed[0].delivered_at.is_some() && listed[0].attempt_at.is_none());
    two.later(Duration::days(1)).await;
    assert_eq!(two.deliver().await, 0);
}

async fn events_survive_the_database_going_away_in_the_middle(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    gateway.connect(&["alice"]).await;
    database.run("alter table delivery rename to elsewhere").await;
    assert!(gateway.inner.deliver_next().await.is_err());
    database.run("alter table elsewhere rename to delivery").await;
    gateway.later(Duration::minutes(1)).await;
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!(receiver.arrived().len(), 1);
}

async fn a_replica_whose_clock_is_a_day_ahead_holds_up_nobody(database: Database) {
    let one = start_gateway(&database).await;
    let mut ahead = one.sandbox.again();
    ahead.clock = HandClock::at(NOW + Duration::days(1));
    let two = TestGateway::build(ahead, &database.settings(), with_http).await;
    let receiver = Receiver::start().await;
    one.hook(&receiver).await;
    one.connect(&["alice"]).await;
    receiver.next(&[503]);
    assert_eq!(two.deliver().await, 1);
    one.connect(&["bob"]).await;
    one.later(Duration::minutes(1)).await;
    assert_eq!(one.deliver().await, 1, "the lease and the rest of the other are not believed");
    assert_eq!(receiver.told()[1..], names(&[("connected", "bob")]));
}

async fn a_webhook_is_removed_while_two_replicas_send_to_it(database: Database) {
    let one = start_gateway(&database).await;
    let two = TestGateway::build(one.sandbox.again(), &database.settings(), with_http).await;
    for _ in 0..5 {
        let receiver = Receiver::start().await;
        let (id, _) = one.hook(&receiver).await;
        one.connect(&["alice", "bob"]).await;
        let (first, second, removed) =
            tokio::join!(one.deliver(), two.deliver(), one.inner.remove_webhook(&id, "test"));
        assert!(first + second <= 2 && removed.is_ok());
        assert_eq!((one.deliver().await, two.deliver().await), (0, 0));
    }
}

async fn a_gateway_that_stops_claims_nothing_more_and_ends_what_it_sends(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    receiver.close();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let sending = tokio::spawn(gateway.inner.deliver_events(async move { drop(stopped.await) }));
    gateway.connect(&["alice"]).await;
    receiver.wait_for(1).await;
    gateway.connect(&["bob"]).await;
    drop(stop);
    receiver.open();
    sending.await.unwrap();
    let filter = DeliveryFilter { webhook_id: id, limit: 9, ..DeliveryFilter::default() };
    let listed = read(gateway.inner.list_deliveries(&filter).await.unwrap());
    let arrived: Vec<bool> =
        listed.iter().rev().map(|delivery| delivery.delivered_at.is_some()).collect();
    assert_eq!(arrived, [true, false]);
}

on_both!(
    two_replicas_send_each_event_once_and_those_of_an_account_in_order,
    what_a_gateway_was_sending_when_it_died_is_sent_by_another,
    one_who_was_away_for_long_takes_nothing_back,
    events_survive_the_database_going_away_in_the_middle,
    a_replica_whose_clock_is_a_day_ahead_holds_up_nobody,
    a_webhook_is_removed_while_two_replicas_send_to_it,
    a_gateway_that_stops_claims_nothing_more_and_ends_what_it_sends
);
