//! Noticing a connection pooler, such as PgBouncer, that the settings do not name: statements would fail now and then,
//! and time limits and notifications would reach the wrong session.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use tokio::time::timeout;

use crate::config::Pooler;
use crate::store::Error;
use crate::store::database::postgres::{Loan, Terms};

/// How often two connections are compared: in between, somebody else may take the one that both would have used.
const TRIES: u32 = 3;

/// An error about the settings if there is a pooler that they do not name between a first connection and the server.
/// Notices none that is too busy.
pub(crate) async fn check(
    first: Loan,
    options: &PgConnectOptions,
    terms: &Terms,
    limit: Duration,
) -> Result<(), Error> {
    let looking = timeout(limit, look(first, options, terms)).await;
    // What fails here fails later as well, with better words.
    looking.ok().and_then(Result::ok).flatten().map_or(Ok(()), Err)
}

async fn look(
    mut first: Loan,
    options: &PgConnectOptions,
    terms: &Terms,
) -> Result<Option<Error>, sqlx::Error> {
    let mut second = options.connect().await?;
    let mut is_shared = false;
    for _ in 0..TRIES {
        is_shared |= process(&mut first).await? == process(&mut second).await?;
    }
    // It has told all that it was for.
    let _ = second.close().await;
    if is_shared {
        return Ok(Some(Error::settings(
            "database.pooler: a connection pooler shares connections between transactions, as PgBouncer does with pool_mode = transaction; set database.pooler to \"transaction\"",
        )));
    }
    let is_lost = terms.pooler == Pooler::None
        && statement_timeout(&mut first).await? != terms.statement_timeout();
    Ok(is_lost.then(unnamed))
}

/// The server's process at the other end.
async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let row = sqlx::raw_sql("select pg_backend_pid()").fetch_one(connection).await?;
    row.try_get(0)
}

async fn statement_timeout(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let sql = "select setting from pg_settings where name = 'statement_timeout'";
    sqlx::raw_sql(sql).fetch_one(connection).await?.try_get(0)
}

/// Whether it refuses what connecting asks of PostgreSQL itself.
pub(crate) fn refuses(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(|error| error.message().starts_with("unsupported startup parameter"))
}

/// A pooler that the settings do not name, whichever it is.
pub(crate) fn unnamed() -> Error {
    Error::settings(
        "database.pooler: a connection pooler such as PgBouncer answers, and does not take the time limits that each connection asks for; set database.pooler to \"session\" or \"transaction\", whichever is its pool_mode",
    )
}
