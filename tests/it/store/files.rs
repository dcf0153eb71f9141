//! SQLite's files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use countersign::store::{Error, PartEvents, Store};

use crate::database::{Kind, NOW, fresh, settings};
use crate::store::new_account;

#[tokio::test]
async fn a_new_file_and_its_journals_are_the_owners_alone() {
    let database = fresh(Kind::Sqlite).await;
    let store = database.store().await;
    store.put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW).await.unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(database.folder()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["test.db", "test.db-shm", "test.db-wal"]);
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let database = fresh(Kind::Sqlite).await;
    let store = database.store().await;
    store.put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW).await.unwrap();
    store.close().await;
    let again = database.connect().await;
    assert_eq!(again.latest_change().await.unwrap(), 1);
    assert_eq!(again.kind(), "sqlite");
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let refused =
        Store::connect(&settings("sqlite:///missing/folder/test.db")).await.err().unwrap();
    assert!(
        matches!(&refused, Error::Unavailable(cause) if cause.to_string().contains("/missing/folder"))
    );
}

#[tokio::test]
async fn a_database_in_memory_is_refused() {
    for url in ["sqlite::memory:", "sqlite://x?mode=memory"] {
        let refused = Store::connect(&settings(url)).await.err().unwrap();
        assert!(matches!(refused, Error::Settings(_)), "{refused:?}");
    }
}
