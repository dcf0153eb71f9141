//! Names of keys and accounts, for many at once and without sealed data.

use std::collections::BTreeMap;

use crate::model::UserId;
use crate::store::database::query::{MOST_ITEMS, Query, tuples};
use crate::store::{Error, Store};

impl Store {
    /// The names of these keys, including revoked ones; missing keys are left out.
    pub async fn find_key_names(&self, ids: &[&str]) -> Result<BTreeMap<String, String>, Error> {
        let mut found = BTreeMap::new();
        for ids in ids.chunks(MOST_ITEMS) {
            let wanted = tuples(1, 1, ids.len());
            let sql = format!("select key_id, name from key where (key_id) in ({wanted})");
            let query = ids.iter().fold(self.query_of_many(sql), Query::bind);
            found.extend(self.fetch_all::<(String, String)>(query).await?);
        }
        Ok(found)
    }

    /// The names of these accounts, each by its app and user id; missing accounts are left out.
    pub async fn find_screen_names(
        &self,
        accounts: &[(&str, UserId)],
    ) -> Result<BTreeMap<(String, UserId), String>, Error> {
        let mut found = BTreeMap::new();
        for accounts in accounts.chunks(MOST_ITEMS) {
            let wanted = tuples(1, 2, accounts.len());
            // SQLite accepts a list of rows only after `values`.
            let sql = format!(
                "select app, user_id, screen_name from account
                 where (app, user_id) in (values {wanted})"
            );
            let mut query = self.query_of_many(sql);
            for (app, user) in accounts {
                query = query.bind(*app).bind(user.to_string());
            }
            let rows: Vec<(String, String, String)> = self.fetch_all(query).await?;
            for (app, user, name) in rows {
                let user = UserId::parse(&user);
                let user = user.ok_or_else(|| Error::unreadable("account.user_id"))?;
                found.insert((app, user), name);
            }
        }
        Ok(found)
    }
}
