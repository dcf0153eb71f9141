//! Live replicas and their heartbeats. Ages are measured with the database's clock, so replicas' own may differ.

use std::time::Duration;

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::store::{Error, Store, whole_seconds};

/// A gateway that serves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replica {
    pub id: String,
    pub host: String,
    pub version: String,
    pub started_at: OffsetDateTime,
    /// The ids of the vault keys that it holds.
    pub vault_keys: Vec<String>,
    /// The id of the vault key that it seals with.
    pub vault_active: String,
}

macro_rules! columns {
    () => {
        "replica_id, host, version, started_at, vault_keys, vault_active"
    };
}

/// A row of `replica`, and the age of its heartbeat.
#[derive(FromRow)]
struct Row {
    replica_id: String,
    host: String,
    version: String,
    started_at: OffsetDateTime,
    vault_keys: String,
    vault_active: String,
    age: i64,
}

impl Store {
    /// Inserts a replica or renews its heartbeat and what it holds.
    pub async fn record_heartbeat(&self, replica: &Replica) -> Result<(), Error> {
        let sql = concat!(
            "insert into replica (",
            columns!(),
            ", heard_at)
             select $1, $2, $3, $4, $5, $6, seconds from clock where true
             on conflict (replica_id) do update set
                 vault_keys = excluded.vault_keys,
                 vault_active = excluded.vault_active,
                 heard_at = excluded.heard_at"
        );
        let query = self
            .query(sql)
            .bind(&replica.id)
            .bind(&replica.host)
            .bind(&replica.version)
            .bind(whole_seconds(replica.started_at))
            .bind(replica.vault_keys.join(" "))
            .bind(&replica.vault_active);
        self.execute(query).await.map(drop)
    }

    /// Replicas whose last heartbeat is no older than `silence`, by host, each with the heartbeat's age.
    pub async fn list_replicas(
        &self,
        silence: Duration,
    ) -> Result<Vec<(Replica, Duration)>, Error> {
        let sql = concat!(
            "select ",
            columns!(),
            ", seconds - heard_at as age
             from replica cross join clock where seconds - heard_at <= $1
             order by host, replica_id"
        );
        let rows: Vec<Row> = self.fetch_all(self.query(sql).bind(seconds(silence))).await?;
        Ok(rows.into_iter().map(replica).collect())
    }

    /// Removes replicas whose last heartbeat is older than `silence`.
    pub async fn prune_replicas(&self, silence: Duration) -> Result<(), Error> {
        let sql = "delete from replica where heard_at < (select seconds from clock) - $1";
        self.execute(self.query(sql).bind(seconds(silence))).await.map(drop)
    }

    pub async fn remove_replica(&self, id: &str) -> Result<(), Error> {
        let sql = "delete from replica where replica_id = $1";
        self.execute(self.query(sql).bind(id)).await.map(drop)
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn replica(row: Row) -> (Replica, Duration) {
    let replica = Replica {
        id: row.replica_id,
        host: row.host,
        version: row.version,
        started_at: row.started_at,
        vault_keys: row.vault_keys.split_whitespace().map(str::to_owned).collect(),
        vault_active: row.vault_active,
    };
    (replica, Duration::from_secs(u64::try_from(row.age).unwrap_or_default()))
}
