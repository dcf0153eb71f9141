//! Usage: sums, the accounts of months, and those who add.

use countersign::model::usage::{Aspect, Line, Month, Outcome, Sums, hour_of};
use countersign::model::{AuthKind, Endpoint, UserId};
use countersign::store::{Grain, Store, UsageBatch, UsageFilter, UsedAccount};
use time::Duration;

use crate::database::{NOW, on_both};
use crate::store::id;

fn line(hours_later: i64, app: &str, account: Option<UserId>) -> Line {
    let auth = if account.is_some() { AuthKind::UserContext } else { AuthKind::AppOnly };
    Line {
        hour: hour_of(NOW) + hours_later,
        app: app.to_owned(),
        key_id: format!("key of {app}"),
        account,
        endpoint: Endpoint::Totals,
        auth,
        outcome: Outcome::Success,
    }
}

fn batch(writer: &str, number: i64, lines: Vec<Line>) -> UsageBatch {
    let sums = Sums { calls: 2, posts: 30, bytes: 1 << 40 };
    UsageBatch {
        writer_id: writer.to_owned(),
        number,
        lines: lines.into_iter().map(|it| (it, sums)).collect(),
        used: Vec::new(),
        lost_calls: 0,
        counted_calls: 0,
        is_settled: false,
    }
}

fn all(by: Grain) -> UsageFilter {
    let (from, until) = (hour_of(NOW) - 1000, hour_of(NOW) + 1000);
    UsageFilter { from, until, by, limit: 100, ..UsageFilter::default() }
}

async fn calls(store: &Store, filter: &UsageFilter) -> Vec<u64> {
    store.list_usage(filter).await.unwrap().into_iter().map(|it| it.sums.calls).collect()
}

