//! Migrations: applied once and in order, however many replicas start at the same time.
//!
//! A schema first expands and contracts a version later: each version names the oldest program that still works on it,
//! so that during a rolling upgrade, or after one is taken back, the previous program starts and works.

use std::ops::DerefMut;

use sqlx::SqliteConnection;
use time::OffsetDateTime;

use crate::store::database::dialect::{On, Work};
use crate::store::database::postgres::Link;
use crate::store::{Error, Store, whole_seconds};

/// One step from a schema version to the next.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub version: i64,
    pub name: &'static str,
    /// The oldest program that works on the schema after this step, by the version that it needs.
    pub oldest_program: i64,
    postgres: &'static str,
    sqlite: &'static str,
}

/// In order; a version that has been released never changes.
const MIGRATIONS: [Migration; 7] = [
    Migration {
        version: 1,
        name: "initial",
        oldest_program: 1,
        postgres: include_str!("../../../migrations/postgres/0001_initial.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0001_initial.sql"),
    },
    Migration {
        version: 2,
        name: "events_in_parallel",
        // The first program cannot read a change of several accounts.
        oldest_program: 2,
        postgres: include_str!("../../../migrations/postgres/0002_events_in_parallel.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0002_events_in_parallel.sql"),
    },
    Migration {
        version: 3,
        name: "quotas",
        // The second program refuses keys with limits, which it does not know.
        oldest_program: 2,
        postgres: include_str!("../../../migrations/postgres/0003_quotas.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0003_quotas.sql"),
    },
    Migration {
        version: 4,
        name: "browser_tokens",
        // Earlier programs refuse keys that may make tokens, and read no withdrawals.
        oldest_program: 2,
        postgres: include_str!("../../../migrations/postgres/0004_browser_tokens.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0004_browser_tokens.sql"),
    },
    Migration {
        version: 5,
        name: "causes",
        oldest_program: 2,
        postgres: include_str!("../../../migrations/postgres/0005_causes.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0005_causes.sql"),
    },
    Migration {
        version: 6,
        name: "posts_of_authors",
        oldest_program: 2,
        postgres: include_str!("../../../migrations/postgres/0006_posts_of_authors.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0006_posts_of_authors.sql"),
    },
    Migration {
        version: 7,
        name: "analysts",
        // Earlier programs refuse keys of analysts, and of auditors who may explore.
        oldest_program: 2,
        postgres: include_str!("../../../migrations/postgres/0007_analysts.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0007_analysts.sql"),
    },
];

/// Names the advisory lock under which PostgreSQL is migrated.
const LOCK: i64 = 0x636f_756e_7465_7273;

/// The schema version that the database has, and the one that this program needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schema {
    /// 0 for an empty database.
    pub found: i64,
    pub known: i64,
    /// The oldest program that the database admits, by the version that it needs; 0 for an empty database.
    pub oldest_program: i64,
}

impl Migration {
    /// The SQL of this step for the store's kind of database.
    pub fn sql(&self, store: &Store) -> &'static str {
        match store.pools {
            On::Postgres(_) => self.postgres,
            On::Sqlite(_) => self.sqlite,
        }
    }
}

impl Schema {
    /// Whether this program may work on the schema: it is the one that it needs, or a later one that admits it.
    fn check(self) -> Result<(), Error> {
        let Schema { found, known, oldest_program } = self;
        if found > known && oldest_program > known {
            return Err(Error::SchemaTooNew { found, known, oldest_program });
        }
        if found < known { Err(Error::SchemaTooOld { found, known }) } else { Ok(()) }
    }
}

impl Store {
    /// Brings the schema up to date, waiting for any other process doing so; returns the versions that were missing. A
    /// later schema that admits this program is left as it is.
    pub async fn migrate(&self, now: OffsetDateTime) -> Result<Vec<i64>, Error> {
        self.migrate_to(i64::MAX, now).await
    }

