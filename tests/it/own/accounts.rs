//! The accounts that a key may name.

use countersign::model::{AccountState, App, UserId};
use countersign::store::PartEvents;
use serde_json::{Value, json};

use crate::database::{Database, NOW, on_both};
use crate::gateway::TestGateway;
use crate::own::{ask, get};
use crate::store::new_account;

/// The user ids on a page of accounts.
fn ids(page: &Value) -> Vec<&str> {
    let accounts = page["accounts"].as_array().unwrap();
    accounts.iter().map(|account| account["user_id"].as_str().unwrap()).collect()
}

async fn a_key_names_the_accounts_of_its_app_or_of_its_list(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let foreign = [new_account("another", 1), new_account("zoo", 1)];
    gateway.store.put_accounts(&foreign, PartEvents::Each, "cli", NOW).await.unwrap();
    let (alice, bob) = (gateway.id("alice"), gateway.id("bob"));
    let of_alice = json!({
        "app": "demo",
        "user_id": alice.to_string(),
        "screen_name": gateway.sandbox.user("alice").screen_name,
        "state": "active",
        "state_since": "2026-03-10T21:15:30Z",
        "connected_at": "2026-03-10T21:15:30Z",
    });
    let all = get(&gateway, &gateway.key, "/v1/accounts").await;
    let mut expected = [alice.to_string(), bob.to_string()];
    expected.sort();
    assert_eq!(
        (ids(&all), &all["next"]),
        (expected.iter().map(|id| &**id).collect(), &json!(null))
    );
    assert!(all["accounts"].as_array().unwrap().contains(&of_alice), "{all}");

    let nobody = UserId::parse("999").unwrap();
    let limited =
        async |users: Vec<UserId>| gateway.new_key(|key| key.scopes.accounts = Some(users)).await;
    let key = limited(vec![alice, nobody]).await;
    let own = get(&gateway, &key, "/v1/accounts").await;
    assert_eq!(own, json!({ "accounts": [of_alice], "next": null }));
    let key = limited(vec![nobody]).await;
    let none = get(&gateway, &key, "/v1/accounts").await;
    assert_eq!(none, json!({ "accounts": [], "next": null }));
}

async fn accounts_come_in_pages_and_by_their_state(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let more: Vec<_> = (1..=9).map(|number| new_account("demo", number)).collect();
    gateway.store.put_accounts(&more, PartEvents::Each, "cli", NOW).await.unwrap();
    let two = UserId::parse("2").unwrap();
    let second = gateway.store.find_account("demo", two).await.unwrap().unwrap();
    let revoked = AccountState::Revoked;
    gateway.store.update_account_state(&second, revoked, "code 89", "test", NOW).await.unwrap();
    let odd: Vec<UserId> = ["9", "7", "5", "3", "1"].map(|id| UserId::parse(id).unwrap()).to_vec();
    let limited = gateway.new_key(|key| key.scopes.accounts = Some(odd)).await;
    for (key, expected) in [(&limited, 5), (&gateway.key, 11)] {
        let whole = get(&gateway, key, "/v1/accounts").await;
        let whole = ids(&whole);
        assert_eq!(whole.len(), expected);
        assert!(whole.is_sorted(), "{whole:?}");
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = get(&gateway, key, &format!("/v1/accounts?limit=2{after}")).await;
            assert!(ids(&page).len() <= 2);
            found.extend(ids(&page).into_iter().map(str::to_owned));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(found, whole);
    }
    let ended = get(&gateway, &gateway.key, "/v1/accounts?state=revoked").await;
    assert_eq!((ids(&ended), &ended["accounts"][0]["state"]), (vec!["2"], &json!("revoked")));
    let ended = get(&gateway, &limited, "/v1/accounts?state=revoked").await;
    assert_eq!(ids(&ended), [""; 0]);
}

async fn a_key_of_an_app_that_is_gone_names_no_accounts(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        let other = App { name: "other".to_owned(), ..config.apps["demo"].clone() };
        config.apps.insert(other.name.clone(), other);
    })
    .await;
    let key = gateway.new_key(|key| key.scopes.app = Some("other".to_owned())).await;
    let own = get(&gateway, &key, "/v1/accounts").await;
    assert_eq!(own, json!({ "accounts": [], "next": null }));
    let without = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
    let refused = ask(&without, &key, "/v1/accounts").send().await;
    refused.is_own(403, "not_allowed");
    assert!(refused.text().contains("its app other is no longer configured"));
    get(&without, &key, "/v1/key").await;
    get(&without, &key, "/v1/usage").await;
}

on_both!(
    a_key_names_the_accounts_of_its_app_or_of_its_list,
    accounts_come_in_pages_and_by_their_state,
    a_key_of_an_app_that_is_gone_names_no_accounts,
);
