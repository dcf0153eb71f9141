//! Connecting accounts by the three-legged flow (reference 6.4): from a one-time link in a browser, or by a PIN.
//!
//! A link belongs to the first browser that begins with it. X's callback counts for that browser alone and only
//! once: the request that removes the handshake's row makes the exchange.

use std::net::IpAddr;
use std::time::Duration;

use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::gateway::account::known::{is_printable, is_token_of};
use crate::gateway::app::AppState;
use crate::gateway::bearer::outlive;
use crate::gateway::key::presented::TOO_MANY;
use crate::gateway::key::strangers::Guess;
use crate::gateway::{Error, Gateway, Wanted};
use crate::model::handshake::{self, Link, NotConnected};
use crate::model::webhook::Event;
use crate::model::{Account, AccountRef, Secret, UserId};
use crate::store::{NewAccount, StoredHandshake, StoredLink};
use crate::upstream::{self, Granted, HandshakeError, Token};
use crate::vault::{self, Seal};

const ACTOR: &str = "link";
/// Digits of the cookie's secret: 256 bits.
const DIGITS: usize = 43;
/// X states no lifetime for a request token; nobody takes longer to approve (reference 6.4).
const HANDSHAKE: Duration = Duration::from_mins(15);
/// The callback for a client that has none.
const PIN: &str = "oob";

/// What a link's page shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invitation {
    pub link: Link,
    /// The screen name of the only user who may connect, if that user already has an account in the app.
    pub expected_name: Option<String>,
    pub state: LinkState,
}

/// How far a link has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkState {
    /// Nobody has begun, or this browser may begin again; holds how its last attempt ended.
    Open(Option<NotConnected>),
    /// Connected, under this screen name.
    Connected(String),
}

/// A flow that a browser has begun.
pub struct Begun {
    /// The cookie that the browser must bring back, even when it has to begin again.
    pub browser: Secret,
    /// The page at X where the browser continues.
    pub authorize_url: Result<String, Error>,
}

/// A flow that came back from X.
pub struct Finished {
    /// The secret of the link that the flow began from.
    pub link: Secret,
    /// The page to which the browser continues, if the link names one; or why nothing was connected.
    pub return_to: Result<Option<String>, Error>,
}

/// A flow that continues at X, from which the user brings back a PIN.
pub struct BegunPin {
    pub authorize_url: String,
    app: String,
    request_token: Token,
}

/// What X sends a browser back with.
pub enum Callback<'a> {
    Allowed { token: &'a str, verifier: &'a str },
    Denied { token: &'a str },
}

impl Gateway {
    /// Scheme and authority under which browsers reach the gateway.
    pub fn public_url(&self) -> Option<&str> {
        self.0.connect.public_url.as_deref()
    }

    /// What a link's page shows to the browser with the given cookie.
    pub async fn get_invitation(
        &self,
        id: &str,
        browser: Option<&str>,
        from: IpAddr,
    ) -> Result<Invitation, Error> {
        let stored = self.get_named_link(id, from).await?;
        let is_own = stored.is_of(browser);
        let state = match (stored.connected, &stored.browser_hash) {
            (Some((_, name)), _) if is_own => LinkState::Connected(name),
            (Some(_), _) => return Err(NotConnected::LinkUsed.into()),
            (None, Some(_)) if !is_own => return Err(NotConnected::OtherBrowser.into()),
            (None, _) => LinkState::Open(stored.last_failure),
        };
        let expected_name = self.find_expected_name(&stored.link).await?;
        let return_to = self.return_to(&stored.link);
        Ok(Invitation { link: Link { return_to, ..stored.link }, expected_name, state })
    }

