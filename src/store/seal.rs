//! What all sealed columns have in common: whose keys sealed them, and how they are sealed again.

use crate::store::backend::on;
use crate::store::{Error, Store};

impl Store {
    /// The ids of the vault keys that sealed what is stored: bytes 2 to 9 of each record.
    pub async fn list_sealing_keys(&self) -> Result<Vec<String>, Error> {
        let sql = "select substr(sealed_token, 2, 8) from account
             union select substr(sealed_token_secret, 2, 8) from account
             union select substr(sealed_verifier, 2, 8) from key
             union select substr(sealed_token, 2, 8) from bearer
             union select substr(sealed_secret, 2, 8) from webhook
             union select substr(sealed_old_secret, 2, 8) from webhook
                 where sealed_old_secret is not null
             union select substr(sealed_proof, 2, 8) from delivery
                 where sealed_proof is not null and attempt_at is not null";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let ids: Vec<Vec<u8>> =
                on!(&mut lease, it => sqlx::query_scalar(sql).fetch_all(&mut **it).await?);
            Ok(ids.into_iter().map(|it| String::from_utf8_lossy(&it).into_owned()).collect())
        })
        .await
    }

    /// Stores what was sealed again; false when the row has changed since it was read, so that nothing newer is lost.
    /// The parameters of `sql` are what names the row, then `seals`: the new ones and, last, the one that was read.
    pub(crate) async fn reseal(
        &self,
        sql: &'static str,
        row: &[&str],
        seals: &[&[u8]],
    ) -> Result<bool, Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let updated = on!(&mut lease, it => {
                let named = row.iter().fold(sqlx::query(sql), |query, it| query.bind(*it));
                let query = seals.iter().fold(named, |query, it| query.bind(*it));
                query.execute(&mut **it).await?.rows_affected()
            });
            Ok(updated > 0)
        })
        .await
    }
}
