//! The two databases side by side: one of two values, and connections to whichever database is there.

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, Transaction};

use crate::store::database::postgres::Loan;

/// A value for one database or the other.
#[derive(Clone)]
pub(crate) enum On<P, S> {
    Postgres(P),
    Sqlite(S),
}

/// A connection to read with, given back to its pool when dropped.
pub(crate) type Lease = On<Loan, PoolConnection<Sqlite>>;

/// A transaction, rolled back unless `Store::commit` takes it.
pub(crate) type Work = On<Loan, Transaction<'static, Sqlite>>;

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

impl Work {
    /// Whether replicas are notified of changes, beside reading them every so often.
    pub(crate) fn notifies(&self) -> bool {
        matches!(self, On::Postgres(loan) if loan.notifies())
    }
}