    /// Begins, or begins again: gives the link to this browser and asks X for a request token.
    pub async fn begin_link(
        &self,
        id: &str,
        browser: Option<&str>,
        from: IpAddr,
    ) -> Result<Begun, Error> {
        let stored = self.get_named_link(id, from).await?;
        // A browser that has begun before, even with another link, keeps its cookie.
        let browser = browser.filter(|cookie| is_random(cookie)).map_or_else(random, Secret::from);
        let browser_hash = vault::fingerprint(browser.expose());
        let now = self.now();
        if !self.0.store.claim_link(&stored.hash, &browser_hash, now).await? {
            let used = stored.connected.is_some();
            return Err(
                if used { NotConnected::LinkUsed } else { NotConnected::OtherBrowser }.into()
            );
        }
        let authorize_url = self.begin_handshake(&stored, id, &browser_hash).await;
        self.record_end(&stored.hash, &authorize_url).await;
        Ok(Begun { browser, authorize_url })
    }

    /// Handles X's callback: exchanges it, once, and stores the account.
    pub async fn finish_link(
        &self,
        callback: Callback<'_>,
        browser: &str,
    ) -> Result<Finished, Error> {
        let (Callback::Allowed { token, .. } | Callback::Denied { token }) = callback;
        let hashes = (vault::fingerprint(token), vault::fingerprint(browser));
        let verifier = match callback {
            Callback::Denied { .. } => None,
            Callback::Allowed { verifier, .. } => Some(verifier.to_owned()),
        };
        // A browser that disconnects half-way must not lose what X grants only once.
        let (gateway, token) = (self.clone(), Secret::from(token));
        outlive(async move {
            let handshake = gateway.0.store.remove_handshake(&hashes.0, &hashes.1).await?;
            let handshake = handshake.ok_or(NotConnected::TookTooLong)?;
            let stored = gateway.get_stored_link(&handshake.link_hash).await?;
            let place = Seal::request_secret(&stored.link.app, &handshake.token_hash);
            gateway.0.vault.require_key(&handshake.sealed_secret)?;
            let sealed = gateway.0.vault.open_text(&place, &handshake.sealed_secret);
            let sealed = sealed.map_err(|_| NotConnected::TookTooLong)?;
            let (secret, link) =
                sealed.expose().split_once(' ').ok_or(NotConnected::TookTooLong)?;
            let request_token = Token { token, secret: Secret::from(secret) };
            let ended = match verifier {
                None => Err(NotConnected::Cancelled.into()),
                Some(_) if handshake.expires_at <= gateway.now() => {
                    Err(NotConnected::TookTooLong.into())
                }
                Some(verifier) => gateway.exchange(&stored, &request_token, &verifier).await,
            };
            gateway.record_end(&stored.hash, &ended).await;
            Ok(Finished { link: Secret::from(link), return_to: ended })
        })
        .await
    }

    /// Begins without a browser of ours: the user reads a PIN at X and brings it back.
    pub async fn begin_pin(&self, app: Option<&str>) -> Result<BegunPin, Error> {
        let app = self.app(app)?;
        let request_token = self
            .0
            .upstream
            .request_token(&app.settings(), PIN)
            .await
            .map_err(|error| refused(&app.name, &error))?;
        let authorize_url = self.0.upstream.authorize_url(&request_token.token);
        Ok(BegunPin { authorize_url, app: app.name.clone(), request_token })
    }

    /// Exchanges the PIN, once, and stores the account.
    pub async fn finish_pin(
        &self,
        begun: BegunPin,
        pin: &str,
        expected_user: Option<UserId>,
        actor: &str,
    ) -> Result<Account, Error> {
        let app = self.get_app(&begun.app)?;
        let granted =
            self.0.upstream.access_token(&app.settings(), &begun.request_token, pin).await;
        let granted = granted.map_err(|error| refused(&begun.app, &error))?;
        self.connect(app, granted, expected_user, None, actor).await
    }

    async fn get_named_link(&self, id: &str, from: IpAddr) -> Result<StoredLink, Error> {
        if !handshake::is_link_id(id) {
            return Err(NotConnected::LinkUnknown.into());
        }
        let guess = self.begin_link_guess(from).await?;
        let found = self.0.store.find_doubtful_link(&vault::fingerprint(id)).await?;
        let Some(stored) = found else {
            guess.was_wrong();
            self.record_refusal(Wanted::Link, "the link is unknown", None, from);
            return Err(NotConnected::LinkUnknown.into());
        };
        self.require_terms(&stored)?;
        Ok(stored)
    }

