//! Bearer tokens: minted when needed, shared through the database, one mint at a time however many callers wait, and
//! renewed only for the generation that the upstream still rejects.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::{info, warn};

use crate::gateway::app::AppState;
use crate::gateway::app::bearer::{Bearer, BearerSource, Minting};
use crate::gateway::app::faults::Fault;
use crate::gateway::{Error, Gateway};
use crate::model::Endpoint;
use crate::model::quota::Report;
use crate::upstream::{self, Credential, MintError, MostTries, Progress, Room, StatusCode};
use crate::vault::Seal;

/// X refuses apps that mint too often (reference 6.1).
const BETWEEN_RENEWALS: Duration = Duration::from_secs(10);

/// How long callers who wait for a minted token also wait for it to be stored.
const STORING: Duration = Duration::from_secs(1);

/// How much is read of the answer to a call that X refuses.
const MOST_OF_A_REFUSAL: usize = 64 * 1024;

impl Gateway {
    /// The app's current bearer token: from memory, else from the database, else newly minted.
    pub(super) async fn get_bearer(&self, app: &Arc<AppState>) -> Result<Arc<Bearer>, Error> {
        if let Some(bearer) = app.current.load_full() {
            return Ok(bearer);
        }
        let (gateway, app) = (self.clone(), Arc::clone(app));
        outlive(async move { gateway.first_bearer(&app).await }).await
    }

    /// Replaces the `rejected` generation with one stored meanwhile, or else with a new mint.
    pub(super) async fn renew_bearer(
        &self,
        app: &Arc<AppState>,
        rejected: i64,
    ) -> Result<Arc<Bearer>, Error> {
        let (gateway, app) = (self.clone(), Arc::clone(app));
        outlive(async move { gateway.next_bearer(&app, rejected).await }).await
    }

    async fn first_bearer(&self, app: &AppState) -> Result<Arc<Bearer>, Error> {
        let ended = app.ended.load(Ordering::Acquire);
        let mut minting = app.minting.lock().await;
        if let Some(bearer) = app.current.load_full() {
            return Ok(bearer);
        }
        share_failure(app, &minting, ended)?;
        let stored = self.stored_bearer(app).await?;
        if let Some(bearer) = stored.usable {
            return Ok(remember(app, bearer));
        }
        self.mint(app, stored.generation, &mut minting).await
    }

    async fn next_bearer(&self, app: &AppState, rejected: i64) -> Result<Arc<Bearer>, Error> {
        let ended = app.ended.load(Ordering::Acquire);
        let mut minting = app.minting.lock().await;
        if let Some(bearer) = app.current.load_full().filter(|bearer| bearer.generation != rejected)
        {
            return Ok(bearer);
        }
        share_failure(app, &minting, ended)?;
        let stored = self.stored_bearer(app).await?;
        if let Some(bearer) = stored.usable.filter(|bearer| bearer.generation != rejected) {
            return Ok(remember(app, bearer));
        }
        let now = self.0.clock.instant();
        require_pause(app, minting.renewed_at, now)?;
        let renewed = self.mint(app, stored.generation.or(Some(rejected)), &mut minting).await?;
        minting.renewed_at = Some(now);
        Ok(renewed)
    }

    /// Tests an app's credentials; returns the fault that X finds with them, and what it says about quotas. It mints a
    /// bearer token, if the app does, which is the same as before; and makes a call that X refuses for its body once it
    /// knows who calls, and that this app may (reference 4.4).
    pub async fn verify_app(&self, app: &str) -> Result<(Option<Fault>, Report), Error> {
        let app = self.get_app(app)?;
        let settings = app.settings();
        let minted;
        let credential = match (BearerSource::of(&settings), &settings.bearer_token) {
            (BearerSource::TwoLegged, _) => Credential::TwoLegged(&settings),
            (BearerSource::Configured, Some(token)) => Credential::Bearer(token),
            _ => {
                let fresh = self.0.upstream.mint_bearer(&settings).await;
                minted = fresh.map_err(|error| mint_error(&app.name, error.into()))?;
                Credential::Bearer(&minted)
            }
        };
        let (body, progress) = (Bytes::from_static(b"{}"), Progress::default());
        let room = &mut Room::UpTo(MOST_OF_A_REFUSAL);
        let answer = self
            .0
            .upstream
            .engage(Endpoint::Totals, &body, credential, room, (&progress, MostTries::Two))
            .await?;
        match app.judge(credential, &answer) {
            // X complains of the body, or of too many calls, only once it has accepted the credentials.
            None if ![StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS]
                .contains(&answer.status) =>
            {
                Err(Error::odd(format!("X answered {}", answer.status)))
            }
            fault => Ok((fault, answer.report())),
        }
    }

    /// Drops the cached token after another replica stored a new generation, so that the next call reads the database.
    pub(super) async fn forget_bearer(&self, app: &str) {
        let Some(app) = self.0.apps.get(app) else { return };
        let current = app.current.load_full();
        let known = current.as_ref().map(|bearer| bearer.generation);
        // Not if the database is unavailable, nor if the token minted here is newer than the stored one.
        if known.is_some()
            && let Ok(stored) = self.stored_bearer(app).await
            && stored.generation > known
        {
            app.current.compare_and_swap(&current, None);
        }
    }

