//! Recently used keys and accounts, so that a starting process can cache them before the first request.

use sqlx::QueryBuilder;
use time::OffsetDateTime;

use crate::store::account::{self, StoredAccount};
use crate::store::database::dialect::on;
use crate::store::key::{self, StoredKey};
use crate::store::{Error, Store, whole_seconds};

/// A recently used account, and whether its screen name leads to it.
pub struct RecentAccount {
    pub stored: StoredAccount,
    pub has_name: bool,
}

type Row = (String, String, String, String, OffsetDateTime, OffsetDateTime, Vec<u8>, Vec<u8>, bool);

impl Store {
    /// The ids of keys: working ones first, and among them the most recently used.
    pub async fn list_key_ids(&self, limit: u32) -> Result<Vec<String>, Error> {
        let sql = "select key_id from key
             order by case when revoked_at is null then 0 else 1 end,
                 coalesce(last_used_at, created_at) desc, key_id
             limit $1";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            Ok(on!(&mut lease, it => sqlx::query_scalar(sql)
                .bind(i64::from(limit))
                .fetch_all(&mut **it)
                .await?))
        })
        .await
    }

    /// Keys that are not revoked and were used since `since`, the last used first. `after` is hour and id of the last
    /// key on the previous page.
    pub async fn list_recent_keys(
        &self,
        since: OffsetDateTime,
        after: Option<(OffsetDateTime, &str)>,
        limit: u32,
    ) -> Result<Vec<StoredKey>, Error> {
        let sql =
            "select key_id, role, name, app, accounts, endpoints, create_links, expires_at, created_at,
                 revoked_at, last_used_at, sealed_verifier
             from key
             where revoked_at is null and last_used_at >= $1
                 and ($3 = '' or (last_used_at, key_id) < ($2, $3))
             order by last_used_at desc, key_id desc limit $4";
        let (used_at, id) = after.unwrap_or((since, ""));
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<key::Row> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(whole_seconds(since))
                .bind(whole_seconds(used_at))
                .bind(id)
                .bind(i64::from(limit))
                .fetch_all(&mut **it)
                .await?);
            Ok(rows.into_iter().map(key::stored).collect())
        })
        .await
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
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            Ok(on!(&mut lease, it => sqlx::query_scalar(sql)
                .bind(since_day)
                .bind(i64::from(limit))
                .fetch_all(&mut **it)
                .await?))
        })
        .await
    }

    /// The accounts that these users have with the app.
    pub async fn list_accounts_of(
        &self,
        app: &str,
        users: &[String],
    ) -> Result<Vec<RecentAccount>, Error> {
        // A name leads to the account that connected last, whether or not it was used.
        let sql = "select app, user_id, screen_name, state, state_since, connected_at,
                 sealed_token, sealed_token_secret,
                 not exists (select 1 from account as later
                     where later.app = account.app
                         and lower(later.screen_name) = lower(account.screen_name)
                         and (later.connected_at, later.user_id)
                             > (account.connected_at, account.user_id))
             from account where app = ";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<Row> = on!(&mut lease, it => {
                let mut query = QueryBuilder::new(sql);
                query.push_bind(app).push(" and user_id in (");
                let mut list = query.separated(", ");
                for user in users {
                    list.push_bind(user);
                }
                query.push(")");
                query.build_query_as().persistent(false).fetch_all(&mut **it).await?
            });
            rows.into_iter().map(recent).collect()
        })
        .await
    }
}

fn recent(row: Row) -> Result<RecentAccount, Error> {
    let (app, id, screen_name, state, state_since, connected_at, token, secret, has_name) = row;
    let row = (app, id, screen_name, state, state_since, connected_at, token, secret);
    Ok(RecentAccount { stored: account::stored(row)?, has_name })
}
