//! Keys: names, revocation, last use, rotation.

use countersign::model::key::{Role, Scopes};
use countersign::store::{Change, Error, KeyFilter};
use time::Duration;
use time::macros::datetime;

use crate::database::{Database, NOW, newest, on_both};
use crate::store::key;

async fn what_is_inserted_is_found(database: Database) {
    let store = database.store().await;
    let narrow = key("abc", "reports");
    let mut wide = key("def", "admin");
    wide.role = Role::Auditor;
    wide.scopes = Scopes::default();
    wide.expires_at = None;
    let mut none = key("ghi", "nothing");
    none.scopes.accounts = Some(Vec::new());
    for key in [&narrow, &wide, &none] {
        store.insert_key(key, b"verifier", "cli", NOW).await.unwrap();
        let found = store.find_key(&key.id).await.unwrap().unwrap();
        assert_eq!((found.key.as_ref(), &*found.sealed_verifier), (Ok(key), &b"verifier"[..]));
    }
    assert!(store.find_key("xyz").await.unwrap().is_none());
    let entry = store.list_audit(&newest(5)).await.unwrap().pop().unwrap();
    assert_eq!((&*entry.action, &*entry.subject), ("key.created", "key:abc"));
    assert_eq!(entry.detail, "caller key \"reports\"");
}

async fn a_name_is_free_again_once_its_key_is_revoked(database: Database) {
    let store = database.store().await;
    store.insert_key(&key("abc", "Reports"), b"verifier", "cli", NOW).await.unwrap();
    let taken = store.insert_key(&key("def", "rEPORTS"), b"verifier", "cli", NOW).await;
    assert!(matches!(taken, Err(Error::AlreadyExists)), "{taken:?}");
    assert!(store.find_key("def").await.unwrap().is_none());

    assert!(store.revoke_key("abc", b"over the revoked row", "cli", NOW).await.unwrap());
    store.insert_key(&key("def", "rEPORTS"), b"verifier", "cli", NOW).await.unwrap();
    store.revoke_key("def", b"too", "cli", NOW).await.unwrap();
    store.insert_key(&key("ghi", "reports"), b"verifier", "cli", NOW).await.unwrap();
}

async fn the_last_revocation_counts(database: Database) {
    let store = database.store().await;
    store.insert_key(&key("abc", "reports"), b"verifier", "cli", NOW).await.unwrap();
    let latest = store.latest_change().await.unwrap();
    assert!(store.revoke_key("abc", b"first", "cli", NOW).await.unwrap());
    let later = NOW + Duration::hours(1);
    assert!(store.revoke_key("abc", b"second", "cli", later).await.unwrap());
    assert!(!store.revoke_key("xyz", b"none", "cli", NOW).await.unwrap());

    let found = store.find_key("abc").await.unwrap().unwrap();
    assert_eq!(found.key.unwrap().revoked_at, Some(later));
    assert_eq!(found.sealed_verifier, b"second");
    let changes = store.list_changes(latest).await.unwrap();
    assert_eq!(changes.changes, vec![Change::Key { id: "abc".to_owned() }; 2]);
    assert_eq!(store.list_audit(&newest(1)).await.unwrap()[0].action, "key.revoked");
}

async fn the_last_use_never_moves_back(database: Database) {
    let store = database.store().await;
    store.insert_key(&key("abc", "reports"), b"verifier", "cli", NOW).await.unwrap();
    let (early, late) = (datetime!(2026-03-04 05:00 UTC), datetime!(2026-03-04 07:00 UTC));
    for (hour, expected) in [(early, early), (late, late), (early, late)] {
        store.touch_key("abc", hour).await.unwrap();
        let found = store.find_key("abc").await.unwrap().unwrap();
        assert_eq!(found.key.unwrap().last_used_at, Some(expected));
    }
    store.touch_key("xyz", late).await.unwrap();
}

async fn a_verifier_is_resealed_only_over_what_was_read(database: Database) {
    let store = database.store().await;
    store.insert_key(&key("abc", "reports"), b"verifier", "cli", NOW).await.unwrap();
    assert!(store.update_key_verifier("abc", b"new", b"verifier").await.unwrap());
    assert!(!store.update_key_verifier("abc", b"newer", b"verifier").await.unwrap());
    assert_eq!(store.find_key("abc").await.unwrap().unwrap().sealed_verifier, b"new");
}

async fn pages_follow_each_other_without_gap_or_overlap(database: Database) {
    let store = database.store().await;
    let mut ids = ["aB", "Ab", "ab", "0z", "_", "Zz", "zZ"];
    for id in ids {
        store.insert_key(&key(id, "one name"), b"verifier", "cli", NOW).await.unwrap();
        store.revoke_key(id, b"so that names are free", "cli", NOW).await.unwrap();
    }
    ids.sort_unstable();
    let mut filter = KeyFilter { after: None, limit: 2 };
    let mut seen = Vec::new();
    loop {
        let page = store.list_keys(&filter).await.unwrap().into_iter();
        let page: Vec<_> = page.map(|key| key.id().to_owned()).collect();
        let Some(last) = page.last() else { break };
        filter.after = Some(last.clone());
        seen.extend(page);
    }
    assert_eq!(seen, ids);
}

on_both!(
    what_is_inserted_is_found,
    a_name_is_free_again_once_its_key_is_revoked,
    the_last_revocation_counts,
    the_last_use_never_moves_back,
    a_verifier_is_resealed_only_over_what_was_read,
    pages_follow_each_other_without_gap_or_overlap
);
