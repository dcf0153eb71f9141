//! The background check, which also finds accounts that X refuses while nobody makes a call for them.

use countersign::model::AccountRef;
use serde_json::json;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::trouble::{private, user_becomes};

/// Checks every account that is due; gives how many calls to X that took.
async fn check_all(gateway: &TestGateway) -> usize {
    while gateway.inner.check_next_account().await.unwrap() {}
    gateway.arrived("/1.1/").await.len()
}

async fn a_day_later(gateway: &TestGateway) {
    gateway.sandbox.clock.forward(time::Duration::hours(24) + time::Duration::seconds(1));
    gateway.inner.catch_up_once().await.unwrap();
}

async fn state(gateway: &TestGateway, name: &str) -> String {
    let key = gateway.new_admin_key().await;
    let path = format!("/admin/v1/accounts/{}", gateway.id(name));
    let shown = gateway.admin(&key, "GET", &path).send().await.json();
    shown["state"].as_str().unwrap().to_owned()
}

async fn each_account_is_asked_about_once_a_day(database: Database) {
    let gateway = TestGateway::start(&database).await;
    assert_eq!(check_all(&gateway).await, 0, "nothing is due on the first day");
    a_day_later(&gateway).await;
    assert_eq!(check_all(&gateway).await, 2);
    assert_eq!(check_all(&gateway).await, 2, "they have had their turn");
    a_day_later(&gateway).await;
    assert_eq!(check_all(&gateway).await, 4);
}

async fn a_token_that_nobody_uses_is_found_to_be_revoked(database: Database) {
    let gateway = TestGateway::start(&database).await;
    user_becomes(&gateway, "alice", "revoked").await;
    a_day_later(&gateway).await;
    check_all(&gateway).await;
    assert_eq!(
        (&*state(&gateway, "alice").await, &*state(&gateway, "bob").await),
        ("revoked", "active")
    );
    private(&gateway, "alice").send().await.is_own(409, "account_not_active");
}

async fn an_account_that_works_again_is_healed(database: Database) {
    let gateway = TestGateway::start(&database).await;
    user_becomes(&gateway, "alice", "suspended").await;
    private(&gateway, "alice").send().await.is_relayed(403);
    private(&gateway, "alice").send().await.is_own(409, "account_not_active");
    user_becomes(&gateway, "alice", "active").await;
    a_day_later(&gateway).await;
    check_all(&gateway).await;
    assert_eq!(state(&gateway, "alice").await, "active");
    private(&gateway, "alice").send().await.is_relayed(200);
}

async fn a_blocked_account_is_asked_about_every_hour(database: Database) {
    let gateway = TestGateway::start(&database).await;
    user_becomes(&gateway, "alice", "suspended").await;
    user_becomes(&gateway, "bob", "revoked").await;
    for name in ["alice", "bob"] {
        let account = AccountRef::Id(gateway.id(name));
        gateway.inner.verify_account(None, &account, "test").await.unwrap();
    }
    user_becomes(&gateway, "alice", "active").await;
    user_becomes(&gateway, "bob", "active").await;
    let asked = gateway.arrived("/1.1/").await.len();
    gateway.sandbox.clock.forward(time::Duration::minutes(59));
    assert_eq!(check_all(&gateway).await, asked);
    gateway.sandbox.clock.forward(time::Duration::minutes(2));
    assert_eq!(check_all(&gateway).await, asked + 1);
    assert_eq!(
        (&*state(&gateway, "alice").await, &*state(&gateway, "bob").await),
        ("active", "revoked")
    );
}

async fn a_token_that_x_calls_another_users_is_quarantined_when_x_says_so_twice(
    database: Database,
) {
    let gateway = TestGateway::start(&database).await;
    let other = json!({ "id_str": "999", "screen_name": "mallory" });
    // Without bob, so that X is not asked about him in between.
    gateway.inner.remove_account(None, &AccountRef::Id(gateway.id("bob")), "test").await.unwrap();
    for (times, state_then) in [(1, "active"), (2, "quarantined")] {
        let path = "/1.1/account/verify_credentials.json";
        gateway.order(json!([{ "kind": "status", "status": 200, "body": other, "path": path, "times": times }])).await;
        a_day_later(&gateway).await;
        check_all(&gateway).await;
        assert_eq!(gateway.fired().await, [times]);
        assert_eq!(state(&gateway, "alice").await, state_then);
    }
}

async fn an_x_that_calls_every_token_one_users_quarantines_nobody(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let other = json!({ "id_str": "999", "screen_name": "mallory" });
    let path = "/1.1/account/verify_credentials.json";
    gateway.order(json!([{ "kind": "status", "status": 200, "body": other, "path": path }])).await;
    a_day_later(&gateway).await;
    assert!(check_all(&gateway).await >= 2);
    assert_eq!(
        (&*state(&gateway, "alice").await, &*state(&gateway, "bob").await),
        ("active", "active")
    );
}

async fn where_the_settings_say_never_nobody_is_asked_about(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        config.connect.check_every = std::time::Duration::ZERO;
    })
    .await;
    a_day_later(&gateway).await;
    // It ends by itself; otherwise it would go on for ever.
    gateway.inner.check_accounts().await;
    assert_eq!(gateway.arrived("/1.1/").await.len(), 0);
}

async fn of_two_replicas_each_asks_about_others(database: Database) {
    let one = TestGateway::start(&database).await;
    let two = TestGateway::build(one.sandbox.again(), &database.settings(), |_| ()).await;
    a_day_later(&one).await;
    let (mut all, mut none) = (0, 0);
    while none < 2 {
        let (first, second) =
            tokio::join!(one.inner.check_next_account(), two.inner.check_next_account());
        let found = usize::from(first.unwrap()) + usize::from(second.unwrap());
        all += found;
        none = if found == 0 { none + 1 } else { 0 };
    }
    assert_eq!((all, one.arrived("/1.1/").await.len()), (2, 2));
}

on_both!(
    each_account_is_asked_about_once_a_day,
    a_token_that_nobody_uses_is_found_to_be_revoked,
    an_account_that_works_again_is_healed,
    a_blocked_account_is_asked_about_every_hour,
    a_token_that_x_calls_another_users_is_quarantined_when_x_says_so_twice,
    an_x_that_calls_every_token_one_users_quarantines_nobody,
    where_the_settings_say_never_nobody_is_asked_about,
    of_two_replicas_each_asks_about_others
);
