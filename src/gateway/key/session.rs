//! Signing in to the console with an admin key. A session is a secret that the browser keeps and the database knows by
//! its hash; it ends by itself when nobody uses it, or after half a day.

use std::net::IpAddr;
use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use crate::gateway::bounded::Bounded;
use crate::gateway::key::presented::{MALFORMED, TOO_MANY};
use crate::gateway::key::{KnownKey, whole_second};
use crate::gateway::{Error, Gateway, Wanted};
use crate::model::key::{Kind, Presented};
use crate::model::permission::{self, Access, Area};
use crate::model::{Secret, audit};
use crate::store::{self, StoredSession};
use crate::vault::{self, Seal};

/// OWASP's advice on sessions, for administration.
const IDLE: Duration = Duration::minutes(30);
const LONGEST: Duration = Duration::hours(12);
/// The precision with which the last use is stored.
const SEEN: Duration = Duration::minutes(1);
/// 256 bits.
const DIGITS: usize = 43;

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Session {
    pub key: Arc<KnownKey>,
    hash: Vec<u8>,
    address: IpAddr,
}

impl Session {
    /// The actor for the audit log.
    pub fn actor(&self) -> String {
        audit::holder_at(&self.key.key.id, self.address)
    }

    /// How far that area is open to its holder.
    pub fn access(&self, area: Area) -> Access {
        permission::access(&self.key.key, area)
    }
}

/// How a sign-in ended.
pub enum SignIn {
    /// The secret that the browser has to bring back, and the key that signed in.
    Begun(Secret, Arc<KnownKey>),
    Refused,
    /// Too many wrong guesses from this address; it has to wait a minute.
    TooMany,
}

/// Sessions that are known to exist, so that their look-ups do not wait behind those of made-up ones.
pub(in crate::gateway) struct Sessions(Bounded<[u8], ()>);

impl Default for Sessions {
    fn default() -> Sessions {
        let longest = LONGEST.unsigned_abs();
        Sessions(Bounded::expiring(10_000, longest))
    }
}

impl Gateway {
    /// Begins a session for the holder of an admin key, who comes from `address`.
    pub async fn sign_in(&self, key: &str, address: IpAddr) -> Result<SignIn, Error> {
        // Form and checksum need no look-up, so a typing error does not count against others behind the same proxy.
        let Some(presented) = Presented::parse(key) else {
            self.record_refusal(Wanted::SignIn, MALFORMED, None, address);
            return Ok(SignIn::Refused);
        };
        let Ok(guess) = self.0.strangers.admins.begin(address).await else {
            self.record_refusal(Wanted::SignIn, TOO_MANY, None, address);
            return Ok(SignIn::TooMany);
        };
        let Some(key) = self.find_sign_in_key(&presented, address).await? else {
            guess.was_wrong();
            return Ok(SignIn::Refused);
        };
        drop(guess);
        let digits = vault::random_digits::<DIGITS>();
        let secret = Secret::from(&*String::from_utf8_lossy(&digits));
        let hash = vault::fingerprint(secret.expose()).to_vec();
        let now = whole_second(self.now());
        let key_id = key.key.id.clone();
        let sealed_proof = self.0.vault.seal(&Seal::session(&hash, &key_id, now), &hash)?;
        let session = StoredSession { hash, key_id, started_at: now, seen_at: now, sealed_proof };
        self.0.store.insert_session(&session).await?;
        let actor = audit::holder_at(&key.key.id, address);
        self.0.store.insert_audit(&actor, "console.signed_in", "console", "", now).await?;
        Ok(SignIn::Begun(secret, key))
    }

    /// The session with this secret, used from `address`; `None` if it has ended or never existed.
    pub async fn find_session(
        &self,
        secret: &str,
        address: IpAddr,
    ) -> Result<Option<Session>, Error> {
        if secret.len() != DIGITS {
            return Ok(None);
        }
        let hash = vault::fingerprint(secret).to_vec();
        let is_known = self.0.sessions.0.has(&hash);
        let stored = if is_known {
            self.0.store.find_session(&hash).await?
        } else {
            self.0.store.find_doubtful_session(&hash).await?
        };
        let Some(stored) = stored else { return Ok(None) };
        let now = self.now();
        let is_over = now - stored.started_at >= LONGEST || now - stored.seen_at >= IDLE;
        let place = Seal::session(&stored.hash, &stored.key_id, stored.started_at);
        if !is_over {
            self.0.vault.require_key(&stored.sealed_proof)?;
        }
        if is_over || self.0.vault.open(&place, &stored.sealed_proof).is_err() {
            return Ok(None);
        }
        let Some(key) = self.find_usable_key(&stored.key_id, Kind::Admin).await? else {
            return Ok(None);
        };
        if !is_known {
            self.0.sessions.0.insert(&hash, Arc::new(())).await;
        }
        if now - stored.seen_at >= SEEN {
            self.0.store.touch_session(&hash, now).await?;
        }
        Ok(Some(Session { key, hash, address }))
    }

    /// The session's holder as a caller of an app, who may name all its accounts.
    pub fn as_caller(&self, session: &Session, app: Option<&str>) -> Result<Arc<KnownKey>, Error> {
        let app = self.app(app)?.name.clone();
        Ok(Arc::new(session.key.for_app(app)))
    }

    /// Ends a session, or all of the same key.
    pub async fn sign_out(&self, session: &Session, everywhere: bool) -> Result<(), Error> {
        let action = if everywhere {
            self.0.store.remove_sessions_of(&session.key.key.id).await?;
            "console.signed_out_everywhere"
        } else {
            self.0.store.remove_session(&session.hash).await?;
            "console.signed_out"
        };
        self.0.store.insert_audit(&session.actor(), action, "console", "", self.now()).await?;
        Ok(())
    }

    pub(in crate::gateway) async fn prune_sessions(
        &self,
        now: OffsetDateTime,
    ) -> Result<(), store::Error> {
        self.0.store.prune_sessions(now - LONGEST, now - IDLE).await
    }
}
