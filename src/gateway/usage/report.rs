//! What was added up, told.

use time::OffsetDateTime;

use crate::gateway::{Error, Gateway};
use crate::model::usage::Month;
use crate::store::{self, UsageFilter, UsageRow, UsageWriter};

/// A process that has not written for so long was killed, or cannot write.
const SILENT: time::Duration = time::Duration::minutes(1);
const KEPT: time::Duration = time::Duration::days(400);

/// Sums, the accounts that X bills, and what is not in them.
pub struct UsageReport {
    pub rows: Vec<UsageRow>,
    /// By month and app, newest month first.
    pub accounts: Vec<(Month, String, u64)>,
    pub gaps: Vec<UsageGap>,
}

/// Calls of a process that are missing: it was killed before it had written everything, or could not keep everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsageGap {
    /// Until then nothing is missing.
    pub since: OffsetDateTime,
    /// That are known of; those of a killed process's last second may come on top.
    pub lost_calls: u64,
    pub killed: bool,
}

impl Gateway {
    /// What calls add up to. What this process has not written yet is written first, as far as one transaction takes it.
    pub async fn report_usage(
        &self,
        filter: &UsageFilter,
        months_from: Month,
    ) -> Result<UsageReport, Error> {
        let _ = self.write_part().await;
        let key_id = self.key_id(filter.key_id.clone()).await?;
        let filter = &UsageFilter { key_id, ..filter.clone() };
        Ok(UsageReport {
            rows: self.0.store.list_usage(filter).await?,
            accounts: self.0.store.count_used_accounts(months_from).await?,
            gaps: self.usage_gaps(self.now() - KEPT).await?,
        })
    }

    /// What is missing of processes that wrote since `since`.
    pub(in crate::gateway) async fn usage_gaps(
        &self,
        since: OffsetDateTime,
    ) -> Result<Vec<UsageGap>, store::Error> {
        let silent = self.now() - SILENT;
        let gap = |it: UsageWriter| {
            let killed = it.settled_at.is_none() && it.written_at < silent;
            let lost_calls = if killed { it.unwritten_calls } else { it.lost_calls };
            let lost_calls = u64::try_from(lost_calls).unwrap_or_default();
            let gap = UsageGap { since: it.written_at, lost_calls, killed };
            (killed || lost_calls > 0).then_some(gap)
        };
        let writers = self.0.store.list_usage_writers(since).await?;
        Ok(writers.into_iter().filter_map(gap).collect())
    }

    pub(in crate::gateway) async fn prune_usage(&self) -> Result<(), store::Error> {
        self.0.store.prune_usage(self.now() - KEPT).await
    }
}