on_both! {
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
        let found: Vec<_> = rows.iter().map(|it| (it.account, it.sums.calls, it.sums.posts, it.sums.bytes)).collect();
        assert_eq!(found, [(Some(None), 6, 90, 3 << 40), (Some(Some(id(7))), 2, 30, 1 << 40)]);
        assert_eq!((rows[0].hour, &rows[0].app, rows[0].auth), (None, &None, None));
    }

    async fn sums_are_told_apart_by_what_is_asked_for(database: Database) {
        let store = database.store().await;
        let lines = vec![
            line(0, "main", None), line(1, "main", None), line(30, "main", Some(id(7))), line(30, "other", Some(id(7))),
            Line { outcome: Outcome::Silence, ..line(31, "other", Some(id(11))) },
            Line { endpoint: Endpoint::Historical, ..line(31, "other", Some(id(11))) },
        ];
        store.write_usage(&batch("a", 1, lines), NOW).await.unwrap();
        let by = Grain::default();
        assert_eq!(calls(&store, &all(by)).await, [12]);
        assert_eq!(calls(&store, &all(Grain { hours: 1, ..by })).await, [2, 2, 4, 4]);
        assert_eq!(calls(&store, &all(Grain { app: true, ..by })).await, [6, 6]);
        assert_eq!(calls(&store, &all(Grain { key: true, account: true, ..by })).await, [4, 2, 4, 2]);
        assert_eq!(calls(&store, &all(Grain { endpoint: true, ..by })).await, [2, 10]);
        assert_eq!(calls(&store, &all(Grain { outcome: true, auth: true, ..by })).await, [4, 6, 2]);
        assert_eq!(calls(&store, &UsageFilter { app: Some("other".into()), ..all(by) }).await, [6]);
        assert_eq!(calls(&store, &UsageFilter { account: Some(id(11)), ..all(by) }).await, [4]);
        assert_eq!(calls(&store, &UsageFilter { key_id: Some("key of main".into()), ..all(by) }).await, [6]);
        assert_eq!(calls(&store, &UsageFilter { limit: 1, ..all(Grain { hours: 1, ..by }) }).await, [2]);
        let hour = hour_of(NOW);
        assert_eq!(calls(&store, &UsageFilter { from: hour + 1, until: hour + 31, ..all(by) }).await, [6]);
        let days = store.list_usage(&all(Grain { hours: 24, ..by })).await.unwrap();
        assert!(days.iter().all(|it| it.hour.unwrap() % 24 == 0), "{days:?}");
        assert_eq!(days.iter().map(|it| it.sums.calls).sum::<u64>(), 12);
        let first = &store.list_usage(&all(Grain { hours: 1, app: true, key: true, account: true, endpoint: true, auth: true, outcome: true })).await.unwrap()[0];
        assert_eq!((first.hour, first.app.as_deref(), first.key_id.as_deref()), (Some(hour), Some("main"), Some("key of main")));
        assert_eq!((first.account, first.endpoint, first.auth, first.outcome), (Some(None), Some(Endpoint::Totals), Some(AuthKind::AppOnly), Some(Outcome::Success)));
    }

    async fn sums_of_days_and_of_their_hours_agree(database: Database) {
        let store = database.store().await;
        let lines = (0..80).map(|it| line(it * 7 % 100, if it % 3 == 0 { "main" } else { "other" }, None)).collect();
        store.write_usage(&batch("a", 1, lines), NOW).await.unwrap();
        let begin = hour_of(NOW);
        for (from, until) in [(-50, 200), (0, 100), (5, 6), (5, 20), (3, 40), (19, 43), (18, 44), (20, 42), (19, 91), (50, 51)] {
            let of = |hours| UsageFilter { from: begin + from, until: begin + until, ..all(Grain { hours, ..Grain::default() }) };
            let by_hour: u64 = calls(&store, &of(1)).await.iter().sum();
            for hours in [0, 24] {
                assert_eq!(calls(&store, &of(hours)).await.iter().sum::<u64>(), by_hour, "{from} to {until}");
            }
            let told: u64 = store.list_usage_over_time(&of(24), None).await.unwrap().iter().map(|it| it.sums.calls).sum();
            assert_eq!(told, by_hour, "{from} to {until}");
        }
    }

    async fn sums_of_months_are_those_of_their_days(database: Database) {
        let store = database.store().await;
        let lines = (0..60).map(|it| line(it * 24 - 700, if it % 3 == 0 { "main" } else { "other" }, None)).collect();
        store.write_usage(&batch("a", 1, lines), NOW).await.unwrap();
        let month = |text: &str| Month::parse(text).unwrap().begin();
        let of = |hours, months| UsageFilter { from: month("2026-02"), until: month("2026-04"), months, ..all(Grain { hours, ..Grain::default() }) };
        let days = store.list_usage_over_time(&of(24, false), None).await.unwrap();
        let (march, mut sums) = (month("2026-03"), [0, 0]);
        for it in &days {
            sums[usize::from(it.hour >= march)] += it.sums.calls;
        }
        let months = store.list_usage_over_time(&of(24, true), None).await.unwrap();
        let told: Vec<_> = months.iter().map(|it| (it.hour, it.sums.calls)).collect();
        assert_eq!(told, [(month("2026-02"), sums[0]), (march, sums[1])]);
        assert!(sums[0] > 0 && sums[1] > 0);
        for months in [false, true] {
            let ranked = store.list_largest_usage(&of(24, months), Aspect::App).await.unwrap();
            assert_eq!(ranked[0].1.calls + ranked[1].1.calls, sums[0] + sums[1]);
        }
        store.prune_usage(NOW + Duration::days(60)).await.unwrap();
        assert!(store.list_usage_over_time(&of(24, true), None).await.unwrap().is_empty());
    }

    async fn the_largest_are_told_apart_in_the_course_of_time(database: Database) {
        let store = database.store().await;
        let lines = (1..=7).flat_map(|app| (0..app).map(move |hour| line(hour, &format!("app{app}"), None))).collect();
        store.write_usage(&batch("a", 1, lines), NOW).await.unwrap();
        let filter = UsageFilter { limit: 6, ..all(Grain { hours: 1, ..Grain::default() }) };
        let ranked = store.list_largest_usage(&filter, Aspect::App).await.unwrap();
        let told: Vec<_> = ranked.iter().map(|it| (&*it.0, it.1.calls)).collect();
        assert_eq!(told, [("app7", 14), ("app6", 12), ("app5", 10), ("app4", 8), ("app3", 6), ("app2", 4)]);
        let top: Vec<String> = ranked.into_iter().take(2).map(|it| it.0).collect();
        let told = store.list_usage_over_time(&filter, Some((Aspect::App, &top))).await.unwrap();
        let told: Vec<_> = told.iter().map(|it| (it.hour - hour_of(NOW), it.value.as_deref(), it.sums.calls)).collect();
        assert_eq!(&told[..3], [(0, None, 10), (0, Some("app6"), 2), (0, Some("app7"), 2)]);
        assert_eq!(told.last(), Some(&(6, Some("app7"), 2)));
        for (aspect, expected) in [(Aspect::Key, "key of app7"), (Aspect::Account, ""), (Aspect::Endpoint, "totals"), (Aspect::Auth, "app-only"), (Aspect::Outcome, "2xx")] {
            assert_eq!(store.list_largest_usage(&filter, aspect).await.unwrap()[0].0, expected);
        }
    }

    async fn batches_that_cross_wait_for_each_other(database: Database) {
        let (one, two) = (database.store().await, database.store().await);
        let lines = |hours: Vec<i64>| {
            let of = |hour: i64| (0..40).map(move |it| Line { key_id: format!("key{it}"), ..line(hour, "main", Some(id(7))) });
            hours.into_iter().flat_map(of).collect::<Vec<_>>()
        };
        let used = |ids: Vec<u64>| -> Vec<UsedAccount> {
            ids.into_iter().map(|it| UsedAccount { month: Month::of(NOW), app: "main".to_owned(), account: id(it), at: NOW }).collect()
        };
        let writing = (1..=20).map(async |number| {
            let mut first = batch("a", number, lines(vec![0, 1]));
            let mut second = batch("b", number, lines(vec![1, 0]));
            (first.used, second.used) = (used((1..60).collect()), used((1..60).rev().collect()));
            let (first, second) = tokio::join!(one.write_usage(&first, NOW), two.write_usage(&second, NOW));
            first.and(second).unwrap();
        });
        for it in writing {
            it.await;
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
        first.used = vec![used("2026-02", "main", 7, 0), used("2026-03", "main", 7, 1), used("2026-03", "main", 11, 2), used("2026-03", "other", 7, 3)];
        store.write_usage(&first, NOW).await.unwrap();
        let mut second = batch("b", 1, vec![]);
        second.used = vec![used("2026-03", "main", 7, 9)];
        store.write_usage(&second, NOW).await.unwrap();
        let counts = async |from: &str| {
            let counts = store.count_used_accounts(Month::parse(from).unwrap()).await.unwrap();
            counts.into_iter().map(|(month, app, count)| format!("{month} {app} {count}")).collect::<Vec<_>>()
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
        let found: Vec<_> = writers.iter().map(|it| (&*it.id, it.began_at, it.written_at, it.settled_at, it.lost_calls)).collect();
        assert_eq!(found, [("ended", NOW, later, Some(later), 5), ("killed", NOW, NOW, None, 0)]);
        store.prune_usage(NOW + Duration::hours(2)).await.unwrap();
        assert_eq!(store.list_usage_writers(NOW).await.unwrap().len(), 1);
        for hours in [0, 1] {
            store.prune_usage(NOW + Duration::hours(2)).await.unwrap();
            assert_eq!(calls(&store, &all(Grain { hours, ..Grain::default() })).await, [4], "its day is not over");
        }
        store.prune_usage(NOW + Duration::days(1)).await.unwrap();
        for hours in [0, 1] {
            assert!(calls(&store, &all(Grain { hours, ..Grain::default() })).await.is_empty());
        }
    }

    async fn what_is_told_by_one_aspect_agrees_with_all_lines(database: Database) {
        let store = database.store().await;
        let lines = (0..90).map(|it| Line {
            key_id: format!("key {}", it * it % 8),
            endpoint: if it % 4 == 0 { Endpoint::Historical } else { Endpoint::Totals },
            outcome: if it % 5 == 0 { Outcome::Refusal } else { Outcome::Success },
            ..line(it * 17 - 700, "main", (it % 3 > 0).then(|| id(10 + (it * it % 7).unsigned_abs())))
        });
        let lines: Vec<Line> = lines.collect();
        store.write_usage(&batch("a", 1, lines[..40].to_vec()), NOW).await.unwrap();
        store.write_usage(&batch("b", 1, lines[30..].to_vec()), NOW).await.unwrap();
        agree(&store).await;
        // What was there before these sums were kept is in them.
        let undo = "drop table usage_day_told; drop table usage_month_told; drop index usage_day_of_key; drop index usage_day_of_account;
             drop index usage_month_of_key; drop index usage_month_of_account; drop index delivery_given_up;
             alter table usage_writer drop column counted_calls; alter table usage_writer drop column written_calls;
             drop table replica; drop view clock; drop index link_of_key; drop index audit_of_actor;
             alter table delivery drop column sealed_proof; alter table link drop column key_id;
             delete from schema_version where version >= 7";
        database.run(undo).await;
        assert_eq!(store.migrate(NOW).await.unwrap(), [7, 8, 9, 10]);
        agree(&store).await;
        store.prune_usage(NOW + Duration::days(3)).await.unwrap();
        agree(&store).await;
    }
}

/// Sums of everybody are those of the only app, which are found in another way.
async fn agree(store: &Store) {
    let (begin, end) =
        (Month::parse("2026-02").unwrap().begin(), Month::parse("2026-06").unwrap().begin());
    for (from, until, months) in
        [(begin, end, true), (begin, end, false), (hour_of(NOW) / 24 * 24, end - 480, false)]
    {
        let by = Grain { hours: 24, ..Grain::default() };
        let everybody = UsageFilter { from, until, months, ..all(by) };
        let of_app = UsageFilter { app: Some("main".into()), ..everybody.clone() };
        let told = store.list_usage_over_time(&everybody, None).await.unwrap();
        assert!(!told.is_empty());
        assert_eq!(told, store.list_usage_over_time(&of_app, None).await.unwrap());
        for aspect in Aspect::ALL {
            let ranked = store.list_largest_usage(&everybody, aspect).await.unwrap();
            assert_eq!(
                ranked,
                store.list_largest_usage(&of_app, aspect).await.unwrap(),
                "{}",
                aspect.name()
            );
            let names: Vec<String> = ranked.into_iter().take(3).map(|it| it.0).collect();
            let told = Some((aspect, &*names));
            assert_eq!(
                store.list_usage_over_time(&everybody, told).await.unwrap(),
                store.list_usage_over_time(&of_app, told).await.unwrap(),
                "{}",
                aspect.name()
            );
        }
    }
}
