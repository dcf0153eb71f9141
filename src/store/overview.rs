//! Counts for the overview.

use std::time::Duration;

use time::OffsetDateTime;

use crate::model::AccountState;
use crate::store::{Error, Store, whole_seconds};

impl Store {
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
