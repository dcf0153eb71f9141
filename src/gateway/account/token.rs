//! Accounts' stored tokens: opening them, quarantining an account whose token does not open, and healing it once
//! the token does.

use tracing::{error, warn};

use crate::gateway::account::known::{ACTOR, KnownAccount, is_token_of};
use crate::gateway::{Error, Gateway};
use crate::model::webhook::Event;
use crate::model::{Account, AccountState};
use crate::store::{self, Store, StoredAccount};
use crate::upstream::Token;
use crate::vault::{self, Seal, Vault};

/// Why an account was quarantined: its stored token did not open, at a call or at a check.
const UNOPENED: &str = "the stored token cannot be opened or is not this user's";
pub(in crate::gateway) const VERIFIED_UNOPENED: &str = "the stored token cannot be opened";

impl Gateway {
    /// Opens an account's token, or quarantines the account: a token that does not open must not sign. An error means
    /// that this ring lacks the key.
    pub(in crate::gateway) fn open_account(
        &self,
        mut stored: StoredAccount,
    ) -> Result<KnownAccount, vault::Error> {
        self.require_keys(&stored)?;
        let token = open_token(&self.0.vault, &stored).ok();
        let account = &mut stored.account;
        if token.is_none() && account.state == AccountState::Active {
            error!(
                app = account.app,
                account = account.user_id.to_string(),
                "an account is quarantined: its stored token cannot be opened or is not this user's"
            );
            account.state = AccountState::Quarantined;
            account.state_since = self.now();
            let (gateway, marked) = (self.clone(), stored.clone());
            tokio::spawn(async move {
                let _ =
                    gateway.set_state(&marked, AccountState::Quarantined, UNOPENED, ACTOR).await;
            });
        }
        Ok(KnownAccount { stored, token })
    }

    /// Reactivates an account that was quarantined because its token did not open, once it does. A token that X called
    /// another user's stays quarantined.
    pub(in crate::gateway) async fn heal(
        &self,
        store: &Store,
        known: &mut KnownAccount,
    ) -> Result<(), store::Error> {
        let account = &known.stored.account;
        if account.state != AccountState::Quarantined || known.token.is_none() {
            return Ok(());
        }
        let subject = store::account_subject(&account.app, account.user_id);
        let event = Event::of_state(AccountState::Quarantined);
        let reason = store.find_last_detail(&subject, event.name()).await?;
        if reason.is_some_and(|reason| [UNOPENED, VERIFIED_UNOPENED].contains(&&*reason)) {
            let reason = "the stored token can be opened again and is this user's";
            self.change_state(&known.stored, AccountState::Active, reason, ACTOR).await?;
            known.stored.account.state = AccountState::Active;
            known.stored.account.state_since = self.now();
        }
        Ok(())
    }

    pub(in crate::gateway) fn require_keys(
        &self,
        stored: &StoredAccount,
    ) -> Result<(), vault::Error> {
        self.0.vault.require_key(&stored.sealed_token)?;
        self.0.vault.require_key(&stored.sealed_token_secret)
    }

    pub(in crate::gateway) async fn set_state(
        &self,
        stored: &StoredAccount,
        state: AccountState,
        reason: &str,
        actor: &str,
    ) -> Result<(), Error> {
        self.change_state(stored, state, reason, actor).await?;
        self.forget_accounts(&stored.account.app, &[stored.account.user_id]).await;
        Ok(())
    }

    async fn change_state(
        &self,
        stored: &StoredAccount,
        state: AccountState,
        reason: &str,
        actor: &str,
    ) -> Result<(), store::Error> {
        if self.0.store.update_account_state(stored, state, reason, actor, self.now()).await? {
            let (app, account) = (&stored.account.app, stored.account.user_id.to_string());
            let event = Event::of_state(state);
            warn!(app, account, event = event.name(), reason, "an account's state has changed");
            self.announce(event, 1);
        }
        Ok(())
    }
}

/// An account's token, if it opens and is the user's.
pub(in crate::gateway) fn open_token(
    vault: &Vault,
    stored: &StoredAccount,
) -> Result<Token, vault::Error> {
    let Account { app, user_id, .. } = &stored.account;
    let token = vault.open_text(&Seal::access_token(app, *user_id), &stored.sealed_token)?;
    let secret = Seal::access_token_secret(app, *user_id);
    let secret = vault.open_text(&secret, &stored.sealed_token_secret)?;
    let is_theirs = is_token_of(*user_id, token.expose());
    is_theirs.then_some(Token { token, secret }).ok_or(vault::Error::DoesNotOpen)
}
