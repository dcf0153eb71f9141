//! Authors of posts: stored in bulk, and never changed.

use std::collections::HashMap;

use countersign::model::UserId;
use countersign::store::{Change, Error, PartEvents};
use time::Duration;
use tokio::task::JoinSet;

use crate::database::{Database, NOW, on_both};
use crate::store::{id, new_account};

/// The largest id that a post can have.
const LAST: u64 = i64::MAX.unsigned_abs();

fn authors(posts: impl IntoIterator<Item = u64>, author: UserId) -> HashMap<u64, UserId> {
    posts.into_iter().map(|post| (post, author)).collect()
}

async fn authors_of_thousands_of_posts_are_stored_and_found(database: Database) {
    let store = database.store().await;
    let mut learnt = authors(1..=1250, id(7));
    learnt.insert(LAST, UserId::parse("9999999999999999999").unwrap());
    store.insert_authors(&learnt).await.unwrap();
    let mut wanted: Vec<u64> = (1..=2600).collect();
    wanted.push(LAST);
    assert_eq!(store.find_authors(&wanted).await.unwrap(), learnt);
    assert_eq!(store.find_authors(&[3, LAST - 1]).await.unwrap(), authors([3], id(7)));
    assert_eq!(store.find_authors(&[]).await.unwrap(), HashMap::new());
    store.insert_authors(&HashMap::new()).await.unwrap();
    assert_eq!(store.latest_change().await.unwrap(), 0, "no cache has to forget anything");
}

async fn what_is_stored_already_stays(database: Database) {
    let store = database.store().await;
    store.insert_authors(&authors([1, 2], id(7))).await.unwrap();
    store.insert_authors(&authors([2, 3], id(8))).await.unwrap();
    let found = database.connect().await.find_authors(&[1, 2, 3]).await.unwrap();
    assert_eq!(found, [(1, id(7)), (2, id(7)), (3, id(8))].into());
}

async fn replicas_that_learn_the_same_at_once_all_succeed(database: Database) {
    database.store().await;
    let mut replicas = JoinSet::new();
    for _ in 0..8 {
        let store = database.connect().await;
        replicas.spawn(async move {
            for first in (1..=10_000).step_by(500) {
                store.insert_authors(&authors(first..first + 500, id(7))).await?;
            }
            Ok::<_, Error>(())
        });
    }
    for stored in replicas.join_all().await {
        stored.unwrap();
    }
    let all: Vec<u64> = (1..=10_000).collect();
    assert_eq!(database.connect().await.find_authors(&all).await.unwrap().len(), 10_000);
}

async fn an_authors_posts_are_found_newest_first(database: Database) {
    let store = database.store().await;
    assert!(store.find_posts_of(id(7), 0..=LAST, 10).await.unwrap().is_empty());
    let learnt = authors(1..=600, id(7)).into_iter().chain(authors(601..=700, id(8)));
    store.insert_authors(&learnt.chain(authors([LAST], id(7))).collect()).await.unwrap();
    for (ids, most, expected) in [
        (0..=u64::MAX, 3, vec![LAST, 600, 599]),
        (0..=LAST - 1, 2, vec![600, 599]),
        (10..=12, 9, vec![12, 11, 10]),
        (601..=700, 9, vec![]),
    ] {
        assert_eq!(
            store.find_posts_of(id(7), ids.clone(), most).await.unwrap(),
            expected,
            "{ids:?}"
        );
    }
    let all: Vec<u64> = (601..=700).rev().collect();
    assert_eq!(store.find_posts_of(id(8), 0..=LAST, usize::MAX).await.unwrap(), all);
}

