//! X's quota: who waits for it, who is refused, and what a refusal says.

mod keys;
pub mod overview;
mod questions;
mod replicas;

use std::time::Duration;

use countersign::config::Config;
use countersign::model::quota::{Mode, Scope};
use countersign::model::{AuthKind, Endpoint};
use countersign::sandbox::Settings;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::database::{Database, Kind, fresh};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::upstream::{TestSandbox, body, small};

pub const TOTALS: Endpoint = Endpoint::Totals;
/// The longest wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway in front of a sandbox with this quota, whose clock is 30 seconds before the next minute.
pub async fn limited(
    database: &Database,
    per_minute: u32,
    change: impl FnOnce(&mut Config),
) -> TestGateway {
    let mut settings = Settings { users: 4, ..small() };
    settings.switches.per_minute = per_minute;
    let sandbox = TestSandbox::start_with(settings).await;
    TestGateway::build(sandbox, &database.settings(), change).await
}

pub fn public(gateway: &TestGateway) -> Value {
    body(&gateway.sandbox.ids("alice", 2), &["favorites"], &["tweet.id", "engagement.type"])
}

/// Makes public calls one after the other; returns their statuses.
pub async fn call(gateway: &TestGateway, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(gateway.call(TOTALS, &public(gateway)).send().await.status.as_u16());
    }
    statuses
}

/// Begins a call that is shared with nobody.
pub fn begin(gateway: &TestGateway) -> JoinHandle<Answer> {
    let ask = gateway.call(TOTALS, &public(gateway)).header("cache-control", "no-cache");
    tokio::spawn(async move { ask.send().await })
}

/// Returns once so many calls wait for quota.
pub async fn until_waiting(gateway: &TestGateway, calls: usize) {
    let waiting =
        || gateway.inner.list_quotas().iter().map(|quota| quota.level.waiting).sum::<usize>();
    let waits = async {
        while waiting() != calls {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("calls wait");
}

async fn arrived(gateway: &TestGateway) -> usize {
    gateway.arrived("/insights/").await.len()
}

#[tokio::test]
async fn a_call_without_quota_is_refused_at_once_if_its_turn_is_too_far_away() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 3, |_| ()).await;
    assert_eq!(call(&gateway, 3).await, [200, 200, 200]);
    let refused = gateway.call(TOTALS, &public(&gateway)).send().await;
    refused.is_own(429, "quota_exhausted");
    // The minute ends in 30 s; who comes back then waits for half of limits.quota_wait.
    assert_eq!(refused.header("retry-after"), "26");
    assert!(refused.text().contains("the quota that X gives the app demo"), "{}", refused.text());
    // X's clients expect its headers in every answer.
    assert_eq!(refused.header("x-per-minute-remaining"), "0");
    assert_eq!(arrived(&gateway).await, 3, "no call was wasted");
}

#[tokio::test]
async fn a_call_whose_turn_comes_soon_waits_for_it() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 3, |_| ()).await;
    assert_eq!(call(&gateway, 3).await, [200, 200, 200]);
    gateway.sandbox.clock.forward(time::Duration::seconds(25));
    let waits = begin(&gateway);
    until_waiting(&gateway, 1).await;
    gateway.sandbox.clock.forward(time::Duration::seconds(6));
    waits.await.unwrap().is_relayed(200);
    assert_eq!(arrived(&gateway).await, 4);
}

#[tokio::test]
async fn whoever_hangs_up_leaves_the_queue() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 3, |_| ()).await;
    call(&gateway, 3).await;
    gateway.sandbox.clock.forward(time::Duration::seconds(25));
    let (gone, stays) = (begin(&gateway), begin(&gateway));
    until_waiting(&gateway, 2).await;
    gone.abort();
    until_waiting(&gateway, 1).await;
    gateway.sandbox.clock.forward(time::Duration::seconds(6));
    stays.await.unwrap().is_relayed(200);
    assert_eq!(arrived(&gateway).await, 4);
}

