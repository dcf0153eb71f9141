//! Switches change at run time, and go back.

use serde_json::json;

use crate::bench::{Bench, LAST_28H, body, small};

#[tokio::test]
async fn named_switches_change_and_the_others_stay() {
    let bench = Bench::start().await;
    let first = bench.put("/sandbox/switches", json!({ "per_minute": 7 })).await;
    assert_eq!((first.status.as_u16(), &first.json()["per_minute"]), (200, &json!(7)));
    bench.put("/sandbox/switches", json!({ "echo_end": "now" })).await;
    let switches = bench.get("/sandbox/switches").await;
    assert_eq!((&switches["per_minute"], &switches["echo_end"]), (&json!(7), &json!("now")));
    assert_eq!(switches["per_second"], 10_000);
}

#[tokio::test]
async fn the_declared_type_of_a_change_does_not_matter() {
    let bench = Bench::start().await;
    let answer = bench.form("/sandbox/switches", r#"{"per_minute":7}"#).method("PUT").send().await;
    assert_eq!((answer.status.as_u16(), &answer.json()["per_minute"]), (200, &json!(7)));
}

#[tokio::test]
async fn unknown_switches_and_values_are_refused() {
    let bench = Bench::start().await;
    let before = bench.get("/sandbox/switches").await;
    for wrong in [json!({ "speed": 1 }), json!({ "echo_end": "later" }), json!([]), json!(null)] {
        let answer = bench.put("/sandbox/switches", wrong.clone()).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(bench.get("/sandbox/switches").await, before);
}

#[tokio::test]
async fn a_clock_that_is_absurdly_wrong_still_answers() {
    let bench = Bench::start().await;
    let body = body(&bench.ids("alice", 1), &["favorites"], &["tweet.id"]);
    for offset in [i64::MIN, i64::MAX] {
        bench.put("/sandbox/switches", json!({ "clock_offset_s": offset })).await;
        assert_eq!(bench.public(&body).await.status, 200);
        assert_eq!(bench.own("alice", LAST_28H, &body).await.status, 401);
    }
}

#[tokio::test]
async fn a_reset_brings_everything_back_to_the_start() {
    let mut settings = small();
    settings.switches.per_minute = 50;
    let bench = Bench::start_with(settings).await;
    let before = serde_json::to_value(&bench.world).unwrap();
    let alice = format!("/sandbox/users/{}", bench.user("alice").user_id);
    bench.put("/sandbox/switches", json!({ "per_minute": 7 })).await;
    bench.put("/sandbox/faults", json!([{ "kind": "hang" }])).await;
    bench.put(&alice, json!({ "state": "locked" })).await;
    bench.ask("POST", "/sandbox/apps/demo/rotate_bearer").send().await;
    assert_ne!(bench.get("/sandbox/world").await, before);

    assert_eq!(bench.ask("POST", "/sandbox/reset").send().await.status, 204);
    assert_eq!(bench.get("/sandbox/world").await, before);
    assert_eq!(bench.get("/sandbox/switches").await["per_minute"], 50);
    assert_eq!(bench.get("/sandbox/faults").await, json!([]));
    assert_eq!(bench.get("/sandbox/calls").await, json!([]));
    assert_eq!(bench.get("/sandbox/counts").await, json!({}));
}
