//! PostgreSQL: the pool, and connections that are alive and may write.

use std::error::Error as _;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection, PgPool, Postgres, Row};
use tokio::runtime::Handle;
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

/// Reads the URL; no part of it goes into an error, since any part may be the password.
pub(crate) fn options(settings: &config::Database) -> Result<PgConnectOptions, Error> {
    let url = settings.url.expose();
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    // Otherwise a password with one of these would be taken for a host and a port, which errors may show.
    let rest = address.splitn(3, '/').nth(2).and_then(|path| path.split_once(['/', '#']));
    if rest.is_some_and(|(_, host)| host.contains('@')) {
        return Err(Error::settings(
            "the URL cannot be read; write a / inside a password as %2F, a # as %23",
        ));
    }
    let known =
        |pair: &str| PARAMETERS.contains(&pair.split_once('=').map_or(pair, |(key, _)| key));
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
    let milliseconds = |time: Duration| time.as_millis().to_string();
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
    PgPoolOptions::new()
        .max_connections(settings.connections)
        .acquire_timeout(settings.wait)
        .max_lifetime(settings.connection_life)
        // `lend` does its own test, which also checks that the server accepts writes.
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// Why the first connection failed, with the server's host and port. The pool retries a server that refuses until its
/// time is up, and then reports only the timeout.
pub(crate) async fn locate(error: Error, pool: &PgPool, limit: Duration) -> Error {
    let options = pool.connect_options();
    let error = match timeout(limit, options.connect()).await {
        Ok(Err(refused)) => refused.into(),
        _ => error,
    };
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let host =
        options.get_socket().map_or(options.get_host().into(), |socket| socket.to_string_lossy());
    Error::unavailable(&format!("host {host}, port {}: {cause}", options.get_port()))
}

/// A connection on loan, which goes back to its pool when dropped.
pub(crate) struct Loan {
    connection: PoolConnection<Postgres>,
    answer_within: Duration,
    is_sound: bool,
}

/// A connection that has just answered and whose server is not a standby. Dead connections are closed on the way.
pub(crate) async fn lend(pool: &PgPool, answer_within: Duration) -> Result<Loan, Error> {
    loop {
        let mut loan = Loan { connection: pool.acquire().await?, answer_within, is_sound: true };
        let answer = timeout(answer_within, is_read_only(&mut loan)).await;
        if let Ok(Ok(false)) = answer {
            return Ok(loan);
        }
        loan.is_sound = false;
        if let Ok(Ok(true)) = answer {
            return Err(Error::unavailable("the server is read-only"));
        }
    }
}

async fn is_read_only(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::raw_sql("show transaction_read_only").fetch_one(connection).await?;
    Ok(row.try_get::<String, _>(0)? == "on")
}

impl Drop for Loan {
    /// Gives the driver a limit: it waits for an answer before the connection is back in the pool, and
    /// when the server is out of reach that would take its place in the pool until TCP gives up.
    fn drop(&mut self) {
        if !self.is_sound {
            self.connection.close_on_drop();
        } else if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(self.answer_within, self.connection.return_to_pool()));
        }
    }
}

impl Deref for Loan {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
