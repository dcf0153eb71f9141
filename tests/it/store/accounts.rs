//! Accounts: importing, finding, paging, states, rotation.

use countersign::model::AccountState;
use countersign::store::{
    AccountFilter, AppAccountFilter, Change, Error, PartEvents, StoredAccount,
};
use time::Duration;

use crate::database::{Database, NOW, newest, on_both};
use crate::store::{id, new_account};

async fn what_is_put_is_found(database: Database) {
    let store = database.store().await;
    let later = NOW + Duration::nanoseconds(123_456_789);
    store.put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", later).await.unwrap();

    let found = store.find_account("main", id(7)).await.unwrap().unwrap();
    assert_eq!(found.account.screen_name, "User_7");
    assert_eq!(found.account.state, AccountState::Active);
    assert_eq!((found.account.connected_at, found.account.state_since), (NOW, NOW));
    assert_eq!(found.sealed_token, b"token of 7");
    assert_eq!(found.sealed_token_secret, b"secret of 7");
    assert!(store.find_account("other", id(7)).await.unwrap().is_none());
    assert!(store.find_account("main", id(8)).await.unwrap().is_none());
}

async fn the_largest_user_id_fits(database: Database) {
    let store = database.store().await;
    let largest = 9_999_999_999_999_999_999;
    store
        .put_accounts(&[new_account("main", largest)], PartEvents::Each, "cli", NOW)
        .await
        .unwrap();
    assert!(store.find_account("main", id(largest)).await.unwrap().is_some());
}

async fn an_import_is_all_or_nothing(database: Database) {
    let store = database.store().await;
    let mut accounts = vec![new_account("main", 1), new_account("main", 2)];
    // PostgreSQL refuses a NUL in text. SQLite takes it and is made to refuse the row.
    accounts[1].screen_name = "nul\0".into();
    if store.kind() == "sqlite" {
        refuse_inserts_of("2", &database).await;
    }
    let refused = store.put_accounts(&accounts, PartEvents::Each, "cli", NOW).await;
    assert!(matches!(refused, Err(Error::Query(_))), "{refused:?}");

    assert!(store.find_account("main", id(1)).await.unwrap().is_none());
    assert!(store.list_audit(&newest(10)).await.unwrap().is_empty());
    assert_eq!(store.latest_change().await.unwrap(), 0);
}

async fn connecting_again_replaces_the_token_and_keeps_the_first_time(database: Database) {
    let store = database.store().await;
    store.put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW).await.unwrap();
    let (hour, two) = (NOW + Duration::hours(1), NOW + Duration::hours(2));
    let revoked = AccountState::Revoked;
    let first = store.find_account("main", id(7)).await.unwrap().unwrap();
    store.update_account_state(&first, revoked, "code 89", "gateway", hour).await.unwrap();

    let mut again = new_account("main", 7);
    again.screen_name = "Renamed".into();
    again.sealed_token = b"new token".to_vec();
    store.put_accounts(&[again], PartEvents::Each, "cli", two).await.unwrap();

    let found = store.find_account("main", id(7)).await.unwrap().unwrap();
    assert_eq!(found.account.screen_name, "Renamed");
    assert_eq!(found.account.state, AccountState::Active);
    assert_eq!((found.account.connected_at, found.account.state_since), (NOW, two));
    assert_eq!(found.sealed_token, b"new token");
}

async fn a_screen_name_is_found_in_lower_case_and_the_last_to_connect_has_it(database: Database) {
    let store = database.store().await;
    let mut first = new_account("main", 7);
    let mut second = new_account("main", 3);
    first.screen_name = "Alice_X".into();
    second.screen_name = "aLiCe_x".into();
    store.put_accounts(&[first], PartEvents::Each, "cli", NOW).await.unwrap();
    store
        .put_accounts(&[second], PartEvents::Each, "cli", NOW + Duration::seconds(1))
        .await
        .unwrap();

    let found = store.find_account_by_screen_name("main", "alice_x").await.unwrap().unwrap();
    assert_eq!(found.account.user_id, id(3));
    assert!(store.find_account_by_screen_name("main", "Alice_X").await.unwrap().is_none());
    assert!(store.find_account_by_screen_name("other", "alice_x").await.unwrap().is_none());
}

