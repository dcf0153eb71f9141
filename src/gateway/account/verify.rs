//! Marking the accounts whose tokens X refuses. One answer is no proof: the gateway checks that X refuses the token
//! again and accepts another account's, so that a fault at X never marks accounts by the hundred.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::gateway::account::known::{ACTOR, KnownAccount};
use crate::gateway::app::AppState;
use crate::gateway::{Error, Gateway};
use crate::model::{Account, AccountState};
use crate::store::AccountFilter;
use crate::upstream::Verdict;

/// How long an answer waits for its account to be marked, so that the next call sees the mark.
const MARKING: Duration = Duration::from_secs(1);
/// The minimum time between checks while X refuses every account.
const BETWEEN_DOUBTS: Duration = Duration::from_secs(30);
/// Each replica checks at most one account in this time.
const BETWEEN_CHECKS: Duration = Duration::from_secs(2);
/// A blocked account may work again at any time, so it is checked this many times as often as others.
const BLOCKED_AS_OFTEN: u32 = 24;
/// How many other accounts are tried before concluding that X refuses all of them.
const OTHERS: u32 = 3;

impl Gateway {
    /// After a call for which X refused an account's token: confirms the refusal and marks the account, while the
    /// answer waits a moment. What cannot be settled now is left to the next refusal.
    pub(in crate::gateway) async fn investigate(
        &self,
        app: &Arc<AppState>,
        known: &Arc<KnownAccount>,
    ) {
        let Some(verification) = Verification::of(app, known) else { return };
        let gateway = self.clone();
        let investigation = tokio::spawn(async move {
            let outcome = gateway.confirm(&verification.app, &verification.known).await;
            verification.settle(outcome);
        });
        let _ = tokio::time::timeout(MARKING, investigation).await;
    }

    /// After a call that succeeded although its account may have been marked meanwhile: asks X about a marked account,
    /// beside the call, and makes it active again if X accepts its token.
    pub(in crate::gateway) fn recheck(&self, app: &Arc<AppState>, known: Arc<KnownAccount>) {
        let (gateway, app) = (self.clone(), Arc::clone(app));
        tokio::spawn(async move {
            let current = gateway.find_account(&app, known.stored.account.user_id).await;
            let Ok(Some(current)) = current else { return };
            let is_same = current.stored.sealed_token == known.stored.sealed_token;
            if !is_same || current.stored.account.state == AccountState::Active {
                return;
            }
            let Some(verification) = Verification::of(&app, &current) else { return };
            let outcome = gateway.check_account(&verification.app, &verification.known).await;
            verification.settle(outcome);
        });
    }

    /// Checks accounts with X in the background, in turn, until every clone of this gateway is dropped: an account that
    /// works again becomes active, one that X refuses is marked once that is confirmed. Call it once.
    pub fn check_accounts(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::downgrade(&self.0);
        async move {
            while let Some(inner) = inner.upgrade() {
                let gateway = Gateway(inner, None);
                if gateway.0.connect.check_every.is_zero() {
                    return;
                }
                if let Err(error) = gateway.check_next_account().await {
                    warn!(error = &error as &dyn std::error::Error, "could not check an account");
                }
                drop(gateway);
                tokio::time::sleep(BETWEEN_CHECKS).await;
            }
        }
    }

    /// Checks the account that has gone unchecked for longest; false when none is due. No two replicas get the same
    /// account.
    pub async fn check_next_account(&self) -> Result<bool, Error> {
        let (now, every) = (self.now(), self.0.connect.check_every);
        let (before, before_blocked) = (now - every, now - every / BLOCKED_AS_OFTEN);
        let claimed = self.0.store.claim_unchecked_account(now, before, before_blocked).await?;
        let Some(stored) = claimed else { return Ok(false) };
        if let Some(app) = self.0.apps.get(&stored.account.app) {
            let mut known = self.open_account(stored)?;
            self.heal(&self.0.store, &mut known).await?;
            self.check_account(app, &known).await?;
        }
        Ok(true)
    }

