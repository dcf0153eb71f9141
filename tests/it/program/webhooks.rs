//! Webhooks from the command line, and a program that is killed while it sends events.

use std::collections::HashSet;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::database::{Database, Kind, on_both};
use crate::dice::Dice;
use crate::http::Ask;
use crate::program::deployment::Deployment;
use crate::trouble::PATIENCE;
use crate::webhooks::receiver::{Arrived, Receiver};

async fn with_http(database: &Database) -> Deployment {
    let mut deployment = Deployment::new(database).await;
    deployment.set("WEBHOOKS__ALLOW_HTTP", "true");
    deployment.prepare().await;
    deployment
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn webhooks_come_and_go(database: Database) {
    let deployment = with_http(&database).await;
    let receiver = Receiver::start().await;
    let empty = deployment.run(&["webhook", "list"]).await;
    assert!(empty.err.contains("countersign webhook add URL"), "{empty:?}");
    let added = deployment.run(&["webhook", "add", &receiver.url]).await;
    assert_eq!(added.code, 0, "{added:?}");
    assert!(added.out.starts_with("whsec_") && added.out.lines().count() == 1, "{added:?}");
    let listed = json_of(&deployment.must(&["webhook", "list", "--json"]).await);
    let id = listed[0]["id"].as_str().unwrap();
    assert!(added.err.contains(id) && added.err.contains("shown only once"), "{added:?}");
    deployment.must(&["account", "remove", "@alice"]).await;
    let table = deployment.must(&["webhook", "list"]).await;
    assert!(table.contains(&receiver.url) && table.contains(" 1 since 20"), "{table}");
    assert!(!table.contains("whsec_"), "{table}");

    let tested = deployment.run(&["webhook", "test", id]).await;
    assert_eq!(
        (tested.code, &*tested.err),
        (0, "delivered: the receiver answered with status 204\n")
    );
    receiver.next(&[500, 500]);
    let refused = deployment.run(&["webhook", "test", id]).await;
    let told = "countersign: not delivered: it answered with status 500\n";
    assert_eq!((refused.code, &*refused.err), (1, told));
    let refused = deployment.run(&["webhook", "test", id, "--json"]).await;
    assert_eq!(
        json_of(&refused.out),
        json!({ "received": false, "status": 500, "failure": "it answered with status 500" })
    );

    let again = deployment.run(&["webhook", "resend", id, "1", "--json"]).await;
    assert_eq!((again.code, &json_of(&again.out)["state"]), (0, &json!("waiting")), "{again:?}");
    assert!(again.err.ends_with("_1 will be sent again by a running gateway\n"), "{again:?}");

    let rotated = deployment.run(&["webhook", "rotate", id, "--overlap", "1h"]).await;
    assert!(rotated.out.starts_with("whsec_") && rotated.out != added.out, "{rotated:?}");
    assert!(rotated.err.contains("the old secret also signs until 20"), "{rotated:?}");
    for (arguments, told) in [
        (&["webhook", "add", "hooks.example.com"][..], "URL: must be https://"),
        (
            &["webhook", "add", "https://a/", "--app", "nope"],
            "--app: must be one of the configured apps: demo",
        ),
        (&["webhook", "add", &receiver.url], "there is already a webhook with this URL"),
        (&["webhook", "test", "nope"], "there is no such webhook"),
        (&["webhook", "remove", "nope"], "there is no such webhook"),
        (&["webhook", "resend", id, "99"], "there is no such delivery"),
        (&["webhook", "rotate", id, "--overlap", "soon"], "--overlap: must be a duration"),
    ] {
        let done = deployment.run(arguments).await;
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.err.starts_with(&format!("countersign: {told}")), "{done:?}");
    }
    let removed = deployment.run(&["webhook", "remove", id]).await;
    assert_eq!((removed.code, removed.err), (0, format!("deleted {id}\n")));
    assert_eq!(json_of(&deployment.must(&["webhook", "list", "--json"]).await), json!([]));
}

async fn what_another_command_changed_is_told_by_the_program_that_serves(database: Database) {
    let deployment = with_http(&database).await;
    let receiver = Receiver::start().await;
    deployment.must(&["webhook", "add", &receiver.url]).await;
    let running = deployment.serve().await;
    deployment.must(&["account", "remove", "@alice"]).await;
    receiver.wait_for(1).await;
    assert_eq!(receiver.told()[0].0, "account.removed");
    running.signal(Signal::TERM);
    assert_eq!(running.end().await.code, 0);
}

async fn an_import_is_one_event_or_one_for_each_account(database: Database) {
    let deployment = with_http(&database).await;
    deployment.must(&["webhook", "add", "https://hooks.example.com/"]).await;
    let lines = deployment.lines(&["alice", "bob"]);
    for (events, waiting) in
        [(&[][..], 1), (&["--events", "summary"], 2), (&["--events", "each"], 4)]
    {
        let done = deployment.run_with(&[&["account", "import"], events].concat(), &lines).await;
        assert_eq!(done.code, 0, "{done:?}");
        let listed = json_of(&deployment.must(&["webhook", "list", "--json"]).await);
        assert_eq!(listed[0]["waiting"], waiting, "{events:?}");
    }
}

