//! Time windows: defaults, widening, limits, and the window that the answer echoes.

use serde_json::{Value, json};
use time::Duration;

use crate::http::Answer;
use crate::upstream::{HISTORICAL, LAST_28H, TestSandbox, body, keys, with};

async fn ask(sandbox: &TestSandbox, window: Value) -> Answer {
    let body =
        body(&sandbox.ids("alice", 1), &["impressions"], &["engagement.day", "engagement.hour"]);
    sandbox.own("alice", HISTORICAL, &with(body, &window)).await
}

fn echo(answer: &Answer) -> (String, String) {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
    (text("start"), text("end"))
}

fn buckets(g: &Value) -> usize {
    g.as_object().unwrap().values().map(|day| keys(day).len()).sum()
}

fn pair(start: &str, end: &str) -> (String, String) {
    (start.to_owned(), end.to_owned())
}

#[tokio::test]
async fn the_28_hours_are_29_buckets() {
    let sandbox = TestSandbox::start().await;
    let body =
        body(&sandbox.ids("alice", 1), &["impressions"], &["engagement.day", "engagement.hour"]);
    let answer = sandbox.own("alice", LAST_28H, &body).await;
    assert_eq!(echo(&answer), pair("2026-03-09T17:00:00Z", "2026-03-10T22:00:00Z"));
    let g = answer.g();
    assert_eq!(buckets(&g), 29);
    assert_eq!((keys(&g["2026-03-09"])[0], *keys(&g["2026-03-10"]).last().unwrap()), ("17", "21"));

    let ignored = with(body.clone(), &json!({ "start": "2020-01-01", "end": "nonsense" }));
    assert_eq!(sandbox.own("alice", LAST_28H, &ignored).await.g(), g);
    sandbox.put("/sandbox/switches", json!({ "echo_end": "now" })).await;
    let answer = sandbox.own("alice", LAST_28H, &body).await;
    assert_eq!(echo(&answer), pair("2026-03-09T17:00:00Z", "2026-03-10T21:15:30Z"));
    assert_eq!(answer.g(), g);
}

#[tokio::test]
async fn a_missing_window_is_the_last_28_days() {
    let sandbox = TestSandbox::start().await;
    let answer = ask(&sandbox, json!({})).await;
    assert_eq!(echo(&answer), pair("2026-02-10T22:00:00Z", "2026-03-10T22:00:00Z"));
    assert_eq!(buckets(&answer.g()), 28 * 24);
    sandbox.put("/sandbox/switches", json!({ "echo_end": "now" })).await;
    let answer = ask(&sandbox, json!({})).await;
    assert_eq!(echo(&answer), pair("2026-02-10T22:00:00Z", "2026-03-10T21:15:30Z"));
}

#[tokio::test]
async fn one_end_of_the_window_is_enough() {
    let sandbox = TestSandbox::start().await;
    let recent = ask(&sandbox, json!({ "start": "2026-03-01" })).await;
    assert_eq!(echo(&recent), pair("2026-03-01T00:00:00Z", "2026-03-10T22:00:00Z"));
    let past = ask(&sandbox, json!({ "start": "2026-01-01" })).await;
    assert_eq!(echo(&past), pair("2026-01-01T00:00:00Z", "2026-01-29T00:00:00Z"));
    let end = ask(&sandbox, json!({ "end": "2026-01-29" })).await;
    assert_eq!(echo(&end), echo(&past));
}

#[tokio::test]
async fn unaligned_ends_are_widened_to_whole_hours() {
    let sandbox = TestSandbox::start().await;
    let window = json!({ "start": "2026-03-01T12:24:00Z", "end": "2026-03-02T08:37:00Z" });
    let answer = ask(&sandbox, window).await;
    assert_eq!(echo(&answer), pair("2026-03-01T12:00:00Z", "2026-03-02T09:00:00Z"));
    assert_eq!(buckets(&answer.g()), 21);
    assert_eq!(*keys(&answer.g()["2026-03-02"]).last().unwrap(), "08");
}

#[tokio::test]
async fn every_form_of_time_is_read() {
    let sandbox = TestSandbox::start().await;
    for (start, end) in [
        ("2026-03-01", "2026-03-02"),
        ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
        ("2026-03-01T00:00:00", "2026-03-02T00:00:00.000000"),
        ("2026-03-01T00:00:00+00:00", "2026-03-02T02:00:00+02:00"),
    ] {
        let answer = ask(&sandbox, json!({ "start": start, "end": end })).await;
        assert_eq!(echo(&answer), pair("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"), "{start}");
        assert_eq!(buckets(&answer.g()), 24, "a date as end leaves that day out");
    }
    for wrong in ["202603010000", "yesterday", "", "2026-02-30", "9999-12-31", "0000-01-01"] {
        let answer = ask(&sandbox, json!({ "start": wrong })).await;
        answer.refuses(400, &[&format!("SIM: start: '{wrong}' is not a valid time")]);
    }
    ask(&sandbox, json!({ "end": 5 })).await.refuses(400, &["SIM: end is not a string"]);
}

#[tokio::test]
async fn a_window_has_limits() {
    let sandbox = TestSandbox::start().await;
    let span = |start: &str, end: &str| json!({ "start": start, "end": end });
    let exactly = ask(&sandbox, span("2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z")).await;
    assert_eq!(buckets(&exactly.g()), 28 * 24);
    for (start, end, text) in [
        ("2026-02-01", "2026-03-01T00:00:01Z", "start and end must be no more than 28 days apart"),
        ("2026-03-02", "2026-03-01", "start must be before end"),
        ("2026-03-02", "2026-03-02", "start must be before end"),
        ("2026-03-02", "2026-03-10T22:00:01Z", "end must not be in the future"),
        ("2026-03-11", "2026-03-12", "end must not be in the future"),
        ("2025-03-10T20:00:00Z", "2025-03-20", "start must not be before 2025-03-10T21:00:00Z"),
    ] {
        ask(&sandbox, span(start, end)).await.refuses(400, &[&format!("SIM: {text}")]);
    }
    let rounded = ask(&sandbox, span("2026-03-02", "2026-03-10T22:00:00Z")).await;
    assert_eq!(rounded.status, 200, "clients round now up to the hour");
}

#[tokio::test]
async fn the_history_can_begin_in_2014() {
    let sandbox = TestSandbox::start().await;
    sandbox.put("/sandbox/switches", json!({ "history_floor": "2014-09-01" })).await;
    let first = ask(&sandbox, json!({ "start": "2014-09-01", "end": "2014-09-02" })).await;
    assert_eq!(first.status, 200);
    let before = ask(&sandbox, json!({ "start": "2014-08-31", "end": "2014-09-02" })).await;
    before.refuses(400, &["SIM: start must not be before 2014-09-01T00:00:00Z"]);
}

#[tokio::test]
async fn on_the_hour_nothing_is_rounded() {
    let sandbox = TestSandbox::start().await;
    sandbox.clock.forward(Duration::seconds(44 * 60 + 30));
    let body =
        body(&sandbox.ids("alice", 1), &["impressions"], &["engagement.day", "engagement.hour"]);
    let answer = sandbox.own("alice", LAST_28H, &body).await;
    assert_eq!(echo(&answer), pair("2026-03-09T18:00:00Z", "2026-03-10T22:00:00Z"));
    assert_eq!(buckets(&answer.g()), 28);
}
