//! What all sealed columns have in common: which vault keys sealed them, and how they are resealed.

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::store::database::query::Query;
use crate::store::{Error, Store, whole_seconds};

/// The records of one kind that one vault key has sealed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seals {
    pub vault_key: String,
    /// `account`, `key`, `bearer`, `webhook`, `link`, `session`, `delivery` or `handshake`.
    pub kind: String,
    /// The name of one such record.
    pub example: String,
    pub records: u64,
}

#[derive(FromRow)]
struct Row {
    vault_key: Vec<u8>,
    kind: String,
    example: String,
    records: i64,
}

impl Store {
    /// How many of the records in use `now` each vault key has sealed; bytes 2 to 9 of each record are the key's id.
    pub async fn list_seals(&self, now: OffsetDateTime) -> Result<Vec<Seals>, Error> {
        let sql = "select vault_key, kind, min(name) as example, count(*) as records from (
                 select substr(sealed_token, 2, 8) as vault_key, 'account' as kind,
                     app || '/' || user_id as name from account
                 union all select substr(sealed_token_secret, 2, 8), 'account',
                     app || '/' || user_id from account
                 union all select substr(sealed_verifier, 2, 8), 'key', key_id from key
                     where length(sealed_verifier) > 0
                 union all select substr(sealed_token, 2, 8), 'bearer', app from bearer
                 union all select substr(sealed_secret, 2, 8), 'webhook', webhook_id from webhook
                 union all select substr(sealed_old_secret, 2, 8), 'webhook', webhook_id from webhook
                     where sealed_old_secret is not null
                 union all select substr(sealed_proof, 2, 8), 'link', app from link
                     where expires_at > $1 and user_id is null
                 union all select substr(sealed_proof, 2, 8), 'session', key_id from session
                 union all select substr(sealed_proof, 2, 8), 'delivery', webhook_id from delivery
                     where sealed_proof is not null and attempt_at is not null
                 union all select substr(sealed_secret, 2, 8), 'handshake', app
                     from handshake natural join (select link_hash, app from link) as its
                     where expires_at > $1
             ) as seal group by vault_key, kind order by vault_key, kind";
        let rows: Vec<Row> = self.fetch_all(self.query(sql).bind(whole_seconds(now))).await?;
        Ok(rows.into_iter().map(seals).collect())
    }

    /// Stores resealed records; false when the row has changed since it was read, so that nothing newer is lost.
    /// The parameters of `sql` are those that name the row, then `seals`: the new seals and, last, the one read before.
    pub(crate) async fn reseal(
        &self,
        sql: &'static str,
        row: &[&str],
        seals: &[&[u8]],
    ) -> Result<bool, Error> {
        let named = row.iter().fold(self.query(sql), Query::bind);
        let query = seals.iter().fold(named, Query::bind);
        Ok(self.execute(query).await? > 0)
    }
}

fn seals(row: Row) -> Seals {
    Seals {
        vault_key: String::from_utf8_lossy(&row.vault_key).into_owned(),
        kind: row.kind,
        example: row.example,
        records: row.records.try_into().unwrap_or_default(),
    }
}