    /// Asks X about an account's token when no call has just failed: if X accepts it, the account becomes active; if X
    /// refuses it, that is confirmed before the account is marked.
    async fn check_account(&self, app: &AppState, known: &KnownAccount) -> Result<(), Error> {
        let Some(token) = &known.token else { return Ok(()) };
        let account = &known.stored.account;
        match self.0.upstream.verify_account(&app.settings(), token).await {
            Ok(Ok(profile)) if profile.user_id == account.user_id => {
                let reason = "X accepts the access token";
                self.set_state(&known.stored, AccountState::Active, reason, ACTOR).await?;
            }
            Ok(Ok(_) | Err(Verdict::AccountRevoked | Verdict::AccountBlocked)) => {
                self.confirm(app, known).await?;
            }
            // The app's or X's fault, or nobody can tell: the account's turn comes again.
            _ => (),
        }
        Ok(())
    }

    /// Marks an account whose token X has just refused, if X accepts another account's token and refuses this one
    /// again.
    async fn confirm(&self, app: &AppState, known: &KnownAccount) -> Result<(), Error> {
        let Some(token) = &known.token else { return Ok(()) };
        let mut doubted_at = app.verifications.doubted_at.lock().await;
        let now = self.0.clock.instant();
        if doubted_at.is_some_and(|doubted| now.saturating_duration_since(doubted) < BETWEEN_DOUBTS)
        {
            return Ok(());
        }
        let account = &known.stored.account;
        // First, so that if X has just recovered, it does not seem to refuse this account alone.
        if !self.accepts_others(app, account).await? {
            *doubted_at = Some(now);
            let app = &account.app;
            warn!(app, "X rejects every account that was tried, so none is marked");
            return Ok(());
        }
        let (state, reason) = match self.0.upstream.verify_account(&app.settings(), token).await {
            Ok(Err(Verdict::AccountRevoked)) => {
                (AccountState::Revoked, "X said twice that the access token is no longer valid")
            }
            Ok(Err(Verdict::AccountBlocked)) => {
                (AccountState::Blocked, "X said twice that the user is suspended or locked")
            }
            Ok(Ok(profile)) if profile.user_id != account.user_id => {
                (AccountState::Quarantined, "X said twice that the token belongs to another user")
            }
            _ => {
                let account = account.user_id.to_string();
                info!(account, "X rejected a call, but not the account's token");
                return Ok(());
            }
        };
        self.set_state(&known.stored, state, reason, ACTOR).await
    }

    /// Whether X accepts the token of another active account, or there is no other to try.
    async fn accepts_others(&self, app: &AppState, account: &Account) -> Result<bool, Error> {
        let mut filter = AccountFilter {
            app: Some(account.app.clone()),
            state: Some(AccountState::Active),
            search: None,
            after: Some((account.app.clone(), account.user_id)),
            limit: OTHERS,
        };
        let mut others = self.0.store.list_accounts(&filter).await?;
        if others.is_empty() {
            filter.after = None;
            others = self.0.store.list_accounts(&filter).await?;
            others.retain(|other| other.user_id != account.user_id);
        }
        for other in &others {
            let known = self.find_account(app, other.user_id).await?;
            let Some(token) = known.as_ref().and_then(|known| known.token.as_ref()) else {
                continue;
            };
            let answer = self.0.upstream.verify_account(&app.settings(), token).await;
            if matches!(answer, Ok(Ok(profile)) if profile.user_id == other.user_id) {
                return Ok(true);
            }
        }
        Ok(others.is_empty())
    }
}

/// An account under investigation; dropping this allows the next investigation.
struct Verification {
    app: Arc<AppState>,
    known: Arc<KnownAccount>,
}

impl Verification {
    /// `None` if the account is already under investigation.
    fn of(app: &Arc<AppState>, known: &Arc<KnownAccount>) -> Option<Verification> {
        let is_new = app.verifications.in_progress().insert(known.stored.account.user_id);
        is_new.then(|| Verification { app: Arc::clone(app), known: Arc::clone(known) })
    }

    fn settle(&self, outcome: Result<(), Error>) {
        if let Err(error) = outcome {
            let account = self.known.stored.account.user_id.to_string();
            let error = &error as &dyn std::error::Error;
            warn!(error, account, "could not find out whether X accepts an account's token");
        }
    }
}

impl Drop for Verification {
    fn drop(&mut self) {
        self.app.verifications.in_progress().remove(&self.known.stored.account.user_id);
    }
}
