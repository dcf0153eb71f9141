//! Bearer tokens: if several replicas mint at once, one token is kept.

use countersign::store::Change;
use time::Duration;
use tokio::task::JoinSet;

use crate::database::{Database, NOW, on_both};

async fn of_twenty_racers_one_wins_each_generation(database: Database) {
    let store = database.store().await;
    for expected in [None, Some(1), Some(2)] {
        let mut racers = JoinSet::new();
        for racer in 0..20 {
            let store = store.clone();
            racers.spawn(async move {
                let token = format!("{expected:?} by {racer}").into_bytes();
                let won = store.replace_bearer("main", expected, &token, NOW).await.unwrap();
                won.then_some(token)
            });
        }
        let won: Vec<_> = racers.join_all().await.into_iter().flatten().collect();
        assert_eq!(won.len(), 1);
        let found = store.find_bearer("main").await.unwrap().unwrap();
        assert_eq!(found.generation, expected.unwrap_or(0) + 1);
        assert_eq!(found.sealed_token, won[0]);
    }
    let changes = store.list_changes(0).await.unwrap().changes;
    assert_eq!(changes, vec![Change::Bearer { app: "main".to_owned() }; 3]);
}

async fn a_bearer_is_per_app(database: Database) {
    let store = database.store().await;
    assert!(store.find_bearer("main").await.unwrap().is_none());
    let later = NOW + Duration::hours(1);
    assert!(store.replace_bearer("main", None, b"one", NOW).await.unwrap());
    assert!(store.replace_bearer("other", None, b"two", later).await.unwrap());
    assert!(!store.replace_bearer("third", Some(1), b"three", NOW).await.unwrap());

    let all = store.list_bearers().await.unwrap();
    let all: Vec<_> = all.iter().map(|bearer| (&*bearer.app, bearer.minted_at)).collect();
    assert_eq!(all, [("main", NOW), ("other", later)]);
}

async fn a_bearer_is_resealed_only_over_what_was_read(database: Database) {
    let store = database.store().await;
    store.replace_bearer("main", None, b"old seal", NOW).await.unwrap();
    let mut stored = store.find_bearer("main").await.unwrap().unwrap();
    stored.sealed_token = b"new seal".to_vec();
    assert!(store.update_bearer_seal(&stored, b"old seal").await.unwrap());
    assert!(!store.update_bearer_seal(&stored, b"old seal").await.unwrap());
    assert!(store.find_bearer("main").await.unwrap() == Some(stored));
}

on_both!(
    of_twenty_racers_one_wins_each_generation,
    a_bearer_is_per_app,
    a_bearer_is_resealed_only_over_what_was_read
);
