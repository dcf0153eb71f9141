//! The accounts that each app uses in a month, read from the database and reported.

use std::sync::Arc;

use crate::gateway::app::AppState;
use crate::gateway::{Error, Gateway};
use crate::model::app::AccountsUsed;
use crate::model::usage::Month;

impl Gateway {
    /// Reads this month's accounts from the database. Call it before the first call.
    pub async fn read_month(&self) -> Result<(), Error> {
        let (now, store) = (self.now(), &self.0.store);
        let month = Month::of(now);
        for (of, app, count) in store.count_used_accounts(month).await? {
            let Some(app) = self.0.apps.get(&app).filter(|_| of == month) else { continue };
            if app.month.count(now) < count {
                let used = store.list_used_accounts(&app.name, month).await?;
                app.month.learn(month, used);
                app.month.tell(&app.name, now);
            }
        }
        for it in self.accounts_used() {
            let told = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            if let Some(limit) = it.limit {
                metrics::gauge!("countersign_account_limit", "app" => it.app.clone())
                    .set(told(limit.most));
            }
            metrics::gauge!("countersign_accounts_used", "app" => it.app).set(told(it.accounts));
        }
        Ok(())
    }

    /// Accounts used by each configured app, by app name; those used by other replicas may be missing for some seconds.
    pub fn accounts_used(&self) -> Vec<AccountsUsed> {
        let now = self.now();
        let used = |it: &Arc<AppState>| AccountsUsed {
            app: it.name.clone(),
            accounts: it.month.count(now),
            limit: it.month.limit,
        };
        self.0.apps.values().map(used).collect()
    }
}
