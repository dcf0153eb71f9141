//! The list of live replicas.

use std::time::Duration;

use countersign::store::Replica;

use crate::database::{Database, NOW, on_both};

const SILENCE: Duration = Duration::from_secs(20);

pub fn replica(id: &str, keys: &[&str]) -> Replica {
    Replica {
        id: id.to_owned(),
        host: format!("host of {id}"),
        version: "0.1.0".to_owned(),
        started_at: NOW,
        vault_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        vault_active: keys[0].to_owned(),
    }
}

async fn who_was_heard_of_lives_until_silent_for_too_long(database: Database) {
    let store = database.store().await;
    let ids = async || {
        let listed = store.list_replicas(SILENCE).await.unwrap();
        assert!(listed.iter().all(|replica| replica.1 <= SILENCE), "{listed:?}");
        listed.into_iter().map(|replica| replica.0.id).collect::<Vec<_>>()
    };
    let (one, two) = (replica("a", &["k0000001"]), replica("b", &["k0000002", "k0000001"]));
    store.record_heartbeat(&two).await.unwrap();
    store.record_heartbeat(&one).await.unwrap();
    let listed = store.list_replicas(SILENCE).await.unwrap();
    assert_eq!(listed.into_iter().map(|replica| replica.0).collect::<Vec<_>>(), [one.clone(), two]);

    let newer = replica("b", &["k0000003"]);
    store.record_heartbeat(&newer).await.unwrap();
    assert_eq!(store.list_replicas(SILENCE).await.unwrap()[1].0, newer);
    database.run("update replica set heard_at = heard_at - 1000 where replica_id = 'a'").await;
    assert_eq!(ids().await, ["b"]);
    store.prune_replicas(SILENCE).await.unwrap();
    let all = Duration::from_hours(1);
    assert_eq!(store.list_replicas(all).await.unwrap().len(), 1, "it is forgotten");
    store.record_heartbeat(&one).await.unwrap();
    assert_eq!(ids().await, ["a", "b"], "it was not dead, and is back");
    store.remove_replica("b").await.unwrap();
    assert_eq!(ids().await, ["a"]);
}

on_both!(who_was_heard_of_lives_until_silent_for_too_long);