async fn accounts_of_an_app_are_listed_for_however_many_users(database: Database) {
    let store = database.store().await;
    let put: Vec<_> = (1..=700).map(|number| new_account("main", number)).collect();
    store.put_accounts(&put, PartEvents::Each, "cli", NOW).await.unwrap();
    store.put_accounts(&[new_account("other", 701)], PartEvents::Each, "cli", NOW).await.unwrap();
    // More than one statement names, half of them without an account.
    let users: Vec<_> = (1..=1400).rev().map(id).collect();
    for among in [None, Some(&*users)] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let filter = AppAccountFilter { after, limit: 300, ..AppAccountFilter::default() };
            let page = store.list_accounts_of_app("main", among, filter).await.unwrap();
            after = page.last().map(|account| account.user_id);
            found.extend(page.iter().map(|account| account.user_id.to_string()));
            if page.len() < 300 {
                break;
            }
        }
        let mut expected: Vec<String> = (1..=700).map(|number| number.to_string()).collect();
        expected.sort();
        assert_eq!(found, expected);
    }
    let none = store.list_accounts_of_app(
        "main",
        Some(&[]),
        AppAccountFilter { limit: 1, ..AppAccountFilter::default() },
    );
    assert_eq!(none.await.unwrap(), []);
}

async fn pages_follow_each_other_without_gap_or_overlap(database: Database) {
    let store = database.store().await;
    let of_app = |app| (95..105).map(move |number| new_account(app, number));
    let accounts: Vec<_> = ["b-side", "a_side", "b_side"].into_iter().flat_map(of_app).collect();
    store.put_accounts(&accounts, PartEvents::Each, "cli", NOW).await.unwrap();

    let mut expected: Vec<_> =
        accounts.iter().map(|account| (account.app.clone(), account.user_id.to_string())).collect();
    expected.sort();
    let mut filter = AccountFilter { limit: 7, ..AccountFilter::default() };
    let mut seen = Vec::new();
    loop {
        let page = store.list_accounts(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some((last.app.clone(), last.user_id));
        let sealed = store.list_sealed_accounts(filter.after.as_ref(), 1).await.unwrap();
        seen.extend(page.iter().map(|account| (account.app.clone(), account.user_id.to_string())));
        let next = sealed.first().map(|stored| stored.account.user_id.to_string());
        assert_eq!(next.as_ref(), expected.get(seen.len()).map(|account| &account.1));
    }
    assert_eq!(seen, expected);
}

async fn lists_and_counts_keep_to_the_filter(database: Database) {
    let store = database.store().await;
    let accounts = [new_account("a", 1), new_account("a", 2), new_account("b", 1)];
    store.put_accounts(&accounts, PartEvents::Each, "cli", NOW).await.unwrap();
    let blocked = AccountState::Blocked;
    let second = store.find_account("a", id(2)).await.unwrap().unwrap();
    store.update_account_state(&second, blocked, "locked", "gateway", NOW).await.unwrap();

    let list = async |app: Option<&str>, state| {
        let filter = AccountFilter {
            app: app.map(str::to_owned),
            state,
            limit: 9,
            ..AccountFilter::default()
        };
        store.list_accounts(&filter).await.unwrap().len()
    };
    assert_eq!(list(None, None).await, 3);
    assert_eq!(list(Some("a"), None).await, 2);
    assert_eq!(list(Some("a"), Some(blocked)).await, 1);
    assert_eq!(list(None, Some(AccountState::Revoked)).await, 0);
    let active = AccountState::Active;
    let counts = store.count_accounts_by_state().await.unwrap();
    let name = str::to_owned;
    assert_eq!(counts, [(name("a"), active, 1), (name("a"), blocked, 1), (name("b"), active, 1)]);
}

async fn a_state_changes_once_and_says_why(database: Database) {
    let store = database.store().await;
    store.put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW).await.unwrap();
    let latest = store.latest_change().await.unwrap();
    let revoke = async |stored: &StoredAccount| {
        let revoked = AccountState::Revoked;
        let changed = store.update_account_state(stored, revoked, "code 89", "gateway", NOW);
        changed.await.unwrap()
    };
    let stored = store.find_account("main", id(7)).await.unwrap().unwrap();
    let (mut absent, mut older) = (stored.clone(), stored.clone());
    absent.account.user_id = id(8);
    older.sealed_token = b"an older token".to_vec();
    assert!(!revoke(&absent).await, "it is absent");
    assert!(!revoke(&older).await, "it has a newer token");
    assert!(revoke(&stored).await);
    assert!(!revoke(&stored).await, "it was so already");

    let entry = store.list_audit(&newest(1)).await.unwrap().remove(0);
    assert_eq!((&*entry.actor, &*entry.action), ("gateway", "account.revoked"));
    assert_eq!((&*entry.subject, &*entry.detail), ("account:main/7", "code 89"));
    let changes = store.list_changes(latest).await.unwrap();
    assert_eq!(
        changes.changes,
        [Change::Accounts { app: "main".to_owned(), user_ids: vec![id(7)] }]
    );
}

