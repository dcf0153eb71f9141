//! Links by which users connect accounts: created by admins, by permitted keys, and for accounts that have ended.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tracing::warn;

use crate::gateway::account::pending_links::LinkId;
use crate::gateway::app::AppState;
use crate::gateway::app::reconnects::{Kept, Reconnect};
use crate::gateway::bearer::outlive;
use crate::gateway::key::{KnownKey, whole_second};
use crate::gateway::{Detail, Error, Gateway};
use crate::model::audit::holder_at;
use crate::model::handshake::{self, Link};
use crate::model::key::Right;
use crate::model::{Account, AccountRef, Secret, UserId};
use crate::vault::{self, Seal};

const LONGEST_LINK: Duration = Duration::from_hours(24);
/// How long a link must still be valid to be given out again.
pub(in crate::gateway) const LINK_LEFT: Duration = Duration::from_hours(12);
/// How long an answer waits for a link to reconnect.
const MAKING: Duration = Duration::from_millis(250);
/// How often to check, in seconds, whether a link that is given out repeatedly is still open.
const BETWEEN_CHECKS: i64 = 60;

/// The terms of a new link.
#[derive(Clone, Debug, Default)]
pub struct NewLink {
    /// The app's name; optional if only one app is configured.
    pub app: Option<String>,
    pub label: String,
    pub expected_user: Option<UserId>,
    /// One of `connect.return_to`.
    pub return_to: Option<String>,
    /// At most, and by default, 24 hours.
    pub expires_in: Option<Duration>,
}

/// A link that was created.
pub struct CreatedLink {
    /// Identifies the link afterwards, and does not open it.
    pub id: LinkId,
    pub link: Link,
    /// Shown only once: anyone who has it can connect an account.
    pub url: Secret,
}

impl NewLink {
    /// A link for the user of an account that has ended, and for nobody else.
    pub(in crate::gateway) fn to_reconnect(
        app: &str,
        user_id: UserId,
        screen_name: &str,
    ) -> NewLink {
        NewLink {
            app: Some(app.to_owned()),
            label: format!("to reconnect @{screen_name}"),
            expected_user: Some(user_id),
            ..NewLink::default()
        }
    }
}

impl Gateway {
    /// Creates a link; its secret is shown only once and stored only as a hash.
    pub async fn create_link(&self, new: NewLink, actor: &str) -> Result<CreatedLink, Error> {
        self.create_link_as(new, actor, None).await
    }

    /// Creates a link; with `key_id`, on behalf of that key and within its limit.
    async fn create_link_as(
        &self,
        new: NewLink,
        actor: &str,
        key_id: Option<&str>,
    ) -> Result<CreatedLink, Error> {
        let mut problems = Vec::new();
        let public_url = self.0.connect.public_url.clone().unwrap_or_default();
        if public_url.is_empty() {
            let detail = "links need server.public_url; set it, or connect with a PIN";
            problems.push(Detail::at("", detail));
        }
        if !(1..=100).contains(&new.label.chars().count())
            || new.label.chars().any(char::is_control)
        {
            problems.push(Detail::at("/label", "must be 1 to 100 printable characters"));
        }
        let lasts = new.expires_in.unwrap_or(LONGEST_LINK);
        if lasts.is_zero() || lasts > LONGEST_LINK {
            problems.push(Detail::at("/expires", "must be above zero and at most 24 hours"));
        }
        if new.return_to.as_ref().is_some_and(|address| !self.0.connect.return_to.contains(address))
        {
            let detail = "must be exactly as listed in connect.return_to";
            problems.push(Detail::at("/return_to", detail));
        }
        let app = self.app(new.app.as_deref()).map_err(|problem| problems.push(problem));
        let (Ok(app), true) = (app, problems.is_empty()) else {
            return Err(Error::InvalidRequest(problems));
        };
        let now = whole_second(self.now());
        let link = Link {
            app: app.name.clone(),
            label: new.label,
            expected_user: new.expected_user,
            return_to: new.return_to,
            created_at: now,
            expires_at: now + lasts,
        };
        let id = handshake::compose(&vault::random_digits());
        let hash = vault::fingerprint(id.expose());
        let proof = self.0.vault.seal(&Seal::link(&hash, &link), &hash)?;
        match key_id {
            None => self.0.store.insert_link(&hash, &link, &proof, actor).await?,
            Some(key_id) => {
                let most = self.0.limits.key_links;
                let maker = (key_id, most);
                let made = self.0.store.insert_link_of_key(&hash, &link, &proof, actor, maker);
                made.await?.map_err(|first_ends| Error::TooManyLinks {
                    most,
                    retry_after: (first_ends - now).unsigned_abs(),
                })?;
            }
        }
        let url = Secret::new(format!("{public_url}/connect/{}", id.expose()));
        Ok(CreatedLink { id: LinkId::of(&hash), link, url })
    }

