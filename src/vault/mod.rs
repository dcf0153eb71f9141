//! Secrets at rest: records sealed with AES-256-GCM-SIV under a ring of keys, each bound to the place it is stored in.
//!
//! A record is `version (1 byte) | key id (8) | nonce (12) | ciphertext | tag (16)`. Its associated data are the place
//! and the header, so a record that was moved to another row, column, app or user does not open.

mod seal;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tracing::error;
use zeroize::Zeroizing;

pub use crate::vault::seal::Seal;

use crate::config;
use crate::model::{Secret, key};

const VERSION: u8 = 1;
const ID_LENGTH: usize = 8;
const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 12;
const HEADER_LENGTH: usize = 1 + ID_LENGTH + NONCE_LENGTH;
/// The most missing keys remembered: tampered records could name any number of them.
const MOST_MISSING: usize = 32;

/// Why the vault cannot serve.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    #[error(
        "no vault key is configured; create one with `countersign vault generate-key` and put it in vault.keys"
    )]
    NoKeys,
    #[error("the vault's key ring does not match the configuration")]
    BadRing,
    /// The record may be sound, but this ring lacks its key.
    #[error("the vault key {0}, which sealed a stored secret, is not in vault.keys")]
    KeyMissing(String),
    /// Every reason looks the same, so that an attacker learns nothing from it.
    #[error(
        "a stored secret cannot be opened: it was changed or moved, or vault.keys has another key under its id"
    )]
    DoesNotOpen,
}

/// The key ring: one key seals, every key opens. It can be replaced while it is used.
pub struct Vault {
    ring: ArcSwap<Ring>,
    /// The ids of keys that records needed and that the ring lacks.
    missing: Mutex<BTreeSet<String>>,
}

struct Ring {
    keys: Vec<(String, LessSafeKey)>,
    active: usize,
}

impl Ring {
    fn active(&self) -> Result<&(String, LessSafeKey), Error> {
        self.keys.get(self.active).ok_or(Error::BadRing)
    }

    fn find(&self, id: &str) -> Option<&(String, LessSafeKey)> {
        self.keys.iter().find(|(key_id, _)| key_id == id)
    }
}

impl Vault {
    /// Takes the ring from the configuration, which has checked the form of each key.
    pub fn new(settings: &config::Vault) -> Result<Vault, Error> {
        if settings.keys.is_empty() {
            return Err(Error::NoKeys);
        }
        let keys = settings.keys.iter().map(read_key).collect::<Result<Vec<_>, _>>()?;
        let active =
            keys.iter().position(|(id, _)| *id == settings.active).ok_or(Error::BadRing)?;
        let ring = ArcSwap::from_pointee(Ring { keys, active });
        Ok(Vault { ring, missing: Mutex::default() })
    }

    /// Takes over the ring of another vault.
    pub fn replace(&self, other: &Vault) {
        self.ring.store(other.ring.load_full());
        self.missing().retain(|id| !self.has_key(id));
    }

    /// The id of the key that seals.
    pub fn active_id(&self) -> String {
        self.ring.load().active().map_or_else(|_| String::new(), |(id, _)| id.clone())
    }

    /// The ids of all keys, in the order of the ring.
    pub fn key_ids(&self) -> Vec<String> {
        self.ring.load().keys.iter().map(|(id, _)| id.clone()).collect()
    }

    pub fn has_key(&self, id: &str) -> bool {
        self.ring.load().find(id).is_some()
    }

    /// An id under which another vault holds another key.
    pub fn find_conflict(&self, other: &Vault) -> Option<String> {
        let place = Seal::probe();
        let (mine, theirs) = (self.ring.load(), other.ring.load());
        let conflicts = |key: &&(String, LessSafeKey)| {
            theirs.find(&key.0).is_some()
                && seal(key, &place, &[]).is_ok_and(|record| other.open(&place, &record).is_err())
        };
        mine.keys.iter().find(conflicts).map(|(id, _)| id.clone())
    }

    /// The ids of keys that records needed and that the ring lacks.
    pub fn missing_keys(&self) -> Vec<String> {
        self.missing().iter().cloned().collect()
    }

