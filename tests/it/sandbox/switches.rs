//! Switches change at run time, and can be set back.

use serde_json::json;

use crate::upstream::{LAST_28H, TestSandbox, body, small};

#[tokio::test]
async fn named_switches_change_and_the_others_stay() {
    let sandbox = TestSandbox::start().await;
    let first = sandbox.put("/sandbox/switches", json!({ "per_minute": 7 })).await;
    assert_eq!((first.status.as_u16(), &first.json()["per_minute"]), (200, &json!(7)));
    sandbox.put("/sandbox/switches", json!({ "echo_end": "now" })).await;
    let switches = sandbox.get("/sandbox/switches").await;
    assert_eq!((&switches["per_minute"], &switches["echo_end"]), (&json!(7), &json!("now")));
    assert_eq!(switches["per_second"], 10_000);
}

#[tokio::test]
async fn the_declared_type_of_a_change_does_not_matter() {
    let sandbox = TestSandbox::start().await;
    let answer =
        sandbox.form("/sandbox/switches", r#"{"per_minute":7}"#).method("PUT").send().await;
    assert_eq!((answer.status.as_u16(), &answer.json()["per_minute"]), (200, &json!(7)));
}

#[tokio::test]
async fn unknown_switches_and_values_are_refused() {
    let sandbox = TestSandbox::start().await;
    let before = sandbox.get("/sandbox/switches").await;
    for wrong in [json!({ "speed": 1 }), json!({ "echo_end": "later" }), json!([]), json!(null)] {
        let answer = sandbox.put("/sandbox/switches", wrong.clone()).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(sandbox.get("/sandbox/switches").await, before);
}

#[tokio::test]
async fn a_clock_that_is_absurdly_wrong_still_answers() {
    let sandbox = TestSandbox::start().await;
    let body = body(&sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    for offset in [i64::MIN, i64::MAX] {
        sandbox.put("/sandbox/switches", json!({ "clock_offset_s": offset })).await;
        assert_eq!(sandbox.public(&body).await.status, 200);
        assert_eq!(sandbox.own("alice", LAST_28H, &body).await.status, 401);
    }
}

#[tokio::test]
async fn a_reset_brings_everything_back_to_the_start() {
    let mut settings = small();
    settings.switches.per_minute = 50;
    let sandbox = TestSandbox::start_with(settings).await;
    let before = serde_json::to_value(&sandbox.world).unwrap();
    let alice = format!("/sandbox/users/{}", sandbox.user("alice").user_id);
    sandbox.put("/sandbox/switches", json!({ "per_minute": 7 })).await;
    sandbox.put("/sandbox/faults", json!([{ "kind": "hang" }])).await;
    sandbox.put(&alice, json!({ "state": "locked" })).await;
    sandbox.ask("POST", "/sandbox/apps/demo/rotate_bearer").send().await;
    assert_ne!(sandbox.get("/sandbox/world").await, before);

    assert_eq!(sandbox.ask("POST", "/sandbox/reset").send().await.status, 204);
    assert_eq!(sandbox.get("/sandbox/world").await, before);
    assert_eq!(sandbox.get("/sandbox/switches").await["per_minute"], 50);
    assert_eq!(sandbox.get("/sandbox/faults").await, json!([]));
    assert_eq!(sandbox.get("/sandbox/calls").await, json!([]));
    assert_eq!(sandbox.get("/sandbox/counts").await, json!({}));
}
