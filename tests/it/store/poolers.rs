//! PgBouncer on the way to PostgreSQL, in both of its modes, with the right setting and without.

use std::error::Error as _;
use std::time::Duration;

use countersign::config::{self, Pooler};
use countersign::model::Secret;
use countersign::store::{Error, PartEvents, Store};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::database::{Kind, NOW, fresh};
use crate::pgbouncer::PgBouncer;
use crate::postgres_relay::Relay;
use crate::store::{id, key, new_account};

/// The setting, the mode that it is for, and how many connections PgBouncer needs for those of one store.
const POOLERS: [(Pooler, &str, u32); 2] =
    [(Pooler::Session, "session", 20), (Pooler::Transaction, "transaction", 2)];

#[tokio::test]
async fn readers_and_writers_get_through_a_pooler() {
    for (pooler, mode, size) in POOLERS {
        let database = fresh(Kind::Postgres).await;
        let bouncer = PgBouncer::before(&database, mode, size, "");
        let settings = bouncer.settings(&database, pooler);
        let store = Store::connect(&settings).await.unwrap();
        store.migrate(NOW).await.unwrap();
        let mut working = JoinSet::new();
        for number in 1..=40 {
            let store = store.clone();
            working.spawn(async move {
                store
                    .put_accounts(&[new_account("main", number)], PartEvents::Each, "cli", NOW)
                    .await?;
                let found = store.find_account("main", id(number)).await?;
                store.touch_key("abc", NOW).await?;
                Ok::<_, Error>(found.is_some() && store.list_changes(0).await?.complete)
            });
        }
        for ended in working.join_all().await {
            assert!(ended.unwrap(), "{mode}");
        }
        assert_eq!(store.latest_change().await.unwrap(), 40, "{mode}");
        assert!(store.listen().await.unwrap().is_none(), "{mode}");
        store.close().await;

        // What is left for the next session on these connections to the server.
        for _ in 0..size {
            let options: PgConnectOptions = bouncer.url.parse().unwrap();
            let options = options.extra_float_digits(None);
            let mut connection = PgConnection::connect_with(&options).await.unwrap();
            let sql = "select (select count(*) from pg_prepared_statements)::int
                 + (select count(*) from pg_listening_channels())::int
                 + (current_setting('statement_timeout') <> '0')::int as left_behind";
            let row = sqlx::raw_sql(sql).fetch_one(&mut connection).await.unwrap();
            assert_eq!(sqlx::Row::get::<i32, _>(&row, 0), 0, "{mode}");
        }
    }
}

#[tokio::test]
async fn a_statement_behind_a_pooler_has_its_time_limit() {
    for (pooler, mode, size) in POOLERS {
        let database = fresh(Kind::Postgres).await;
        let bouncer = PgBouncer::before(&database, mode, size, "");
        let mut settings = bouncer.settings(&database, pooler);
        settings.statement_timeout = Duration::from_millis(500);
        let store = Store::connect(&settings).await.unwrap();
        store.migrate(NOW).await.unwrap();
        let lock = database.lock("key").await;
        let read = store.find_key("abc").await.err().unwrap();
        // The settings' own limits are far longer, so that these words are the server's.
        let text = read.source().unwrap().to_string();
        assert!(text.contains("statement timeout (57014)"), "{mode}: {text}");
        let written = store.insert_key(&key("abc", "one"), b"verifier", "cli", NOW).await;
        assert!(matches!(written, Err(Error::Unavailable(_))), "{mode}: {written:?}");
        drop(lock);
        store.insert_key(&key("abc", "one"), b"verifier", "cli", NOW).await.unwrap();
    }
}

#[tokio::test]
async fn a_pooler_that_the_settings_do_not_name_is_noticed() {
    const LENIENT: &str = "ignore_startup_parameters = extra_float_digits, options";
    let either = "database.pooler to \"session\" or \"transaction\"";
    let transaction = "database.pooler to \"transaction\"";
    for (mode, lines, pooler, expected) in [
        ("session", "", Pooler::None, either),
        ("transaction", "", Pooler::None, either),
        ("session", LENIENT, Pooler::None, either),
        ("transaction", LENIENT, Pooler::None, transaction),
        ("transaction", "", Pooler::Session, transaction),
        ("transaction", LENIENT, Pooler::Session, transaction),
    ] {
        let database = fresh(Kind::Postgres).await;
        let bouncer = PgBouncer::before(&database, mode, 5, lines);
        let connected = Store::connect(&bouncer.settings(&database, pooler)).await;
        let Err(Error::Settings(cause)) = connected.map(drop) else {
            panic!("{mode}, {lines}, {pooler:?}")
        };
        let text = cause.to_string();
        assert!(text.starts_with("database.pooler: "), "{mode}, {lines}, {pooler:?}: {text}");
        assert!(text.contains(expected), "{mode}, {lines}, {pooler:?}: {text}");
    }
}

#[tokio::test]
async fn what_a_pooler_would_not_pass_on_is_refused() {
    let database = fresh(Kind::Postgres).await;
    for pooler in [Pooler::Session, Pooler::Transaction] {
        let url = format!("{}&options=-c%20work_mem%3D1MB", database.url);
        let settings = config::Database { url: Secret::from(&*url), pooler, ..database.settings() };
        let Err(Error::Settings(cause)) = Store::connect(&settings).await.map(drop) else {
            panic!("{pooler:?}")
        };
        assert!(cause.to_string().contains("the parameter options"), "{cause}");

        let file = fresh(Kind::Sqlite).await;
        let settings = config::Database { pooler, ..file.settings() };
        let Err(Error::Settings(cause)) = Store::connect(&settings).await.map(drop) else {
            panic!("{pooler:?}")
        };
        assert!(cause.to_string().contains("SQLite has no pooler"), "{cause}");
    }
}

/// In the words that reach the server.
#[tokio::test]
async fn nobody_is_notified_where_nobody_listens() {
    for (pooler, notifies) in
        [(Pooler::None, true), (Pooler::Session, false), (Pooler::Transaction, false)]
    {
        let database = fresh(Kind::Postgres).await;
        database.store().await;
        let relay = Relay::before(&database).await;
        let url = Secret::from(&*relay.url);
        let settings = config::Database { url, pooler, ..database.settings() };
        let store = Store::connect(&settings).await.unwrap();
        let wake = store.listen().await.unwrap();
        store.put_accounts(&[new_account("main", 7)], PartEvents::Each, "cli", NOW).await.unwrap();
        let statements = relay.statements();
        let has = |text: &str| statements.iter().any(|statement| statement.contains(text));
        assert_eq!(
            (wake.is_some(), has("LISTEN"), has("pg_notify")),
            (notifies, notifies, notifies),
            "{pooler:?}"
        );
        // Every statement of a pooled connection is in a transaction, which ends.
        if pooler == Pooler::Transaction {
            let is_within = |statement: &&String| {
                statement.starts_with("begin; set local statement_timeout = ")
            };
            let begun = statements.iter().filter(is_within).count();
            assert!(begun > 0 && has("commit"), "{statements:?}");
            assert!(!statements.contains(&"show transaction_read_only".to_owned()));
        }
    }
}
