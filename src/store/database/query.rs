//! Queries: each is written once, in the subset that both databases speak, and run on the one in use.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::DerefMut;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query as Statement;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    Arguments, AssertSqlSafe, Encode, FromRow, PgConnection, Postgres, SqlSafeStr, SqlStr, Sqlite,
    SqliteConnection, Type,
};

use crate::store::database::dialect::{On, on};
use crate::store::database::postgres::Link;
use crate::store::error::{Cause, Error, violates};

/// The most items that one statement names; SQLite takes 32766 parameters.
pub(in crate::store) const MOST_ITEMS: usize = 500;

/// Rows as either database gave them.
pub(in crate::store) type Rows = On<Vec<PgRow>, Vec<SqliteRow>>;

/// What either database's rows can be read as.
pub(in crate::store) trait Row:
    for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{}

type PgStatement = Statement<'static, Postgres, PgArguments>;
type SqliteStatement = Statement<'static, Sqlite, SqliteArguments>;
type Paired<'c> =
    On<(PgStatement, &'c mut PgConnection), (SqliteStatement, &'c mut SqliteConnection)>;

/// A connection to run a query on.
struct Connection<'c> {
    link: On<&'c mut PgConnection, &'c mut SqliteConnection>,
    keeps_statements: bool,
}

/// A statement and its parameters, for the database that it was made for. A clone can be run again.
#[derive(Clone)]
pub(in crate::store) struct Query {
    sql: Cow<'static, str>,
    parameters: On<PgArguments, SqliteArguments>,
    /// Whether a parameter could not be encoded.
    is_broken: bool,
}

impl Query {
    /// Sets the next parameter.
    pub(in crate::store) fn bind<'v, T>(mut self, value: T) -> Query
    where
        T: Encode<'v, Postgres> + Type<Postgres> + Encode<'v, Sqlite> + Type<Sqlite>,
    {
        let added = match &mut self.parameters {
            On::Postgres(parameters) => parameters.add(value),
            On::Sqlite(parameters) => parameters.add(value),
        };
        self.is_broken |= added.is_err();
        self
    }

    async fn fetch_all(self, connection: Connection<'_>) -> Result<Rows, Error> {
        Ok(match self.paired(connection)? {
            On::Postgres((statement, connection)) => {
                On::Postgres(statement.fetch_all(connection).await?)
            }
            On::Sqlite((statement, connection)) => {
                On::Sqlite(statement.fetch_all(connection).await?)
            }
        })
    }

    /// At most one row.
    async fn fetch_first(self, connection: Connection<'_>) -> Result<Rows, Error> {
        Ok(match self.paired(connection)? {
            On::Postgres((statement, connection)) => {
                On::Postgres(statement.fetch_optional(connection).await?.into_iter().collect())
            }
            On::Sqlite((statement, connection)) => {
                On::Sqlite(statement.fetch_optional(connection).await?.into_iter().collect())
            }
        })
    }

    async fn execute(self, connection: Connection<'_>, unique: Option<&str>) -> Result<u64, Error> {
        let affected = on!(self.paired(connection)?, (statement, connection) => {
            statement.execute(connection).await.map(|result| result.rows_affected())
        });
        affected.map_err(|error| match unique {
            Some(name) if violates(&error, name) => Error::AlreadyExists,
            _ => error.into(),
        })
    }

