//! PostgreSQL: what is asked of a connection, with or without a pooler on the way, and connections on loan that have
//! just answered and may write.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, PgPool, Postgres, Row};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::config::{self, Pooler};
use crate::store::Error;

/// Asks whether the server is a standby, or was told to refuse writes.
const IS_READ_ONLY: &str = "show transaction_read_only";

/// What the settings ask of every connection.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) pooler: Pooler,
    connections: u32,
    wait: Duration,
    statement_timeout: Duration,
    connection_life: Duration,
}

impl Terms {
    pub(crate) fn of(settings: &config::Database) -> Terms {
        Terms {
            pooler: settings.pooler,
            connections: settings.connections,
            wait: settings.wait,
            statement_timeout: settings.statement_timeout,
            connection_life: settings.connection_life,
        }
    }

    /// The time limits that a session has, by the names of their parameters.
    fn limits(&self) -> [(&'static str, String); 2] {
        let milliseconds = |time: Duration| time.as_millis().to_string();
        [
            ("statement_timeout", milliseconds(self.statement_timeout)),
            // A replica that hangs inside a transaction must not hold the change counter's lock.
            ("idle_in_transaction_session_timeout", milliseconds(self.statement_timeout * 2)),
        ]
    }

    /// `options` with all that connecting asks for. A pooler takes no parameters but a few, and those not from us alone.
    pub(crate) fn apply(&self, mut options: PgConnectOptions) -> Result<PgConnectOptions, Error> {
        if options.get_application_name().is_none() {
            options = options.application_name("countersign");
        }
        if self.pooler == Pooler::None {
            options = options.options(self.limits());
        } else if options.get_options().is_some_and(|text| !text.is_empty()) {
            return Err(Error::settings(
                "database.url: the parameter options (or the environment variable PGOPTIONS) cannot pass a pooler; remove it, and use `alter role … set`",
            ));
        } else {
            options = options.extra_float_digits(None);
        }
        Ok(options.disable_statement_logging())
    }

    /// A pool that is not connected yet.
    pub(crate) fn pool(&self, options: PgConnectOptions) -> PgPool {
        let pool = PgPoolOptions::new()
            .max_connections(self.connections)
            .acquire_timeout(self.wait)
            .max_lifetime(self.connection_life)
            // `Loan::check` does its own test.
            .test_before_acquire(false);
        let pool = match self.pooler {
            Pooler::None | Pooler::Transaction => pool,
            Pooler::Session => {
                let set = self.set("set");
                pool.after_connect(move |connection, _| {
                    let set = sqlx::raw_sql(AssertSqlSafe(set.clone()));
                    Box::pin(async move { set.execute(connection).await.map(drop) })
                })
            }
        };
        pool.connect_lazy_with(options)
    }

    /// The statement timeout as PostgreSQL shows it in `pg_settings`.
    pub(crate) fn statement_timeout(&self) -> String {
        self.statement_timeout.as_millis().to_string()
    }

    /// Statements that set the limits, beginning with `set` or `set local`.
    fn set(&self, set: &str) -> String {
        let [first, second] =
            self.limits().map(|(name, milliseconds)| format!("{set} {name} = {milliseconds}"));
        format!("{first}; {second}")
    }

    /// The statements that open a loan, as one message; the only row tells whether the server is read-only.
    fn open(&self, begins: bool) -> String {
        match (self.pooler, begins) {
            (Pooler::Transaction, _) => {
                format!("begin; {}; {IS_READ_ONLY}", self.set("set local"))
            }
            (_, true) => format!("begin; {IS_READ_ONLY}"),
            (_, false) => IS_READ_ONLY.to_owned(),
        }
    }
}

/// A connection to PostgreSQL.
pub(crate) trait Link: DerefMut<Target = PgConnection> {
    /// Whether a statement may stay prepared on it. Behind a pooler, the next statement may run on another connection
    /// to the server, and this one may be lent to somebody else.
    fn keeps_statements(&self) -> bool;
}

/// What tells a server from others, and from itself before its last start.
macro_rules! server {
    () => {
        "extract(epoch from pg_postmaster_start_time())::text"
    };
}

/// A transaction by the number that its server gave it.
pub(crate) struct TransactionId {
    number: i64,
    server: String,
}

/// A connection on loan, which goes back to its pool when dropped. A transaction that is not committed is rolled back.
pub(crate) struct Loan {
    /// `None` only while it is dropped.
    connection: Option<PoolConnection<Postgres>>,
    answer_within: Duration,
    pooler: Pooler,
    is_sound: bool,
    is_in_transaction: bool,
}

/// Why there is no loan.
pub(crate) enum Refused {
    /// By a server that does not take writes.
    ReadOnly,
    Failed(Error),
}

/// A connection that has just answered and whose server takes writes, in a transaction if it `begins` one or if it
/// comes from a pooler that may give the next transaction another connection. Dead connections are closed on the way.
pub(crate) async fn lend(
    pool: &PgPool,
    terms: &Terms,
    answer_within: Duration,
    begins: bool,
) -> Result<Loan, Refused> {
    let is_in_transaction = begins || terms.pooler == Pooler::Transaction;
    loop {
        let connection = pool.acquire().await.map_err(|error| Refused::Failed(error.into()))?;
        let mut loan = Loan {
            connection: Some(connection),
            answer_within,
            pooler: terms.pooler,
            is_sound: true,
            is_in_transaction,
        };
        match timeout(answer_within, is_read_only(&mut loan, terms.open(begins))).await {
            Ok(Ok(false)) => return Ok(loan),
            Ok(Ok(true)) => {
                loan.is_sound = false;
                return Err(Refused::ReadOnly);
            }
            Ok(Err(_)) | Err(_) => loan.is_sound = false,
        }
    }
}

/// Whether the server at the other end of a new connection takes writes.
pub(crate) async fn takes_writes(options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let mut connection = options.connect().await?;
    let is_read_only = is_read_only(&mut connection, IS_READ_ONLY.to_owned()).await;
    // The answer is there; how the connection ends does not matter.
    let _ = sqlx::Connection::close(connection).await;
    Ok(!is_read_only?)
}

async fn is_read_only(connection: &mut PgConnection, sql: String) -> Result<bool, sqlx::Error> {
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await?;
    Ok(row.try_get::<String, _>(0)? == "on")
}

impl Loan {
    /// By what others find out how the transaction ended; `None` if it has written nothing.
    pub(crate) async fn transaction(&mut self) -> Result<Option<TransactionId>, sqlx::Error> {
        let sql = concat!("select txid_current_if_assigned()::text, ", server!());
        let row = sqlx::raw_sql(sql).fetch_one(&mut **self).await?;
        let number = row.try_get::<Option<String>, _>(0)?.and_then(|number| number.parse().ok());
        let server = row.try_get(1)?;
        Ok(number.map(|number| TransactionId { number, server }))
    }

