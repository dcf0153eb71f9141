//! Views for people: accounts with their last calls, an account's history, keys, and the progress of a new
//! installation.

use crate::gateway::{Error, Gateway};
use crate::model::audit::Entry;
use crate::model::call::{Call, CallOutcome};
use crate::model::key::{Key, Role, Unreadable};
use crate::model::{Account, AccountRef};
use crate::store::{AccountFilter, CallFilter, KeySearch, LastCalls};

/// How many history entries are shown with an account.
const RECENT: u32 = 10;
/// Accounts whose last calls are found together: a page of them.
const AT_ONCE: usize = 1000;
/// Keys read at a time when searching for one that works.
const KEYS_AT_ONCE: u32 = 50;

/// An account, and the last calls made as it.
pub struct AccountWithLastCall {
    pub account: Account,
    pub last: LastCalls,
    /// Whether its app is configured; if not, the account cannot be used.
    pub is_configured: bool,
}

/// How far a new installation has come.
pub struct FirstSteps {
    pub has_account: bool,
    /// Whether there is a caller's key that works.
    pub has_key: bool,
    /// Whether any of the calls kept has succeeded.
    pub has_call: bool,
}

/// An account's history, newest first.
pub struct History {
    pub entries: Vec<Entry>,
    pub calls: Vec<Call>,
}

impl Gateway {
    /// One page of accounts, including those of apps that are no longer configured.
    pub async fn list_accounts_of_any_app(
        &self,
        filter: &AccountFilter,
    ) -> Result<Vec<AccountWithLastCall>, Error> {
        let accounts = self.0.store.list_accounts(filter).await?;
        self.with_last_calls(accounts).await
    }

    /// One account, even of an app that is no longer configured; `app` is optional if only one is configured.
    pub async fn get_account_with_last_call(
        &self,
        app: Option<&str>,
        named: &AccountRef,
    ) -> Result<AccountWithLastCall, Error> {
        let account = self.get_account(app, named).await?;
        self.with_last_calls(vec![account]).await?.pop().ok_or(Error::NotFound("account"))
    }

    /// One page of accounts, as `list_accounts` returns it.
    pub async fn list_accounts_with_last_call(
        &self,
        filter: &AccountFilter,
    ) -> Result<Vec<AccountWithLastCall>, Error> {
        let accounts = self.list_accounts(filter).await?;
        self.with_last_calls(accounts).await
    }

    /// One account with its history, even of an app that is no longer configured.
    pub async fn get_account_page(
        &self,
        app: &str,
        named: &AccountRef,
    ) -> Result<(AccountWithLastCall, History), Error> {
        let seen = self.get_account_with_last_call(Some(app), named).await?;
        let account = &seen.account;
        let filter = CallFilter {
            app: Some(account.app.clone()),
            account: Some(account.user_id),
            limit: RECENT,
            ..CallFilter::default()
        };
        let calls = self.list_calls(filter).await?;
        let subject = format!("account:{}/{}", account.app, account.user_id);
        let entries = self.0.store.list_audit_of(&subject, RECENT).await?;
        Ok((seen, History { entries, calls }))
    }

    /// Keys by name, without their verifiers; an unreadable row hides no other key.
    pub async fn list_keys_by_name(
        &self,
        search: &KeySearch,
    ) -> Result<Vec<Result<Key, Unreadable>>, Error> {
        let stored = self.0.store.list_keys_by_name(search).await?;
        Ok(stored.into_iter().map(|key| self.trusted(key)).collect())
    }

    /// Which requirements of the first answered call are met.
    pub async fn get_first_steps(&self) -> Result<FirstSteps, Error> {
        let accounts = AccountFilter { limit: 1, ..AccountFilter::default() };
        let keys = KeySearch {
            role: Some(Role::Caller),
            working_at: Some(self.now()),
            limit: KEYS_AT_ONCE,
            ..KeySearch::default()
        };
        let calls =
            CallFilter { outcome: Some(CallOutcome::Ok), limit: 1, ..CallFilter::default() };
        Ok(FirstSteps {
            has_account: !self.0.store.list_accounts(&accounts).await?.is_empty(),
            has_key: self.has_trusted_key(keys).await?,
            has_call: !self.list_calls(calls).await?.is_empty(),
        })
    }

    /// Whether any key found is genuine: its row's own word is not enough.
    async fn has_trusted_key(&self, mut search: KeySearch) -> Result<bool, Error> {
        loop {
            let found = self.list_keys_by_name(&search).await?;
            if found.iter().any(Result::is_ok) {
                return Ok(true);
            }
            let Some(Err(last)) = found.into_iter().next_back() else { return Ok(false) };
            search.after = Some((last.name, last.id));
        }
    }

    async fn with_last_calls(
        &self,
        accounts: Vec<Account>,
    ) -> Result<Vec<AccountWithLastCall>, Error> {
        let _ = self.store_calls().await;
        let mut last = Vec::with_capacity(accounts.len());
        for some in accounts.chunks(AT_ONCE) {
            last.extend(self.0.store.list_last_calls(some).await?);
        }
        let seen = accounts.into_iter().zip(last);
        let seen = seen.map(|(account, last)| {
            let is_configured = self.0.apps.contains_key(&account.app);
            AccountWithLastCall { account, last, is_configured }
        });
        Ok(seen.collect())
    }
}
