//! Reading recently used records before the first call is served: otherwise every caller's first call after a start
//! queries the database, all at the same time.

use std::time::Duration;

use time::OffsetDateTime;
use tracing::{info, warn};

use crate::gateway::account::known::KnownAccount;
use crate::gateway::account::name_place;
use crate::gateway::account::token::open_token;
use crate::gateway::app::AppState;
use crate::gateway::{Error, Gateway};
use crate::model::{AccountState, UserId};
use crate::store::RecentAccount;

/// Records not used within this time are looked up when needed.
const RECENTLY: time::Duration = time::Duration::days(7);
const BATCH: u32 = 1000;

/// How many records were read.
#[derive(Default)]
struct Read {
    keys: usize,
    accounts: usize,
}

impl Gateway {
    /// Caches recently used keys and accounts, for `limits.warm_up` at most: the rest is looked up when needed.
    /// Call it after the first reading of the change feed and before following it.
    pub async fn warm_up(&self) {
        let limit = self.0.limits.warm_up;
        if limit == Duration::ZERO {
            return;
        }
        let mut read = Read::default();
        let in_time = tokio::time::timeout(limit, self.warm(&mut read)).await;
        let (keys, accounts) = (read.keys, read.accounts);
        match in_time {
            Ok(Ok(())) => info!(keys, accounts, "recently used keys and accounts are loaded"),
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                warn!(keys, accounts, error, "recently used keys and accounts could not be read");
            }
            Err(_) => warn!(keys, accounts, "limits.warm_up ran out before all was loaded"),
        }
    }

    async fn warm(&self, read: &mut Read) -> Result<(), Error> {
        let since = self.now() - RECENTLY;
        self.warm_keys(since, read).await?;
        let most = u32::try_from(self.0.limits.cached_accounts).unwrap_or(u32::MAX);
        let users = self.0.store.list_recent_users(since.unix_timestamp() / 86_400, most).await?;
        for users in users.chunks(BATCH as usize) {
            for app in self.0.apps.values() {
                let accounts = self.0.store.list_accounts_of(&app.name, users).await?;
                read.accounts += accounts.len();
                for account in accounts {
                    self.remember_account(app, account).await;
                }
            }
        }
        Ok(())
    }

    async fn warm_keys(&self, since: OffsetDateTime, read: &mut Read) -> Result<(), Error> {
        let mut after: Option<(OffsetDateTime, String)> = None;
        while (read.keys as u64) < self.0.limits.cached_keys {
            let place = after.as_ref().map(|(used_at, id)| (*used_at, id.as_str()));
            let keys = self.0.store.list_recent_keys(since, place, BATCH).await?;
            after = keys.iter().rev().find_map(|stored| {
                let key = stored.key.as_ref().ok()?;
                Some((key.last_used_at?, key.id.clone()))
            });
            read.keys += keys.len();
            for stored in keys {
                self.remember_key(stored).await;
            }
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn remember_account(&self, app: &AppState, recent: RecentAccount) {
        let RecentAccount { stored, has_name } = recent;
        // An account that does not open, or may have to be healed, is dealt with when it is used.
        if stored.account.state == AccountState::Quarantined {
            return;
        }
        let Ok(token) = open_token(&self.0.vault, &stored) else { return };
        let user_id: UserId = stored.account.user_id;
        if has_name {
            let name = stored.account.screen_name.to_ascii_lowercase();
            app.names.remember(&name_place(None, &name), user_id).await;
        }
        app.accounts.remember(&user_id, KnownAccount { stored, token: Some(token) }).await;
    }
}
