//! Keys: creating, listing and revoking them, and caching those that calls present.

pub(super) mod limits;
pub(super) mod presented;
pub(super) mod refusals;
pub(super) mod session;
pub(super) mod strangers;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};

use time::{Duration, OffsetDateTime};
use tracing::warn;
use zeroize::Zeroizing;

use crate::gateway::audit::Page;
use crate::gateway::key::limits::check_limits;
use crate::gateway::{Detail, Error, Gateway};
use crate::model::Secret;
use crate::model::key::{
    self, Key, KeyLimits, Kind, MOST_ORIGINS, Presented, RANDOM_LENGTH, Right, Role, Scopes,
    Unreadable,
};
use crate::store::{self, KeyFilter, Store, StoredKey};
use crate::vault::{self, Seal, Vault};

/// The longest life of a new key that expires at all.
const LONGEST_LIFE: std::time::Duration = std::time::Duration::from_hours(100 * 366 * 24);

/// The hash that proves a key; empty for none.
pub(super) type Verifier = Zeroizing<Vec<u8>>;

/// A key that the database knows, its seal checked.
pub struct KnownKey {
    pub key: Key,
    /// The name under which it takes turns and holds memory: its id.
    pub(super) turn: Arc<str>,
    /// The name under which its pages do so, so that they take no turns of its services.
    pages_turn: Arc<str>,
    pub(super) fingerprint: [u8; 32],
    touched_hour: AtomicI64,
}

impl KnownKey {
    /// In whose turn its callers wait: services of the key, or its pages.
    pub(super) fn turn_of(&self, is_page: bool) -> &Arc<str> {
        if is_page { &self.pages_turn } else { &self.turn }
    }

    /// `NotAllowed` unless the key has that right.
    pub(super) fn require(&self, right: Right) -> Result<(), Error> {
        if self.key.scopes.rights.contains(&right) {
            return Ok(());
        }
        let flag = right.name().replace('_', "-");
        let why = format!("it may not {}; a key created with `--{flag}` may", right.words());
        Err(Error::NotAllowed(why))
    }

    /// The same holder, as a caller of the given app.
    pub(super) fn for_app(&self, app: String) -> KnownKey {
        let scopes = Scopes { app: Some(app), ..self.key.scopes.clone() };
        KnownKey {
            key: Key { scopes, ..self.key.clone() },
            turn: Arc::clone(&self.turn),
            pages_turn: Arc::clone(&self.pages_turn),
            fingerprint: self.fingerprint,
            touched_hour: AtomicI64::new(i64::MAX),
        }
    }
}

/// The properties of a new key.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    pub role: Role,
    pub name: String,
    /// The app is optional if only one is configured.
    pub scopes: Scopes,
    pub limits: KeyLimits,
    pub expires_in: Option<std::time::Duration>,
}

impl Gateway {
    /// Creates a key; its text is shown only once and stored only as a sealed hash.
    pub async fn create_key(&self, new: NewKey, actor: &str) -> Result<(Key, Secret), Error> {
        let (app, problems) = self.check_new_key(&new);
        if !problems.is_empty() {
            return Err(Error::InvalidRequest(problems));
        }
        // Ids are random, so no later id can equal this name: no text ever identifies two keys.
        if self.0.store.find_key(&new.name).await?.is_some() {
            return Err(Error::AlreadyExists(format!("a key whose id is {}", new.name)));
        }
        let (id, text) = key::compose(new.role.kind(), &vault::random_digits::<RANDOM_LENGTH>());
        let now = whole_second(self.now());
        let expiry = |life| now.checked_add(Duration::try_from(life).ok()?);
        let key = Key {
            id,
            role: new.role,
            name: new.name,
            scopes: Scopes { app, ..new.scopes },
            limits: new.limits,
            created_at: now,
            expires_at: new.expires_in.and_then(expiry),
            revoked_at: None,
            last_used_at: None,
        };
        let sealed_verifier =
            self.0.vault.seal(&Seal::key(&key), &vault::fingerprint(text.expose()))?;
        let inserted = self.0.store.insert_key(&key, &sealed_verifier, actor, now).await;
        inserted.map_err(|error| match error {
            store::Error::AlreadyExists => {
                Error::AlreadyExists(format!("a key named {}", key.name))
            }
            other => other.into(),
        })?;
        self.learn_key_id(&key.id);
        Ok((key, text))
    }

    /// Keys in the order of their ids, without their verifiers; an unreadable row hides no other key.
    pub async fn list_keys(&self, page: &Page) -> Result<Vec<Result<Key, Unreadable>>, Error> {
        let filter = KeyFilter { after: page.after.clone(), limit: page.limit };
        let stored = self.0.store.list_keys(&filter).await?;
        Ok(stored.into_iter().map(|key| self.trusted(key)).collect())
    }

    /// Revokes a key, given its id, its name if it is not revoked, or its whole text, which may be all that is known of
    /// a leaked key.
    pub async fn revoke_key(
        &self,
        named: &str,
        actor: &str,
    ) -> Result<Result<Key, Unreadable>, Error> {
        self.revoke(self.find_named_key(named).await?, actor).await
    }