#[tokio::test]
async fn a_call_that_x_refuses_is_made_once_more_when_there_is_quota_again() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 100, |_| ()).await;
    let reset = (gateway.sandbox.clock.now_s() + 2).to_string();
    let spent = json!({ "x-per-minute-remaining": "0", "x-per-minute-limit": "100", "x-per-minute-reset": reset });
    let fault = json!({ "kind": "status", "status": 429, "headers": spent, "path": "/insights/", "times": 1 });
    gateway.order(json!([fault])).await;
    let waits = begin(&gateway);
    until_waiting(&gateway, 1).await;
    assert_eq!(arrived(&gateway).await, 1);
    // Meanwhile, no other call goes out.
    let other = begin(&gateway);
    until_waiting(&gateway, 2).await;
    gateway.sandbox.clock.forward(time::Duration::seconds(3));
    waits.await.unwrap().is_relayed(200);
    other.await.unwrap().is_relayed(200);
    assert_eq!(arrived(&gateway).await, 3);
}

#[tokio::test]
async fn a_refusal_by_x_is_relayed_as_it_came_if_it_cannot_wait() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 100, |config| config.limits.quota_wait = Duration::ZERO).await;
    let fault = json!({
        "kind": "status", "status": 429, "headers": { "retry-after": "7" },
        "body": { "errors": ["X's own words"] }, "path": "/insights/", "times": 1,
    });
    gateway.order(json!([fault])).await;
    let answer = gateway.call(TOTALS, &public(&gateway)).send().await;
    answer.is_relayed(429);
    assert_eq!(answer.json()["errors"][0], "X's own words");
    // The next one is not even sent, and is told as long a wait.
    let refused = gateway.call(TOTALS, &public(&gateway)).send().await;
    refused.is_own(429, "quota_exhausted");
    assert_eq!(refused.header("retry-after"), "7");
    assert_eq!(arrived(&gateway).await, 1);
}

#[tokio::test]
async fn an_observed_quota_refuses_nothing() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 2, |config| {
        config.apps.get_mut("demo").unwrap().quota.mode = Mode::Observe;
    })
    .await;
    assert_eq!(call(&gateway, 3).await, [200, 200, 429]);
    let answer = gateway.call(TOTALS, &public(&gateway)).send().await;
    answer.is_relayed(429);
    assert_eq!(arrived(&gateway).await, 4);
}

#[tokio::test]
async fn what_x_counts_together_is_a_setting() {
    for (scope, other_is_refused) in
        [(Scope::App, true), (Scope::Kind, false), (Scope::Endpoint, false)]
    {
        let database = fresh(Kind::Sqlite).await;
        let gateway = limited(&database, 2, |config| {
            config.apps.get_mut("demo").unwrap().quota.scope = scope;
        })
        .await;
        assert_eq!(call(&gateway, 3).await, [200, 200, 429]);
        let hours = body(&gateway.sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
        let answer = gateway.call_as("alice", Endpoint::TwentyEightHours, &hours).send().await;
        assert_eq!(answer.status == 429, other_is_refused, "{scope:?}");
        assert_eq!(answer.header("countersign-auth"), AuthKind::UserContext.name());
    }
}

#[tokio::test]
async fn an_answer_names_the_keys_own_part_beside_xs_headers() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 600, |_| ()).await;
    let answer = gateway.call(TOTALS, &public(&gateway)).send().await;
    answer.is_relayed(200);
    assert_eq!(answer.header("x-per-minute-remaining"), "599");
    assert_eq!(answer.header("ratelimit-policy"), "\"x\";q=600");
    // One in a hundred calls is kept back.
    assert_eq!(answer.header("ratelimit"), "\"x\";r=593;t=30");
}

#[tokio::test]
async fn metrics_show_the_quota() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = limited(&database, 3, |_| ()).await;
    call(&gateway, 4).await;
    let metrics = gateway.admin("", "GET", "/metrics").send().await.text();
    let value = |name: &str, labels: &str| {
        let line = format!("countersign_quota_{name}{{app=\"demo\"{labels}}} ");
        let found = metrics.lines().find_map(|found| found.strip_prefix(&*line));
        found.unwrap_or_else(|| panic!("{line} is missing")).parse::<f64>().unwrap()
    };
    // Other tests count in the same process.
    assert!(value("limit", ",pool=\"app-only totals\"") >= 1.0);
    assert!(value("left", ",pool=\"app-only totals\"") >= 0.0);
    assert!(value("refusals_total", ",reason=\"quota\"") >= 1.0);
}