    /// Text that depends on the number of parameters is not worth keeping prepared.
    fn paired(self, connection: Connection<'_>) -> Result<Paired<'_>, Error> {
        if self.is_broken {
            return Err(Error::Query(Cause::new("a parameter cannot be encoded")));
        }
        let is_kept = connection.keeps_statements && matches!(self.sql, Cow::Borrowed(_));
        let sql: SqlStr = match self.sql {
            Cow::Borrowed(text) => text.into_sql_str(),
            Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
        };
        match (self.parameters, connection.link) {
            (On::Postgres(parameters), On::Postgres(link)) => {
                Ok(On::Postgres((sqlx::query_with(sql, parameters).persistent(is_kept), link)))
            }
            (On::Sqlite(parameters), On::Sqlite(link)) => {
                Ok(On::Sqlite((sqlx::query_with(sql, parameters).persistent(is_kept), link)))
            }
            _ => Err(Error::Query(Cause::new("the query is for the other database"))),
        }
    }
}

impl Rows {
    /// Only this is compiled for each type that rows are read as; fetching is much code.
    pub(in crate::store) fn read<R: Row>(self) -> Result<Vec<R>, Error> {
        let read: Result<Vec<R>, sqlx::Error> = on!(&self, rows => {
            rows.iter().map(R::from_row).collect()
        });
        Ok(read?)
    }

    pub(in crate::store) fn read_first<R: Row>(self) -> Result<Option<R>, Error> {
        let read = on!(&self, rows => rows.first().map(R::from_row).transpose());
        Ok(read?)
    }
}

impl<P, S> On<P, S> {
    /// A query for this database.
    pub(in crate::store) fn query(&self, sql: &'static str) -> Query {
        self.query_text(Cow::Borrowed(sql))
    }

    /// A query whose text depends on the number of its parameters.
    pub(in crate::store) fn query_of_many(&self, sql: String) -> Query {
        self.query_text(Cow::Owned(sql))
    }

    fn query_text(&self, sql: Cow<'static, str>) -> Query {
        let parameters = match self {
            On::Postgres(_) => On::Postgres(PgArguments::default()),
            On::Sqlite(_) => On::Sqlite(SqliteArguments::default()),
        };
        Query { sql, parameters, is_broken: false }
    }
}

/// What can be done on a connection or in a transaction.
impl<P, S> On<P, S>
where
    P: Link,
    S: DerefMut<Target = SqliteConnection>,
{
    fn connection(&mut self) -> Connection<'_> {
        let keeps_statements = match self {
            On::Postgres(link) => link.keeps_statements(),
            On::Sqlite(_) => true,
        };
        let link = match self {
            On::Postgres(link) => On::Postgres(&mut **link),
            On::Sqlite(link) => On::Sqlite(&mut **link),
        };
        Connection { link, keeps_statements }
    }

    pub(in crate::store) async fn rows(&mut self, query: Query) -> Result<Rows, Error> {
        query.fetch_all(self.connection()).await
    }

    pub(in crate::store) async fn first_row(&mut self, query: Query) -> Result<Rows, Error> {
        query.fetch_first(self.connection()).await
    }

    pub(in crate::store) async fn fetch_all<R: Row>(
        &mut self,
        query: Query,
    ) -> Result<Vec<R>, Error> {
        self.rows(query).await?.read()
    }

    pub(in crate::store) async fn fetch_optional<R: Row>(
        &mut self,
        query: Query,
    ) -> Result<Option<R>, Error> {
        self.first_row(query).await?.read_first()
    }

    pub(in crate::store) async fn fetch_one<R: Row>(&mut self, query: Query) -> Result<R, Error> {
        let first = self.fetch_optional(query).await?;
        first.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Returns the number of rows that the query affected.
    pub(in crate::store) async fn execute(&mut self, query: Query) -> Result<u64, Error> {
        query.execute(self.connection(), None).await
    }

    /// The same; `AlreadyExists` where the unique constraint or index `name` is violated.
    pub(in crate::store) async fn execute_unique(
        &mut self,
        query: Query,
        name: &str,
    ) -> Result<u64, Error> {
        query.execute(self.connection(), Some(name)).await
    }
}

/// `($1, $2), ($3, $4)`: `count` tuples of `width` parameters, starting at `first`.
pub(in crate::store) fn tuples(first: usize, width: usize, count: usize) -> String {
    let mut text = String::with_capacity(count * width * 8);
    for index in 0..count * width {
        let before = match (index % width, index) {
            (0, 0) => "(",
            (0, _) => "), (",
            _ => ", ",
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{before}${}", first + index);
    }
    text.push(')');
    text
}