async fn those_who_are_connected_are_found_among_thousands(database: Database) {
    let store = database.store().await;
    let accounts: Vec<_> = [3, 700, 1200].map(|number| new_account("main", number)).into();
    store.put_accounts(&accounts, PartEvents::Each, "cli", NOW).await.unwrap();
    store.put_accounts(&[new_account("other", 4)], PartEvents::Each, "cli", NOW).await.unwrap();
    let users: Vec<UserId> = (1..=1250).map(id).collect();
    assert_eq!(store.find_connected("main", &users).await.unwrap(), [3, 700, 1200].map(id).into());
    assert_eq!(store.find_connected("main", &[id(4)]).await.unwrap(), [].into());
    assert_eq!(store.find_connected("other", &users).await.unwrap(), [id(4)].into());
}

async fn a_wrong_author_is_forgotten_and_caches_are_told(database: Database) {
    let store = database.store().await;
    store.insert_authors(&authors(1..=1250, id(7))).await.unwrap();
    let mut wrong: Vec<(u64, UserId)> = (1..=600).map(|number| (number, id(7))).collect();
    // The stored authors of these posts are others, so they stay.
    wrong.extend([(1250, id(8)), (LAST, id(7))]);
    store.remove_authors(&wrong, NOW).await.unwrap();
    let all: Vec<u64> = (1..=1250).collect();
    assert_eq!(store.find_authors(&all).await.unwrap(), authors(601..=1250, id(7)));
    let changes = store.list_changes(0).await.unwrap();
    let mut forgotten: Vec<u64> = changes
        .changes
        .into_iter()
        .map(|change| match change {
            Change::Author { post } => post,
            other => panic!("{other:?}"),
        })
        .collect();
    forgotten.sort_unstable();
    assert!(forgotten.into_iter().eq(1..=600));
    store.remove_authors(&wrong, NOW).await.unwrap();
    assert_eq!(store.latest_change().await.unwrap(), 600, "nothing is left to tell");
}

async fn a_name_is_found_among_these_users_and_no_others(database: Database) {
    let store = database.store().await;
    let accounts: Vec<_> = [3, 700, 1200].map(|number| new_account("main", number)).into();
    store.put_accounts(&accounts, PartEvents::Each, "cli", NOW).await.unwrap();
    let name = accounts[1].screen_name.to_lowercase();
    let users: Vec<UserId> = (1..=1250).map(id).collect();
    assert_eq!(store.find_user_among("main", &name, &users).await.unwrap(), Some(id(700)));
    assert_eq!(store.find_user_among("other", &name, &users).await.unwrap(), None);
    assert_eq!(store.find_user_among("main", "nobody", &users).await.unwrap(), None);
    for few in [&[id(3)][..], &[]] {
        assert_eq!(store.find_user_among("main", &name, few).await.unwrap(), None);
    }
    let mut renamed = new_account("main", 3);
    renamed.screen_name = accounts[1].screen_name.to_uppercase();
    store.put_accounts(&[renamed], PartEvents::Each, "cli", NOW + Duration::SECOND).await.unwrap();
    assert_eq!(store.find_user_among("main", &name, &[id(3)]).await.unwrap(), Some(id(3)));
}

async fn an_author_who_is_no_user_is_told(database: Database) {
    let store = database.store().await;
    let sql = match database.kind {
        crate::database::Kind::Sqlite => "",
        crate::database::Kind::Postgres => {
            "alter table author drop constraint author_user_id_digits;"
        }
    };
    database
        .run(&format!("{sql} insert into author (post_id, user_id) values (1, 'nobody')"))
        .await;
    let refused = store.find_authors(&[1]).await;
    assert!(matches!(refused, Err(Error::Unreadable(_))), "{refused:?}");
}

on_both!(
    an_authors_posts_are_found_newest_first,
    authors_of_thousands_of_posts_are_stored_and_found,
    what_is_stored_already_stays,
    replicas_that_learn_the_same_at_once_all_succeed,
    those_who_are_connected_are_found_among_thousands,
    a_wrong_author_is_forgotten_and_caches_are_told,
    a_name_is_found_among_these_users_and_no_others,
    an_author_who_is_no_user_is_told
);
