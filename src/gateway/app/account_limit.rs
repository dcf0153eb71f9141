//! The accounts that an app uses in a month, which X bills (reference 2.2). They are kept in memory, so that a limit is
//! enforced without a database query; the accounts that other replicas used are read every few seconds.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tracing::warn;

use crate::gateway::Error;
use crate::model::UserId;
use crate::model::app::AccountLimit;
use crate::model::usage::{Month, begin_of};

/// The accounts that an app used this month, as far as this process knows.
pub(in crate::gateway) struct MonthlyAccounts {
    pub(in crate::gateway) limit: Option<AccountLimit>,
    used: Mutex<Used>,
}

struct Used {
    month: Month,
    accounts: HashSet<UserId>,
    /// Whether operators already know that the limit is reached.
    is_reported: bool,
}

/// The limit is reached: no further account may be used.
struct Full;

impl MonthlyAccounts {
    pub(in crate::gateway) fn new(limit: Option<AccountLimit>) -> MonthlyAccounts {
        let month = Month::of(OffsetDateTime::UNIX_EPOCH);
        let used = Used { month, accounts: HashSet::new(), is_reported: false };
        MonthlyAccounts { limit, used: Mutex::new(used) }
    }

    pub(in crate::gateway) fn has(&self, account: UserId, now: OffsetDateTime) -> bool {
        self.of(Month::of(now)).accounts.contains(&account)
    }

    /// The accounts that may still be used once the limit is reached, in the order of their ids.
    pub(in crate::gateway) fn last_ones(&self, now: OffsetDateTime) -> Option<Vec<UserId>> {
        let used = self.of(Month::of(now));
        self.most().filter(|most| used.count() >= *most)?;
        let mut accounts: Vec<UserId> = used.accounts.iter().copied().collect();
        accounts.sort_unstable();
        Some(accounts)
    }

    pub(in crate::gateway) fn count(&self, now: OffsetDateTime) -> u64 {
        self.of(Month::of(now)).count()
    }

    /// Which of `accounts` exceed this month's limit, if they are used in this order.
    pub(in crate::gateway) fn without_room(
        &self,
        accounts: impl IntoIterator<Item = UserId>,
        now: OffsetDateTime,
    ) -> HashSet<UserId> {
        let Some(most) = self.most() else { return HashSet::new() };
        let used = self.of(Month::of(now));
        let room = usize::try_from(most.saturating_sub(used.count())).unwrap_or(usize::MAX);
        let mut seen = HashSet::new();
        let new = accounts
            .into_iter()
            .filter(|account| !used.accounts.contains(account) && seen.insert(*account));
        new.skip(room).collect()
    }

    /// Whether an account may be used now, and the month in which it counts if this is its first use then.
    fn admit(&self, account: UserId, now: OffsetDateTime) -> Result<Option<Month>, Full> {
        let mut used = self.of(Month::of(now));
        if self.most().is_some_and(|most| used.count() >= most) && !used.accounts.contains(&account)
        {
            return Err(Full);
        }
        Ok(used.accounts.insert(account).then_some(used.month))
    }

    /// Adds accounts that were used in a month, if it is still the current one.
    pub(in crate::gateway) fn learn(&self, month: Month, accounts: Vec<UserId>) {
        let mut used = self.of(month);
        if used.month == month {
            used.accounts.extend(accounts);
        }
    }

    /// The limit, if it is reached and has not been reported yet.
    fn reached(&self, now: OffsetDateTime) -> Option<AccountLimit> {
        let mut used = self.of(Month::of(now));
        let limit = self.limit.filter(|limit| used.count() >= limit.most && !used.is_reported)?;
        used.is_reported = true;
        Some(limit)
    }

    fn most(&self) -> Option<u64> {
        self.limit.filter(|limit| limit.refuses).map(|limit| limit.most)
    }