    async fn begin_link_guess(&self, from: IpAddr) -> Result<Guess, Error> {
        let begun = self.0.strangers.links.begin(from).await;
        if begun.is_err() {
            self.record_refusal(Wanted::Link, TOO_MANY, None, from);
        }
        begun
    }

    async fn get_stored_link(&self, hash: &[u8]) -> Result<StoredLink, Error> {
        let stored = self.0.store.find_link(hash).await?.ok_or(NotConnected::LinkUnknown)?;
        self.require_terms(&stored)?;
        Ok(stored)
    }

    async fn find_expected_name(&self, link: &Link) -> Result<Option<String>, Error> {
        let Some(user_id) = link.expected_user else { return Ok(None) };
        let known = self.0.store.find_account(&link.app, user_id).await?;
        Ok(known.map(|stored| stored.account.screen_name))
    }

    /// The page to which a browser continues, if the settings still allow it.
    fn return_to(&self, link: &Link) -> Option<String> {
        link.return_to.clone().filter(|address| self.0.connect.return_to.contains(address))
    }

    /// Refuses a link whose row was altered or whose time is over.
    fn require_terms(&self, stored: &StoredLink) -> Result<(), Error> {
        let place = Seal::link(&stored.hash, &stored.link);
        if stored.connected.is_none() && stored.link.expires_at > self.now() {
            self.0.vault.require_key(&stored.sealed_proof)?;
        }
        if self.0.vault.open(&place, &stored.sealed_proof).is_err() {
            warn!(app = stored.link.app, "a link's row does not match its seal, so it is refused");
            return Err(NotConnected::LinkUnknown.into());
        }
        if stored.connected.is_none() && stored.link.expires_at <= self.now() {
            return Err(NotConnected::LinkUnknown.into());
        }
        Ok(())
    }

    /// Whether X takes the address to which it would send browsers back, which is returned; `None` if there is none. A
    /// request token that nobody uses expires by itself.
    pub async fn verify_callback(&self, app: &str) -> Result<Option<String>, Error> {
        let app = self.get_app(app)?;
        let Some(callback) = self.callback() else { return Ok(None) };
        self.request_token(app, &callback).await?;
        Ok(Some(callback))
    }

    /// Asks X for a request token, and notes whether X approves the callback URL.
    async fn request_token(&self, app: &AppState, callback: &str) -> Result<Token, Error> {
        let requested = self.0.upstream.request_token(&app.settings(), callback).await;
        let requested = requested.map_err(|error| refused(&app.name, &error));
        app.faults.judge_callback(requested.as_ref().err());
        requested
    }

    /// Where X sends browsers back to.
    fn callback(&self) -> Option<String> {
        let public_url = self.0.connect.public_url.as_ref()?;
        Some(format!("{public_url}/connect/callback"))
    }

    async fn begin_handshake(
        &self,
        stored: &StoredLink,
        id: &str,
        browser_hash: &[u8],
    ) -> Result<String, Error> {
        let app = self.get_app(&stored.link.app)?;
        let callback = self.callback().ok_or(NotConnected::CallbackNotApproved)?;
        let token = self.request_token(app, &callback).await?;
        let token_hash = vault::fingerprint(token.token.expose());
        let place = Seal::request_secret(&app.name, &token_hash);
        // X sends browsers back to one address for all links; only we can read which link it was.
        let sealed = Zeroizing::new(format!("{} {id}", token.secret.expose()));
        let handshake = StoredHandshake {
            token_hash: token_hash.to_vec(),
            link_hash: stored.hash.clone(),
            browser_hash: browser_hash.to_vec(),
            sealed_secret: self.0.vault.seal(&place, sealed.as_bytes())?,
            expires_at: self.now() + HANDSHAKE,
        };
        self.0.store.insert_handshake(&handshake).await?;
        Ok(self.0.upstream.authorize_url(&token.token))
    }

