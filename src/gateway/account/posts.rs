//! Posts of connected accounts that are known, for people to begin with.

use crate::gateway::{Error, Gateway};
use crate::model::{Account, AccountRef, AccountState};
use crate::store::AccountFilter;

/// Accounts that are offered to choose from.
const OFFERED: u32 = 100;
/// Accounts of which one with known posts is searched, if none is named.
const SEARCHED: usize = 5;

/// The newest posts that are known of an account.
pub struct KnownPosts {
    /// The accounts to choose from: the first of the app's that work.
    pub accounts: Vec<Account>,
    /// Whose posts these are; `None` if no account has any, or none is named so.
    pub account: Option<Account>,
    /// Newest first.
    pub posts: Vec<u64>,
}

impl Gateway {
    /// The newest known posts, at most `most`, of the app's account of that screen name or user id; without one, of the
    /// first account that has any. `app` is optional if only one is configured.
    pub async fn suggest_posts(
        &self,
        app: Option<&str>,
        named: Option<&str>,
        most: usize,
    ) -> Result<KnownPosts, Error> {
        let app = self.app(app)?.name.clone();
        let state = Some(AccountState::Active);
        let limit = OFFERED;
        let filter = AccountFilter { app: Some(app.clone()), state, limit, ..Default::default() };
        let accounts = self.0.store.list_accounts(&filter).await?;
        let candidates = match named {
            Some(name) => self.find_account_named(&app, name).await?.into_iter().collect(),
            None => accounts.iter().take(SEARCHED).cloned().collect::<Vec<_>>(),
        };
        for account in candidates {
            let posts = self.0.store.find_posts_of(account.user_id, 0..=u64::MAX, most).await?;
            if named.is_some() || !posts.is_empty() {
                return Ok(KnownPosts { accounts, account: Some(account), posts });
            }
        }
        Ok(KnownPosts { accounts, account: None, posts: Vec::new() })
    }

    async fn find_account_named(&self, app: &str, name: &str) -> Result<Option<Account>, Error> {
        let with_at = || AccountRef::parse(&format!("@{name}"));
        let Some(named) = AccountRef::parse(name).or_else(with_at) else { return Ok(None) };
        match self.get_account(Some(app), &named).await {
            Ok(account) => Ok(Some(account)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
