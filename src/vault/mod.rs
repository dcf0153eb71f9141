//! Secrets at rest: records sealed with AES-256-GCM-SIV under a ring of keys, each bound to the place it is stored in.
//!
//! A record is `version (1 byte) | key id (8) | nonce (12) | ciphertext | tag (16)`. Its associated data are the place and
//! the header, so a record that was moved to another row, column, app or user does not open.

mod place;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

pub use crate::vault::place::Place;

use crate::config;
use crate::model::{Secret, key};

const VERSION: u8 = 1;
const ID_LENGTH: usize = 8;
const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 12;
const HEADER_LENGTH: usize = 1 + ID_LENGTH + NONCE_LENGTH;

/// Why the vault cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "no vault key is configured: make one with `countersign vault generate-key` and put it in vault.keys"
    )]
    NoKeys,
    #[error("the vault's key ring does not hold what the configuration promised")]
    BadRing,
    /// Every reason looks the same, so that an attacker learns nothing from it.
    #[error(
        "a stored secret does not open: its key is not on the ring, or it was changed or moved"
    )]
    DoesNotOpen,
}

/// The key ring: one key seals, every key opens.
pub struct Vault {
    keys: Vec<(String, LessSafeKey)>,
    active: usize,
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
        Ok(Vault { keys, active })
    }

    /// The id of the key that seals.
    pub fn active_id(&self) -> &str {
        self.keys.get(self.active).map_or("", |(id, _)| id)
    }

    pub fn has_key(&self, id: &str) -> bool {
        self.keys.iter().any(|(it, _)| it == id)
    }

    /// Seals `plain` for `place`, with the active key and a random nonce.
    pub fn seal(&self, place: &Place, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let (id, key) = self.keys.get(self.active).ok_or(Error::BadRing)?;
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

    /// Opens a record that was sealed for `place`.
    pub fn open(&self, place: &Place, record: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (header, sealed) = record.split_at_checked(HEADER_LENGTH).ok_or(Error::DoesNotOpen)?;
        let id = key_id(record).ok_or(Error::DoesNotOpen)?;
        let (_, key) = self.keys.iter().find(|(it, _)| it == id).ok_or(Error::DoesNotOpen)?;
        let nonce = header.get(1 + ID_LENGTH..).and_then(|it| it.try_into().ok());
        let nonce = Nonce::assume_unique_for_key(nonce.ok_or(Error::DoesNotOpen)?);
        let mut text = Zeroizing::new(sealed.to_vec());
        let aad = Aad::from(place.associated_data(header));
        let length =
            key.open_in_place(nonce, aad, &mut text).map_err(|_| Error::DoesNotOpen)?.len();
        text.truncate(length);
        Ok(text)
    }

    /// Opens a record that holds text.
    pub fn open_text(&self, place: &Place, record: &[u8]) -> Result<Secret, Error> {
        let plain = self.open(place, record)?;
        let text = std::str::from_utf8(&plain).map_err(|_| Error::DoesNotOpen)?;
        Ok(Secret::from(text))
    }

    /// Whether the active key sealed this record, so that rotation may pass it by.
    pub fn is_current(&self, record: &[u8]) -> bool {
        key_id(record) == Some(self.active_id())
    }
}

/// The id of the key that sealed a record.
pub fn key_id(record: &[u8]) -> Option<&str> {
    let (version, rest) = record.split_first()?;
    let (id, _) = rest.split_at_checked(ID_LENGTH)?;
    (*version == VERSION).then_some(())?;
    std::str::from_utf8(id).ok()
}

/// A new entry for `vault.keys`: `id=base64`.
pub fn generate_key() -> Secret {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    rand::fill(&mut *key).expect("the system's random source works");
    let id = random_digits::<ID_LENGTH>().map(|it| char::from(it.to_ascii_lowercase()));
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

/// What is kept of a caller's key, before sealing.
pub fn fingerprint(proof: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, proof.as_bytes()).as_ref());
    hash
}

/// Compares without telling by its duration where the first difference is.
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
