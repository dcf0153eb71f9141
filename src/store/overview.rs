//! Counts for the overview.

use std::time::Duration;

use time::OffsetDateTime;

use crate::model::{AccountState, UserId};
use crate::store::{Error, Store, whole_seconds};

/// Accounts of an app whose tokens cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnusableAccounts {
    pub app: String,
    pub state: AccountState,
    pub accounts: u64,
    /// The few that have been so for the shortest time.
    pub newest: Vec<(UserId, String)>,
}

impl Store {
    /// The accounts that cannot be used, by app and state.
    pub async fn list_unusable_accounts(&self) -> Result<Vec<UnusableAccounts>, Error> {
        let sql = "select app, state, count(*) from account where state <> 'active'
             group by app, state order by app, state";
        let rows: Vec<(String, String, i64)> = self.fetch_all(self.query(sql)).await?;
        let mut unusable = Vec::new();
        for (app, state, accounts) in rows {
            let sql = "select user_id, screen_name from account
                 where state <> 'active' and app = $1 and state = $2
                 order by state_since desc, user_id limit 5";
            let query = self.query(sql).bind(&app).bind(&state);
            let newest: Vec<(String, String)> = self.fetch_all(query).await?;
            let newest =
                newest.into_iter().filter_map(|(id, name)| Some((UserId::parse(&id)?, name)));
            let Some(state) = AccountState::from_name(&state) else { continue };
            let accounts = accounts.try_into().unwrap_or_default();
            unusable.push(UnusableAccounts { app, state, accounts, newest: newest.collect() });
        }
        Ok(unusable)
    }

    /// The number of accounts in each state that occurs.
    pub async fn count_accounts(&self) -> Result<Vec<(AccountState, u64)>, Error> {
        let sql = "select state, count(*) from account group by state";
        let rows: Vec<(String, i64)> = self.fetch_all(self.query(sql)).await?;
        let read = |(state, count): (String, i64)| {
            Some((AccountState::from_name(&state)?, u64::try_from(count).ok()?))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// How long the newest calls on X since `since` took.
    pub async fn list_call_times(
        &self,
        since: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<Duration>, Error> {
        let sql = "select micros from call where attempts > 0 and called_at >= $1
             order by call_id desc limit $2";
        let query = self.query(sql).bind(whole_seconds(since)).bind(i64::from(limit));
        let rows: Vec<(i64,)> = self.fetch_all(query).await?;
        let read = |(micros,): (i64,)| Duration::from_micros(micros.try_into().unwrap_or_default());
        Ok(rows.into_iter().map(read).collect())
    }
}
