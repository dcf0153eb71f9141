//! Sessions of admins signed in to the console.

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::store::{Error, Store, whole_seconds};

/// A session as stored. No `Debug`, so that no log line shows a session's proof.
#[derive(Clone, Eq, FromRow, PartialEq)]
pub struct StoredSession {
    /// The hash of the browser's cookie.
    #[sqlx(rename = "session_hash")]
    pub hash: Vec<u8>,
    pub key_id: String,
    pub started_at: OffsetDateTime,
    pub seen_at: OffsetDateTime,
    pub sealed_proof: Vec<u8>,
}

/// The columns of a `StoredSession`.
macro_rules! columns {
    () => {
        "session_hash, key_id, started_at, seen_at, sealed_proof"
    };
}

impl Store {
    pub async fn find_session(&self, hash: &[u8]) -> Result<Option<StoredSession>, Error> {
        let sql = concat!("select ", columns!(), " from session where session_hash = $1");
        self.fetch_optional(self.query(sql).bind(hash)).await
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
        let sql = concat!("insert into session (", columns!(), ") values ($1, $2, $3, $4, $5)");
        let query = self
            .query(sql)
            .bind(&session.hash)
            .bind(&session.key_id)
            .bind(whole_seconds(session.started_at))
            .bind(whole_seconds(session.seen_at))
            .bind(&session.sealed_proof);
        self.execute(query).await.map(drop)
    }

    /// Sessions by hash, starting after `after`.
    pub async fn list_sessions(
        &self,
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<StoredSession>, Error> {
        let sql = concat!(
            "select ",
            columns!(),
            " from session where session_hash > $1 order by session_hash limit $2"
        );
        self.fetch_all(self.query(sql).bind(after).bind(i64::from(limit))).await
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
        let sql = "update session set seen_at = $2 where session_hash = $1";
        self.execute(self.query(sql).bind(hash).bind(whole_seconds(now))).await.map(drop)
    }

    pub async fn remove_session(&self, hash: &[u8]) -> Result<(), Error> {
        let sql = "delete from session where session_hash = $1";
        self.execute(self.query(sql).bind(hash)).await.map(drop)
    }

    /// Ends all sessions of a key; returns how many there were.
    pub async fn remove_sessions_of(&self, key_id: &str) -> Result<u64, Error> {
        self.execute(self.query("delete from session where key_id = $1").bind(key_id)).await
    }

    /// Deletes sessions that began before `begun_before` or were last seen before `seen_before`.
    pub async fn prune_sessions(
        &self,
        begun_before: OffsetDateTime,
        seen_before: OffsetDateTime,
    ) -> Result<(), Error> {
        let sql = "delete from session where started_at < $1 or seen_at < $2";
        let query =
            self.query(sql).bind(whole_seconds(begun_before)).bind(whole_seconds(seen_before));
        self.execute(query).await.map(drop)
    }
}
