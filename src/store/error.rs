//! What can go wrong in the store, as far as a caller can act on it. Nothing here can hold a bound value or a password.

use std::fmt;

use sqlx::error::DatabaseError;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Retrying later may help: no connection in time, a server stopping, starting or read-only, a full disk, a lock.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
    /// Nothing was stored; the store itself does such work again.
    #[error("the database rolled a transaction back")]
    RolledBack(#[source] Cause),
    /// The connection was lost while a change was committed, and the database could not be asked how that ended.
    #[error("it is unknown whether the database stored the change")]
    OutcomeUnknown(#[source] Cause),
    #[error(
        "the database schema has version {found}, newer than this program's {known}, and takes programs of version {oldest_program} and later: run a newer countersign"
    )]
    SchemaTooNew { found: i64, known: i64, oldest_program: i64 },
    #[error(
        "the database schema has version {found}, but must have {known}; run `countersign migrate`"
    )]
    SchemaTooOld { found: i64, known: i64 },
    #[error(
        "the database was created by a development version, before 0.1.0, and cannot be brought up to date: use an empty one"
    )]
    SchemaOfDevelopment,
    /// A named constraint was violated.
    #[error("it already exists")]
    AlreadyExists,
    /// The settings name no usable database.
    #[error("the database settings are invalid")]
    Settings(#[source] Cause),
    #[error("a database query failed")]
    Query(#[source] Cause),
    #[error("an event could not be sealed")]
    NotProven,
    /// A row that this program never writes: something else wrote it.
    #[error("a row cannot be read")]
    Unreadable(#[source] Cause),
}

/// The reason, in our own words or the server's first line.
///
/// The driver's errors are not kept: their `Debug` shows rows (`Key (name)=(…) already exists`), values that
/// do not decode, and parts of a URL that does not parse.
#[derive(Clone, Eq, PartialEq)]
pub struct Cause {
    text: String,
    /// Whether the connection to the server ended.
    is_lost_session: bool,
    /// Whether the database has no room, or may not be written.
    refuses_writes: bool,
}

impl Cause {
    pub(crate) fn new(text: impl Into<String>) -> Cause {
        Cause { text: text.into(), is_lost_session: false, refuses_writes: false }
    }
}

impl Error {
    pub(crate) fn unavailable(text: &str) -> Error {
        Error::Unavailable(Cause::new(text))
    }

    pub(crate) fn settings(text: &str) -> Error {
        Error::Settings(Cause::new(text))
    }

    /// Whether the connection to the server ended. What was not committed by then was rolled back.
    pub(crate) fn is_lost_session(&self) -> bool {
        matches!(self, Error::Unavailable(cause) if cause.is_lost_session)
    }

    pub(crate) fn into_cause(self) -> Cause {
        match self {
            Error::Unavailable(cause)
            | Error::RolledBack(cause)
            | Error::OutcomeUnknown(cause)
            | Error::Settings(cause)
            | Error::Query(cause)
            | Error::Unreadable(cause) => cause,
            error => Cause::new(error.to_string()),
        }
    }

    /// A column that holds what this program never writes.
    pub(crate) fn unreadable(column: &str) -> Error {
        Error::Unreadable(Cause::new(format!("{column} holds a value that cannot be read")))
    }
}

/// Whether `error` says that the unique constraint or index `name` is violated.
pub(crate) fn violates(error: &sqlx::Error, name: &str) -> bool {
    error.as_database_error().is_some_and(|error| {
        // SQLite gives the name only in its message.
        error.is_unique_violation()
            && (error.constraint() == Some(name) || error.message().ends_with(&format!("'{name}'")))
    })
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        let cause = Cause {
            text: describe(&error),
            is_lost_session: ends_session(&error),
            refuses_writes: refuses_writes(&error),
        };
        if is_rolled_back(&error) {
            Error::RolledBack(cause)
        } else if waiting_helps(&error) {
            Error::Unavailable(cause)
        } else {
            Error::Query(cause)
        }
    }
}

fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => {
            format!("{} ({})", error.message(), error.code().unwrap_or_default())
        }
        sqlx::Error::Io(error) => format!("connection: {error}"),
        sqlx::Error::Tls(error) => format!("TLS: {error}"),
        sqlx::Error::PoolTimedOut => "no connection in time".to_owned(),
        sqlx::Error::PoolClosed => "closed".to_owned(),
        sqlx::Error::WorkerCrashed => "the driver's thread has stopped".to_owned(),
        sqlx::Error::ColumnDecode { index, .. } => format!("column {index} does not decode"),
        sqlx::Error::RowNotFound => "a row is missing".to_owned(),
        sqlx::Error::Protocol(_) => "the server does not speak the protocol".to_owned(),
        _ => "the driver failed".to_owned(),
    }
}

/// By SQLSTATE: a transaction that could not be serialised with others, or was the victim of a deadlock.
fn is_rolled_back(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "40001" | "40P01"))
}

/// By SQLSTATE: a server that stops or crashed, a transaction that was idle for too long, a pooler that lost its server.
/// Refusals to connect are something else.
fn ends_session(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            matches!(&*code, "25P03" | "57P01" | "57P02" | "57P05") || code.starts_with("08")
        }
        _ => false,
    }
}

/// By SQLSTATE: read-only, a full disk; by SQLite's primary result code: read-only, I/O, full.
fn refuses_writes(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        matches!(code.parse::<i32>().unwrap_or_default() & 0xff, 8 | 10 | 13)
    } else {
        matches!(&*code, "25006" | "53100")
    }
}

fn waiting_helps(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_)
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(error) => error
            .try_downcast_ref::<sqlx::sqlite::SqliteError>()
            .map_or_else(|| postgres_recovers(error.as_ref()), |error| sqlite_recovers(error)),
        _ => false,
    }
}

/// By SQLSTATE: connections, sign-in, read-only after a failover, a transaction idle for too long, resources, locks,
/// shutdown and timeouts.
fn postgres_recovers(error: &dyn DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    matches!(&*code, "25006" | "25P03" | "55P03" | "57014")
        || ["08", "28", "53", "57P", "58"].iter().any(|class| code.starts_with(class))
}

/// By primary result code: busy, locked, read-only, I/O, full, cannot open.
fn sqlite_recovers(error: &dyn DatabaseError) -> bool {
    let code = error.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
    matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14)
}

impl Error {
    /// Why the database takes no writes, if that is what this error shows.
    pub fn refused_write(&self) -> Option<&Cause> {
        match self {
            Error::Unavailable(cause) if cause.refuses_writes => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Cause {}
