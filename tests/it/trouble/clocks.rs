//! Clocks that differ: one answer reveals the offset, and every signature after it is right.

use countersign::model::{Clock, Endpoint};
use serde_json::{Value, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::trouble::connections::{Scripted, WHOLE};
use crate::trouble::{at_once, attempts, private, public, switch};
use crate::upstream::{body, with};

/// A call for the day that ends that much after the gateway's own time.
fn ending(gateway: &TestGateway, after: Duration) -> Ask {
    let end = gateway.sandbox.clock.now() + after;
    let body = body(&gateway.sandbox.ids("alice", 1), &["impressions"], &["tweet.id"]);
    gateway.call_as("alice", Endpoint::Historical, &with(body, &day_before(end)))
}

fn day_before(end: time::OffsetDateTime) -> Value {
    let start = end - Duration::DAY;
    json!({ "start": start.format(&Rfc3339).unwrap(), "end": end.format(&Rfc3339).unwrap() })
}

/// How often X was called for nothing but its time.
async fn times_asked(gateway: &TestGateway) -> u64 {
    gateway.sandbox.get("/sandbox/counts").await["/"].as_u64().unwrap_or_default()
}

async fn a_call_whose_time_is_refused_is_signed_once_more(database: Database) {
    for offset in [600, -600] {
        let gateway = TestGateway::start(&database).await;
        switch(&gateway, json!({ "clock_offset_s": offset })).await;
        private(&gateway, "alice").send().await.is_relayed(200);
        let arrived = gateway.arrived("/insights/").await;
        let statuses: Vec<_> =
            arrived.iter().map(|call| call["status"].as_u64().unwrap()).collect();
        assert_eq!(statuses, [401, 200]);
        let time = |at: usize| arrived[at]["timestamp"].as_str().unwrap().parse::<i64>().unwrap();
        assert_eq!(time(1) - time(0), offset);
        assert_ne!(arrived[0]["nonce"], arrived[1]["nonce"]);

        private(&gateway, "bob").send().await.is_relayed(200);
        assert_eq!(attempts(&gateway).await, 3, "what was learnt holds");
        assert_eq!(gateway.inner.clock_offset(), Some(offset));
    }
}

on_both!(a_call_whose_time_is_refused_is_signed_once_more);

async fn what_only_a_clock_that_lags_forbids_is_held_against_xs_time(database: Database) {
    let gateway = TestGateway::start(&database).await;
    switch(&gateway, json!({ "clock_offset_s": 600 })).await;
    let just_now = Duration::minutes(10) - Duration::seconds(30);
    ending(&gateway, just_now).send().await.is_relayed(200);
    ending(&gateway, just_now).send().await.is_relayed(200);
    assert_eq!(times_asked(&gateway).await, 1);
    let refused = ending(&gateway, Duration::minutes(12)).send().await;
    refused.is_own(400, "invalid_request");
    assert!(refused.text().contains("it is now 2026-03-10T21:25:30Z"), "{}", refused.text());
    assert_eq!((times_asked(&gateway).await, attempts(&gateway).await), (1, 2));
}

async fn a_question_about_the_present_is_held_against_xs_time_too(database: Database) {
    let gateway = TestGateway::start(&database).await;
    switch(&gateway, json!({ "clock_offset_s": 600 })).await;
    let end = gateway.sandbox.clock.now() + Duration::minutes(9);
    let wanted = json!({
        "tweet_ids": gateway.sandbox.ids("alice", 1),
        "engagement_types": ["impressions"],
        "window": day_before(end),
    });
    let ask = gateway
        .ask("POST", "/v1/engagement")
        .header("content-type", "application/json")
        .body(wanted.to_string());
    let answer = ask.send().await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["countersign"]["complete"]),
        (200, &json!(true)),
        "{}",
        answer.text()
    );
    assert_eq!(times_asked(&gateway).await, 1);
}

on_both!(
    what_only_a_clock_that_lags_forbids_is_held_against_xs_time,
    a_question_about_the_present_is_held_against_xs_time_too
);

#[tokio::test]
async fn a_clock_that_was_put_back_refuses_nothing_that_x_allows() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    assert_eq!(gateway.inner.clock_offset(), Some(0));
    // By X's clock, that is in the past.
    switch(&gateway, json!({ "clock_offset_s": 600 })).await;
    gateway.sandbox.clock.forward(Duration::seconds(61));
    ending(&gateway, Duration::minutes(9)).send().await.is_relayed(200);
    assert_eq!((times_asked(&gateway).await, gateway.inner.clock_offset()), (1, Some(600)));
}