    /// `migrate`, but not beyond `version`.
    pub async fn migrate_to(&self, version: i64, now: OffsetDateTime) -> Result<Vec<i64>, Error> {
        self.try_again(|| async {
            let mut work = self.begin().await?;
            take_turn(&mut work).await?;
            create_version_table(&mut work).await?;
            let schema = read(&mut work).await?;
            let mut applied = Vec::new();
            for migration in pending(schema).filter(|migration| migration.version <= version) {
                apply(&mut work, migration, now).await?;
                applied.push(migration.version);
            }
            if schema.found > schema.known {
                schema.check()?;
            }
            self.commit(work).await?;
            Ok(applied)
        })
        .await
    }

    /// The steps that `migrate` would apply, in order.
    pub async fn pending_migrations(&self) -> Result<Vec<&'static Migration>, Error> {
        Ok(pending(self.schema().await?).collect())
    }

    pub async fn schema(&self) -> Result<Schema, Error> {
        self.read(|| async {
            let mut lease = self.reader(self.wait).await?;
            read(&mut lease).await
        })
        .await
    }

    /// Refuses a schema that this program cannot work with.
    pub async fn check_schema(&self) -> Result<(), Error> {
        self.schema().await?.check()
    }
}

const LATEST: &str =
    "select version, oldest_program from schema_version order by version desc limit 1";

fn pending(schema: Schema) -> impl Iterator<Item = &'static Migration> {
    MIGRATIONS.iter().filter(move |migration| migration.version > schema.found)
}

/// What the database says of its schema.
async fn read<P, S>(connection: &mut On<P, S>) -> Result<Schema, Error>
where
    P: Link,
    S: DerefMut<Target = SqliteConnection>,
{
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    let columns = connection.query(match connection {
        On::Postgres(_) => {
            "select attname::text from pg_attribute
             where attrelid = to_regclass('schema_version') and attnum > 0 and not attisdropped"
        }
        On::Sqlite(_) => "select name from pragma_table_info('schema_version')",
    });
    let columns: Vec<(String,)> = connection.fetch_all(columns).await?;
    if columns.is_empty() {
        return Ok(Schema { found: 0, known, oldest_program: 0 });
    }
    if !columns.iter().any(|(column,)| column == "oldest_program") {
        return Err(Error::SchemaOfDevelopment);
    }
    let latest = connection.fetch_optional(connection.query(LATEST)).await?;
    let (found, oldest_program) = latest.unwrap_or_default();
    Ok(Schema { found, known, oldest_program })
}

/// On SQLite, `begin immediate` already gave the turn. The lock ends with the transaction, so that a pooler between
/// here and the server cannot strand it; waiting for it may take longer than other statements may.
async fn take_turn(work: &mut Work) -> Result<(), Error> {
    if let On::Postgres(transaction) = work {
        sqlx::raw_sql("set local statement_timeout = 0").execute(&mut **transaction).await?;
        work.execute(work.query("select pg_advisory_xact_lock($1)").bind(LOCK)).await?;
    }
    Ok(())
}

async fn create_version_table(work: &mut Work) -> Result<(), Error> {
    let sql = match work {
        On::Postgres(_) => {
            "create table if not exists schema_version (
                version        bigint not null,
                name           text not null,
                oldest_program bigint not null,
                applied_at     timestamptz not null,
                constraint schema_version_pkey primary key (version)
            )"
        }
        On::Sqlite(_) => {
            "create table if not exists schema_version (
                version        integer not null,
                name           text not null,
                oldest_program integer not null,
                applied_at     text not null,
                constraint schema_version_pkey primary key (version)
            ) strict"
        }
    };
    work.execute(work.query(sql)).await.map(drop)
}

async fn apply(work: &mut Work, migration: &Migration, now: OffsetDateTime) -> Result<(), Error> {
    match work {
        On::Postgres(transaction) => {
            sqlx::raw_sql(migration.postgres).execute(&mut **transaction).await.map(drop)?;
        }
        On::Sqlite(transaction) => {
            sqlx::raw_sql(migration.sqlite).execute(&mut **transaction).await.map(drop)?;
        }
    }
    let sql = "insert into schema_version (version, name, oldest_program, applied_at)
         values ($1, $2, $3, $4)";
    let query = work
        .query(sql)
        .bind(migration.version)
        .bind(migration.name)
        .bind(migration.oldest_program)
        .bind(whole_seconds(now));
    work.execute(query).await.map(drop)
}
