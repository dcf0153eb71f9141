//! Live replicas and their heartbeats. Ages are measured with the database's clock, so replicas' own may differ.

use std::time::Duration;

use time::OffsetDateTime;

use crate::store::database::dialect::on;
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

type Row = (String, String, String, OffsetDateTime, String, String, i64);

impl Store {
    /// Inserts a replica or renews its heartbeat and what it holds.
    pub async fn record_heartbeat(&self, replica: &Replica) -> Result<(), Error> {
        let sql = "insert into replica
                 (replica_id, host, version, started_at, vault_keys, vault_active, heard_at)
             select $1, $2, $3, $4, $5, $6, seconds from clock where true
             on conflict (replica_id) do update set
                 vault_keys = excluded.vault_keys,
                 vault_active = excluded.vault_active,
                 heard_at = excluded.heard_at";
        self.long(async {
            let mut lease = self.writer().await?;
            on!(&mut lease, it => sqlx::query(sql)
                .bind(&replica.id)
                .bind(&replica.host)
                .bind(&replica.version)
                .bind(whole_seconds(replica.started_at))
                .bind(replica.vault_keys.join(" "))
                .bind(&replica.vault_active)
                .execute(&mut **it)
                .await?
                .rows_affected());
            Ok(())
        })
        .await
    }

    /// Replicas whose last heartbeat is no older than `silence`, by host, each with the heartbeat's age.
    pub async fn list_replicas(
        &self,
        silence: Duration,
    ) -> Result<Vec<(Replica, Duration)>, Error> {
        let sql = "select replica_id, host, version, started_at, vault_keys, vault_active,
                 seconds - heard_at
             from replica cross join clock where seconds - heard_at <= $1
             order by host, replica_id";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<Row> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(seconds(silence))
                .fetch_all(&mut **it)
                .await?);
            Ok(rows.into_iter().map(replica).collect())
        })
        .await
    }

    /// Removes replicas whose last heartbeat is older than `silence`.
    pub async fn prune_replicas(&self, silence: Duration) -> Result<(), Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let sql = "delete from replica where heard_at < (select seconds from clock) - $1";
            on!(&mut lease, it => sqlx::query(sql)
                .bind(seconds(silence))
                .execute(&mut **it)
                .await?
                .rows_affected());
            Ok(())
        })
        .await
    }

    pub async fn remove_replica(&self, id: &str) -> Result<(), Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let sql = "delete from replica where replica_id = $1";
            on!(&mut lease, it => sqlx::query(sql).bind(id).execute(&mut **it).await?.rows_affected());
            Ok(())
        })
        .await
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn replica(
    (id, host, version, started_at, keys, vault_active, silent): Row,
) -> (Replica, Duration) {
    let vault_keys = keys.split_whitespace().map(str::to_owned).collect();
    let replica = Replica { id, host, version, started_at, vault_keys, vault_active };
    (replica, Duration::from_secs(u64::try_from(silent).unwrap_or_default()))
}
