//! Marking the accounts whose tokens X refuses. One answer is no proof: X is asked about the token itself, and whether
//! it takes another account's, so that a fault of X's never marks accounts by the hundred.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::gateway::account::known::{ACTOR, KnownAccount};
use crate::gateway::app::AppState;
use crate::gateway::{Error, Gateway};
use crate::model::{Account, AccountState};
use crate::store::AccountFilter;
use crate::upstream::Verdict;

/// How long an answer waits for its account to be marked, so that the next call meets the mark.
const MARKING: Duration = Duration::from_secs(1);
/// While X refuses everybody, it is asked about that only so often.
const BETWEEN_DOUBTS: Duration = Duration::from_secs(30);
/// X is asked about no more than one account in this time, by each replica.
const BETWEEN_CHECKS: Duration = Duration::from_secs(2);
/// A blocked account may work again any time, so X is asked about it so many times as often as about others.
const BLOCKED_AS_OFTEN: u32 = 24;
/// How many other accounts are tried before X is thought to refuse everybody.
const OTHERS: u32 = 3;

impl Gateway {
    /// Looks into an answer that refused an account's token. What cannot be settled now, the next refusal tells again.
    pub(in crate::gateway) async fn look_into(
        &self,
        app: &Arc<AppState>,
        known: &Arc<KnownAccount>,
    ) {
        let Some(suspect) = Suspect::of(app, known) else { return };
        let gateway = self.clone();
        let looking = tokio::spawn(async move {
            let asked = gateway.confirm(&suspect.app, &suspect.known).await;
            suspect.settle(asked);
        });
        let _ = tokio::time::timeout(MARKING, looking).await;
    }

    /// Looks into an account that a call has worked for, though it may have been marked meanwhile; beside the call.
    pub(in crate::gateway) fn look_again(&self, app: &Arc<AppState>, known: Arc<KnownAccount>) {
        let (gateway, app) = (self.clone(), Arc::clone(app));
        tokio::spawn(async move {
            let current = gateway.known_account(&app, known.stored.account.user_id).await;
            let Ok(Some(current)) = current else { return };
            let is_same = current.stored.sealed_token == known.stored.sealed_token;
            if !is_same || current.stored.account.state == AccountState::Active {
                return;
            }
            let Some(suspect) = Suspect::of(&app, &current) else { return };
            let asked = gateway.ask_about(&suspect.app, &suspect.known).await;
            suspect.settle(asked);
        });
    }

    /// Asks X in the background about each account in its turn, until every clone of this gateway is dropped: one that
    /// works again is healed, one that X refuses is looked into. Call it once.
    pub fn check_accounts(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::downgrade(&self.0);
        async move {
            while let Some(inner) = inner.upgrade() {
                let gateway = Gateway(inner);
                if gateway.0.connect.check_every.is_zero() {
                    return;
                }
                if let Err(error) = gateway.check_next_account().await {
                    warn!(error = &error as &dyn std::error::Error, "no account could be checked");
                }
                drop(gateway);
                tokio::time::sleep(BETWEEN_CHECKS).await;
            }
        }
    }

    /// Asks X about the account that it was not asked about for longest; false when none is due. Of many replicas each
    /// gets another one.
    pub async fn check_next_account(&self) -> Result<bool, Error> {
        let (now, every) = (self.now(), self.0.connect.check_every);
        let (before, before_blocked) = (now - every, now - every / BLOCKED_AS_OFTEN);
        let claimed = self.0.store.claim_unchecked_account(now, before, before_blocked).await?;
        let Some(stored) = claimed else { return Ok(false) };
        if let Some(app) = self.0.apps.get(&stored.account.app) {
            let mut known = self.open_account(stored)?;
            self.heal(&mut known).await?;
            self.ask_about(app, &known).await?;
        }
        Ok(true)
    }

    /// Asks X about an account's token: one that it takes is healed, one that it refuses is looked into.
    async fn ask_about(&self, app: &AppState, known: &KnownAccount) -> Result<(), Error> {
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

    async fn confirm(&self, app: &AppState, known: &KnownAccount) -> Result<(), Error> {
        let Some(token) = &known.token else { return Ok(()) };
        let mut doubted_at = app.suspects.doubted_at.lock().await;
        let now = self.0.clock.instant();
        if doubted_at.is_some_and(|it| now.saturating_duration_since(it) < BETWEEN_DOUBTS) {
            return Ok(());
        }
        let account = &known.stored.account;
        // First, so that an X that has just come back is not taken for one that refuses this account alone.
        if !self.takes_others(app, account).await? {
            *doubted_at = Some(now);
            let app = &account.app;
            warn!(app, "X refuses one account after the other, so none is marked");
            return Ok(());
        }
        let (state, reason) = match self.0.upstream.verify_account(&app.settings(), token).await {
            Ok(Err(Verdict::AccountRevoked)) => (
                AccountState::Revoked,
                "X answered twice that the access token is not valid any more",
            ),
            Ok(Err(Verdict::AccountBlocked)) => {
                (AccountState::Blocked, "X answered twice that the user is suspended or locked")
            }
            Ok(Ok(profile)) if profile.user_id != account.user_id => {
                (AccountState::Quarantined, "X said twice that the token is another user's")
            }
            _ => {
                let account = account.user_id.to_string();
                info!(account, "X refused a call, but not the account's token: it is not marked");
                return Ok(());
            }
        };
        self.set_state(&known.stored, state, reason, ACTOR).await
    }

    /// Whether X takes the token of another active account, or there is no other to ask with.
    async fn takes_others(&self, app: &AppState, suspect: &Account) -> Result<bool, Error> {
        let mut filter = AccountFilter {
            app: Some(suspect.app.clone()),
            state: Some(AccountState::Active),
            search: None,
            after: Some((suspect.app.clone(), suspect.user_id)),
            limit: OTHERS,
        };
        let mut others = self.0.store.list_accounts(&filter).await?;
        if others.is_empty() {
            filter.after = None;
            others = self.0.store.list_accounts(&filter).await?;
            others.retain(|it| it.user_id != suspect.user_id);
        }
        for other in &others {
            let known = self.known_account(app, other.user_id).await?;
            let Some(token) = known.as_ref().and_then(|it| it.token.as_ref()) else { continue };
            let answer = self.0.upstream.verify_account(&app.settings(), token).await;
            if matches!(answer, Ok(Ok(profile)) if profile.user_id == other.user_id) {
                return Ok(true);
            }
        }
        Ok(others.is_empty())
    }
}

/// An account that is being looked into; it can be so again once this is dropped.
struct Suspect {
    app: Arc<AppState>,
    known: Arc<KnownAccount>,
}

impl Suspect {
    /// `None` while it is looked into already.
    fn of(app: &Arc<AppState>, known: &Arc<KnownAccount>) -> Option<Suspect> {
        let is_new = app.suspects.held().insert(known.stored.account.user_id);
        is_new.then(|| Suspect { app: Arc::clone(app), known: Arc::clone(known) })
    }

    fn settle(&self, asked: Result<(), Error>) {
        if let Err(error) = asked {
            let account = self.known.stored.account.user_id.to_string();
            let error = &error as &dyn std::error::Error;
            warn!(error, account, "whether X takes an account's token could not be settled");
        }
    }
}

impl Drop for Suspect {
    fn drop(&mut self) {
        self.app.suspects.held().remove(&self.known.stored.account.user_id);
    }
}
