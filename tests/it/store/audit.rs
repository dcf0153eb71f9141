//! The audit log.

use countersign::model::audit::holder_at;
use countersign::store::AuditFilter;

use crate::database::{Database, NOW, newest, on_both};

async fn entries_come_in_either_order_page_by_page(database: Database) {
    let store = database.store().await;
    for number in 0..10 {
        let detail = format!("number {number}");
        store.insert_audit("cli", "vault.rotated", "vault", &detail, NOW).await.unwrap();
    }
    for oldest_first in [false, true] {
        let mut filter = AuditFilter { limit: 3, oldest_first, ..AuditFilter::default() };
        let mut seen = Vec::new();
        loop {
            let page = store.list_audit(&filter).await.unwrap();
            let Some(last) = page.last() else { break };
            filter.past = Some(last.id);
            seen.extend(page.into_iter().map(|entry| entry.detail));
        }
        let mut expected: Vec<_> = (0..10).map(|number| format!("number {number}")).collect();
        if !oldest_first {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
}

async fn an_entry_reads_back_as_written(database: Database) {
    let store = database.store().await;
    store.insert_audit("key:abc", "link.made", "app:main", "for Åsa", NOW).await.unwrap();
    let entry = store.list_audit(&newest(5)).await.unwrap().remove(0);
    assert_eq!((entry.at, &*entry.actor, &*entry.action), (NOW, "key:abc", "link.made"));
    assert_eq!((&*entry.subject, &*entry.detail), ("app:main", "for Åsa"));
}

async fn an_entry_says_from_where_and_whose_key_it_was(database: Database) {
    let store = database.store().await;
    let four = holder_at("abc", "::ffff:10.0.0.7".parse().unwrap());
    for actor in [&*four, &holder_at("abc", "2001:db8::1".parse().unwrap()), "cli", "gateway"] {
        store.insert_audit(actor, "vault.rotated", "vault", "", NOW).await.unwrap();
    }
    let entries = store.list_audit(&newest(9)).await.unwrap();
    let told: Vec<_> =
        entries.iter().rev().map(|entry| (&*entry.actor, entry.address.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("key:abc", Some("10.0.0.7")),
            ("key:abc", Some("2001:db8::1")),
            ("cli", None),
            ("gateway", None)
        ]
    );
    assert!(entries.iter().all(|entry| entry.key_name.is_none()), "there is no such key");
}

async fn entries_are_found_by_who_what_to_what_and_when(database: Database) {
    let store = database.store().await;
    for (number, (actor, action, subject)) in [
        ("cli", "key.created", "key:abc"),
        ("key:abc@10.0.0.7", "key.revoked", "key:abd"),
        ("key:ABC", "account.removed", "account:demo/1"),
        ("gateway", "account.revoked", "account:demo/12"),
    ]
    .into_iter()
    .enumerate()
    {
        let at = NOW + time::Duration::hours(number.try_into().unwrap());
        store.insert_audit(actor, action, subject, &number.to_string(), at).await.unwrap();
    }
    let hour = |number| Some(NOW + time::Duration::hours(number));
    let all = || newest(9);
    for (filter, expected) in [
        (all(), "3210"),
        (AuditFilter { actor: "key:".into(), ..all() }, "21"),
        (AuditFilter { actor: "key:abc".into(), ..all() }, "1"),
        (AuditFilter { action: "key.".into(), ..all() }, "10"),
        (AuditFilter { action: "account.revoked".into(), ..all() }, "3"),
        (AuditFilter { subject: "account:demo/1".into(), ..all() }, "32"),
        (AuditFilter { subject: "%".into(), ..all() }, ""),
        (AuditFilter { from: hour(1), until: hour(3), ..all() }, "21"),
        (AuditFilter { from: hour(1), oldest_first: true, limit: 2, ..all() }, "12"),
        (AuditFilter { actor: "key:".into(), action: "account.".into(), ..all() }, "2"),
    ] {
        let found = store.list_audit(&filter).await.unwrap();
        let found: String = found.into_iter().map(|entry| entry.detail).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

on_both!(
    entries_come_in_either_order_page_by_page,
    an_entry_reads_back_as_written,
    an_entry_says_from_where_and_whose_key_it_was,
    entries_are_found_by_who_what_to_what_and_when
);
