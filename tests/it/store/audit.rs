//! The audit log.

use crate::database::{NOW, on_both};

on_both! {
    async fn entries_come_newest_first_page_by_page(database: Database) {
        let store = database.store().await;
        for number in 0..10 {
            let detail = format!("number {number}");
            store.insert_audit("cli", "vault.rotated", "vault", &detail, NOW).await.unwrap();
        }
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = store.list_audit(before, 3).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            seen.extend(page.into_iter().map(|it| it.detail));
        }
        let expected: Vec<_> = (0..10).rev().map(|it| format!("number {it}")).collect();
        assert_eq!(seen, expected);
    }

    async fn an_entry_reads_back_as_written(database: Database) {
        let store = database.store().await;
        store.insert_audit("key:abc", "link.made", "app:main", "for Åsa", NOW).await.unwrap();
        let entry = store.list_audit(None, 5).await.unwrap().remove(0);
        assert_eq!((entry.at, &*entry.actor, &*entry.action), (NOW, "key:abc", "link.made"));
        assert_eq!((&*entry.subject, &*entry.detail), ("app:main", "for Åsa"));
    }
}
