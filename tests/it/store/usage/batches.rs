//! Batches of usage: each counts once, whoever writes them and in whatever order, until they are old enough to go.

use countersign::model::usage::{Line, Month};
use countersign::store::{Grain, UsageBatch, UsedAccount};
use time::Duration;

use crate::database::{Database, NOW, on_both};
use crate::store::id;
use crate::store::usage::{all, batch, calls, line};

async fn a_batch_counts_once_however_often_it_is_written(database: Database) {
    let store = database.store().await;
    let first = batch("a", 1, vec![line(0, "main", None), line(0, "main", Some(id(7)))]);
    for _ in 0..3 {
        store.write_usage(&first, NOW).await.unwrap();
    }
    store.write_usage(&batch("a", 2, vec![line(0, "main", None)]), NOW).await.unwrap();
    store.write_usage(&first, NOW).await.unwrap();
    store.write_usage(&batch("b", 1, vec![line(0, "main", None)]), NOW).await.unwrap();
    let rows = store.list_usage(&all(Grain { account: true, ..Grain::default() })).await.unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row.account, row.sums.calls, row.sums.posts, row.sums.bytes))
        .collect();
    assert_eq!(found, [(Some(None), 6, 90, 3 << 40), (Some(Some(id(7))), 2, 30, 1 << 40)]);
    assert_eq!((rows[0].hour, &rows[0].app, rows[0].auth), (None, &None, None));
}

async fn batches_that_cross_wait_for_each_other(database: Database) {
    let (one, two) = (database.store().await, database.store().await);
    let lines = |hours: Vec<i64>| {
        let of = |hour: i64| {
            (0..40).map(move |number| Line {
                key_id: format!("key{number}"),
                ..line(hour, "main", Some(id(7)))
            })
        };
        hours.into_iter().flat_map(of).collect::<Vec<_>>()
    };
    let used = |ids: Vec<u64>| -> Vec<UsedAccount> {
        ids.into_iter()
            .map(|user| UsedAccount {
                month: Month::of(NOW),
                app: "main".to_owned(),
                account: id(user),
                at: NOW,
            })
            .collect()
    };
    let writing = (1..=20).map(async |number| {
        let mut first = batch("a", number, lines(vec![0, 1]));
        let mut second = batch("b", number, lines(vec![1, 0]));
        (first.used, second.used) = (used((1..60).collect()), used((1..60).rev().collect()));
        let (first, second) =
            tokio::join!(one.write_usage(&first, NOW), two.write_usage(&second, NOW));
        first.and(second).unwrap();
    });
    for write in writing {
        write.await;
    }
    let by = Grain { key: true, ..Grain::default() };
    let rows = one.list_usage(&all(by)).await.unwrap();
    assert_eq!((rows.len(), rows[0].sums.calls), (40, 2 * 2 * 20 * 2));
    assert_eq!(one.count_used_accounts(Month::of(NOW)).await.unwrap()[0].2, 59);
}

async fn an_account_counts_once_a_month_and_app(database: Database) {
    let store = database.store().await;
    let used = |month: &str, app: &str, number: u64, minutes: i64| UsedAccount {
        month: Month::parse(month).unwrap(),
        app: app.to_owned(),
        account: id(number),
        at: NOW + Duration::minutes(minutes),
    };
    let mut first = batch("a", 1, vec![]);
    first.used = vec![
        used("2026-02", "main", 7, 0),
        used("2026-03", "main", 7, 1),
        used("2026-03", "main", 11, 2),
        used("2026-03", "other", 7, 3),
    ];
    store.write_usage(&first, NOW).await.unwrap();
    let mut second = batch("b", 1, vec![]);
    second.used = vec![used("2026-03", "main", 7, 9)];
    store.write_usage(&second, NOW).await.unwrap();
    let counts = async |from: &str| {
        let counts = store.count_used_accounts(Month::parse(from).unwrap()).await.unwrap();
        counts
            .into_iter()
            .map(|(month, app, count)| format!("{month} {app} {count}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(counts("2026-01").await, ["2026-03 main 2", "2026-03 other 1", "2026-02 main 1"]);
    assert_eq!(counts("2026-03").await, ["2026-03 main 2", "2026-03 other 1"]);
    let march = Month::parse("2026-03").unwrap();
    assert_eq!(store.list_used_accounts("main", march).await.unwrap(), [id(11), id(7)]);
    assert_eq!(store.list_used_accounts("other", march).await.unwrap(), [id(7)]);
}

async fn it_is_known_who_has_not_settled_and_what_is_old_goes(database: Database) {
    let store = database.store().await;
    store.write_usage(&batch("killed", 1, vec![line(0, "main", None)]), NOW).await.unwrap();
    store.write_usage(&batch("ended", 1, vec![line(0, "main", None)]), NOW).await.unwrap();
    let end = UsageBatch { is_settled: true, lost_calls: 5, ..batch("ended", 2, vec![]) };
    let later = NOW + Duration::hours(3);
    store.write_usage(&end, later).await.unwrap();
    let writers = store.list_usage_writers(NOW).await.unwrap();
    let found: Vec<_> = writers
        .iter()
        .map(|writer| {
            (
                &*writer.id,
                writer.started_at,
                writer.written_at,
                writer.settled_at,
                writer.lost_calls,
            )
        })
        .collect();
    assert_eq!(found, [("ended", NOW, later, Some(later), 5), ("killed", NOW, NOW, None, 0)]);
    store.prune_usage(NOW + Duration::hours(2)).await.unwrap();
    assert_eq!(store.list_usage_writers(NOW).await.unwrap().len(), 1);
    for hours in [0, 1] {
        store.prune_usage(NOW + Duration::hours(2)).await.unwrap();
        assert_eq!(
            calls(&store, &all(Grain { hours, ..Grain::default() })).await,
            [4],
            "its day is not over"
        );
    }
    store.prune_usage(NOW + Duration::days(1)).await.unwrap();
    for hours in [0, 1] {
        assert!(calls(&store, &all(Grain { hours, ..Grain::default() })).await.is_empty());
    }
}

on_both!(
    a_batch_counts_once_however_often_it_is_written,
    batches_that_cross_wait_for_each_other,
    an_account_counts_once_a_month_and_app,
    it_is_known_who_has_not_settled_and_what_is_old_goes
);
