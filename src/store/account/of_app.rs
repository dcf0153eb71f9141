//! The accounts of one app that a key may name, without their tokens.

use crate::model::{Account, AccountState, UserId};
use crate::store::account::row::{Row, account_columns};
use crate::store::database::query::{MOST_ITEMS, Query, tuples};
use crate::store::{Error, Store};

/// Which accounts of an app to list, ordered by user id as text.
#[derive(Clone, Copy, Debug, Default)]
pub struct AppAccountFilter {
    pub state: Option<AccountState>,
    /// The last account on the previous page.
    pub after: Option<UserId>,
    pub limit: u32,
}

/// Accounts of app $1 after user $2, in state $3 unless it is empty.
macro_rules! select {
    () => {
        concat!(
            "select ",
            account_columns!(),
            " from account where app = $1 and user_id > $2 and ($3 = '' or state = $3)"
        )
    };
}

impl Store {
    /// Accounts of an app; those of `users` alone, if it is given.
    pub async fn list_accounts_of_app(
        &self,
        app: &str,
        users: Option<&[UserId]>,
        filter: AppAccountFilter,
    ) -> Result<Vec<Account>, Error> {
        let Some(users) = users else { return self.list_some_of_app(app, &[], filter).await };
        let after = text_of(filter.after);
        let mut wanted: Vec<String> = users.iter().map(ToString::to_string).collect();
        wanted.retain(|user| *user > after);
        wanted.sort_unstable();
        let (mut found, limit) = (Vec::new(), filter.limit as usize);
        for users in wanted.chunks(MOST_ITEMS) {
            found.extend(self.list_some_of_app(app, users, filter).await?);
            if found.len() >= limit {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The same for all accounts if `users` is empty.
    async fn list_some_of_app(
        &self,
        app: &str,
        users: &[String],
        filter: AppAccountFilter,
    ) -> Result<Vec<Account>, Error> {
        let query = if users.is_empty() {
            self.query(concat!(select!(), " order by user_id limit $4"))
        } else {
            let (select, wanted) = (select!(), tuples(5, 1, users.len()));
            self.query_of_many(format!(
                "{select} and (user_id) in ({wanted}) order by user_id limit $4"
            ))
        };
        let query = query
            .bind(app)
            .bind(text_of(filter.after))
            .bind(filter.state.map_or("", AccountState::name))
            .bind(i64::from(filter.limit));
        let query = users.iter().fold(query, Query::bind);
        let rows: Vec<Row> = self.fetch_all(query).await?;
        rows.into_iter().map(Account::try_from).collect()
    }
}

/// No user id is empty, so nothing comes before all.
fn text_of(after: Option<UserId>) -> String {
    after.map(|user| user.to_string()).unwrap_or_default()
}
