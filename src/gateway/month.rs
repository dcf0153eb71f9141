//! The accounts that an app uses in a month, which X bills (reference 2.2). They are known in memory, so that a limit is
//! held without a question to the database; what other replicas used is read every few seconds.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use tracing::warn;

use crate::gateway::bearers::AppState;
use crate::gateway::{Error, Gateway};
use crate::model::UserId;
use crate::model::app::{AccountLimit, AccountsUsed};
use crate::model::usage::{Month, begin_of};

/// The accounts that an app used this month, as far as this process knows.
pub(super) struct UsedThisMonth {
    limit: Option<AccountLimit>,
    used: Mutex<Used>,
}

struct Used {
    month: Month,
    accounts: HashSet<UserId>,
    /// Whether it was told that the limit is reached.
    is_told: bool,
}

impl UsedThisMonth {
    pub(super) fn new(limit: Option<AccountLimit>) -> UsedThisMonth {
        let month = Month::of(OffsetDateTime::UNIX_EPOCH);
        let used = Used { month, accounts: HashSet::new(), is_told: false };
        UsedThisMonth { limit, used: Mutex::new(used) }
    }

    pub(super) fn has(&self, account: UserId, now: OffsetDateTime) -> bool {
        self.of(Month::of(now)).accounts.contains(&account)
    }

    pub(super) fn count(&self, now: OffsetDateTime) -> u64 {
        self.of(Month::of(now)).count()
    }

    /// Those of `accounts` that may not be used this month, if they are used in this order.
    pub(super) fn without_room(
        &self,
        accounts: impl IntoIterator<Item = UserId>,
        now: OffsetDateTime,
    ) -> HashSet<UserId> {
        let Some(most) = self.most() else { return HashSet::new() };
        let used = self.of(Month::of(now));
        let room = usize::try_from(most.saturating_sub(used.count())).unwrap_or(usize::MAX);
        let mut seen = HashSet::new();
        let new = accounts.into_iter().filter(|it| !used.accounts.contains(it) && seen.insert(*it));
        new.skip(room).collect()
    }

    /// Whether an account that is used now was not before this month; nothing where it may not be used.
    fn admit(&self, account: UserId, now: OffsetDateTime) -> Option<bool> {
        let mut used = self.of(Month::of(now));
        if self.most().is_some_and(|it| used.count() >= it) && !used.accounts.contains(&account) {
            return None;
        }
        Some(used.accounts.insert(account))
    }

    /// The limit, where it is reached and nobody was told so yet.
    fn reached(&self, now: OffsetDateTime) -> Option<AccountLimit> {
        let mut used = self.of(Month::of(now));
        let limit = self.limit.filter(|it| used.count() >= it.most && !used.is_told)?;
        used.is_told = true;
        Some(limit)
    }

    fn most(&self) -> Option<u64> {
        self.limit.filter(|it| it.refuses).map(|it| it.most)
    }

    fn of(&self, month: Month) -> MutexGuard<'_, Used> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        // A call that began before the month ended counts in the next one, if that has begun here.
        if used.month < month {
            *used = Used { month, accounts: HashSet::new(), is_told: false };
        }
        used
    }
}

impl Used {
    fn count(&self) -> u64 {
        self.accounts.len().try_into().unwrap_or(u64::MAX)
    }
}

impl AppState {
    /// Whether an account that a call uses now was not used before this month.
    pub(super) fn admit(&self, account: UserId, now: OffsetDateTime) -> Result<bool, Error> {
        let is_new = self.month.admit(account, now).ok_or_else(|| refusal(self, now))?;
        if is_new {
            tell(self, now);
        }
        Ok(is_new)
    }
}

impl Gateway {
    /// Takes in what the database knows of this month. Call it before the first call.
    pub async fn read_month(&self) -> Result<(), Error> {
        let (now, store) = (self.now(), &self.0.store);
        let month = Month::of(now);
        for (of, app, count) in store.count_used_accounts(month).await? {
            let Some(app) = self.0.apps.get(&app).filter(|_| of == month) else { continue };
            if app.month.count(now) < count {
                let used = store.list_used_accounts(&app.app.name, month).await?;
                app.month.of(month).accounts.extend(used);
                tell(app, now);
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

    /// Of each configured app, in the order of their names; what other replicas used may be missing for some seconds.
    pub fn accounts_used(&self) -> Vec<AccountsUsed> {
        let now = self.now();
        let used = |it: &Arc<AppState>| AccountsUsed {
            app: it.app.name.clone(),
            accounts: it.month.count(now),
            limit: it.month.limit,
        };
        self.0.apps.values().map(used).collect()
    }
}

/// Tells operators once a month.
fn tell(app: &AppState, now: OffsetDateTime) {
    let Some(limit) = app.month.reached(now) else { return };
    let then = if limit.refuses { "others are refused" } else { "others are used nevertheless" };
    let (app, limit) = (&app.app.name, limit.most);
    warn!(app, limit, then, "the app's limit of accounts in a month is reached");
}

fn refusal(app: &AppState, now: OffsetDateTime) -> Error {
    let until = begin_of(Month::of(now).next().begin());
    Error::AccountLimitReached {
        app: app.app.name.clone(),
        limit: app.month.most().unwrap_or_default(),
        until,
    }
}
