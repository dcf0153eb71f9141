//! Usage: its sums by time, by aspect and by account.

mod batches;

use countersign::model::usage::{Aspect, Line, Month, Outcome, Sums, hour_of};
use countersign::model::{AuthKind, Endpoint, UserId};
use countersign::store::{Grain, Store, UsageBatch, UsageFilter};
use time::Duration;

use crate::database::{Database, NOW, on_both};
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
    let sums = Sums { calls: 2, posts: 30, bytes: 1 << 40, saved: 5 };
    UsageBatch {
        writer_id: writer.to_owned(),
        number,
        lines: lines.into_iter().map(|line| (line, sums)).collect(),
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
    store.list_usage(filter).await.unwrap().into_iter().map(|row| row.sums.calls).collect()
}

async fn sums_are_told_apart_by_what_is_asked_for(database: Database) {
    let store = database.store().await;
    let lines = vec![
        line(0, "main", None),
        line(1, "main", None),
        line(30, "main", Some(id(7))),
        line(30, "other", Some(id(7))),
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
    assert_eq!(
        calls(&store, &UsageFilter { key_id: Some("key of main".into()), ..all(by) }).await,
        [6]
    );
    assert_eq!(
        calls(&store, &UsageFilter { limit: 1, ..all(Grain { hours: 1, ..by }) }).await,
        [2]
    );
    let hour = hour_of(NOW);
    assert_eq!(
        calls(&store, &UsageFilter { from: hour + 1, until: hour + 31, ..all(by) }).await,
        [6]
    );
    let days = store.list_usage(&all(Grain { hours: 24, ..by })).await.unwrap();
    assert!(days.iter().all(|day| day.hour.unwrap() % 24 == 0), "{days:?}");
    assert_eq!(days.iter().map(|day| day.sums.calls).sum::<u64>(), 12);
    let first = &store
        .list_usage(&all(Grain {
            hours: 1,
            app: true,
            key: true,
            account: true,
            endpoint: true,
            auth: true,
            outcome: true,
        }))
        .await
        .unwrap()[0];
    assert_eq!(
        (first.hour, first.app.as_deref(), first.key_id.as_deref()),
        (Some(hour), Some("main"), Some("key of main"))
    );
    assert_eq!(
        (first.account, first.endpoint, first.auth, first.outcome),
        (Some(None), Some(Endpoint::Totals), Some(AuthKind::AppOnly), Some(Outcome::Success))
    );
}

async fn sums_of_days_and_of_their_hours_agree(database: Database) {
    let store = database.store().await;
    let lines = (0..80)
        .map(|number| line(number * 7 % 100, if number % 3 == 0 { "main" } else { "other" }, None))
        .collect();
    store.write_usage(&batch("a", 1, lines), NOW).await.unwrap();
    let begin = hour_of(NOW);
    for (from, until) in [
        (-50, 200),
        (0, 100),
        (5, 6),
        (5, 20),
        (3, 40),
        (19, 43),
        (18, 44),
        (20, 42),
        (19, 91),
        (50, 51),
    ] {
        let of = |hours| UsageFilter {
            from: begin + from,
            until: begin + until,
            ..all(Grain { hours, ..Grain::default() })
        };
        let by_hour: u64 = calls(&store, &of(1)).await.iter().sum();
        for hours in [0, 24] {
            assert_eq!(
                calls(&store, &of(hours)).await.iter().sum::<u64>(),
                by_hour,
                "{from} to {until}"
            );
        }
        let told: u64 = store
            .list_usage_over_time(&of(24), None)
            .await
            .unwrap()
            .iter()
            .map(|point| point.sums.calls)
            .sum();
        assert_eq!(told, by_hour, "{from} to {until}");
    }
}

async fn sums_of_months_are_those_of_their_days(database: Database) {
    let store = database.store().await;
    let lines = (0..60)
        .map(|number| line(number * 24 - 700, if number % 3 == 0 { "main" } else { "other" }, None))
        .collect();
    store.write_usage(&batch("a", 1, lines), NOW).await.unwrap();
    let month = |text: &str| Month::parse(text).unwrap().begin();
    let of = |hours, months| UsageFilter {
        from: month("2026-02"),
        until: month("2026-04"),
        months,
        ..all(Grain { hours, ..Grain::default() })
    };
    let days = store.list_usage_over_time(&of(24, false), None).await.unwrap();
    let (march, mut sums) = (month("2026-03"), [0, 0]);
    for day in &days {
        sums[usize::from(day.hour >= march)] += day.sums.calls;
    }
    let months = store.list_usage_over_time(&of(24, true), None).await.unwrap();
    let told: Vec<_> = months.iter().map(|month| (month.hour, month.sums.calls)).collect();
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
    let lines = (1..=7)
        .flat_map(|app| (0..app).map(move |hour| line(hour, &format!("app{app}"), None)))
        .collect();
    store.write_usage(&batch("a", 1, lines), NOW).await.unwrap();
    let filter = UsageFilter { limit: 6, ..all(Grain { hours: 1, ..Grain::default() }) };
    let ranked = store.list_largest_usage(&filter, Aspect::App).await.unwrap();
    let told: Vec<_> = ranked.iter().map(|entry| (&*entry.0, entry.1.calls)).collect();
    assert_eq!(
        told,
        [("app7", 14), ("app6", 12), ("app5", 10), ("app4", 8), ("app3", 6), ("app2", 4)]
    );
    let top: Vec<String> = ranked.into_iter().take(2).map(|entry| entry.0).collect();
    let told = store.list_usage_over_time(&filter, Some((Aspect::App, &top))).await.unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|row| (row.hour - hour_of(NOW), row.value.as_deref(), row.sums.calls))
        .collect();
    assert_eq!(&told[..3], [(0, None, 10), (0, Some("app6"), 2), (0, Some("app7"), 2)]);
    assert_eq!(told.last(), Some(&(6, Some("app7"), 2)));
    for (aspect, expected) in [
        (Aspect::Key, "key of app7"),
        (Aspect::Account, ""),
        (Aspect::Endpoint, "totals"),
        (Aspect::Auth, "app-only"),
        (Aspect::Outcome, "2xx"),
    ] {
        assert_eq!(store.list_largest_usage(&filter, aspect).await.unwrap()[0].0, expected);
    }
}

