//! Accounts that X refuses: marked, answered at once with what to do, and healed; and what never marks one.

use countersign::model::AccountState;
use countersign::sandbox::Settings;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::database::{Database, Kind, fresh, newest, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::question::observing;
use crate::trouble::{attempts, private, public, switch, user_becomes};
use crate::upstream::{TestSandbox, small};

/// Makes the call that marks alice, and another one after it.
async fn is_marked(gateway: &TestGateway, status: u16, state: &str, remedy: &str) {
    let first = private(gateway, "alice").send().await;
    first.is_relayed(status);
    let before = attempts(gateway).await;
    let second = private(gateway, "alice").send().await;
    second.is_own(409, "account_not_active");
    let detail = second.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(&format!("{state} since 2026-03-10T21:15:30Z")), "{detail}");
    assert!(detail.contains(remedy), "{detail}");
    assert_eq!(second.header("retry-after"), "", "waiting does not help");
    assert_eq!(attempts(gateway).await, before, "X is not asked again");
    private(gateway, "bob").send().await.is_relayed(200);
    public(gateway).send().await.is_relayed(200);
}

async fn stored_state(gateway: &TestGateway, name: &str) -> String {
    let key = gateway.new_admin_key().await;
    let path = format!("/admin/v1/accounts/{}", gateway.id(name));
    let shown = gateway.admin(&key, "GET", &path).send().await.json();
    shown["state"].as_str().unwrap().to_owned()
}

async fn verify(gateway: &TestGateway, name: &str) -> Answer {
    let key = gateway.new_admin_key().await;
    let path = format!("/admin/v1/accounts/{}/verify", gateway.id(name));
    gateway.admin(&key, "POST", &path).send().await
}

async fn a_revoked_token_marks_its_account_in_either_wording(database: Database) {
    for wording in ["string_family", "code_family"] {
        let gateway = TestGateway::start(&database).await;
        switch(&gateway, json!({ "revoked_wording": wording })).await;
        user_becomes(&gateway, "alice", "revoked").await;
        is_marked(&gateway, 401, "revoked", "import a new token").await;
        assert_eq!(stored_state(&gateway, "alice").await, "revoked");
    }
}

async fn a_call_that_works_heals_a_mark_that_was_set_meanwhile(database: Database) {
    let gateway = TestGateway::start(&database).await;
    gateway.order(json!([{ "kind": "hold", "path": "/insights/", "times": 1 }])).await;
    let under_way = tokio::spawn(private(&gateway, "alice").send());
    while gateway.fired().await != [1] {
        tokio::task::yield_now().await;
    }
    let stored = gateway.store.find_account("demo", gateway.id("alice")).await.unwrap().unwrap();
    let (state, now) =
        (AccountState::Revoked, countersign::model::Clock::now(&*gateway.sandbox.clock));
    assert!(
        gateway.store.update_account_state(&stored, state, "a mistake", "test", now).await.unwrap()
    );
    gateway.inner.catch_up_once().await.unwrap();
    private(&gateway, "alice").send().await.is_own(409, "account_not_active");
    gateway.order(json!([])).await;
    under_way.await.unwrap().is_relayed(200);
    while stored_state(&gateway, "alice").await != "active" {
        tokio::task::yield_now().await;
    }
    private(&gateway, "alice").send().await.is_relayed(200);
}

// A late refusal of an old token once marked an account that had a new token by then.
async fn a_late_refusal_of_an_old_token_leaves_the_new_one_alone(database: Database) {
    let gateway = TestGateway::start(&database).await;
    user_becomes(&gateway, "alice", "revoked").await;
    gateway.order(json!([{ "kind": "hold", "path": "/insights/", "times": 1 }])).await;
    let late = tokio::spawn(private(&gateway, "alice").send());
    while gateway.fired().await != [1] {
        tokio::task::yield_now().await;
    }
    gateway.connect(&["alice"]).await;
    gateway.order(json!([])).await;
    late.await.unwrap().is_relayed(401);
    assert_eq!(stored_state(&gateway, "alice").await, "active");
}

async fn one_wrong_answer_is_no_proof(database: Database) {
    let gateway = TestGateway::start(&database).await;
    for code in [89, 64] {
        gateway
            .order(json!([{ "kind": "status", "code": code, "path": "/insights/", "times": 1 }]))
            .await;
        private(&gateway, "alice").send().await;
        assert_eq!(gateway.fired().await, [1]);
        private(&gateway, "alice").send().await.is_relayed(200);
    }
}