    /// Creates a link for the user of an account, and for nobody else.
    pub async fn create_reconnect_link(
        &self,
        app: &str,
        named: &AccountRef,
        actor: &str,
    ) -> Result<CreatedLink, Error> {
        let account = self.get_account(Some(app), named).await?;
        self.create_link(NewLink::to_reconnect(app, account.user_id, &account.screen_name), actor)
            .await
    }

    /// Creates a link for a permitted key: for its app, and if it is limited to accounts, for one of them.
    pub async fn create_link_for_key(
        &self,
        key: &KnownKey,
        new: NewLink,
        from: IpAddr,
    ) -> Result<CreatedLink, Error> {
        key.require(Right::CreateLinks)?;
        let scopes = &key.key.scopes;
        let refuse = |why: &str| Err(Error::NotAllowed(why.to_owned()));
        if new.app.is_some() && new.app != scopes.app {
            return refuse("it is for another app");
        }
        let listed =
            |ids: &Vec<UserId>| new.expected_user.is_some_and(|expected| ids.contains(&expected));
        if !scopes.accounts.as_ref().is_none_or(listed) {
            return refuse("it is limited to certain accounts, so user_id must be one of them");
        }
        self.app_of_key(key)?;
        let new = NewLink { app: scopes.app.clone(), ..new };
        self.create_link_as(new, &holder_at(&key.key.id, from), Some(&key.key.id)).await
    }

    /// The link sent with the answer that an account has ended, if the key may create links and one is ready in time.
    pub(in crate::gateway) async fn find_reconnect_link(
        &self,
        key: &KnownKey,
        app: &Arc<AppState>,
        account: &Account,
        from: IpAddr,
    ) -> Option<Reconnect> {
        let possible = self.0.connect.public_url.is_some() && !self.is_database_away();
        if !key.key.scopes.rights.contains(&Right::CreateLinks) || !possible {
            return None;
        }
        let (gateway, app, account) = (self.clone(), Arc::clone(app), account.clone());
        let (key_id, actor) = (key.key.id.clone(), holder_at(&key.key.id, from));
        if app.reconnects.is_full(&key_id) {
            return None;
        }
        // A link that takes longer than this answer can wait is ready for the next one.
        let making = outlive(async move {
            gateway.get_or_create_reconnect_link(&app, &account, &key_id, &actor).await
        });
        match tokio::time::timeout(MAKING, making).await {
            Ok(Ok(link)) => Some(link),
            Ok(Err(error)) => {
                warn!(error = &error as &dyn std::error::Error, "no reconnect link was created");
                None
            }
            Err(_) => None,
        }
    }

    async fn get_or_create_reconnect_link(
        &self,
        app: &AppState,
        account: &Account,
        key_id: &str,
        actor: &str,
    ) -> Result<Reconnect, Error> {
        let (kept, user_id) = (&app.reconnects.kept, account.user_id);
        if let Some(known) = kept.get(&user_id).await {
            if self.is_open(&known).await? {
                return Ok(known.link.clone());
            }
            kept.remove(&user_id).await;
        }
        let make = async {
            let new = NewLink::to_reconnect(&account.app, user_id, &account.screen_name);
            let made = self.create_link_as(new, actor, Some(key_id)).await?;
            let id = made.url.expose().rsplit('/').next().unwrap_or_default();
            Ok::<_, Error>(Arc::new(Kept {
                hash: vault::fingerprint(id),
                checked_at: AtomicI64::new(self.now().unix_timestamp()),
                link: Reconnect { until: made.link.expires_at, url: made.url },
            }))
        };
        let link = kept.get_or_load(&user_id, make).await;
        if matches!(link.as_ref().map_err(|error| &**error), Err(Error::TooManyLinks { .. })) {
            app.reconnects.full.insert(key_id, Arc::new(())).await;
        }
        Ok(link.map_err(|error| Error::StoreUnavailable(error.into()))?.link.clone())
    }

    /// Whether a link can still be given out: it is valid long enough, and no browser has begun with it.
    async fn is_open(&self, kept: &Kept) -> Result<bool, Error> {
        let now = self.now();
        if kept.link.until < now + LINK_LEFT {
            return Ok(false);
        }
        let seconds = now.unix_timestamp();
        if seconds - kept.checked_at.load(Ordering::Relaxed) < BETWEEN_CHECKS {
            return Ok(true);
        }
        let stored = self.0.store.find_link(&kept.hash).await?;
        kept.checked_at.store(seconds, Ordering::Relaxed);
        Ok(stored.is_some_and(|link| link.browser_hash.is_none() && link.connected.is_none()))
    }
}