async fn what_is_told_by_one_aspect_agrees_with_all_lines(database: Database) {
    let store = database.store().await;
    let lines = (0..90).map(|number| Line {
        key_id: format!("key {}", number * number % 8),
        endpoint: if number % 4 == 0 { Endpoint::Historical } else { Endpoint::Totals },
        outcome: if number % 5 == 0 { Outcome::Refusal } else { Outcome::Success },
        ..line(
            number * 17 - 700,
            "main",
            (number % 3 > 0).then(|| id(10 + (number * number % 7).unsigned_abs())),
        )
    });
    let lines: Vec<Line> = lines.collect();
    store.write_usage(&batch("a", 1, lines[..40].to_vec()), NOW).await.unwrap();
    store.write_usage(&batch("b", 1, lines[30..].to_vec()), NOW).await.unwrap();
    agree(&store).await;
    store.prune_usage(NOW + Duration::days(3)).await.unwrap();
    agree(&store).await;
}

on_both!(
    sums_are_told_apart_by_what_is_asked_for,
    sums_of_days_and_of_their_hours_agree,
    sums_of_months_are_those_of_their_days,
    the_largest_are_told_apart_in_the_course_of_time,
    what_is_told_by_one_aspect_agrees_with_all_lines
);

/// The sums over all apps equal those of the only app, which take another query.
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
            let names: Vec<String> = ranked.into_iter().take(3).map(|entry| entry.0).collect();
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
