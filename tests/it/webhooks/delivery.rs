//! Delivery when a receiver is down, slow, faulty or gone: at least once, in order for each account, under one id.

use std::collections::HashMap;
use std::future::pending;

use countersign::gateway::{DeliveryFilter, NewWebhook};
use countersign::model::webhook::Delivery;
use countersign::model::{AccountState, Clock};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::webhooks::receiver::{Arrived, Receiver};
use crate::webhooks::{mark, names, read, start_gateway};

/// The waits between the first attempts, in seconds; from then on it is half an hour.
const WAITS: [i64; 4] = [5, 30, 120, 600];
const REST: i64 = 1800;

async fn listed(gateway: &TestGateway, id: &str) -> Vec<Delivery> {
    let filter =
        DeliveryFilter { webhook_id: id.to_owned(), limit: 99, ..DeliveryFilter::default() };
    read(gateway.inner.list_deliveries(&filter).await.unwrap())
}

/// Moves the clock on and makes the attempts that are due, until none is pending; gives how long that took.
async fn until_over(gateway: &TestGateway, id: &str) -> Duration {
    let begun = gateway.sandbox.clock.now();
    for _ in 0..400 {
        gateway.deliver().await;
        if listed(gateway, id).await.iter().all(|delivery| delivery.attempt_at.is_none()) {
            return gateway.sandbox.clock.now() - begun;
        }
        gateway.later(Duration::minutes(5)).await;
    }
    panic!("something still waits after {}", gateway.sandbox.clock.now() - begun);
}

async fn a_receiver_that_was_down_for_an_hour_gets_everything_in_order(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    receiver.answers(503);
    let begun = gateway.sandbox.clock.now();
    let mut changes =
        [AccountState::Blocked, AccountState::Active, AccountState::Revoked].into_iter();
    while gateway.sandbox.clock.now() < begun + Duration::hours(1) {
        gateway.deliver().await;
        if let Some(state) = changes.next() {
            mark(&gateway, "alice", state).await;
            mark(&gateway, "bob", state).await;
        }
        gateway.later(Duration::minutes(2)).await;
    }
    let tried = receiver.arrived();
    assert!(
        tried.len() > 4 && receiver.told().iter().all(|event| event.0 == "account.blocked"),
        "{tried:?}"
    );
    receiver.answers(204);
    while gateway.sandbox.clock.now() < begun + Duration::hours(3) {
        gateway.deliver().await;
        gateway.later(Duration::minutes(2)).await;
    }
    let arrived: Vec<_> = receiver.arrived().split_off(tried.len());
    for name in ["alice", "bob"] {
        let of_one: Vec<_> =
            arrived.iter().map(Arrived::what).filter(|event| event.1 == name).collect();
        assert_eq!(of_one, names(&[("blocked", name), ("recovered", name), ("revoked", name)]));
    }
    let mut id_of = HashMap::new();
    for event in tried.iter().chain(&arrived) {
        assert_eq!(
            id_of.entry(event.what()).or_insert(event.id().to_owned()),
            event.id(),
            "one event, one id"
        );
    }
    let distinct: std::collections::HashSet<_> = id_of.values().collect();
    assert_eq!(distinct.len(), 6);
}

async fn an_event_that_is_refused_is_tried_for_a_day_and_then_the_next_has_its_turn(
    database: Database,
) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    receiver.answers(400);
    mark(&gateway, "alice", AccountState::Blocked).await;
    for (so_far, wait) in WAITS.into_iter().chain([REST, REST]).enumerate() {
        assert_eq!(gateway.deliver().await, 1, "attempt {so_far}");
        gateway.later(Duration::seconds(wait - 1)).await;
        assert_eq!(gateway.deliver().await, 0, "not before its time, after attempt {so_far}");
        gateway.later(Duration::seconds(1)).await;
    }
    let so_far = WAITS.iter().sum::<i64>() + 2 * REST;
    let all = until_over(&gateway, &id).await + Duration::seconds(so_far);
    assert!(all >= Duration::hours(24) && all < Duration::hours(25), "{all}");
    let given_up = listed(&gateway, &id).await.remove(0);
    assert_eq!((given_up.status, given_up.delivered_at), (Some(400), None));
    assert!(given_up.attempts > 45, "{given_up:?}");
    mark(&gateway, "alice", AccountState::Active).await;
    receiver.answers(204);
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!(receiver.arrived().last().unwrap().what(), names(&[("recovered", "alice")])[0]);
}