    /// The state of a transaction in the server's words; `None` if it does not know.
    pub(crate) async fn state_of(
        &mut self,
        id: &TransactionId,
    ) -> Result<Option<String>, sqlx::Error> {
        let number = id.number;
        let sql = format!(concat!("select txid_status({}), ", server!()), number);
        let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut **self).await?;
        let state: Option<String> = row.try_get(0)?;
        if row.try_get::<String, _>(1)? == id.server {
            return Ok(state);
        }
        // A server that was promoted without having heard of the transaction gives its number to another one. It
        // cannot be told from ours once it is committed; until then, ours is not.
        Ok(state.filter(|state| state != "committed").map(|_| "aborted".to_owned()))
    }

    pub(crate) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        sqlx::raw_sql("commit").execute(&mut **self).await?;
        self.is_in_transaction = false;
        Ok(())
    }

    /// Whether changes are notified. Behind a pooler nobody listens: the session that does would be lent to others.
    pub(crate) fn notifies(&self) -> bool {
        self.pooler == Pooler::None
    }

    /// Closes the connection instead of giving it back.
    pub(crate) fn discard(mut self) {
        self.is_sound = false;
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.is_sound {
            connection.close_on_drop();
            return;
        }
        let (limit, rolls_back) = (self.answer_within, self.is_in_transaction);
        runtime.spawn(async move {
            if rolls_back {
                let rolling_back = sqlx::raw_sql("rollback").execute(&mut *connection);
                if !matches!(timeout(limit, rolling_back).await, Ok(Ok(_))) {
                    connection.close_on_drop();
                    return;
                }
            }
            // The driver waits for an answer before the connection is back in the pool. When the server is out of
            // reach, that would take its place in the pool until TCP gives up.
            let _ = timeout(limit, connection.return_to_pool()).await;
        });
    }
}

impl Link for Loan {
    fn keeps_statements(&self) -> bool {
        self.pooler == Pooler::None
    }
}

impl Deref for Loan {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect("a loan has its connection until it is dropped")
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("a loan has its connection until it is dropped")
    }
}
