//! A key's limits: its part of X's quota, and how much it may ask. They may change while it lives.

use crate::gateway::{Detail, Error, Gateway};
use crate::model::key::{Key, KeyLimits, Kind, MOST_WEIGHT};
use crate::store::StoredKey;
use crate::vault::Seal;

/// Changes of a key's limits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeyUpdate {
    /// `None` leaves it as it is.
    pub weight: Option<u32>,
    pub per_minute: LimitChange,
    pub at_once: LimitChange,
}

/// What becomes of one limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LimitChange {
    #[default]
    Keep,
    Remove,
    Set(u32),
}

impl LimitChange {
    fn applied(self, limit: Option<u32>) -> Option<u32> {
        match self {
            LimitChange::Keep => limit,
            LimitChange::Remove => None,
            LimitChange::Set(most) => Some(most),
        }
    }
}

impl From<KeyLimits> for KeyUpdate {
    /// Sets all of them.
    fn from(limits: KeyLimits) -> KeyUpdate {
        let change = |limit: Option<u32>| limit.map_or(LimitChange::Remove, LimitChange::Set);
        KeyUpdate {
            weight: Some(limits.weight),
            per_minute: change(limits.per_minute),
            at_once: change(limits.at_once),
        }
    }
}

impl KeyUpdate {
    fn applied(self, limits: KeyLimits) -> KeyLimits {
        KeyLimits {
            weight: self.weight.unwrap_or(limits.weight),
            per_minute: self.per_minute.applied(limits.per_minute),
            at_once: self.at_once.applied(limits.at_once),
        }
    }
}

impl Gateway {
    /// Changes the limits of a caller's key, given its id, its name if it is not revoked, or its whole text.
    pub async fn update_key(
        &self,
        named: &str,
        update: KeyUpdate,
        actor: &str,
    ) -> Result<Key, Error> {
        self.update_limits(self.find_named_key(named).await?, update, actor).await
    }

    /// Changes the limits of a caller's key, given its id alone.
    pub async fn update_key_by_id(
        &self,
        id: &str,
        update: KeyUpdate,
        actor: &str,
    ) -> Result<Key, Error> {
        self.update_limits(self.get_stored_key(id).await?, update, actor).await
    }

    async fn update_limits(
        &self,
        stored: StoredKey,
        update: KeyUpdate,
        actor: &str,
    ) -> Result<Key, Error> {
        let previous = stored.sealed_verifier.clone();
        let (key, verifier) = self.opened(stored).map_err(|unreadable| {
            Error::from(Detail::at("", format!("the key cannot be changed: {}", unreadable.why)))
        })?;
        if key.role.kind() == Kind::Admin {
            return Err(Detail::at("", "an admin key has no limits").into());
        }
        if key.revoked_at.is_some() || key.expires_at.is_some_and(|end| end <= self.now()) {
            return Err(Detail::at("", "the key does not work any more").into());
        }
        let key = Key { limits: update.applied(key.limits), ..key };
        let problems = check_limits(&key.limits);
        if !problems.is_empty() {
            return Err(Error::InvalidRequest(problems));
        }
        let sealed = self.0.vault.seal_like(&previous, &Seal::key(&key), &verifier)?;
        let detail = format!("key {:?}: {}", key.name, in_words(&key.limits));
        let seals = (&*sealed, &*previous);
        let is_updated =
            self.0.store.update_key_limits(&key, seals, &detail, actor, self.now()).await?;
        if !is_updated {
            return Err(Error::Busy(
                "the key was changed at the same moment; try again".to_owned(),
            ));
        }
        self.0.keys.forget(&key.id).await;
        Ok(key)
    }
}

/// What is wrong with these limits.
pub fn check_limits(limits: &KeyLimits) -> Vec<Detail> {
    let mut problems = Vec::new();
    if !(1..=MOST_WEIGHT).contains(&limits.weight) {
        problems.push(Detail::at("/weight", format!("must be from 1 to {MOST_WEIGHT}")));
    }
    for (field, count) in [("/per_minute", limits.per_minute), ("/at_once", limits.at_once)] {
        if count == Some(0) {
            problems.push(Detail::at(field, "must be at least 1; revoke the key to stop it"));
        }
    }
    problems
}

/// Limits as the audit log has them.
fn in_words(limits: &KeyLimits) -> String {
    let count = |count: Option<u32>| count.map_or("any".to_owned(), |count| count.to_string());
    let (per_minute, at_once) = (count(limits.per_minute), count(limits.at_once));
    format!("weight {}, per minute {per_minute}, at once {at_once}", limits.weight)
}