async fn a_receiver_that_fails_is_tried_with_one_event_at_a_time(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    receiver.answers(503);
    mark(&gateway, "alice", AccountState::Blocked).await;
    mark(&gateway, "bob", AccountState::Blocked).await;
    for (so_far, wait) in WAITS.into_iter().chain([REST, REST]).enumerate() {
        assert_eq!(gateway.deliver().await, 1, "attempt {so_far}");
        gateway.later(Duration::seconds(wait)).await;
    }
    // An event that is a day old by then is given up, whether it was tried or not.
    until_over(&gateway, &id).await;
    let all = listed(&gateway, &id).await;
    assert!(
        all.iter().all(|delivery| delivery.delivered_at.is_none() && delivery.status == Some(503)
            || delivery.attempts == 0),
        "{all:?}"
    );
    // And what happens then, once the receiver is up.
    receiver.answers(204);
    mark(&gateway, "alice", AccountState::Active).await;
    gateway.later(Duration::minutes(30)).await;
    assert_eq!(gateway.deliver().await, 1);
}

async fn tests_that_arrive_do_not_use_up_the_attempts_of_what_waits(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    mark(&gateway, "alice", AccountState::Blocked).await;
    for _ in 0..30 {
        receiver.next(&[204, 400]);
        gateway.inner.test_webhook(&id, "test").await.unwrap().unwrap();
        assert_eq!(gateway.deliver().await, 1);
    }
    let waits = listed(&gateway, &id).await.remove(0);
    assert!(waits.attempt_at.is_some(), "{waits:?}");
}

async fn a_receiver_that_does_not_answer_holds_up_no_other(database: Database) {
    let gateway = start_gateway(&database).await;
    let (silent, other) = (Receiver::start().await, Receiver::start().await);
    gateway.hook(&silent).await;
    gateway.hook(&other).await;
    silent.close();
    let sending = tokio::spawn(gateway.inner.deliver_events(pending()));
    mark(&gateway, "alice", AccountState::Blocked).await;
    mark(&gateway, "bob", AccountState::Blocked).await;
    other.wait_for(2).await;
    silent.wait_for(2).await;
    assert_eq!((silent.arrived().len(), other.arrived().len()), (2, 2));
    sending.abort();
}

async fn an_event_that_cannot_arrive_holds_up_its_own_account_alone(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    mark(&gateway, "alice", AccountState::Blocked).await;
    receiver.next(&[422]);
    gateway.deliver().await;
    mark(&gateway, "alice", AccountState::Active).await;
    mark(&gateway, "bob", AccountState::Blocked).await;
    mark(&gateway, "bob", AccountState::Active).await;
    gateway.deliver().await;
    assert_eq!(receiver.told()[1..], names(&[("blocked", "bob"), ("recovered", "bob")]));
    gateway.later(Duration::seconds(5)).await;
    gateway.deliver().await;
    assert_eq!(receiver.told()[3..], names(&[("blocked", "alice"), ("recovered", "alice")]));
}