#[tokio::test]
async fn callers_who_wait_for_xs_time_share_one_request() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    switch(&gateway, json!({ "clock_offset_s": 600 })).await;
    for answer in at_once(&ending(&gateway, Duration::minutes(9)), 20).await {
        answer.is_relayed(200);
    }
    assert_eq!(times_asked(&gateway).await, 1);
}

#[tokio::test]
async fn x_is_not_asked_for_its_time_where_something_else_is_wrong() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let far = gateway.sandbox.clock.now() + Duration::days(2);
    let wrong = with(body(&[], &["impressions"], &["tweet.id"]), &day_before(far));
    let answer = gateway.call_as("alice", Endpoint::Historical, &wrong).send().await;
    answer.is_own(400, "invalid_request");
    assert_eq!(times_asked(&gateway).await, 0);
}

#[tokio::test]
async fn where_x_does_not_tell_its_time_it_decides_itself() {
    // None of its answers has a `Date`.
    let upstream = Scripted::start(&[&[WHOLE], &[WHOLE, WHOLE, WHOLE]]).await;
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start_with(&database, |config| {
        config.upstream.api_url.clone_from(&upstream.url);
        config.upstream.data_url.clone_from(&upstream.url);
    })
    .await;
    for _ in 0..3 {
        ending(&gateway, Duration::minutes(9)).send().await.is_relayed(200);
    }
    assert_eq!(upstream.connections(), [0, 1, 1, 1], "asked for once, and not again for a while");
}

#[tokio::test]
async fn first_calls_at_once_all_succeed_with_a_wrong_clock() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    switch(&gateway, json!({ "clock_offset_s": 600 })).await;
    for answer in at_once(&private(&gateway, "alice"), 50).await {
        answer.is_relayed(200);
    }
    let refused =
        gateway.arrived("/insights/").await.iter().filter(|call| call["status"] == 401).count();
    assert!(refused > 0);
    assert!(attempts(&gateway).await <= 101);
}

#[tokio::test]
async fn any_answers_date_teaches_the_offset() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    switch(&gateway, json!({ "clock_offset_s": 600 })).await;
    public(&gateway).send().await.is_relayed(200);
    private(&gateway, "alice").send().await.is_relayed(200);
    assert_eq!(attempts(&gateway).await, 2, "no signature was refused");
}

#[tokio::test]
async fn an_account_is_checked_with_the_corrected_time() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    switch(&gateway, json!({ "clock_offset_s": 600 })).await;
    let key = gateway.new_admin_key().await;
    let path = format!("/admin/v1/accounts/{}/verify", gateway.id("alice"));
    let answer = gateway.admin(&key, "POST", &path).send().await;
    assert_eq!(answer.json()["works"], true, "{}", answer.text());
    assert_eq!(gateway.arrived("/1.1/").await.len(), 2);
}

#[tokio::test]
async fn a_time_that_is_refused_for_ever_is_relayed_and_does_not_loop() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    gateway.order(json!([{ "kind": "status", "code": 135, "path": "/insights/" }])).await;
    for _ in 0..3 {
        let answer = private(&gateway, "alice").send().await;
        answer.is_relayed(401);
        assert_eq!(answer.json()["errors"][0]["code"], 135);
    }
    assert_eq!(gateway.fired().await, [3], "there is no other time to sign with");

    switch(&gateway, json!({ "clock_offset_s": 600 })).await;
    private(&gateway, "alice").send().await.is_relayed(401);
    assert_eq!(gateway.fired().await, [5], "the new time is tried once");
    private(&gateway, "alice").send().await.is_relayed(401);
    assert_eq!(gateway.fired().await, [6]);
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_but_does_not_stop_the_gateway() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    switch(&gateway, json!({ "clock_offset_s": 600 })).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    let ready = gateway.ask("GET", "/readyz").send().await;
    assert_eq!((ready.status.as_u16(), ready.json()["status"].as_str()), (200, Some("degraded")));
    assert!(ready.json()["reasons"][0].as_str().unwrap().contains("600 s"), "{}", ready.text());
}

/// The gateway's future may be the upstream's past: with a clock that lagged, it once refused valid calls.
#[tokio::test]
async fn an_end_is_held_against_the_upstreams_clock() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    switch(&gateway, json!({ "clock_offset_s": 600 })).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    ending(&gateway, Duration::minutes(5)).send().await.is_relayed(200);
    ending(&gateway, Duration::minutes(15)).send().await.is_own(400, "invalid_request");
}