    async fn mint(
        &self,
        app: &AppState,
        replaces: Option<i64>,
        minting: &mut Minting,
    ) -> Result<Arc<Bearer>, Error> {
        let now = self.0.clock.instant();
        require_pause(app, minting.refused_at, now)?;
        let minted = self.0.upstream.mint_bearer(&app.settings()).await;
        app.ended.fetch_add(1, Ordering::Release);
        let outcome = if minted.is_ok() { "minted" } else { "failed" };
        metrics::counter!("countersign_bearer_mints_total", "app" => app.name.clone(), "outcome" => outcome).increment(1);
        let token = minted.map_err(|error| {
            if matches!(error, MintError::Refused { .. }) {
                minting.refused_at = Some(now);
                app.faults.show(Fault::Bearer);
            } else {
                minting.refused_at = None;
            }
            let error = Arc::new(error);
            minting.failure = Some(Arc::clone(&error));
            mint_error(&app.name, error)
        })?;
        (minting.refused_at, minting.failure) = (None, None);
        app.faults.clear(Fault::Bearer);
        info!(app = app.name, "a bearer token was minted");
        let generation = replaces.unwrap_or_default() + 1;
        let sealed = self.0.vault.seal(&Seal::bearer(&app.name), token.expose().as_bytes())?;
        let (store, name, now) = (self.0.store.clone(), app.name.clone(), self.now());
        let storing =
            tokio::spawn(async move { store.replace_bearer(&name, replaces, &sealed, now).await });
        match tokio::time::timeout(STORING, storing).await {
            Ok(Ok(Ok(true))) => Ok(remember(app, Bearer { generation, token })),
            // X gives every replica the same token, so the first to store it stored this one or a newer one.
            Ok(Ok(Ok(false))) => match self.stored_bearer(app).await {
                Ok(Stored { usable: Some(theirs), .. }) => Ok(remember(app, theirs)),
                _ => Ok(remember(app, Bearer { generation, token })),
            },
            Ok(Ok(Err(error))) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    app = app.name,
                    "could not store a bearer token"
                );
                Ok(remember(app, Bearer { generation, token }))
            }
            Ok(Err(_)) | Err(_) => {
                warn!(app = app.name, "a bearer token has not been stored yet");
                Ok(remember(app, Bearer { generation, token }))
            }
        }
    }

    /// The stored token; none when the database is unavailable, since a mint then returns the same token. A token
    /// that another replica sealed with a key missing here stays as it is.
    async fn stored_bearer(&self, app: &AppState) -> Result<Stored, Error> {
        match self.0.store.find_bearer(&app.name).await {
            Ok(Some(row)) => {
                self.0.vault.require_key(&row.sealed_token)?;
                let token = self.0.vault.open_text(&Seal::bearer(&app.name), &row.sealed_token);
                let generation = row.generation;
                let usable = token.ok().map(|token| Bearer { generation, token });
                Ok(Stored { generation: Some(generation), usable })
            }
            Ok(None) => Ok(Stored { generation: None, usable: None }),
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    app = app.name,
                    "could not read a stored bearer token"
                );
                Ok(Stored { generation: None, usable: None })
            }
        }
    }
}

struct Stored {
    generation: Option<i64>,
    usable: Option<Bearer>,
}

/// Runs work to its end even if the caller who began it goes away: others wait for it.
pub(super) async fn outlive<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Error::Internal(error.into())))
}

fn remember(app: &AppState, bearer: Bearer) -> Arc<Bearer> {
    let bearer = Arc::new(bearer);
    app.current.store(Some(Arc::clone(&bearer)));
    bearer
}

fn mint_error(app: &str, error: Arc<MintError>) -> Error {
    match &*error {
        MintError::Upstream(upstream::Error::Timeout(_)) => Error::UpstreamTimeout(error.into()),
        MintError::Upstream(upstream::Error::CutShort(_)) => Error::UpstreamCutShort(error.into()),
        MintError::Upstream(upstream::Error::TooLarge(_)) => Error::UpstreamTooLarge(error.into()),
        MintError::Upstream(upstream::Error::NoMemory) => Error::Busy(error.to_string()),
        MintError::Upstream(upstream::Error::Unreachable(_) | upstream::Error::Untrusted(_)) => {
            Error::UpstreamUnreachable(error.into())
        }
        MintError::Upstream(upstream::Error::Odd(_)) => Error::odd(error),
        MintError::Odd { retry_after, .. } => {
            Error::UpstreamOdd { retry_after: *retry_after, source: error.into() }
        }
        MintError::Refused { .. } => {
            warn!(error = &error as &dyn std::error::Error, app, "no bearer token was minted");
            Error::AppCredentialsRejected { app: app.to_owned(), retry_after: BETWEEN_RENEWALS }
        }
    }
}

/// Refuses while `last` is too recent, with the time left to wait.
fn require_pause(app: &AppState, last: Option<Instant>, now: Instant) -> Result<(), Error> {
    let since = last.map(|last| now.saturating_duration_since(last));
    match since.and_then(|since| BETWEEN_RENEWALS.checked_sub(since)).filter(|left| !left.is_zero())
    {
        Some(left) => {
            Err(Error::AppCredentialsRejected { app: app.name.clone(), retry_after: left })
        }
        None => Ok(()),
    }
}

/// Gives callers who waited for a failed mint its error, instead of letting them retry one after the other.
fn share_failure(app: &AppState, minting: &Minting, ended: u64) -> Result<(), Error> {
    match &minting.failure {
        Some(error) if app.ended.load(Ordering::Acquire) != ended => {
            Err(mint_error(&app.name, Arc::clone(error)))
        }
        _ => Ok(()),
    }
}