async fn only_an_answer_of_the_two_hundreds_counts_and_no_redirect_is_followed(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    for (status, received) in [
        (200, true),
        (201, true),
        (202, true),
        (204, true),
        (299, true),
        (301, false),
        (302, false),
        (303, false),
        (304, false),
        (307, false),
        (308, false),
        (400, false),
        (401, false),
        (404, false),
        (410, false),
        (429, false),
        (500, false),
        (503, false),
    ] {
        receiver.next(&[status]);
        let answered = gateway.inner.test_webhook(&id, "test").await.unwrap();
        let took = match answered {
            Ok(took) => (took, true),
            Err(not) => (not.status.unwrap(), false),
        };
        assert_eq!(took, (status, received));
    }
    let arrived = receiver.arrived();
    assert_eq!(arrived.len(), 18);
    assert!(arrived.iter().all(|event| event.path == "/hook?token=abc"), "{arrived:?}");
    assert!(arrived.iter().all(|event| event.json()["type"] == "webhook.test"));
}

async fn a_receiver_that_is_gone_is_told_of_in_words_without_its_address(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    drop(receiver);
    mark(&gateway, "alice", AccountState::Blocked).await;
    while gateway.inner.test_webhook(&id, "test").await.unwrap().is_ok() {}
    assert_eq!(gateway.deliver().await, 1);
    let failed = listed(&gateway, &id).await.remove(0);
    let why = failed.failure.unwrap();
    assert!(why.starts_with("it could not be reached: ") && !why.contains("token=abc"), "{why}");
    assert_eq!((failed.attempts, failed.status), (1, None));
}

async fn a_test_that_arrives_sends_what_waits(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    receiver.answers(500);
    mark(&gateway, "alice", AccountState::Blocked).await;
    gateway.deliver().await;
    gateway.inner.test_webhook(&id, "test").await.unwrap().unwrap_err();
    assert_eq!(gateway.deliver().await, 0, "a test that failed changes nothing");
    receiver.answers(200);
    gateway.inner.test_webhook(&id, "test").await.unwrap().unwrap();
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!(receiver.arrived().last().unwrap().what(), names(&[("blocked", "alice")])[0]);
}

async fn a_link_is_sent_again_while_it_lasts_and_then_made_anew(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    receiver.answers(500);
    mark(&gateway, "alice", AccountState::Revoked).await;
    until_over(&gateway, &id).await;
    let links: Vec<String> = receiver
        .arrived()
        .iter()
        .map(|event| event.json()["data"]["reconnect_url"].to_string())
        .collect();
    let distinct: std::collections::HashSet<&String> = links.iter().collect();
    assert_eq!(distinct.len(), 2, "{links:?}");
    assert_eq!(links[0], links[20]);
    let last = receiver.arrived().pop().unwrap().json();
    let until = last["data"]["reconnect_until"].as_str().unwrap();
    let left = OffsetDateTime::parse(until, &Rfc3339).unwrap() - gateway.sandbox.clock.now();
    assert!(left >= Duration::hours(12), "{left}");
}

async fn a_receiver_over_plain_http_must_be_allowed(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    let strict = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
    let answered = strict.inner.test_webhook(&id, "test").await.unwrap();
    assert!(answered.unwrap_err().why.contains("webhooks.allow_http"));
    assert_eq!(receiver.arrived().len(), 0);
    let new = NewWebhook { url: receiver.url.replace("hook", "other"), app: None };
    assert!(strict.inner.add_webhook(new, "test").await.is_err());
}

on_both!(
    a_receiver_that_was_down_for_an_hour_gets_everything_in_order,
    an_event_that_is_refused_is_tried_for_a_day_and_then_the_next_has_its_turn,
    a_receiver_that_fails_is_tried_with_one_event_at_a_time,
    tests_that_arrive_do_not_use_up_the_attempts_of_what_waits,
    a_receiver_that_does_not_answer_holds_up_no_other,
    an_event_that_cannot_arrive_holds_up_its_own_account_alone,
    only_an_answer_of_the_two_hundreds_counts_and_no_redirect_is_followed,
    a_receiver_that_is_gone_is_told_of_in_words_without_its_address,
    a_test_that_arrives_sends_what_waits,
    a_link_is_sent_again_while_it_lasts_and_then_made_anew,
    a_receiver_over_plain_http_must_be_allowed
);
