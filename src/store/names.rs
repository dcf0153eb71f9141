//! Names of keys and accounts, for many at once and without sealed data.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use crate::model::UserId;
use crate::store::author::{MOST, tuples};
use crate::store::database::dialect::on;
use crate::store::{Error, Store};

impl Store {
    /// The names of these keys, including revoked ones; missing keys are left out.
    pub async fn find_key_names(&self, ids: &[&str]) -> Result<BTreeMap<String, String>, Error> {
        let mut found = BTreeMap::new();
        for ids in ids.chunks(MOST) {
            let wanted = tuples(1, 1, ids.len());
            let sql = format!("select key_id, name from key where (key_id) in ({wanted})");
            let rows: Vec<(String, String)> = self
                .long(async {
                    let mut lease = self.reader(self.wait).await?;
                    Ok(on!(&mut lease, it => {
                        let mut query = sqlx::query_as(AssertSqlSafe(sql)).persistent(false);
                        for id in ids {
                            query = query.bind(*id);
                        }
                        query.fetch_all(&mut **it).await?
                    }))
                })
                .await?;
            found.extend(rows);
        }
        Ok(found)
    }

    /// The names of these accounts, each by its app and user id; missing accounts are left out.
    pub async fn find_screen_names(
        &self,
        accounts: &[(&str, UserId)],
    ) -> Result<BTreeMap<(String, UserId), String>, Error> {
        let mut found = BTreeMap::new();
        for accounts in accounts.chunks(MOST) {
            let wanted = tuples(1, 2, accounts.len());
            // SQLite accepts a list of rows only after `values`.
            let sql = format!(
                "select app, user_id, screen_name from account
                 where (app, user_id) in (values {wanted})"
            );
            let rows: Vec<(String, String, String)> = self
                .long(async {
                    let mut lease = self.reader(self.wait).await?;
                    Ok(on!(&mut lease, it => {
                        let mut query = sqlx::query_as(AssertSqlSafe(sql)).persistent(false);
                        for (app, user) in accounts {
                            query = query.bind(*app).bind(user.to_string());
                        }
                        query.fetch_all(&mut **it).await?
                    }))
                })
                .await?;
            for (app, user, name) in rows {
                let user = UserId::parse(&user);
                let user = user.ok_or_else(|| Error::unreadable("account.user_id"))?;
                found.insert((app, user), name);
            }
        }
        Ok(found)
    }
}
