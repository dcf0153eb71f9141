//! Errors say what happened, and never contain a password or a value.

use std::error::Error as _;

use countersign::store::{Error, PartEvents, Store};

use crate::database::{Database, Kind, NOW, fresh, on_both, settings};
use crate::store::{key, new_account};

/// Everything that an error can print.
fn all_of(error: &Error) -> String {
    let chain = std::iter::successors(error.source(), |cause| (**cause).source());
    let sources: Vec<String> = chain.map(|source| format!("{source} {source:?}")).collect();
    format!("{error} {error:?} {error:#?} {sources:?}")
}

#[tokio::test]
async fn no_error_about_a_url_shows_its_password() {
    let urls = [
        "postgres://user:canary@127.0.0.1:1/db",
        "postgres://user:canary@host.invalid/db",
        "postgres://user:canary@127.0.0.1:notaport/db",
        "postgres://user:ca?canary@127.0.0.1:1/db",
        "postgres://user:ca/canary@127.0.0.1:1/db",
        "postgres://user:ca#canary@127.0.0.1:1/db",
        "postgres://canary:1/canary@127.0.0.1:1/db",
        "postgres://canary:1#canary@127.0.0.1:1/db",
        "postgres://127.0.0.1:1/db?user=user&password=canary",
        "postgres://127.0.0.1:1/db?passwort=canary",
        "postgres://127.0.0.1:1/db?port=canary",
        "postgres://127.0.0.1:1/db?sslmode=canary",
        "postgres:user:canary@127.0.0.1/db",
        "mysql://user:canary@127.0.0.1/db",
        "sqlite://file?canary=1",
        "sqlite://file?mode=canary",
    ];
    for url in urls {
        let mut settings = settings(url);
        settings.wait = std::time::Duration::from_millis(100);
        let error = Store::connect(&settings).await.err().unwrap();
        assert!(!all_of(&error).contains("canary"), "{url}: {}", all_of(&error));
    }
}

#[tokio::test]
async fn a_server_that_refuses_is_told_with_its_host_and_port() {
    let mut settings = settings("postgres://user:canary@127.0.0.1:1/db");
    settings.wait = std::time::Duration::from_millis(100);
    let error = Store::connect(&settings).await.err().unwrap();
    let text = all_of(&error);
    assert!(text.contains("host 127.0.0.1, port 1: connection: Connection refused"), "{text}");
    assert!(!text.contains("user") && !text.contains("canary"), "{text}");
}

#[tokio::test]
async fn a_database_that_is_missing_or_none_is_unavailable() {
    let database = fresh(Kind::Postgres).await;
    let missing = database.url.replacen("/test_", "/missing_", 1);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "no database, but long enough to be taken for one".repeat(40))
        .unwrap();
    let odd = format!("sqlite://{}", file.path().display());
    for (url, words) in [(missing, "does not exist"), (odd, "not a database")] {
        let error = Store::connect(&settings(&url)).await.err().unwrap();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(all_of(&error).contains(words), "{}", all_of(&error));
    }
}

#[tokio::test]
async fn a_wrong_password_shows_in_no_error() {
    let database = fresh(Kind::Postgres).await;
    let url = database.url.replacen("countersign@", "nobody:canary@", 1);
    let error = Store::connect(&settings(&url)).await.err().unwrap();
    assert!(matches!(error, Error::Unavailable(_)));
    let text = all_of(&error);
    assert!(text.contains("nobody") && !text.contains("canary"), "{text}");
}

async fn no_error_shows_a_bound_value(database: Database) {
    let store = database.store().await;
    store.insert_key(&key("canary", "one"), b"verifier", "cli", NOW).await.unwrap();
    let twice = store.insert_key(&key("canary", "two"), b"verifier", "cli", NOW).await.unwrap_err();
    assert!(matches!(twice, Error::Query(_)), "the id, not the name");

    let mut account = new_account("canary", 1);
    account.sealed_token = b"canary".to_vec();
    database.run("drop table change_counter").await;
    let broken = store.put_accounts(&[account], PartEvents::Each, "canary", NOW).await.unwrap_err();
    assert!(matches!(broken, Error::Query(_)));
    for error in [twice, broken] {
        assert!(!all_of(&error).contains("canary"), "{}", all_of(&error));
    }
}

async fn a_closed_store_is_unavailable(database: Database) {
    let store = database.store().await;
    store.close().await;
    assert!(matches!(store.find_key("abc").await, Err(Error::Unavailable(_))));
    assert!(matches!(store.ping().await, Err(Error::Unavailable(_))));
}

on_both!(no_error_shows_a_bound_value, a_closed_store_is_unavailable);
