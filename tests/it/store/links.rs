//! Links and handshakes: claimed by one browser, taken once, connected once, and removed.

use countersign::model::handshake::{Link, NotConnected};
use countersign::store::{Store, StoredHandshake};
use time::{Duration, OffsetDateTime};

use crate::database::{Database, NOW, newest, on_both};
use crate::store::{id, new_account};

const HASH: &[u8] = b"hash of a link";

fn link() -> Link {
    Link {
        app: "main".to_owned(),
        label: "for the \"report\"".to_owned(),
        expected_user: Some(id(7)),
        return_to: Some("https://app.example.com/".to_owned()),
        created_at: NOW,
        expires_at: NOW + Duration::hours(1),
    }
}

fn handshake(token: &[u8], expires_at: OffsetDateTime) -> StoredHandshake {
    StoredHandshake {
        token_hash: token.to_vec(),
        link_hash: HASH.to_vec(),
        browser_hash: b"browser".to_vec(),
        sealed_secret: b"secret".to_vec(),
        expires_at,
    }
}

async fn with_link(store: &Store) {
    store.insert_link(HASH, &link(), b"proof", "key:boss").await.unwrap();
}

async fn end_of(store: &Store) -> Option<NotConnected> {
    store.find_link(HASH).await.unwrap().unwrap().last_failure
}

async fn what_is_inserted_is_found_and_audited(database: Database) {
    let store = database.store().await;
    assert!(store.find_link(HASH).await.unwrap().is_none());
    with_link(&store).await;
    let found = store.find_link(HASH).await.unwrap().unwrap();
    assert_eq!(found.link, link());
    assert_eq!((&*found.hash, &*found.sealed_proof), (HASH, &b"proof"[..]));
    assert_eq!((found.browser_hash, found.last_failure, found.connected), (None, None, None));
    let entry = store.list_audit(&newest(1)).await.unwrap().remove(0);
    assert_eq!(
        (&*entry.actor, &*entry.action, &*entry.subject),
        ("key:boss", "link.created", "app:main")
    );
    assert_eq!(entry.detail, r#"link "for the \"report\"""#);
    // A repetition is refused, and writes no audit entry.
    assert!(store.insert_link(HASH, &link(), b"proof", "key:boss").await.is_err());
    assert_eq!(store.list_audit(&newest(9)).await.unwrap().len(), 1);
}

async fn a_link_without_terms_is_found_without(database: Database) {
    let store = database.store().await;
    let open = Link { expected_user: None, return_to: None, ..link() };
    store.insert_link(HASH, &open, b"proof", "cli").await.unwrap();
    assert_eq!(store.find_link(HASH).await.unwrap().unwrap().link, open);
}

async fn the_first_browser_that_claims_a_link_keeps_it_until_its_time_is_over(database: Database) {
    let store = database.store().await;
    with_link(&store).await;
    let claim = async |browser: &str, after| {
        store.claim_link(HASH, browser.as_bytes(), NOW + Duration::seconds(after)).await.unwrap()
    };
    assert!(claim("one", 0).await && claim("one", 1).await && !claim("two", 1).await);
    assert!(claim("one", 3599).await && !claim("one", 3600).await);
    assert!(!store.claim_link(b"other", b"one", NOW).await.unwrap());
    let found = store.find_link(HASH).await.unwrap().unwrap();
    assert_eq!(found.browser_hash.as_deref(), Some(&b"one"[..]));
}

async fn how_a_try_ended_is_kept_until_the_next(database: Database) {
    let store = database.store().await;
    with_link(&store).await;
    for end in NotConnected::ALL {
        store.end_link(HASH, end).await.unwrap();
        assert_eq!(end_of(&store).await, Some(end));
    }
    store.claim_link(HASH, b"one", NOW).await.unwrap();
    assert_eq!(end_of(&store).await, None);
    // What is connected stays connected.
    store.connect_account(Some(HASH), &new_account("main", 7), "link", NOW).await.unwrap();
    store.end_link(HASH, NotConnected::Cancelled).await.unwrap();
    assert_eq!(end_of(&store).await, None);
}

async fn a_handshake_is_taken_once_by_its_browser(database: Database) {
    let store = database.store().await;
    with_link(&store).await;
    let over = handshake(b"over", NOW);
    let going = handshake(b"going", NOW + Duration::minutes(15));
    for link in [&over, &going] {
        store.insert_handshake(link).await.unwrap();
    }
    assert!(store.remove_handshake(b"going", b"another").await.unwrap().is_none());
    assert!(store.remove_handshake(b"neither", b"browser").await.unwrap().is_none());
    assert_eq!(end_of(&store).await, None);
    for link in [over, going] {
        let taken = store.remove_handshake(&link.token_hash, b"browser").await.unwrap();
        assert!(taken == Some(link.clone()));
        assert_eq!(end_of(&store).await, Some(NotConnected::UnderWay));
        assert!(store.remove_handshake(&link.token_hash, b"browser").await.unwrap().is_none());
    }
}

async fn of_many_that_take_a_handshake_one_gets_it(database: Database) {
    let store = database.store().await;
    with_link(&store).await;
    store.insert_handshake(&handshake(b"token", NOW)).await.unwrap();
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        takers.spawn(async move { store.remove_handshake(b"token", b"browser").await.unwrap() });
    }
    assert_eq!(takers.join_all().await.iter().filter(|taken| taken.is_some()).count(), 1);
}

