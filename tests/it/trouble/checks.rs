//! The background check: what nobody calls for is found out, too.

use countersign::model::AccountRef;
use serde_json::json;

use crate::database::{Database, on_both};
use crate::house::House;
use crate::trouble::{private, user_becomes};

/// Asks about every account that is due; gives how often X was asked.
async fn check_all(house: &House) -> usize {
    while house.gateway.check_next_account().await.unwrap() {}
    house.arrived("/1.1/").await.len()
}

async fn a_day_later(house: &House) {
    house.bench.clock.forward(time::Duration::hours(24) + time::Duration::seconds(1));
    house.gateway.catch_up_once().await.unwrap();
}

async fn state(house: &House, name: &str) -> String {
    let key = house.new_admin_key().await;
    let path = format!("/admin/v1/accounts/{}", house.id(name));
    let shown = house.admin(&key, "GET", &path).send().await.json();
    shown["state"].as_str().unwrap().to_owned()
}

async fn each_account_is_asked_about_once_a_day(database: Database) {
    let house = House::start(&database).await;
    assert_eq!(check_all(&house).await, 0, "nothing is due on the first day");
    a_day_later(&house).await;
    assert_eq!(check_all(&house).await, 2);
    assert_eq!(check_all(&house).await, 2, "they have had their turn");
    a_day_later(&house).await;
    assert_eq!(check_all(&house).await, 4);
}

async fn a_token_that_nobody_uses_is_found_to_be_revoked(database: Database) {
    let house = House::start(&database).await;
    user_becomes(&house, "alice", "revoked").await;
    a_day_later(&house).await;
    check_all(&house).await;
    assert_eq!(
        (&*state(&house, "alice").await, &*state(&house, "bob").await),
        ("revoked", "active")
    );
    private(&house, "alice").send().await.is_own(409, "account_not_active");
}

async fn an_account_that_works_again_is_healed(database: Database) {
    let house = House::start(&database).await;
    user_becomes(&house, "alice", "suspended").await;
    private(&house, "alice").send().await.is_relayed(403);
    private(&house, "alice").send().await.is_own(409, "account_not_active");
    user_becomes(&house, "alice", "active").await;
    a_day_later(&house).await;
    check_all(&house).await;
    assert_eq!(state(&house, "alice").await, "active");
    private(&house, "alice").send().await.is_relayed(200);
}

async fn a_blocked_account_is_asked_about_every_hour(database: Database) {
    let house = House::start(&database).await;
    user_becomes(&house, "alice", "suspended").await;
    user_becomes(&house, "bob", "revoked").await;
    for name in ["alice", "bob"] {
        let account = AccountRef::Id(house.id(name));
        house.gateway.verify_account(None, &account, "test").await.unwrap();
    }
    user_becomes(&house, "alice", "active").await;
    user_becomes(&house, "bob", "active").await;
    let asked = house.arrived("/1.1/").await.len();
    house.bench.clock.forward(time::Duration::minutes(59));
    assert_eq!(check_all(&house).await, asked);
    house.bench.clock.forward(time::Duration::minutes(2));
    assert_eq!(check_all(&house).await, asked + 1);
    assert_eq!(
        (&*state(&house, "alice").await, &*state(&house, "bob").await),
        ("active", "revoked")
    );
}

async fn a_token_that_x_calls_another_users_is_quarantined_when_x_says_so_twice(
    database: Database,
) {
    let house = House::start(&database).await;
    let other = json!({ "id_str": "999", "screen_name": "mallory" });
    // Alone, so that X is asked about nobody else in between.
    house.gateway.remove_account(None, &AccountRef::Id(house.id("bob")), "test").await.unwrap();
    for (times, state_then) in [(1, "active"), (2, "quarantined")] {
        let path = "/1.1/account/verify_credentials.json";
        house.order(json!([{ "kind": "status", "status": 200, "body": other, "path": path, "times": times }])).await;
        a_day_later(&house).await;
        check_all(&house).await;
        assert_eq!(house.fired().await, [times]);
        assert_eq!(state(&house, "alice").await, state_then);
    }
}

async fn an_x_that_calls_every_token_one_users_quarantines_nobody(database: Database) {
    let house = House::start(&database).await;
    let other = json!({ "id_str": "999", "screen_name": "mallory" });
    let path = "/1.1/account/verify_credentials.json";
    house.order(json!([{ "kind": "status", "status": 200, "body": other, "path": path }])).await;
    a_day_later(&house).await;
    assert!(check_all(&house).await >= 2);
    assert_eq!(
        (&*state(&house, "alice").await, &*state(&house, "bob").await),
        ("active", "active")
    );
}

async fn where_the_settings_say_never_nobody_is_asked_about(database: Database) {
    let house =
        House::start_with(&database, |it| it.connect.check_every = std::time::Duration::ZERO).await;
    a_day_later(&house).await;
    // It ends by itself, where otherwise it would go on for ever.
    house.gateway.check_accounts().await;
    assert_eq!(house.arrived("/1.1/").await.len(), 0);
}

async fn of_two_replicas_each_asks_about_others(database: Database) {
    let one = House::start(&database).await;
    let two = House::build(one.bench.again(), &database.settings(), |_| ()).await;
    a_day_later(&one).await;
    let (mut all, mut none) = (0, 0);
    while none < 2 {
        let (first, second) =
            tokio::join!(one.gateway.check_next_account(), two.gateway.check_next_account());
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
