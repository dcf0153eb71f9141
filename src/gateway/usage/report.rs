//! Reports on the usage added up.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::gateway::{CallNames, Error, Gateway};
use crate::model::UserId;
use crate::model::usage::Month;
use crate::store::{self, UsageFilter, UsageRow, UsageWriter};

/// A process that has not written for this long was killed, or cannot write.
const SILENT: time::Duration = time::Duration::minutes(1);
/// How long usage is kept.
pub(in crate::gateway) const KEPT: time::Duration = time::Duration::days(400);

/// Sums, the accounts that X bills, and the calls that are missing.
pub struct UsageReport {
    pub rows: Vec<UsageRow>,
    /// Accounts used by month and app, newest month first.
    pub accounts: Vec<(Month, String, u64)>,
    pub gaps: Vec<UsageGap>,
    /// Of the rows' keys and accounts.
    pub names: CallNames,
}

/// Calls of a process that are missing: it was killed before everything was written, or could not hold everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsageGap {
    /// The time up to which nothing is missing.
    pub since: OffsetDateTime,
    /// Lost calls known of; those of a killed process's last second may come on top.
    pub lost_calls: u64,
    pub killed: bool,
}

impl Gateway {
    /// Usage totals. Usage that this process has not written yet is written first, as far as one transaction takes it.
    pub async fn get_usage_report(
        &self,
        filter: &UsageFilter,
        months_from: Month,
    ) -> Result<UsageReport, Error> {
        let _ = self.write_part().await;
        let key_id = self.resolve_key_id(filter.key_id.clone()).await?;
        let filter = &UsageFilter { key_id, ..filter.clone() };
        let rows = self.0.store.list_usage(filter).await?;
        Ok(UsageReport {
            names: self.list_names_of_usage(&rows).await,
            rows,
            accounts: self.0.store.count_used_accounts(months_from).await?,
            gaps: self.list_usage_gaps(self.now() - KEPT).await?,
        })
    }

    /// The names of keys and accounts; an account of which the row names no app is one of any app.
    async fn list_names_of_usage(&self, rows: &[UsageRow]) -> CallNames {
        let keys = self.list_key_names(rows.iter().filter_map(|row| row.key_id.as_deref())).await;
        let used: BTreeSet<UserId> = rows.iter().filter_map(|row| row.account.flatten()).collect();
        let mut signed: Vec<(&str, UserId)> = Vec::new();
        for app in self.0.apps.keys() {
            signed.extend(used.iter().map(|user_id| (app.as_str(), *user_id)));
        }
        let accounts = self.0.store.find_screen_names(&signed).await.unwrap_or_default();
        CallNames { keys, accounts }
    }

    /// The gaps of processes that wrote since `since`.
    pub(in crate::gateway) async fn list_usage_gaps(
        &self,
        since: OffsetDateTime,
    ) -> Result<Vec<UsageGap>, store::Error> {
        let silent = self.now() - SILENT;
        let gap = |writer: UsageWriter| {
            let killed = writer.settled_at.is_none() && writer.written_at < silent;
            let lost_calls = if killed { writer.unwritten_calls } else { writer.lost_calls };
            let lost_calls = u64::try_from(lost_calls).unwrap_or_default();
            let gap = UsageGap { since: writer.written_at, lost_calls, killed };
            (killed || lost_calls > 0).then_some(gap)
        };
        let writers = self.0.store.list_usage_writers(since).await?;
        Ok(writers.into_iter().filter_map(gap).collect())
    }

    pub(in crate::gateway) async fn prune_usage(&self) -> Result<(), store::Error> {
        self.0.store.prune_usage(self.now() - KEPT).await
    }
}