async fn while_x_refuses_everybody_nobody_is_marked(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let refuse = |path| json!({ "kind": "status", "code": 89, "path": path });
    gateway.order(json!([refuse("/insights/"), refuse("/1.1/")])).await;
    for name in ["alice", "bob", "alice"] {
        private(&gateway, name).send().await.is_relayed(401);
    }
    assert_eq!(gateway.fired().await, [3, 1], "X is asked about it but once in a while");
    gateway.order(json!([])).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    private(&gateway, "bob").send().await.is_relayed(200);
    user_becomes(&gateway, "alice", "revoked").await;
    gateway.sandbox.clock.forward(time::Duration::seconds(30));
    private(&gateway, "alice").send().await.is_relayed(401);
    private(&gateway, "alice").send().await.is_own(409, "account_not_active");
}

async fn an_account_without_others_is_marked_by_the_second_refusal(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let path = format!("/admin/v1/accounts/{}", gateway.id("bob"));
    assert_eq!(gateway.admin(&key, "DELETE", &path).send().await.status, 200);
    user_becomes(&gateway, "alice", "revoked").await;
    private(&gateway, "alice").send().await.is_relayed(401);
    private(&gateway, "alice").send().await.is_own(409, "account_not_active");
}

async fn a_suspended_user_is_blocked_and_heals_by_a_check(database: Database) {
    let gateway = TestGateway::start(&database).await;
    user_becomes(&gateway, "alice", "suspended").await;
    is_marked(&gateway, 403, "blocked", "an operator verifies it").await;
    assert_eq!(
        verify(&gateway, "alice").await.json(),
        json!({ "works": false, "state": "blocked" })
    );
    user_becomes(&gateway, "alice", "active").await;
    private(&gateway, "alice").send().await.is_own(409, "account_not_active");
    assert_eq!(verify(&gateway, "alice").await.json()["works"], true);
    private(&gateway, "alice").send().await.is_relayed(200);
}

async fn a_locked_user_is_blocked(database: Database) {
    let gateway = TestGateway::start(&database).await;
    user_becomes(&gateway, "alice", "locked").await;
    is_marked(&gateway, 403, "blocked", "an operator verifies it").await;
}

async fn a_marked_account_heals_by_importing_it_again(database: Database) {
    let gateway = TestGateway::start(&database).await;
    user_becomes(&gateway, "alice", "revoked").await;
    private(&gateway, "alice").send().await.is_relayed(401);
    private(&gateway, "alice").send().await.is_own(409, "account_not_active");
    user_becomes(&gateway, "alice", "active").await;
    gateway.connect(&["alice"]).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    assert_eq!(stored_state(&gateway, "alice").await, "active");
}

async fn a_check_marks_what_it_finds(database: Database) {
    let gateway = TestGateway::start(&database).await;
    user_becomes(&gateway, "alice", "revoked").await;
    assert_eq!(
        verify(&gateway, "alice").await.json(),
        json!({ "works": false, "state": "revoked" })
    );
    private(&gateway, "alice").send().await.is_own(409, "account_not_active");
    assert_eq!(attempts(&gateway).await, 0);
}

async fn the_apps_and_the_clocks_faults_never_touch_an_account(database: Database) {
    let gateway = TestGateway::start_with(&database, observing).await;
    let coded = |status: u16, code: i64| json!({ "status": status, "code": code });
    let said = |status: u16, text: &str| json!({ "status": status, "message": text });
    let faults = [
        coded(401, 32),
        coded(401, 135),
        coded(403, 99),
        coded(401, 416),
        coded(403, 87),
        coded(403, 220),
        coded(400, 89),
        coded(429, 88),
        coded(500, 64),
        coded(401, 215),
        coded(403, 261),
        said(403, "Forbidden to access tweets: 1"),
        said(401, "Your account could not be authenticated. Reason: Unknown Authorization Type"),
        said(403, "Access token not found"),
        said(200, "Access token not found"),
    ];
    for fault in faults {
        let mut order = json!({ "kind": "status", "times": 1, "path": "/insights/" });
        order.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        gateway.order(Value::Array(vec![order])).await;
        let status = fault["status"].as_u64().unwrap();
        private(&gateway, "alice").send().await.is_relayed(u16::try_from(status).unwrap());
        assert_eq!(gateway.fired().await, [1], "{fault}");
        private(&gateway, "alice").send().await.is_relayed(200);
    }
    assert_eq!(stored_state(&gateway, "alice").await, "active");
}