    /// Sets the missing keys to those of these ids that the ring lacks.
    pub fn settle_missing<'a>(&self, in_use: impl IntoIterator<Item = &'a str>) {
        let lacking: Vec<&str> = in_use.into_iter().filter(|id| !self.has_key(id)).collect();
        self.missing().retain(|id| lacking.contains(&&**id));
        for id in lacking {
            self.note_missing(id);
        }
    }

    /// Seals `plain` for `place`, with the active key and a random nonce.
    pub fn seal(&self, place: &Seal, plain: &[u8]) -> Result<Vec<u8>, Error> {
        seal(self.ring.load().active()?, place, plain)
    }

    /// The same with the key that sealed `record`.
    pub fn seal_like(&self, record: &[u8], place: &Seal, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let id = key_id(record).ok_or(Error::DoesNotOpen)?;
        seal(self.ring.load().find(id).ok_or(Error::BadRing)?, place, plain)
    }

    /// Opens a record that was sealed for `place`.
    pub fn open(&self, place: &Seal, record: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (header, sealed) = record.split_at_checked(HEADER_LENGTH).ok_or(Error::DoesNotOpen)?;
        let id = key_id(record).ok_or(Error::DoesNotOpen)?;
        let ring = self.ring.load();
        let (_, key) = ring.find(id).ok_or_else(|| Error::KeyMissing(id.to_owned()))?;
        let nonce = header.get(1 + ID_LENGTH..).and_then(|nonce| nonce.try_into().ok());
        let nonce = Nonce::assume_unique_for_key(nonce.ok_or(Error::DoesNotOpen)?);
        let mut text = Zeroizing::new(sealed.to_vec());
        let aad = Aad::from(place.associated_data(header));
        let length =
            key.open_in_place(nonce, aad, &mut text).map_err(|_| Error::DoesNotOpen)?.len();
        text.truncate(length);
        Ok(text)
    }

    /// Refuses a record whose key is not on the ring, so that it is not taken for a tampered one, and notes that the
    /// key is needed.
    pub fn require_key(&self, record: &[u8]) -> Result<(), Error> {
        match key_id(record) {
            Some(id) if !self.has_key(id) => {
                self.note_missing(id);
                Err(Error::KeyMissing(id.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Opens a record that holds text.
    pub fn open_text(&self, place: &Seal, record: &[u8]) -> Result<Secret, Error> {
        let plain = self.open(place, record)?;
        let text = std::str::from_utf8(&plain).map_err(|_| Error::DoesNotOpen)?;
        Ok(Secret::from(text))
    }

    /// Whether the active key sealed this record, so that rotation may skip it.
    pub fn is_current(&self, record: &[u8]) -> bool {
        key_id(record) == Some(&*self.active_id())
    }

    /// Notes a missing key and logs it once for each id, however many records need it.
    fn note_missing(&self, id: &str) {
        let mut missing = self.missing();
        if missing.len() < MOST_MISSING && missing.insert(id.to_owned()) {
            error!(
                vault_key = id,
                "stored secrets are sealed with a vault key that is not in vault.keys"
            );
        }
    }

    fn missing(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seal((id, key): &(String, LessSafeKey), place: &Seal, plain: &[u8]) -> Result<Vec<u8>, Error> {
    let mut nonce = [0; NONCE_LENGTH];
    rand::fill(&mut nonce).map_err(|_| Error::BadRing)?;
    let mut record = Vec::with_capacity(HEADER_LENGTH + plain.len() + 16);
    record.push(VERSION);
    record.extend_from_slice(id.as_bytes());
    record.extend_from_slice(&nonce);
    let mut text = Zeroizing::new(plain.to_vec());
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place.associated_data(&record)),
            &mut text,
        )
        .map_err(|_| Error::BadRing)?;
    record.extend_from_slice(&text);
    record.extend_from_slice(tag.as_ref());
    Ok(record)
}

/// The id of the key that sealed a record.
pub fn key_id(record: &[u8]) -> Option<&str> {
    let (version, rest) = record.split_first()?;
    let (id, _) = rest.split_at_checked(ID_LENGTH)?;
    let id = std::str::from_utf8(id).ok()?;
    (*version == VERSION && config::is_key_id(id)).then_some(id)
}

/// A new entry for `vault.keys`: `id=base64`.
pub fn generate_key() -> Secret {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    rand::fill(&mut *key).expect("the system's random source works");
    let id = random_digits::<ID_LENGTH>().map(|digit| char::from(digit.to_ascii_lowercase()));
    Secret::new(format!("{}={}", String::from_iter(id), &*Zeroizing::new(STANDARD.encode(*key))))
}

/// `N` random base62 digits.
pub fn random_digits<const N: usize>() -> [u8; N] {
    let mut digits = [b'0'; N];
    let mut filled = 0;
    while filled < N {
        let mut bytes = Zeroizing::new([0; 64]);
        rand::fill(&mut *bytes).expect("the system's random source works");
        for (place, digit) in digits.iter_mut().skip(filled).zip(key::base62_digits(&*bytes)) {
            *place = digit;
            filled += 1;
        }
    }
    digits
}

/// A new secret to sign webhooks with, in the form of Standard Webhooks: `whsec_` and 32 bytes in base64.
pub fn generate_signing_secret() -> Secret {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    rand::fill(&mut *key).expect("the system's random source works");
    Secret::new(format!("whsec_{}", &*Zeroizing::new(STANDARD.encode(*key))))
}

/// The part of a caller's key that is stored, before sealing.
pub fn fingerprint(proof: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, proof.as_bytes()).as_ref());
    hash
}

/// Compares in a time that does not reveal where the first difference is.
pub fn is_same(left: &[u8], right: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(left, right).is_ok()
}

fn read_key((id, text): &(String, Secret)) -> Result<(String, LessSafeKey), Error> {
    let bytes = Zeroizing::new(STANDARD.decode(text.expose()).map_err(|_| Error::BadRing)?);
    let key = UnboundKey::new(&AES_256_GCM_SIV, &bytes).map_err(|_| Error::BadRing)?;
    if id.len() == ID_LENGTH {
        Ok((id.clone(), LessSafeKey::new(key)))
    } else {
        Err(Error::BadRing)
    }
}

#[cfg(test)]
mod tests;