    fn of(&self, month: Month) -> MutexGuard<'_, Used> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        // A call that began before the month ended counts in the next one, if that has begun here.
        if used.month < month {
            *used = Used { month, accounts: HashSet::new(), is_reported: false };
        }
        used
    }
}

impl Used {
    fn count(&self) -> u64 {
        self.accounts.len().try_into().unwrap_or(u64::MAX)
    }
}

impl MonthlyAccounts {
    /// The month in which the account that a call of `app` uses now counts, if this is its first use then.
    pub(in crate::gateway) fn use_account(
        &self,
        app: &str,
        account: UserId,
        now: OffsetDateTime,
    ) -> Result<Option<Month>, Error> {
        let counts_in = self.admit(account, now).map_err(|Full| self.refusal(app, now))?;
        if counts_in.is_some() {
            self.report_limit(app, now);
        }
        Ok(counts_in)
    }

    /// Warns operators, once a month, that the limit is reached.
    pub(in crate::gateway) fn report_limit(&self, app: &str, now: OffsetDateTime) {
        let Some(limit) = self.reached(now) else { return };
        let then = if limit.refuses { "others are refused" } else { "others are still used" };
        let limit = limit.most;
        warn!(app, limit, then, "the app has reached its monthly limit of accounts");
    }

    fn refusal(&self, app: &str, now: OffsetDateTime) -> Error {
        Error::AccountLimitReached {
            app: app.to_owned(),
            limit: self.most().unwrap_or_default(),
            until: next_month(now),
            retry_after: until_next_month(now),
        }
    }
}

/// How long accounts that were not used this month have to wait once the limit is reached.
pub(in crate::gateway) fn until_next_month(now: OffsetDateTime) -> Duration {
    (next_month(now) - now).unsigned_abs()
}

fn next_month(now: OffsetDateTime) -> OffsetDateTime {
    begin_of(Month::of(now).next().begin())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const MARCH: OffsetDateTime = datetime!(2026-03-31 23:59:59.9 UTC);
    const APRIL: OffsetDateTime = datetime!(2026-04-01 0:00 UTC);

    fn id(number: u64) -> UserId {
        UserId::parse(&number.to_string()).unwrap()
    }

    fn limited(most: u64) -> MonthlyAccounts {
        MonthlyAccounts::new(Some(AccountLimit { most, refuses: true }))
    }

    #[test]
    fn what_is_late_counts_in_the_month_that_has_begun() {
        let (march, april) = (Month::of(MARCH), Month::of(APRIL));
        let used = limited(9);
        assert_eq!(used.admit(id(1), MARCH).ok(), Some(Some(march)));
        assert_eq!(used.admit(id(1), MARCH).ok(), Some(None));
        assert_eq!(used.admit(id(2), APRIL).ok(), Some(Some(april)));
        assert_eq!(used.admit(id(3), MARCH).ok(), Some(Some(april)));
        // Accounts read for the month before do not count in this one.
        used.learn(march, vec![id(1), id(4)]);
        assert!(!used.has(id(1), APRIL) && !used.has(id(4), APRIL));
        used.learn(april, vec![id(4)]);
        assert_eq!((used.has(id(4), APRIL), used.count(APRIL)), (true, 3));
        assert_eq!(used.admit(id(1), APRIL).ok(), Some(Some(april)));
    }

    #[test]
    fn who_was_used_goes_on_at_the_limit_which_is_reported_once() {
        let used = limited(2);
        assert!(used.admit(id(7), APRIL).is_ok() && used.reached(APRIL).is_none());
        assert_eq!(used.last_ones(APRIL), None);
        assert_eq!(used.without_room([id(5), id(7), id(6), id(5)], APRIL), [id(6)].into());
        assert!(used.admit(id(5), APRIL).is_ok() && used.reached(APRIL).is_some());
        assert!(used.admit(id(6), APRIL).is_err() && used.admit(id(7), APRIL).is_ok());
        assert_eq!(used.last_ones(APRIL), Some(vec![id(5), id(7)]));
        assert!(used.reached(APRIL).is_none());
    }
}
