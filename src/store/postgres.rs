//! PostgreSQL: the pool, and connections that are alive and may write.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool, Postgres, Row};
use tokio::time::timeout;

use crate::config;
use crate::store::Error;

/// Parameters a URL may have. The driver logs those it does not know together with their values.
const PARAMETERS: [&str; 17] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Reads the URL; nothing of it goes into an error, since a part may be the password.
pub(crate) fn options(settings: &config::Database) -> Result<PgConnectOptions, Error> {
    let url = settings.url.expose();
    let query = url.split_once('?').map_or("", |(_, it)| it);
    let known = |it: &str| PARAMETERS.contains(&it.split_once('=').map_or(it, |(key, _)| key));
    if !query.is_empty() && !query.split('&').all(known) {
        return Err(Error::settings(
            "the URL has an unknown parameter; write a ? inside a password as %3F",
        ));
    }
    let mut options: PgConnectOptions =
        url.parse().map_err(|_| Error::settings("the URL cannot be read"))?;
    if options.get_application_name().is_none() {
        options = options.application_name("countersign");
    }
    let milliseconds = |it: Duration| it.as_millis().to_string();
    Ok(options
        .options([
            ("statement_timeout", milliseconds(settings.statement_timeout)),
            // A replica that hangs inside a transaction must not hold the change counter's lock.
            ("idle_in_transaction_session_timeout", milliseconds(settings.statement_timeout * 2)),
        ])
        .disable_statement_logging())
}

/// The pool, not connected yet.
pub(crate) fn pool(settings: &config::Database, options: PgConnectOptions) -> PgPool {
    let release_wait = settings.wait;
    PgPoolOptions::new()
        .max_connections(settings.connections)
        .acquire_timeout(settings.wait)
        .max_lifetime(settings.connection_life)
        // `lease` does its own test, which also asks whether the server may be written to.
        .test_before_acquire(false)
        // An abandoned query leaves a connection whose server may be hung; without a limit it would
        // hold its place in the pool until TCP gives up.
        .after_release(move |connection, _| {
            Box::pin(async move {
                Ok(matches!(timeout(release_wait, connection.ping()).await, Ok(Ok(()))))
            })
        })
        .connect_lazy_with(options)
}

/// A connection that has just answered, and whose server is no standby. Dead ones are thrown away on the way.
pub(crate) async fn lease(
    pool: &PgPool,
    answer_within: Duration,
) -> Result<PoolConnection<Postgres>, Error> {
    loop {
        let mut connection = pool.acquire().await?;
        let answer = timeout(answer_within, is_read_only(&mut connection)).await;
        if let Ok(Ok(false)) = answer {
            return Ok(connection);
        }
        connection.close_on_drop();
        if let Ok(Ok(true)) = answer {
            return Err(Error::unavailable("the server is read-only"));
        }
    }
}

async fn is_read_only(connection: &mut PoolConnection<Postgres>) -> Result<bool, sqlx::Error> {
    let row = sqlx::raw_sql("show transaction_read_only").fetch_one(&mut **connection).await?;
    Ok(row.try_get::<String, _>(0)? == "on")
}