async fn app_only_calls_never_mark_an_account(database: Database) {
    let gateway = TestGateway::start(&database).await;
    private(&gateway, "alice").send().await.is_relayed(200);
    for code in [64, 326] {
        gateway
            .order(json!([{ "kind": "status", "code": code, "times": 1, "path": "/insights/" }]))
            .await;
        let ask = public(&gateway).header("countersign-account", &gateway.id("alice").to_string());
        ask.send().await.is_relayed(403);
        assert_eq!(gateway.fired().await, [1]);
    }
    private(&gateway, "alice").send().await.is_relayed(200);
}

async fn a_mark_is_written_down_once(database: Database) {
    let gateway = TestGateway::start(&database).await;
    user_becomes(&gateway, "alice", "revoked").await;
    crate::trouble::at_once(&private(&gateway, "alice"), 20).await;
    let entries = gateway.inner.list_audit(&newest(100)).await.unwrap();
    let marked: Vec<_> = entries.iter().filter(|entry| entry.action == "account.revoked").collect();
    assert_eq!(marked.len(), 1);
    assert_eq!(marked[0].actor, "gateway");
}

on_both!(
    a_revoked_token_marks_its_account_in_either_wording,
    a_call_that_works_heals_a_mark_that_was_set_meanwhile,
    a_late_refusal_of_an_old_token_leaves_the_new_one_alone,
    one_wrong_answer_is_no_proof,
    while_x_refuses_everybody_nobody_is_marked,
    an_account_without_others_is_marked_by_the_second_refusal,
    a_suspended_user_is_blocked_and_heals_by_a_check,
    a_locked_user_is_blocked,
    a_marked_account_heals_by_importing_it_again,
    a_check_marks_what_it_finds,
    the_apps_and_the_clocks_faults_never_touch_an_account,
    app_only_calls_never_mark_an_account,
    a_mark_is_written_down_once
);

/// One call for each; gives their statuses in order.
async fn call_all(gateway: &TestGateway, names: &[String]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for some in names.chunks(50) {
        let mut calls = JoinSet::new();
        for name in some {
            calls.spawn(private(gateway, name).send());
        }
        statuses.extend(calls.join_all().await.iter().map(|answer| answer.status.as_u16()));
    }
    statuses
}

async fn revoked(gateway: &TestGateway) -> Vec<String> {
    let key = gateway.new_admin_key().await;
    let path = "/admin/v1/accounts?state=revoked&limit=1000";
    let listed = gateway.admin(&key, "GET", path).send().await.json();
    let accounts = listed["accounts"].as_array().unwrap();
    let mut names: Vec<String> = accounts
        .iter()
        .map(|account| account["screen_name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn of_five_hundred_accounts_exactly_the_revoked_ones_are_marked() {
    let database = fresh(Kind::Sqlite).await;
    let settings = Settings { users: 500, posts_per_user: 2, ..small() };
    let gateway =
        TestGateway::build(TestSandbox::start_with(settings).await, &database.settings(), |_| ())
            .await;
    let active = gateway.sandbox.world.users.iter().filter(|user| user.state == "active");
    let names: Vec<String> = active.map(|user| user.screen_name.clone()).take(500).collect();
    assert_eq!(names.len(), 500);
    gateway.connect(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;

    let refuse = |path| json!({ "kind": "status", "code": 89, "path": path });
    gateway.order(json!([refuse("/insights/"), refuse("/1.1/")])).await;
    assert!(call_all(&gateway, &names).await.iter().all(|status| *status == 401));
    assert!(revoked(&gateway).await.is_empty());
    gateway.order(json!([])).await;
    assert!(call_all(&gateway, &names).await.iter().all(|status| *status == 200));

    gateway.sandbox.clock.forward(time::Duration::seconds(30));
    let mut truly: Vec<String> = names.iter().step_by(25).cloned().collect();
    for name in &truly {
        user_becomes(&gateway, name, "revoked").await;
    }
    for _ in 0..2 {
        call_all(&gateway, &names).await;
    }
    truly.sort();
    assert_eq!(revoked(&gateway).await, truly);
}
