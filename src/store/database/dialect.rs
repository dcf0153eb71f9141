//! The two databases side by side: a query is written once and run on whichever is there.

use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, Postgres, Sqlite, SqliteConnection, Transaction};

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

/// Runs the same text with the connection of either database under the name `$it`.
macro_rules! on {
    ($on:expr, $it:ident => $body:expr) => {
        match $on {
            $crate::store::database::dialect::On::Postgres($it) => $body,
            $crate::store::database::dialect::On::Sqlite($it) => $body,
        }
    };
}
pub(crate) use on;

impl Lease {
    pub(crate) fn connection(&mut self) -> On<&mut PgConnection, &mut SqliteConnection> {
        match self {
            On::Postgres(lease) => On::Postgres(&mut **lease),
            On::Sqlite(lease) => On::Sqlite(&mut **lease),
        }
    }

    /// Begins a transaction that may write.
    pub(crate) async fn begin(&mut self) -> Result<Work<'_>, Error> {
        Ok(match self {
            On::Postgres(it) => On::Postgres(Connection::begin(&mut **it).await?),
            // A plain `begin` takes the lock at the first write, and then fails at once where it should wait.
            On::Sqlite(it) => {
                On::Sqlite(Connection::begin_with(&mut **it, "begin immediate").await?)
            }
        })
    }
}

impl Work<'_> {
    pub(crate) fn connection(&mut self) -> On<&mut PgConnection, &mut SqliteConnection> {
        match self {
            On::Postgres(work) => On::Postgres(&mut **work),
            On::Sqlite(work) => On::Sqlite(&mut **work),
        }
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        Ok(on!(self, it => it.commit().await)?)
    }
}
