//! The accounts that each app uses in a month, read from the database and reported.

use std::sync::Arc;

use crate::gateway::app::AppState;
use crate::gateway::{Error, Gateway};
use crate::model::app::AccountsUsed;
use crate::model::usage::Month;

impl Gateway {
    /// Reads this month's accounts from the database. Call it before the first call.
    pub async fn load_used_accounts(&self) -> Result<(), Error> {
        let (now, store) = (self.now(), &self.0.store);
        let month = Month::of(now);
        for (of, app, count) in store.count_used_accounts(month).await? {
            let Some(app) = self.0.apps.get(&app).filter(|_| of == month) else { continue };
            if app.month.count(now) < count {
                let used = store.list_used_accounts(&app.name, month).await?;
                app.month.learn(month, used);
                app.month.report_limit(&app.name, now);
            }
        }
        for used in self.list_accounts_used() {
            let as_gauge = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            if let Some(limit) = used.limit {
                metrics::gauge!("countersign_account_limit", "app" => used.app.clone())
                    .set(as_gauge(limit.most));
            }
            metrics::gauge!("countersign_accounts_used", "app" => used.app)
                .set(as_gauge(used.accounts));
        }
        Ok(())
    }

    /// Accounts used by each configured app, by app name; those used by other replicas may be missing for some seconds.
    pub fn list_accounts_used(&self) -> Vec<AccountsUsed> {
        let now = self.now();
        let used = |app: &Arc<AppState>| AccountsUsed {
            app: app.name.clone(),
            accounts: app.month.count(now),
            limit: app.month.limit,
        };
        self.0.apps.values().map(used).collect()
    }
}
