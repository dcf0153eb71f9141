//! App-only bearer tokens: one row per app, replaced by any process that knows the current generation.

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::store::database::changes;
use crate::store::database::changes::Change;
use crate::store::{Error, Store, whole_seconds};

/// A bearer token as stored. No `Debug`, so that no log line fills up with ciphertext.
#[derive(Clone, Eq, FromRow, PartialEq)]
pub struct StoredBearer {
    pub app: String,
    pub generation: i64,
    pub sealed_token: Vec<u8>,
    pub minted_at: OffsetDateTime,
}

/// The columns of a `StoredBearer`.
macro_rules! columns {
    () => {
        "app, generation, sealed_token, minted_at"
    };
}

impl Store {
    pub async fn find_bearer(&self, app: &str) -> Result<Option<StoredBearer>, Error> {
        let sql = concat!("select ", columns!(), " from bearer where app = $1");
        self.fetch_optional_for_call(self.query(sql).bind(app)).await
    }

    /// All bearer tokens: there is at most one per app.
    pub async fn list_bearers(&self) -> Result<Vec<StoredBearer>, Error> {
        let sql = concat!("select ", columns!(), " from bearer order by app");
        self.fetch_all(self.query(sql)).await
    }

    /// Stores a new token under the next generation; false when somebody else has replaced the expected one.
    /// The first token expects `None` and becomes generation 1.
    pub async fn replace_bearer(
        &self,
        app: &str,
        expected_generation: Option<i64>,
        sealed_token: &[u8],
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let sql = match expected_generation {
            None => {
                concat!(
                    "insert into bearer (",
                    columns!(),
                    ") values ($1, $2 + 1, $3, $4) on conflict (app) do nothing"
                )
            }
            Some(_) => {
                "update bearer set generation = $2 + 1, sealed_token = $3, minted_at = $4
                 where app = $1 and generation = $2"
            }
        };
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work
                .query(sql)
                .bind(app)
                .bind(expected_generation.unwrap_or(0))
                .bind(sealed_token)
                .bind(whole_seconds(now));
            if work.execute(query).await? == 0 {
                return Ok((work, false));
            }
            changes::record(&mut work, &[Change::Bearer { app: app.to_owned() }], now).await?;
            Ok((work, true))
        })
        .await
    }

    /// Stores the same token sealed again, unless its seal has changed meanwhile, as it does with each generation.
    pub async fn update_bearer_seal(
        &self,
        stored: &StoredBearer,
        previous_sealed_token: &[u8],
    ) -> Result<bool, Error> {
        let sql = "update bearer set sealed_token = $2 where app = $1 and sealed_token = $3";
        self.reseal(sql, &[&stored.app], &[&stored.sealed_token, previous_sealed_token]).await
    }
}
