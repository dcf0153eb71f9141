//! The two databases side by side: one of two values, and connections to whichever database is there.

use sqlx::pool::PoolConnection;
use sqlx::{Connection, Postgres, Sqlite, Transaction};

use crate::store::Error;
use crate::store::database::postgres::Loan;

/// A value for one database or the other.
#[derive(Clone)]
pub(crate) enum On<P, S> {
    Postgres(P),
    Sqlite(S),
}

/// A connection, given back to its pool when dropped.
pub(crate) type Lease = On<Loan, PoolConnection<Sqlite>>;

/// A transaction, rolled back unless committed.
pub(crate) type Work<'c> = On<Transaction<'c, Postgres>, Transaction<'c, Sqlite>>;

/// Runs the same text with the value of either database as `$value`.
macro_rules! on {
    ($on:expr, $value:pat => $body:expr) => {
        match $on {
            $crate::store::database::dialect::On::Postgres($value) => $body,
            $crate::store::database::dialect::On::Sqlite($value) => $body,
        }
    };
}
pub(in crate::store::database) use on;

impl Lease {
    /// Begins a transaction that may write.
    pub(crate) async fn begin(&mut self) -> Result<Work<'_>, Error> {
        Ok(match self {
            On::Postgres(connection) => On::Postgres(Connection::begin(&mut **connection).await?),
            // A plain `begin` takes the lock at the first write, and then fails at once where it should wait.
            On::Sqlite(connection) => {
                On::Sqlite(Connection::begin_with(&mut **connection, "begin immediate").await?)
            }
        })
    }
}

impl Work<'_> {
    pub(crate) async fn commit(self) -> Result<(), Error> {
        Ok(on!(self, transaction => transaction.commit().await)?)
    }
}
