//! The accounts that a question names or may use.

use std::sync::Arc;

use crate::gateway::account::known::KnownAccount;
use crate::gateway::app::AppState;
use crate::gateway::key::KnownKey;
use crate::gateway::question::Question;
use crate::gateway::question::plan::MOST_CANDIDATES;
use crate::gateway::{Detail, Error, Gateway};
use crate::model::{AccountRef, AccountState, UserId};
use crate::store::{AccountFilter, Store};

impl Gateway {
    /// The users among these who have an account. Unknown users are looked up together: there may be thousands.
    pub(super) async fn connected(
        &self,
        app: &AppState,
        users: Vec<UserId>,
    ) -> Result<Vec<UserId>, Error> {
        let (mut connected, mut others) = (Vec::new(), Vec::new());
        for user in users {
            let is_known = app.accounts.peek(&user).await.is_some();
            if is_known { connected.push(user) } else { others.push(user) }
        }
        if !others.is_empty() {
            let (app, others) = (&*app.name, &*others);
            let find = |store: Store| async move { Ok(store.find_connected(app, others).await?) };
            // Boxed, since it is seldom needed and large.
            connected.extend(Box::pin(self.read_patiently(find)).await?);
        }
        Ok(connected)
    }

    /// The accounts whose tokens the key and the question allow; `None` for all of the app's.
    pub(super) async fn allowed_accounts(
        &self,
        key: &KnownKey,
        app: &Arc<AppState>,
        question: &Question,
    ) -> Result<Option<Vec<UserId>>, Error> {
        let Some(named) = &question.accounts else {
            return Ok(key.key.scopes.accounts.clone());
        };
        let named = self.named_accounts(key, app, named, "accounts").await?;
        Ok(Some(named.iter().map(|known| known.stored.account.user_id).collect()))
    }

    /// The accounts that a member of a question names, each once, if the key may use all of them.
    pub(super) async fn named_accounts(
        &self,
        key: &KnownKey,
        app: &Arc<AppState>,
        named: &[AccountRef],
        member: &str,
    ) -> Result<Vec<Arc<KnownAccount>>, Error> {
        let of_key = key.key.scopes.accounts.as_ref();
        let (mut accounts, mut problems): (Vec<Arc<KnownAccount>>, _) = (Vec::new(), Vec::new());
        for (index, named) in named.iter().enumerate() {
            let user_id = match named {
                AccountRef::Id(user_id) => Some(*user_id),
                AccountRef::ScreenName(name) => self.find_user(app, name, Some(key)).await?,
            };
            let user_id = user_id.filter(|user| of_key.is_none_or(|of_key| of_key.contains(user)));
            let known = match user_id {
                Some(user_id) => self.find_account(app, user_id).await?,
                None => None,
            };
            let Some(known) = known else {
                let detail = "there is no such account for this key";
                problems.push(Detail::at(&format!("/{member}/{index}"), detail));
                continue;
            };
            // The same account may be named by id and by screen name.
            let user_id = known.stored.account.user_id;
            if !accounts.iter().any(|other| other.stored.account.user_id == user_id) {
                accounts.push(known);
            }
        }
        if problems.is_empty() { Ok(accounts) } else { Err(Error::InvalidRequest(problems)) }
    }

    /// The accounts to try for posts of unknown author: active ones among those allowed. If the app may use no further
    /// accounts this month, only accounts already used this month are considered.
    pub(super) async fn candidates(
        &self,
        app: &Arc<AppState>,
        allowed: Option<&[UserId]>,
    ) -> Result<Vec<UserId>, Error> {
        let now = self.now();
        let allowed: Option<Vec<UserId>> = match (allowed, app.month.last_ones(now)) {
            (Some(allowed), Some(_)) => {
                Some(allowed.iter().copied().filter(|user| app.month.has(*user, now)).collect())
            }
            (allowed, last_ones) => allowed.map(<[UserId]>::to_vec).or(last_ones),
        };
        let Some(allowed) = allowed else {
            let filter = AccountFilter {
                app: Some(app.name.clone()),
                state: Some(AccountState::Active),
                search: None,
                after: None,
                limit: u32::try_from(MOST_CANDIDATES).unwrap_or(u32::MAX),
            };
            let listed = self.0.store.list_accounts(&filter).await?;
            return Ok(listed.into_iter().map(|account| account.user_id).collect());
        };
        let mut active = Vec::new();
        for user_id in allowed {
            let known = self.find_account(app, user_id).await?;
            if known.is_some_and(|known| known.stored.account.state == AccountState::Active) {
                active.push(user_id);
            }
            if active.len() == MOST_CANDIDATES {
                break;
            }
        }
        Ok(active)
    }
}
