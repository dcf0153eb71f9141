//! Counts for the overview.

use std::time::Duration;

use time::OffsetDateTime;

use crate::model::AccountState;
use crate::store::database::dialect::on;
use crate::store::{Error, Store, whole_seconds};

impl Store {
    /// The number of accounts in each state that occurs.
    pub async fn count_accounts(&self) -> Result<Vec<(AccountState, u64)>, Error> {
        let sql = "select state, count(*) from account group by state";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<(String, i64)> =
                on!(&mut lease, it => sqlx::query_as(sql).fetch_all(&mut **it).await?);
            let read = |(state, count): (String, i64)| {
                Some((AccountState::from_name(&state)?, u64::try_from(count).ok()?))
            };
            Ok(rows.into_iter().filter_map(read).collect())
        })
        .await
    }

    /// How long the newest calls on X since `since` took.
    pub async fn list_call_times(
        &self,
        since: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<Duration>, Error> {
        let sql = "select micros from call where attempts > 0 and called_at >= $1
             order by call_id desc limit $2";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<i64> = on!(&mut lease, it => sqlx::query_scalar(sql)
                .bind(whole_seconds(since))
                .bind(i64::from(limit))
                .fetch_all(&mut **it)
                .await?);
            let read = |it: i64| Duration::from_micros(it.try_into().unwrap_or_default());
            Ok(rows.into_iter().map(read).collect())
        })
        .await
    }
}
