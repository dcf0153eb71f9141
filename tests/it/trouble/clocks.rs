//! Clocks that differ: one answer teaches the offset, and every signature after it is right.

use countersign::model::{Clock, Endpoint};
use serde_json::json;

use crate::bench::{body, with};
use crate::database::{Kind, fresh, on_both};
use crate::house::House;
use crate::trouble::{at_once, attempts, private, public, switch};

on_both! {
    async fn a_call_whose_time_is_refused_is_signed_once_more(database: Database) {
        for offset in [600, -600] {
            let house = House::start(&database).await;
            switch(&house, json!({ "clock_offset_s": offset })).await;
            private(&house, "alice").send().await.is_relayed(200);
            let arrived = house.arrived("/insights/").await;
            let statuses: Vec<_> = arrived.iter().map(|it| it["status"].as_u64().unwrap()).collect();
            assert_eq!(statuses, [401, 200]);
            let time = |at: usize| arrived[at]["timestamp"].as_str().unwrap().parse::<i64>().unwrap();
            assert_eq!(time(1) - time(0), offset);
            assert_ne!(arrived[0]["nonce"], arrived[1]["nonce"]);

            private(&house, "bob").send().await.is_relayed(200);
            assert_eq!(attempts(&house).await, 3, "what was learnt holds");
            assert_eq!(house.gateway.clock_offset(), Some(offset));
        }
    }
}

#[tokio::test]
async fn first_calls_at_once_all_succeed_with_a_wrong_clock() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    private(&house, "alice").send().await.is_relayed(200);
    switch(&house, json!({ "clock_offset_s": 600 })).await;
    for answer in at_once(&private(&house, "alice"), 50).await {
        answer.is_relayed(200);
    }
    let refused = house.arrived("/insights/").await.iter().filter(|it| it["status"] == 401).count();
    assert!(refused > 0);
    assert!(attempts(&house).await <= 101);
}

#[tokio::test]
async fn any_answers_date_teaches_the_offset() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    switch(&house, json!({ "clock_offset_s": 600 })).await;
    public(&house).send().await.is_relayed(200);
    private(&house, "alice").send().await.is_relayed(200);
    assert_eq!(attempts(&house).await, 2, "no signature was refused");
}

#[tokio::test]
async fn an_account_is_checked_with_the_corrected_time() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    switch(&house, json!({ "clock_offset_s": 600 })).await;
    let key = house.new_admin_key().await;
    let path = format!("/admin/v1/accounts/{}/verify", house.id("alice"));
    let answer = house.admin(&key, "POST", &path).send().await;
    assert_eq!(answer.json()["works"], true, "{}", answer.text());
    assert_eq!(house.arrived("/1.1/").await.len(), 2);
}

#[tokio::test]
async fn a_time_that_is_refused_for_ever_is_relayed_and_does_not_loop() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    house.order(json!([{ "kind": "status", "code": 135, "path": "/insights/" }])).await;
    for _ in 0..3 {
        let answer = private(&house, "alice").send().await;
        answer.is_relayed(401);
        assert_eq!(answer.json()["errors"][0]["code"], 135);
    }
    assert_eq!(house.fired().await, [3], "there is no other time to sign with");

    switch(&house, json!({ "clock_offset_s": 600 })).await;
    private(&house, "alice").send().await.is_relayed(401);
    assert_eq!(house.fired().await, [5], "the new time is tried once");
    private(&house, "alice").send().await.is_relayed(401);
    assert_eq!(house.fired().await, [6]);
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_but_does_not_stop_the_gateway() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    switch(&house, json!({ "clock_offset_s": 600 })).await;
    private(&house, "alice").send().await.is_relayed(200);
    let ready = house.ask("GET", "/readyz").send().await;
    assert_eq!((ready.status.as_u16(), ready.json()["status"].as_str()), (200, Some("degraded")));
    assert!(ready.json()["reasons"][0].as_str().unwrap().contains("600 s"), "{}", ready.text());
}

/// What is the future here may be the upstream's past: a clock that lags once refused good calls.
#[tokio::test]
async fn an_end_is_held_against_the_upstreams_clock() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    switch(&house, json!({ "clock_offset_s": 600 })).await;
    private(&house, "alice").send().await.is_relayed(200);
    let in_minutes = |minutes| {
        let at = house.bench.clock.now() + time::Duration::minutes(minutes);
        let end = at.format(&time::format_description::well_known::Rfc3339).unwrap();
        let start = (at - time::Duration::days(1))
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap();
        let body = body(&house.bench.ids("alice", 1), &["impressions"], &["tweet.id"]);
        house.call_as(
            "alice",
            Endpoint::Historical,
            &with(body, &json!({ "start": start, "end": end })),
        )
    };
    in_minutes(5).send().await.is_relayed(200);
    in_minutes(15).send().await.is_own(400, "invalid_request");
}