    pub(super) async fn find_named_key(&self, named: &str) -> Result<StoredKey, Error> {
        let named = Presented::parse(named).map_or(named, |presented| presented.id);
        let stored = match self.0.store.find_key(named).await? {
            Some(stored) => Some(stored),
            None => self.0.store.find_key_by_name(named).await?,
        };
        stored.ok_or(Error::NotFound("key"))
    }

    /// Revokes a key, given its id alone.
    pub async fn revoke_key_by_id(
        &self,
        id: &str,
        actor: &str,
    ) -> Result<Result<Key, Unreadable>, Error> {
        self.revoke(self.get_stored_key(id).await?, actor).await
    }

    /// The key with that id, without its verifier.
    pub async fn get_key(&self, id: &str) -> Result<Result<Key, Unreadable>, Error> {
        Ok(self.trusted(self.get_stored_key(id).await?))
    }

    /// The part of a key that may be shown, if its row is as this program wrote it.
    pub(super) fn trusted(&self, stored: StoredKey) -> Result<Key, Unreadable> {
        Ok(self.opened(stored)?.0)
    }

    pub(super) async fn get_stored_key(&self, id: &str) -> Result<StoredKey, Error> {
        let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let stored = if is_id { self.0.store.find_key(id).await? } else { None };
        stored.ok_or(Error::NotFound("key"))
    }

    /// Revokes a key whatever its row and this ring hold, since that only takes rights away: a verifier that does not
    /// open is replaced by an empty one, which proves no key.
    async fn revoke(
        &self,
        stored: StoredKey,
        actor: &str,
    ) -> Result<Result<Key, Unreadable>, Error> {
        let now = whole_second(self.now());
        // The row's own word is not enough: whoever wrote it there could remove it again.
        let is_proven = || open_verifier(&self.0.vault, &stored).is_ok();
        if stored.revoked_at().is_some() && (stored.is_void() || is_proven()) {
            return Ok(self.trusted(stored));
        }
        let sealed_before = stored.sealed_verifier.clone();
        let (revoked, sealed) = match self.opened(stored) {
            Ok((key, verifier)) => {
                let key = Key { revoked_at: Some(now), ..key };
                let sealed = self.0.vault.seal_like(&sealed_before, &Seal::key(&key), &verifier)?;
                (Ok(key), sealed)
            }
            Err(unreadable) => {
                (Err(Unreadable { revoked_at: Some(now), ..unreadable }), Vec::new())
            }
        };
        let id = Unreadable::id_of(&revoked).to_owned();
        self.0.store.revoke_key(&id, &sealed, actor, now).await?;
        self.0.keys.forget(&id).await;
        Ok(revoked)
    }

    pub(super) async fn peek_key(&self, id: &str) -> Option<Arc<KnownKey>> {
        if self.may_remember() { self.0.keys.peek(id).await } else { None }
    }

    pub(super) async fn find_key(&self, id: &str) -> Result<Option<Arc<KnownKey>>, Error> {
        if let Some(known) = self.peek_key(id).await {
            return Ok(Some(known));
        }
        let find = |store: Store| async move {
            let stored = if self.is_key_known(id) {
                store.find_key(id).await?
            } else {
                store.find_doubtful_key(id).await?
            };
            let Some(stored) = stored else { return Ok(None) };
            self.learn_key_id(id);
            self.0.vault.require_key(&stored.sealed_verifier)?;
            Ok(self
                .open_key(stored)
                .map_err(|unreadable| warn!(key = id, why = unreadable.why, "a key is refused"))
                .ok())
        };
        // Patience is for keys that exist: strangers would use it up.
        let patience = self.1.filter(|_| self.is_key_known(id));
        let gateway = Gateway(Arc::clone(&self.0), patience);
        Ok(gateway.load(&self.0.keys, id, !self.may_remember(), find).await?)
    }

    /// Caches a key that was read outside a call; a key that does not open is dealt with when it is used.
    pub(super) async fn remember_key(&self, stored: StoredKey) {
        if let Ok(known) = self.open_key(stored) {
            self.0.keys.remember(&known.key.id.clone(), known).await;
        }
    }

    fn open_key(&self, stored: StoredKey) -> Result<KnownKey, Unreadable> {
        let (key, verifier) = self.opened(stored)?;
        let Ok(fingerprint) = verifier.as_slice().try_into() else {
            return Err(distrusted(key, &vault::Error::DoesNotOpen));
        };
        let touched = key.last_used_at.map_or(0, |used_at| used_at.unix_timestamp() / 3600);
        let (turn, pages_turn) = (key.id.as_str().into(), format!("{}/pages", key.id).into());
        Ok(KnownKey { key, turn, pages_turn, fingerprint, touched_hour: AtomicI64::new(touched) })
    }

    /// The key with its verifier, if its row matches its seal.
    pub(super) fn opened(&self, stored: StoredKey) -> Result<(Key, Verifier), Unreadable> {
        let StoredKey { key, sealed_verifier } = stored;
        let key = key?;
        match self.0.vault.open(&Seal::key(&key), &sealed_verifier) {
            Ok(verifier) => Ok((key, verifier)),
            Err(error) => Err(distrusted(key, &error)),
        }
    }