async fn an_account_is_connected_by_a_link_once(database: Database) {
    let store = database.store().await;
    with_link(&store).await;
    let connect = async |link, number| {
        store.connect_account(link, &new_account("main", number), "link", NOW).await.unwrap()
    };
    assert!(connect(Some(HASH), 7).await);
    let found = store.find_link(HASH).await.unwrap().unwrap();
    assert_eq!(found.connected, Some((id(7), "User_7".to_owned())));
    let latest = store.latest_change().await.unwrap();
    assert!(latest > 0);
    // Neither a used token nor one that was never issued stores anything.
    assert!(!connect(Some(HASH), 8).await && !connect(Some(b"other"), 9).await);
    for number in [8, 9] {
        assert!(store.find_account("main", id(number)).await.unwrap().is_none());
    }
    assert_eq!(store.latest_change().await.unwrap(), latest);
    assert!(!store.claim_link(HASH, b"one", NOW).await.unwrap());
    // Connecting by PIN involves no link.
    assert!(connect(None, 8).await);
    let entries = store.list_audit(&newest(9)).await.unwrap();
    let connected: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.action == "account.connected")
        .map(|entry| &*entry.subject)
        .collect();
    assert_eq!(connected, ["account:main/8", "account:main/7"]);
}

async fn what_is_over_is_forgotten(database: Database) {
    let store = database.store().await;
    with_link(&store).await;
    let late = NOW + Duration::minutes(15);
    for (token, until) in [(b"one", NOW), (b"two", late)] {
        store.insert_handshake(&handshake(token, until)).await.unwrap();
    }
    store.prune_links(NOW, NOW).await.unwrap();
    assert!(store.remove_handshake(b"one", b"browser").await.unwrap().is_none());
    assert!(store.find_link(HASH).await.unwrap().is_some());
    // Removing a link removes the handshakes that began from it.
    store.prune_links(NOW, link().expires_at).await.unwrap();
    assert!(store.find_link(HASH).await.unwrap().is_none());
    assert!(store.remove_handshake(b"two", b"browser").await.unwrap().is_none());
}

on_both!(
    what_is_inserted_is_found_and_audited,
    a_link_without_terms_is_found_without,
    the_first_browser_that_claims_a_link_keeps_it_until_its_time_is_over,
    how_a_try_ended_is_kept_until_the_next,
    a_handshake_is_taken_once_by_its_browser,
    of_many_that_take_a_handshake_one_gets_it,
    an_account_is_connected_by_a_link_once,
    what_is_over_is_forgotten
);
