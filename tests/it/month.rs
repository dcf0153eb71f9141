//! The monthly limit of accounts: whose calls are let through, whose are refused, and where it is reported.

use countersign::config::Config;
use countersign::model::app::AccountLimit;
use countersign::model::{Clock, Endpoint};
use countersign::sandbox::Settings;
use serde_json::{Map, Value, json};
use time::Duration;
use time::macros::datetime;

use crate::connect::replica::{PUBLIC_URL, Replica};
use crate::console::Visitor;
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};
use crate::question::{PLAN, ask, ask_with, question};
use crate::upstream::{TOTALS, TestSandbox, small};

fn limited(most: u64, refuses: bool) -> impl FnOnce(&mut Config) {
    move |config| {
        let app = config.apps.values_mut().next().unwrap();
        app.account_limit = Some(AccountLimit { most, refuses });
    }
}

async fn private(gateway: &TestGateway, name: &str) -> Answer {
    let body = json!({
        "tweet_ids": gateway.sandbox.ids(name, 1),
        "engagement_types": ["impressions"],
        "groupings": { "g": { "group_by": ["tweet.id"] } },
    });
    gateway.call_as(name, Endpoint::Totals, &body).send().await
}

fn owned(gateway: &TestGateway, names: &[&str]) -> Value {
    let ids: Vec<String> = names.iter().flat_map(|name| gateway.sandbox.ids(name, 1)).collect();
    let owner = |name: &&str| json!(gateway.id(name).to_string());
    let mut wanted = question(&ids, &["impressions"]);
    wanted["owners"] =
        ids.iter().cloned().zip(names.iter().map(owner)).collect::<Map<_, _>>().into();
    wanted
}

async fn more_accounts_than_the_limit_are_refused_until_the_month_ends(database: Database) {
    let gateway = TestGateway::start_with(&database, limited(1, true)).await;
    private(&gateway, "alice").await.is_relayed(200);
    let refused = private(&gateway, "bob").await;
    refused.is_own(403, "account_limit_reached");
    let detail = "the app demo may use 1 account a month, and this limit is reached; other accounts can be used \
                  from 2026-04-01T00:00:00Z, or once an operator raises apps.demo.account_limit";
    assert_eq!(refused.json()["detail"], detail);
    let until = datetime!(2026-04-01 0:00 UTC) - gateway.sandbox.clock.now();
    assert_eq!(refused.header("retry-after"), until.whole_seconds().to_string());
    let nothing = ask(&gateway, &owned(&gateway, &["bob"])).await;
    nothing.is_own(403, "nothing_answered");
    assert_eq!(nothing.header("retry-after"), until.whole_seconds().to_string());
    // An account that was used this month costs nothing more.
    private(&gateway, "alice").await.is_relayed(200);
    let public = json!({
        "tweet_ids": gateway.sandbox.ids("bob", 1),
        "engagement_types": ["favorites"],
        "groupings": { "g": { "group_by": ["tweet.id"] } },
    });
    gateway.call(Endpoint::Totals, &public).send().await.is_relayed(200);
    assert_eq!(gateway.arrived(TOTALS).await.len(), 3);
    let overview = Visitor::admin(&gateway).await.open("/console/").await.text();
    assert!(
        overview.contains(
            "demo has used 1 account this month; its limit is 1. Calls with other accounts are refused."
        ),
        "{overview}"
    );
    gateway.sandbox.clock.forward(Duration::days(22));
    private(&gateway, "bob").await.is_relayed(200);
    private(&gateway, "alice").await.is_own(403, "account_limit_reached");
}

async fn a_limit_may_only_warn(database: Database) {
    let gateway = TestGateway::start_with(&database, limited(1, false)).await;
    let admin = gateway.new_admin_key().await;
    let apps = async || {
        gateway.admin(&admin, "GET", "/admin/v1/apps").send().await.json()["apps"][0].clone()
    };
    let told = |app: &Value| {
        (app["accounts_used"].clone(), app["account_limit"].clone(), app["over_limit"].clone())
    };
    assert_eq!(told(&apps().await), (json!(0), json!(1), json!("warn")));
    private(&gateway, "alice").await.is_relayed(200);
    private(&gateway, "bob").await.is_relayed(200);
    assert_eq!(told(&apps().await), (json!(2), json!(1), json!("warn")));
    let overview = Visitor::with_key(&gateway, &admin).await.open("/console/").await.text();
    assert!(
        overview.contains(
            "demo has used 2 accounts this month; its limit is 1. Other accounts can still be used."
        ),
        "{overview}"
    );
}

