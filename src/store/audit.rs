//! The audit log: who changed what, newest first.

use time::OffsetDateTime;

use crate::model::audit::Entry;
use crate::store::backend::{Work, on};
use crate::store::{Error, Store, whole_seconds};

type Row = (i64, OffsetDateTime, String, String, String, String);

impl Store {
    /// Up to `limit` entries, newest first, all older than `before`.
    pub async fn list_audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<Entry>, Error> {
        let sql = "select audit_id, recorded_at, actor, action, subject, detail
             from audit where audit_id < $1 order by audit_id desc limit $2";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<Row> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(before.unwrap_or(i64::MAX))
                .bind(i64::from(limit))
                .fetch_all(&mut **it)
                .await?);
            Ok(rows.into_iter().map(entry).collect())
        })
        .await
    }

    /// The newest entries about one thing.
    pub async fn list_audit_of(&self, subject: &str, limit: u32) -> Result<Vec<Entry>, Error> {
        let sql = "select audit_id, recorded_at, actor, action, subject, detail
             from audit where subject = $1 order by audit_id desc limit $2";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<Row> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(subject)
                .bind(i64::from(limit))
                .fetch_all(&mut **it)
                .await?);
            Ok(rows.into_iter().map(entry).collect())
        })
        .await
    }

    /// Records something that changes no row.
    pub async fn insert_audit(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        detail: &str,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let mut work = lease.begin().await?;
            let line = Line { actor, action, subject, detail };
            record(&mut work, &line, now).await?;
            work.commit().await
        })
        .await
    }
}

/// An entry about to be written.
pub(crate) struct Line<'a> {
    pub(crate) actor: &'a str,
    pub(crate) action: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) detail: &'a str,
}

/// Writes an entry into the transaction that makes the change.
pub(crate) async fn record(
    work: &mut Work<'_>,
    line: &Line<'_>,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let sql = "insert into audit (recorded_at, actor, action, subject, detail)
         values ($1, $2, $3, $4, $5)";
    on!(work, it => sqlx::query(sql)
        .bind(whole_seconds(now))
        .bind(line.actor)
        .bind(line.action)
        .bind(line.subject)
        .bind(line.detail)
        .execute(&mut **it)
        .await?.rows_affected());
    Ok(())
}

fn entry((id, at, actor, action, subject, detail): Row) -> Entry {
    Entry { id, at, actor, action, subject, detail }
}
