//! Migrations: applied once and in order, however many replicas start at the same time.

use time::OffsetDateTime;

use crate::store::database::dialect::{On, Work};
use crate::store::{Error, Store, whole_seconds};

struct Migration {
    version: i64,
    name: &'static str,
    postgres: &'static str,
    sqlite: &'static str,
}

/// In order; a version that has been released never changes.
const MIGRATIONS: [Migration; 10] = [
    Migration {
        version: 1,
        name: "initial",
        postgres: include_str!("../../../migrations/postgres/0001_initial.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0001_initial.sql"),
    },
    Migration {
        version: 2,
        name: "handshake",
        postgres: include_str!("../../../migrations/postgres/0002_handshake.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0002_handshake.sql"),
    },
    Migration {
        version: 3,
        name: "webhook",
        postgres: include_str!("../../../migrations/postgres/0003_webhook.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0003_webhook.sql"),
    },
    Migration {
        version: 4,
        name: "author",
        postgres: include_str!("../../../migrations/postgres/0004_author.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0004_author.sql"),
    },
    Migration {
        version: 5,
        name: "usage",
        postgres: include_str!("../../../migrations/postgres/0005_usage.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0005_usage.sql"),
    },
    Migration {
        version: 6,
        name: "console",
        postgres: include_str!("../../../migrations/postgres/0006_console.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0006_console.sql"),
    },
    Migration {
        version: 7,
        name: "told",
        postgres: include_str!("../../../migrations/postgres/0007_told.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0007_told.sql"),
    },
    Migration {
        version: 8,
        name: "replica",
        postgres: include_str!("../../../migrations/postgres/0008_replica.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0008_replica.sql"),
    },
    Migration {
        version: 9,
        name: "proof",
        postgres: include_str!("../../../migrations/postgres/0009_proof.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0009_proof.sql"),
    },
    Migration {
        version: 10,
        name: "author_change",
        postgres: include_str!("../../../migrations/postgres/0010_author_change.sql"),
        sqlite: include_str!("../../../migrations/sqlite/0010_author_change.sql"),
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
}

impl Store {
    /// Brings the schema up to date, waiting for any other process doing so; returns the versions that were missing.
    pub async fn migrate(&self, now: OffsetDateTime) -> Result<Vec<i64>, Error> {
        let mut lease = self.writer().await?;
        let mut work = lease.begin().await?;
        wait_for_turn(&mut work).await?;
        create_version_table(&mut work).await?;
        let found = version(&mut work).await?;
        refuse_newer(found)?;
        let mut applied = Vec::new();
        for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
            apply(&mut work, migration, now).await?;
            applied.push(migration.version);
        }
        work.commit().await?;
        Ok(applied)
    }

    pub async fn schema(&self) -> Result<Schema, Error> {
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let exists = match &lease {
                On::Postgres(_) => {
                    "select count(*) from pg_class where oid = to_regclass('schema_version')"
                }
                On::Sqlite(_) => "select count(*) from sqlite_schema where name = 'schema_version'",
            };
            let (tables,): (i64,) = lease.fetch_one(lease.query(exists)).await?;
            let (found,) =
                if tables == 0 { (0,) } else { lease.fetch_one(lease.query(LATEST)).await? };
            Ok(Schema { found, known: known() })
        })
        .await
    }

    /// Refuses a schema that this program cannot work with.
    pub async fn check_schema(&self) -> Result<(), Error> {
        let Schema { found, known } = self.schema().await?;
        refuse_newer(found)?;
        if found < known { Err(Error::SchemaTooOld { found, known }) } else { Ok(()) }
    }
}

const LATEST: &str = "select coalesce(max(version), 0) from schema_version";

fn known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

fn refuse_newer(found: i64) -> Result<(), Error> {
    let known = known();
    if found > known { Err(Error::SchemaTooNew { found, known }) } else { Ok(()) }
}

/// On SQLite, `begin immediate` already gave the turn. The lock ends with the transaction, so that a pooler between
/// here and the server cannot strand it; waiting for it may take longer than other statements may.
async fn wait_for_turn(work: &mut Work<'_>) -> Result<(), Error> {
    if let On::Postgres(transaction) = work {
        sqlx::raw_sql("set local statement_timeout = 0").execute(&mut **transaction).await?;
        work.execute(work.query("select pg_advisory_xact_lock($1)").bind(LOCK)).await?;
    }
    Ok(())
}

async fn create_version_table(work: &mut Work<'_>) -> Result<(), Error> {
    let sql = match work {
        On::Postgres(_) => {
            "create table if not exists schema_version (
                version    bigint not null,
                name       text not null,
                applied_at timestamptz not null,
                constraint schema_version_pkey primary key (version)
            )"
        }
        On::Sqlite(_) => {
            "create table if not exists schema_version (
                version    integer not null,
                name       text not null,
                applied_at text not null,
                constraint schema_version_pkey primary key (version)
            ) strict"
        }
    };
    work.execute(work.query(sql)).await.map(drop)
}

async fn version(work: &mut Work<'_>) -> Result<i64, Error> {
    let (version,) = work.fetch_one(work.query(LATEST)).await?;
    Ok(version)
}

async fn apply(
    work: &mut Work<'_>,
    migration: &Migration,
    now: OffsetDateTime,
) -> Result<(), Error> {
    match work {
        On::Postgres(transaction) => {
            sqlx::raw_sql(migration.postgres).execute(&mut **transaction).await.map(drop)?;
        }
        On::Sqlite(transaction) => {
            sqlx::raw_sql(migration.sqlite).execute(&mut **transaction).await.map(drop)?;
        }
    }
    let sql = "insert into schema_version (version, name, applied_at) values ($1, $2, $3)";
    let query =
        work.query(sql).bind(migration.version).bind(migration.name).bind(whole_seconds(now));
    work.execute(query).await.map(drop)
}