    async fn exchange(
        &self,
        stored: &StoredLink,
        request_token: &Token,
        verifier: &str,
    ) -> Result<Option<String>, Error> {
        let app = self.get_app(&stored.link.app)?;
        let granted = self.0.upstream.access_token(&app.settings(), request_token, verifier).await;
        let granted = granted.map_err(|error| refused(&app.name, &error))?;
        let expected = stored.link.expected_user;
        self.connect(app, granted, expected, Some(&stored.hash), ACTOR).await?;
        Ok(self.return_to(&stored.link))
    }

    /// Stores what X granted, if it is for the expected user.
    async fn connect(
        &self,
        app: &AppState,
        granted: Granted,
        expected_user: Option<UserId>,
        link_hash: Option<&[u8]>,
        actor: &str,
    ) -> Result<Account, Error> {
        let Granted { token, user_id, screen_name } = granted;
        if expected_user.is_some_and(|expected| expected != user_id) {
            return Err(NotConnected::OtherUser.into());
        }
        if !is_token_of(user_id, token.token.expose()) || !is_printable(token.secret.expose()) {
            return Err(NotConnected::OddAnswer.into());
        }
        let name = &app.name;
        let screen_name = match screen_name {
            Some(screen_name) => screen_name,
            None => match self.0.upstream.verify_account(&app.settings(), &token).await {
                Ok(Ok(profile)) if profile.user_id == user_id => profile.screen_name,
                _ => return Err(NotConnected::OddAnswer.into()),
            },
        };
        let seal = |place, secret: &Secret| self.0.vault.seal(&place, secret.expose().as_bytes());
        let new = NewAccount {
            app: name.clone(),
            user_id,
            screen_name,
            sealed_token: seal(Seal::access_token(name, user_id), &token.token)?,
            sealed_token_secret: seal(Seal::access_token_secret(name, user_id), &token.secret)?,
        };
        if !self.0.store.connect_account(link_hash, &new, actor, self.now()).await? {
            return Err(NotConnected::LinkUsed.into());
        }
        metrics::counter!("countersign_connects_total", "end" => "connected").increment(1);
        self.announce(Event::Connected, 1);
        self.forget_accounts(name, &[user_id]).await;
        info!(app = name, account = user_id.to_string(), "an account was connected");
        self.get_account(Some(name), &AccountRef::Id(user_id)).await
    }

    /// Stores how an attempt ended, so that the link's page can show it.
    async fn record_end<T>(&self, link_hash: &[u8], ended: &Result<T, Error>) {
        let end = match ended {
            Err(Error::NotConnected(end)) => *end,
            _ => return,
        };
        metrics::counter!("countersign_connects_total", "end" => end.name()).increment(1);
        if let Err(error) = self.0.store.end_link(link_hash, end).await {
            warn!(error = &error as &dyn std::error::Error, "an attempt's end was not stored");
        }
    }
}

impl StoredLink {
    /// Whether the cookie is that of the browser that began with this link.
    fn is_of(&self, browser: Option<&str>) -> bool {
        match (&self.browser_hash, browser) {
            (Some(hash), Some(browser)) => vault::is_same(hash, &vault::fingerprint(browser)),
            _ => false,
        }
    }
}

fn is_random(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn random() -> Secret {
    let digits = vault::random_digits::<DIGITS>();
    Secret::new(digits.into_iter().map(char::from).collect())
}

fn refused(app: &str, error: &HandshakeError) -> Error {
    let end = match error {
        HandshakeError::CallbackNotApproved => NotConnected::CallbackNotApproved,
        HandshakeError::ClockRejected => NotConnected::ClockRejected,
        HandshakeError::AppSuspended => NotConnected::AppSuspended,
        HandshakeError::AppRejected => NotConnected::AppRejected,
        HandshakeError::NotValid => NotConnected::TookTooLong,
        HandshakeError::Odd(_) | HandshakeError::Upstream(upstream::Error::Odd(_)) => {
            NotConnected::OddAnswer
        }
        HandshakeError::Busy(_) | HandshakeError::Upstream(_) => NotConnected::XAway,
    };
    warn!(error = error as &dyn std::error::Error, app, end = end.name(), "connecting failed");
    end.into()
}