    /// Notes the hour of use, once an hour and beside the call.
    pub(super) fn touch(&self, known: &KnownKey) {
        let hour = self.now().unix_timestamp() / 3600;
        if known.touched_hour.swap(hour, Ordering::Relaxed) == hour {
            return;
        }
        let (store, id) = (self.0.store.clone(), known.key.id.clone());
        let mut touches = self.0.touches.lock().unwrap_or_else(PoisonError::into_inner);
        while touches.try_join_next().is_some() {}
        touches.spawn(async move {
            let at = OffsetDateTime::from_unix_timestamp(hour * 3600)
                .unwrap_or(OffsetDateTime::UNIX_EPOCH);
            if let Err(error) = store.touch_key(&id, at).await {
                warn!(
                    error = &error as &dyn std::error::Error,
                    key = id,
                    "could not store the hour of a key's use"
                );
            }
        });
    }

    /// Waits until the hours of use that were noted are written.
    pub(super) async fn settle_touches(&self) {
        let mut touches =
            std::mem::take(&mut *self.0.touches.lock().unwrap_or_else(PoisonError::into_inner));
        while touches.join_next().await.is_some() {}
    }

    fn check_new_key(&self, new: &NewKey) -> (Option<String>, Vec<Detail>) {
        let mut problems = Vec::new();
        if !(1..=100).contains(&new.name.chars().count()) || new.name.chars().any(char::is_control)
        {
            problems.push(Detail::at("/name", "must be 1 to 100 printable characters"));
        }
        if new.expires_in.is_some_and(|life| life.is_zero() || life > LONGEST_LIFE) {
            problems.push(Detail::at("/expires", "must be above zero and at most 100 years"));
        }
        let own = Right::of(new.role);
        if new.scopes.rights.contains(&Right::Explore) && !own.contains(&Right::Explore) {
            problems.push(Detail::at("/explore", why_not_explore(new.role)));
        }
        if new.role.kind() == Kind::Admin {
            let mut others = new.scopes.clone();
            others.rights.remove(&Right::Explore);
            if others != Scopes::default() {
                let rights = Right::of(Role::Caller).iter().map(|right| right.name());
                let fields = ["app", "accounts", "endpoints", "origins"].into_iter().chain(rights);
                let fields = either(&fields.collect::<Vec<_>>());
                let detail = format!("an admin key has no {fields}; leave them out");
                problems.push(Detail::at("", detail));
            } else if new.limits != KeyLimits::default() {
                problems.push(Detail::at("", "an admin key has no limits; leave them out"));
            }
            return (None, problems);
        }
        problems.extend(check_limits(&new.limits));
        problems.extend(check_origins(&new.scopes));
        let app = self.app(new.scopes.app.as_deref()).map(|app| app.name.clone());
        (app.map_err(|problem| problems.push(problem)).ok(), problems)
    }
}

/// Why a key of that role is not created with the right to explore.
const fn why_not_explore(role: Role) -> &'static str {
    match role {
        Role::Caller => "is for auditors, who explore in the console; leave it out",
        Role::Owner | Role::Auditor | Role::Analyst => {
            "is for auditors; owners and analysts may explore without it, so leave it out"
        }
    }
}

/// What is wrong with the origins of a key.
fn check_origins(scopes: &Scopes) -> Option<Detail> {
    let (count, makes_tokens) = (scopes.origins.len(), scopes.rights.contains(&Right::Browser));
    let detail = match count {
        0 if makes_tokens => {
            "name the origins of the pages, such as https://app.example.com, since tokens work there alone"
                .to_owned()
        }
        1.. if !makes_tokens => {
            "are for keys that make tokens for browsers; add that right, or leave them out".to_owned()
        }
        _ if count > MOST_ORIGINS => {
            format!("has {count} origins; a key has at most {MOST_ORIGINS}")
        }
        _ => return None,
    };
    Some(Detail::at("/origins", detail))
}

/// Names in a sentence, such as `a, b or c`.
fn either(names: &[&str]) -> String {
    match names {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.concat(),
    }
}

/// The verifier sealed in a key's row, if the row is unaltered.
pub(super) fn open_verifier(vault: &Vault, stored: &StoredKey) -> Result<Verifier, vault::Error> {
    let key = stored.key.as_ref().map_err(|_| vault::Error::DoesNotOpen)?;
    vault.open(&Seal::key(key), &stored.sealed_verifier)
}

fn distrusted(key: Key, error: &vault::Error) -> Unreadable {
    let Key { id, name, created_at, revoked_at, .. } = key;
    let why = match error {
        vault::Error::KeyMissing(_) => error.to_string(),
        _ => "its row does not match its seal: something else has changed it".to_owned(),
    };
    Unreadable { id, name, created_at, revoked_at, why }
}

/// A time at the database's precision.
pub(super) fn whole_second(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0).unwrap_or(at)
}