async fn what_other_replicas_used_counts(database: Database) {
    let gateway = TestGateway::start_with(&database, limited(1, true)).await;
    let replica = Replica::open(&gateway.sandbox, &database.settings()).await;
    let ids = gateway.sandbox.ids("alice", 1);
    let body = json!({
        "tweet_ids": ids,
        "engagement_types": ["impressions"],
        "groupings": { "g": { "group_by": ["tweet.id"] } },
    });
    let ask = Ask::new(&gateway.http, &replica.at(PUBLIC_URL), "POST", TOTALS)
        .header("authorization", &format!("Bearer {}", gateway.key));
    ask.header("countersign-account", "@alice")
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .is_relayed(200);
    replica.write_usage().await;
    gateway.inner.load_used_accounts().await.unwrap();
    private(&gateway, "bob").await.is_own(403, "account_limit_reached");
    private(&gateway, "alice").await.is_relayed(200);
}

async fn a_question_is_answered_as_far_as_the_limit_allows(database: Database) {
    let gateway = TestGateway::start_with(&database, limited(1, true)).await;
    private(&gateway, "alice").await.is_relayed(200);
    let both = owned(&gateway, &["alice", "bob"]);
    let plan = ask_with(&gateway, &gateway.key, PLAN, &both).await.json();
    assert_eq!(
        plan["cost"],
        json!({ "calls": { "app-only": 0, "user-context": 1 }, "accounts": 1, "new_accounts": 0 })
    );
    let answer = ask(&gateway, &both).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("countersign-missing"), "account_limit=1");
    let bob = json!([
        {
            "tweet_ids": gateway.sandbox.ids("bob", 1),
            "engagement_types": ["impressions"],
            "reason": "account_limit",
            "account": gateway.id("bob").to_string(),
            "windows": [],
            "detail": "",
        },
    ]);
    assert_eq!((&plan["missing"], &answer.json()["countersign"]["missing"]), (&bob, &bob));
    let none = ask(&gateway, &owned(&gateway, &["bob"])).await;
    none.is_own(403, "nothing_answered");
    // The search for unknown authors uses no account that is new this month.
    let unknown = question(&gateway.sandbox.ids("bob", 1), &["impressions"]);
    let plan = ask_with(&gateway, &gateway.key, PLAN, &unknown).await.json();
    assert_eq!(
        (plan["calls"][0]["account"].as_str(), plan["cost"]["new_accounts"].as_u64()),
        (Some(&*gateway.id("alice").to_string()), Some(0))
    );
}

async fn who_was_used_is_tried_though_many_come_before(database: Database) {
    let sandbox = TestSandbox::start_with(Settings { users: 6, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), limited(1, true)).await;
    let mut names = ["alice", "bob", "carol", "dave", "erin", "frank"];
    gateway.connect(&names[2..]).await;
    names.sort_by_key(|name| gateway.id(name));
    let (used, author) = (names[5], gateway.sandbox.ids(names[5], 1));
    private(&gateway, used).await.is_relayed(200);
    assert_eq!(ask(&gateway, &question(&author, &["impressions"])).await.status, 200);
    // With several accounts allowed, the one already counted is found.
    let mut wanted = question(&author, &["impressions"]);
    wanted["accounts"] = names.iter().map(|name| json!(gateway.id(name).to_string())).collect();
    assert_eq!(ask(&gateway, &wanted).await.status, 200);
}

async fn candidates_are_not_tried_where_there_is_no_room(database: Database) {
    let gateway = TestGateway::start_with(&database, limited(1, true)).await;
    private(&gateway, "alice").await.is_relayed(200);
    let mut unknown = question(&gateway.sandbox.ids("bob", 1), &["impressions"]);
    unknown["accounts"] = json!([gateway.id("bob").to_string()]);
    let refused = ask(&gateway, &unknown).await;
    refused.is_own(403, "nothing_answered");
    assert_eq!(refused.json()["missing"][0]["reason"], "account_limit");
    assert_eq!(gateway.arrived(TOTALS).await.len(), 1);
}

on_both!(
    more_accounts_than_the_limit_are_refused_until_the_month_ends,
    a_limit_may_only_warn,
    what_other_replicas_used_counts,
    a_question_is_answered_as_far_as_the_limit_allows,
    who_was_used_is_tried_though_many_come_before,
    candidates_are_not_tried_where_there_is_no_room
);