async fn a_receiver_that_hangs_does_not_hold_a_program_that_stops(database: Database) {
    let mut deployment = with_http(&database).await;
    deployment.set("LIMITS__DRAIN", "50ms");
    deployment.set("LIMITS__DRAIN_NOTICE", "0s");
    let receiver = Receiver::start().await;
    deployment.must(&["webhook", "add", &receiver.url]).await;
    receiver.close();
    deployment.must(&["account", "remove", "@alice"]).await;
    let running = deployment.serve().await;
    receiver.wait_for(1).await;
    let metrics = Ask::new(&reqwest::Client::new(), &running.admin_url, "GET", "/metrics");
    let counted = async {
        while !metrics.clone().send().await.text().contains("_webhook_events_waiting 1\n") {}
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("the metric of what waits");
    running.signal(Signal::TERM);
    let done = running.end().await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("the delivery of an event was interrupted"), "{}", done.err);
}

async fn a_program_that_is_killed_while_it_sends_loses_no_event(database: Database) {
    let deployment = with_http(&database).await;
    let receiver = Receiver::start().await;
    deployment.must(&["webhook", "add", &receiver.url]).await;
    receiver.close();
    deployment.must(&["account", "remove", "@alice"]).await;
    deployment.must(&["account", "remove", "@bob"]).await;
    let running = deployment.serve().await;
    receiver.wait_for(2).await;
    running.signal(Signal::KILL);
    running.end().await;
    receiver.open();
    a_minute_later(&database).await;
    let running = deployment.serve().await;
    receiver.wait_for(4).await;
    let arrived = receiver.arrived();
    let ids: Vec<&str> = arrived.iter().map(Arrived::id).collect();
    let (first, again) = ids.split_at(2);
    assert_ne!(first[0], first[1]);
    assert!(again.iter().all(|id| first.contains(id)) && again[0] != again[1], "{ids:?}");
    running.signal(Signal::TERM);
    assert_eq!(running.end().await.code, 0);
}

async fn events_arrive_in_order_however_often_the_program_is_killed(database: Database) {
    const ROUNDS: usize = 6;
    let deployment = with_http(&database).await;
    let receiver = Receiver::start().await;
    deployment.must(&["webhook", "add", &receiver.url]).await;
    let mut dice = Dice(7);
    for _ in 0..ROUNDS {
        deployment.must(&["account", "remove", "@alice"]).await;
        deployment
            .run_with(&["account", "import", "--app", "demo"], &deployment.lines(&["alice"]))
            .await;
        let before = receiver.arrived().len();
        let running = deployment.serve().await;
        // Killed before, while or after an event arrives.
        receiver.wait_for(before + dice.below(3)).await;
        for _ in 0..dice.below(2000) {
            tokio::task::yield_now().await;
        }
        running.signal(Signal::KILL);
        running.end().await;
        a_minute_later(&database).await;
    }
    let running = deployment.serve().await;
    let mut first = Vec::new();
    while first.len() < 2 * ROUNDS {
        receiver.wait_for(receiver.arrived().len().max(1)).await;
        first.clear();
        let mut known = HashSet::new();
        for event in receiver.arrived().iter().filter(|event| known.insert(event.id().to_owned())) {
            first.push(event.what().0);
        }
        tokio::task::yield_now().await;
    }
    let pairs: Vec<&[String]> = first.chunks(2).collect();
    assert!(
        pairs.iter().all(|pair| **pair == ["account.removed", "account.connected"]),
        "{first:?}"
    );
    running.signal(Signal::TERM);
    assert_eq!(running.end().await.code, 0);
}

on_both!(
    webhooks_come_and_go,
    what_another_command_changed_is_told_by_the_program_that_serves,
    an_import_is_one_event_or_one_for_each_account,
    a_receiver_that_hangs_does_not_hold_a_program_that_stops,
    a_program_that_is_killed_while_it_sends_loses_no_event,
    events_arrive_in_order_however_often_the_program_is_killed
);

/// As if a minute had passed, after which a sender counts as dead.
async fn a_minute_later(database: &Database) {
    let past = "2020-01-01T00:00:00Z";
    let then = match database.kind {
        Kind::Postgres => format!("timestamptz '{past}'"),
        Kind::Sqlite => format!("'{past}'"),
    };
    database.run(&format!("update webhook set leased_until = {then}, paused_until = null")).await;
    let waits = format!(
        "update delivery set attempt_at = {then}, leased_until = null where attempt_at is not null"
    );
    database.run(&waits).await;
}
