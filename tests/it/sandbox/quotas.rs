//! Quotas per minute and per second, and the headers that report them.

use serde_json::json;
use time::Duration;

use crate::http::Answer;
use crate::upstream::{HISTORICAL, NOW, TOTALS, TestSandbox, body, small};

async fn limited(per_minute: u32, per_second: u32) -> TestSandbox {
    let mut settings = small();
    settings.switches.per_minute = per_minute;
    settings.switches.per_second = per_second;
    TestSandbox::start_with(settings).await
}

async fn public(sandbox: &TestSandbox) -> Answer {
    sandbox.public(&body(&sandbox.ids("alice", 1), &["favorites"], &["tweet.id"])).await
}

#[tokio::test]
async fn headers_tell_what_is_left_and_when_it_returns() {
    let sandbox = limited(10, 5).await;
    let answer = public(&sandbox).await;
    let now = NOW.unix_timestamp();
    for (name, value) in [
        ("x-per-minute-limit", 10),
        ("x-per-minute-remaining", 9),
        ("x-per-minute-reset", now + 30),
        ("x-per-second-limit", 5),
        ("x-per-second-remaining", 4),
        ("x-per-second-reset", now + 1),
    ] {
        assert_eq!(answer.number(name), value, "{name}");
    }
    assert!(!answer.headers.contains_key("x-rate-limit-limit"));
    assert!(!answer.headers.contains_key("retry-after"));
    assert_eq!(public(&sandbox).await.number("x-per-minute-remaining"), 8);

    sandbox.put("/sandbox/switches", json!({ "legacy_rate_headers": true })).await;
    let answer = public(&sandbox).await;
    assert_eq!(answer.number("x-rate-limit-limit"), 10);
    assert_eq!(answer.number("x-rate-limit-remaining"), 7);
    assert_eq!(answer.number("x-rate-limit-reset"), now + 30);
}

#[tokio::test]
async fn the_minute_runs_out_and_comes_back() {
    let sandbox = limited(2, 100).await;
    assert_eq!(public(&sandbox).await.status, 200);
    assert_eq!(public(&sandbox).await.number("x-per-minute-remaining"), 0);
    let answer = public(&sandbox).await;
    answer.refuses(429, &["SIM: rate limit exceeded"]);
    assert_eq!(answer.number("x-per-minute-remaining"), 0);
    assert_eq!(answer.number("x-per-second-remaining"), 97);

    sandbox.clock.forward(Duration::seconds(29));
    assert_eq!(public(&sandbox).await.status, 429);
    sandbox.clock.forward(Duration::seconds(1));
    assert_eq!(public(&sandbox).await.status, 200);
}

#[tokio::test]
async fn the_second_runs_out_and_comes_back() {
    let sandbox = limited(100, 1).await;
    assert_eq!(public(&sandbox).await.status, 200);
    assert_eq!(public(&sandbox).await.status, 429);
    sandbox.clock.forward(Duration::SECOND);
    assert_eq!(public(&sandbox).await.status, 200);
}

#[tokio::test]
async fn pools_are_apart_for_kinds_of_credentials_and_endpoints() {
    let sandbox = limited(1, 100).await;
    let body = body(&sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    assert_eq!(public(&sandbox).await.status, 200);
    assert_eq!(public(&sandbox).await.status, 429);
    assert_eq!(sandbox.own("alice", TOTALS, &body).await.status, 200);
    assert_eq!(sandbox.own("alice", HISTORICAL, &body).await.status, 200);
    assert_eq!(sandbox.own("alice", TOTALS, &body).await.status, 429);
}

#[tokio::test]
async fn refused_requests_count_once_the_caller_is_known() {
    let sandbox = limited(2, 100).await;
    let stranger =
        sandbox.post(TOTALS, &json!({})).header("authorization", "Bearer x").send().await;
    assert!(!stranger.headers.contains_key("x-per-minute-remaining"));
    let wrong = sandbox.public(&json!({})).await;
    assert_eq!((wrong.status.as_u16(), wrong.number("x-per-minute-remaining")), (400, 1));
}