async fn tokens_are_resealed_only_over_what_was_read(database: Database) {
    let store = database.store().await;
    store.put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW).await.unwrap();
    let mut stored = store.find_account("main", id(7)).await.unwrap().unwrap();
    let previous = std::mem::replace(&mut stored.sealed_token, b"resealed".to_vec());
    assert!(store.update_account_tokens(&stored, &previous).await.unwrap());
    assert!(!store.update_account_tokens(&stored, &previous).await.unwrap());
    assert!(store.find_account("main", id(7)).await.unwrap() == Some(stored));
}

async fn a_removed_account_is_gone(database: Database) {
    let store = database.store().await;
    store.put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW).await.unwrap();
    assert!(store.remove_account("main", id(7), "key:abc", NOW).await.unwrap());
    assert!(!store.remove_account("main", id(7), "key:abc", NOW).await.unwrap());
    assert!(store.find_account("main", id(7)).await.unwrap().is_none());
    assert_eq!(store.list_audit(&newest(1)).await.unwrap()[0].action, "account.removed");
    assert_eq!(store.latest_change().await.unwrap(), 2);
}

async fn two_imports_in_opposite_orders_both_succeed(database: Database) {
    let store = database.store().await;
    let one: Vec<_> = (1..=100).map(|number| new_account("main", number)).collect();
    let other: Vec<_> = one.iter().rev().cloned().collect();
    let (first, second) = tokio::join!(
        store.put_accounts(&one, PartEvents::Each, "cli", NOW),
        store.put_accounts(&other, PartEvents::Each, "cli", NOW),
    );
    first.unwrap();
    second.unwrap();
    assert_eq!(store.latest_change().await.unwrap(), 2, "each is one change");
}

on_both!(
    what_is_put_is_found,
    the_largest_user_id_fits,
    an_import_is_all_or_nothing,
    connecting_again_replaces_the_token_and_keeps_the_first_time,
    a_screen_name_is_found_in_lower_case_and_the_last_to_connect_has_it,
    accounts_of_an_app_are_listed_for_however_many_users,
    pages_follow_each_other_without_gap_or_overlap,
    lists_and_counts_keep_to_the_filter,
    a_state_changes_once_and_says_why,
    tokens_are_resealed_only_over_what_was_read,
    a_removed_account_is_gone,
    two_imports_in_opposite_orders_both_succeed
);

async fn refuse_inserts_of(user_id: &str, database: &crate::database::Database) {
    let sql = format!(
        "create trigger refuse before insert on account when new.user_id = '{user_id}'
         begin select raise(abort, 'refused'); end"
    );
    database.run(&sql).await;
}
