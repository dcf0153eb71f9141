//! Calls that failed lately, by app and cause.

use std::collections::BTreeMap;

use crate::gateway::attention::item::{Attention, FailedAccount, FailedKey};
use crate::gateway::{Error, Gateway};
use crate::model::Cause;
use crate::model::tally::{Lately, minute_of};
use crate::store::{EndedCalls, FailedBy};

/// The minutes over which calls are looked at, the present one included.
const LATELY: i64 = 10;
/// Failed calls that are left alone.
const FEW: u64 = 2;
/// Of an app's calls, how many of a hundred may fail.
const TOLERATED: u64 = 5;
/// For how long calls have to have gone well again, in seconds.
const CALM: i64 = 50;
const DAY: i64 = 24 * 60;
/// Keys and accounts that are named.
const MOST_NAMED: usize = 5;

/// The endings of an app's calls.
#[derive(Default)]
struct OfApp {
    calls: u64,
    failed: u64,
    /// When the last call succeeded, in seconds since 1970.
    last_success: i64,
}

impl Gateway {
    /// How the calls of all apps ended lately.
    pub(in crate::gateway) async fn get_lately(&self) -> Result<Lately, Error> {
        let (lately, yesterday) = self.list_ended().await?;
        let count = |ended: &[EndedCalls], failed: bool| {
            let counted = ended.iter().filter(|calls| !failed || calls.cause.is_some());
            counted.map(|calls| calls.calls).sum()
        };
        Ok(Lately {
            calls: count(&lately, false),
            failed: count(&lately, true),
            calls_yesterday: count(&yesterday, false),
            failed_yesterday: count(&yesterday, true),
        })
    }

    /// An item for each cause for which more of an app's calls failed lately than may be left alone.
    /// Only `in_detail` with the keys and accounts that are most concerned.
    pub(super) async fn list_failing_calls(
        &self,
        in_detail: bool,
    ) -> Result<Vec<Attention>, Error> {
        let now = self.now().unix_timestamp();
        let (lately, yesterday) = self.list_ended().await?;
        let mut apps: BTreeMap<&str, OfApp> = BTreeMap::new();
        for ended in &lately {
            let app = apps.entry(&ended.app).or_default();
            app.calls += ended.calls;
            match ended.cause {
                Some(_) => app.failed += ended.calls,
                None => app.last_success = ended.last_at,
            }
        }
        let mut items = Vec::new();
        for ended in &lately {
            let (Some(cause), Some(app)) = (ended.cause, apps.get(&*ended.app)) else { continue };
            if !needs_attention(cause, ended, app, now) {
                continue;
            }
            let item = of_calls(cause, ended, app.calls, &yesterday);
            let item = Attention { since: Some(self.since()), ..item };
            items.push(if in_detail { self.with_whose(item, ended, cause).await? } else { item });
        }
        Ok(items)
    }

    /// Adds whose calls these are, and how many of them are listed.
    async fn with_whose(
        &self,
        mut item: Attention,
        ended: &EndedCalls,
        cause: Cause,
    ) -> Result<Attention, Error> {
        let app = &ended.app;
        let (by, listed) = self.0.store.list_failed_by(app, cause, self.since()).await?;
        item.figures.push(("listed", listed.min(ended.calls)));
        let keys = largest(&by, |by| Some(by.key_id.clone()));
        let keys = keys.into_iter().map(|(id, calls)| FailedKey { id, name: None, calls });
        let accounts = largest(&by, |by| by.account);
        let signed: Vec<_> = accounts.iter().map(|(account, _)| (&**app, *account)).collect();
        let names = self.0.store.find_screen_names(&signed).await.unwrap_or_default();
        let accounts = accounts.into_iter().map(|(user_id, calls)| FailedAccount {
            user_id,
            screen_name: names.get(&(app.clone(), user_id)).cloned(),
            calls: Some(calls),
        });
        Ok(Attention { keys: keys.collect(), accounts: accounts.collect(), ..item })
    }

    /// How calls ended lately, and in the hour around this time of the day before.
    async fn list_ended(&self) -> Result<(Vec<EndedCalls>, Vec<EndedCalls>), Error> {
        let minute = minute_of(self.now());
        let store = &self.0.store;
        let lately = store.list_ended_calls((minute - LATELY + 1, minute)).await?;
        let then = minute - DAY;
        Ok((lately, store.list_ended_calls((then - 30, then + 29)).await?))
    }

    /// The beginning of the first of the last minutes.
    fn since(&self) -> time::OffsetDateTime {
        let first = (minute_of(self.now()) - LATELY + 1) * 60;
        time::OffsetDateTime::from_unix_timestamp(first).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
    }
}

fn of_calls(cause: Cause, ended: &EndedCalls, calls: u64, yesterday: &[EndedCalls]) -> Attention {
    let same_app = || yesterday.iter().filter(|earlier| earlier.app == ended.app);
    let calls_yesterday: u64 = same_app().map(|earlier| earlier.calls).sum();
    let alike = same_app().find(|earlier| earlier.cause == ended.cause);
    let failed_yesterday = alike.map_or(0, |earlier| earlier.calls);
    let (app, failed, what) = (&ended.app, ended.calls, cause.what());
    let text = format!(
        "App {app}: {failed} of {calls} calls failed in the last {LATELY} minutes, since {what}; in the hour around this time yesterday, {failed_yesterday} of {calls_yesterday}."
    );
    Attention::new(cause.name(), Some(app), text, cause.remedy()).with([
        ("failed", failed),
        ("calls", calls),
        ("failed_yesterday", failed_yesterday),
        ("calls_yesterday", calls_yesterday),
    ])
}

fn needs_attention(cause: Cause, ended: &EndedCalls, app: &OfApp, now: i64) -> bool {
    let is_over = app.last_success >= ended.last_at && now - ended.last_at >= CALM;
    let is_much = ended.calls > FEW && app.failed * 100 > app.calls * TOLERATED;
    let is_all = ended.calls == FEW && app.calls == FEW;
    !is_over && (is_grave(cause) || is_much || is_all)
}

/// Whether one such call is enough: it will not pass by itself.
const fn is_grave(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::AppRejected
            | Cause::AppNotEnabled
            | Cause::BearerRejected
            | Cause::ClockRejected
            | Cause::XUntrusted
            | Cause::DatabaseAway
            | Cause::VaultKeyMissing
            | Cause::Internal
    )
}

/// The few values with the most calls.
fn largest<T: Clone + Ord>(by: &[FailedBy], of: impl Fn(&FailedBy) -> Option<T>) -> Vec<(T, u64)> {
    let mut sums: BTreeMap<T, u64> = BTreeMap::new();
    for by in by {
        if let Some(value) = of(by) {
            *sums.entry(value).or_default() += by.calls;
        }
    }
    let mut sums = Vec::from_iter(sums);
    sums.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
    sums.truncate(MOST_NAMED);
    sums
}
