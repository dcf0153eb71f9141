//! Sessions of admins signed in to the console.

use time::OffsetDateTime;

use crate::store::database::dialect::on;
use crate::store::{Error, Store, whole_seconds};

/// A session as stored. No `Debug`, so that no log line shows a session's proof.
#[derive(Clone, Eq, PartialEq)]
pub struct StoredSession {
    /// The hash of the browser's cookie.
    pub hash: Vec<u8>,
    pub key_id: String,
    pub started_at: OffsetDateTime,
    pub seen_at: OffsetDateTime,
    pub sealed_proof: Vec<u8>,
}

type Row = (Vec<u8>, String, OffsetDateTime, OffsetDateTime, Vec<u8>);

impl Store {
    pub async fn find_session(&self, hash: &[u8]) -> Result<Option<StoredSession>, Error> {
        let sql = "select session_hash, key_id, started_at, seen_at, sealed_proof
             from session where session_hash = $1";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let row: Option<Row> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(hash)
                .fetch_optional(&mut **it)
                .await?);
            Ok(row.map(stored))
        })
        .await
    }

    /// `find_session` for a session that may be made up: such look-ups are limited to a share of the connections.
    pub async fn find_doubtful_session(&self, hash: &[u8]) -> Result<Option<StoredSession>, Error> {
        self.long(async {
            let _turn = self.strangers.acquire().await;
            self.find_session(hash).await
        })
        .await
    }

    pub async fn insert_session(&self, session: &StoredSession) -> Result<(), Error> {
        let sql = "insert into session (session_hash, key_id, started_at, seen_at, sealed_proof)
             values ($1, $2, $3, $4, $5)";
        self.long(async {
            let mut lease = self.writer().await?;
            on!(&mut lease, it => sqlx::query(sql)
                .bind(&session.hash)
                .bind(&session.key_id)
                .bind(whole_seconds(session.started_at))
                .bind(whole_seconds(session.seen_at))
                .bind(&session.sealed_proof)
                .execute(&mut **it)
                .await?.rows_affected());
            Ok(())
        })
        .await
    }

    /// Sessions by hash, starting after `after`.
    pub async fn list_sessions(
        &self,
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<StoredSession>, Error> {
        let sql = "select session_hash, key_id, started_at, seen_at, sealed_proof
             from session where session_hash > $1 order by session_hash limit $2";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<Row> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(after)
                .bind(i64::from(limit))
                .fetch_all(&mut **it)
                .await?);
            Ok(rows.into_iter().map(stored).collect())
        })
        .await
    }

    /// Stores a proof that was sealed again, unless it is no longer `previous`.
    pub async fn update_session_proof(
        &self,
        hash: &[u8],
        new: &[u8],
        previous: &[u8],
    ) -> Result<bool, Error> {
        let sql =
            "update session set sealed_proof = $2 where session_hash = $1 and sealed_proof = $3";
        self.reseal(sql, &[], &[hash, new, previous]).await
    }

    pub async fn touch_session(&self, hash: &[u8], now: OffsetDateTime) -> Result<(), Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let sql = "update session set seen_at = $2 where session_hash = $1";
            on!(&mut lease, it => sqlx::query(sql)
                .bind(hash)
                .bind(whole_seconds(now))
                .execute(&mut **it)
                .await?.rows_affected());
            Ok(())
        })
        .await
    }

    pub async fn remove_session(&self, hash: &[u8]) -> Result<(), Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let sql = "delete from session where session_hash = $1";
            on!(&mut lease, it => sqlx::query(sql).bind(hash).execute(&mut **it).await?.rows_affected());
            Ok(())
        })
        .await
    }

    /// Ends all sessions of a key; returns how many there were.
    pub async fn remove_sessions_of(&self, key_id: &str) -> Result<u64, Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let sql = "delete from session where key_id = $1";
            Ok(on!(&mut lease, it => sqlx::query(sql).bind(key_id).execute(&mut **it).await?.rows_affected()))
        })
        .await
    }

    /// Deletes sessions that began before `begun_before` or were last seen before `seen_before`.
    pub async fn prune_sessions(
        &self,
        begun_before: OffsetDateTime,
        seen_before: OffsetDateTime,
    ) -> Result<(), Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let sql = "delete from session where started_at < $1 or seen_at < $2";
            on!(&mut lease, it => sqlx::query(sql)
                .bind(whole_seconds(begun_before))
                .bind(whole_seconds(seen_before))
                .execute(&mut **it)
                .await?.rows_affected());
            Ok(())
        })
        .await
    }
}

fn stored((hash, key_id, started_at, seen_at, sealed_proof): Row) -> StoredSession {
    StoredSession { hash, key_id, started_at, seen_at, sealed_proof }
}
