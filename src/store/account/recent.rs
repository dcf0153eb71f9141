//! Recently used keys and accounts, so that a starting process can cache them before the first request.

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::store::account::StoredAccount;
use crate::store::account::row::{SealedRow, account_columns, sealed_account_columns};
use crate::store::database::query::{Query, tuples};
use crate::store::key::{self, StoredKey, key_columns};
use crate::store::{Error, Store, whole_seconds};

/// A recently used account, and whether its screen name leads to it.
pub struct RecentAccount {
    pub stored: StoredAccount,
    pub has_name: bool,
}

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    account: SealedRow,
    has_name: bool,
}

impl Store {
    /// The ids of keys: working ones first, and among them the most recently used.
    pub async fn list_key_ids(&self, limit: u32) -> Result<Vec<String>, Error> {
        let sql = "select key_id from key
             order by case when revoked_at is null then 0 else 1 end,
                 coalesce(last_used_at, created_at) desc, key_id
             limit $1";
        let rows: Vec<(String,)> = self.fetch_all(self.query(sql).bind(i64::from(limit))).await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Keys that are not revoked and were used since `since`, the last used first. `after` is hour and id of the last
    /// key on the previous page.
    pub async fn list_recent_keys(
        &self,
        since: OffsetDateTime,
        after: Option<(OffsetDateTime, &str)>,
        limit: u32,
    ) -> Result<Vec<StoredKey>, Error> {
        let sql = concat!(
            "select ",
            key_columns!(),
            " from key
             where revoked_at is null and last_used_at >= $1
                 and ($3 = '' or (last_used_at, key_id) < ($2, $3))
             order by last_used_at desc, key_id desc limit $4"
        );
        let (used_at, id) = after.unwrap_or((since, ""));
        let query = self
            .query(sql)
            .bind(whole_seconds(since))
            .bind(whole_seconds(used_at))
            .bind(id)
            .bind(i64::from(limit));
        let rows: Vec<key::Row> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(StoredKey::from).collect())
    }

    /// Ids of users whose tokens signed calls since that day, ordered by their last day and then by number of calls.
    pub async fn list_recent_users(
        &self,
        since_day: i64,
        limit: u32,
    ) -> Result<Vec<String>, Error> {
        let sql = "select value from usage_day_by_aspect
             where aspect = 'account' and day >= $1 and value <> ''
             group by value order by max(day) desc, sum(calls) desc, value limit $2";
        let query = self.query(sql).bind(since_day).bind(i64::from(limit));
        let rows: Vec<(String,)> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(|(user,)| user).collect())
    }

    /// The accounts that these users have with the app.
    pub async fn list_accounts_of(
        &self,
        app: &str,
        users: &[String],
    ) -> Result<Vec<RecentAccount>, Error> {
        // A name leads to the account that connected last, whether or not it was used.
        let select = concat!(
            "select ",
            sealed_account_columns!(),
            ", not exists (select 1 from account as later
                 where later.app = account.app
                     and lower(later.screen_name) = lower(account.screen_name)
                     and (later.connected_at, later.user_id)
                         > (account.connected_at, account.user_id)) as has_name
             from account where app = $1 and (user_id) in"
        );
        let sql = format!("{select} ({})", tuples(2, 1, users.len()));
        let query = users.iter().fold(self.query_of_many(sql).bind(app), Query::bind);
        let rows: Vec<Row> = self.fetch_all(query).await?;
        rows.into_iter().map(RecentAccount::try_from).collect()
    }
}

impl TryFrom<Row> for RecentAccount {
    type Error = Error;

    fn try_from(row: Row) -> Result<RecentAccount, Error> {
        Ok(RecentAccount { stored: row.account.try_into()?, has_name: row.has_name })
    }
}
