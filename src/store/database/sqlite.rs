//! SQLite: the file, and its pools for reading and writing.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use tokio::time::sleep;

use crate::config;
use crate::store::Error;
use crate::store::database::deadline::within;
use crate::store::error::Cause;

/// The pause before retrying a file that another process is opening.
const RETRY: Duration = Duration::from_millis(10);

/// Each reader is a thread with its own memory, and reads from the page cache: more of them would only wait for each
/// other.
const MOST_READERS: u32 = 4;

#[derive(Clone)]
pub(crate) struct Pools {
    pub(crate) reads: SqlitePool,
    /// One connection: writers queue here in order, instead of polling SQLite's one write lock.
    pub(crate) writes: SqlitePool,
}

/// Opens the file, creating it for the owner alone when it is missing.
pub(crate) async fn open(settings: &config::Database) -> Result<Pools, Error> {
    let options = options(settings)?;
    create(options.get_filename())?;
    within(settings.wait, turn_on_wal(&options)).await?;
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(settings.wait)
            .max_lifetime(None)
            .idle_timeout(None)
            // SQLite itself ends a transaction when the disk fails. The driver does not notice, and would refuse all
            // later ones as nested.
            .before_acquire(|connection, _| {
                let idle = !connection.is_in_transaction();
                Box::pin(async move { Ok(idle) })
            })
            .connect_lazy_with(options.clone())
    };
    Ok(Pools { reads: pool(readers(settings)), writes: pool(1) })
}

/// Refuses a file that is missing.
pub(crate) fn require_file(settings: &config::Database) -> Result<(), Error> {
    let options = options(settings)?;
    let file = options.get_filename();
    if file.exists() {
        return Ok(());
    }
    let missing = format!("{} does not exist; `countersign migrate` creates it", file.display());
    Err(Error::Unavailable(Cause::new(missing)))
}

/// The number of reading connections.
pub(crate) fn readers(settings: &config::Database) -> u32 {
    settings.connections.min(MOST_READERS)
}

fn options(settings: &config::Database) -> Result<SqliteConnectOptions, Error> {
    let url = settings.url.expose();
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(Error::settings("SQLite needs a file"));
    }
    let options: SqliteConnectOptions =
        url.parse().map_err(|_| Error::settings("the URL cannot be read"))?;
    Ok(options
        .create_if_missing(false)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(settings.wait)
        // Pages that each connection may keep, in KiB: the system keeps the file's pages once for all of them.
        .pragma("cache_size", "-512")
        .disable_statement_logging())
}

/// SQLite gives its journal files the mode of the database, so this covers them as well.
fn create(file: &Path) -> Result<(), Error> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(Error::Unavailable(
            Cause::new(format!("cannot create {}: {error}", file.display())),
        )),
        _ => Ok(()),
    }
}

/// The mode stays with the file. Changing it needs exclusive access and does not wait for the busy
/// timeout, so it is done once here, and retried while another process does the same.
async fn turn_on_wal(options: &SqliteConnectOptions) -> Result<(), Error> {
    loop {
        let opened = options.clone().journal_mode(SqliteJournalMode::Wal).connect().await;
        match opened.map_err(Error::from) {
            Ok(connection) => return Ok(connection.close().await?),
            Err(Error::Unavailable(cause)) if cause.to_string().contains("locked") => {
                sleep(RETRY).await;
            }
            Err(error) => return Err(error),
        }
    }
}
