//! The key ring: one entry after another, each judged without repeating any of it.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::config::Vault;
use crate::config::form::{self, is_key_id};
use crate::config::reader::Reader;
use crate::model::Secret;

/// The ring, which may be empty: not every command needs it.
pub fn ring(it: &mut Reader<'_>) -> Vault {
    let keys = keys(it);
    let mut active = it.get("vault.active", &form::KEY_ID);
    if it.is_wrong("vault.keys") || it.is_wrong("vault.active") {
        return Vault { keys, active };
    }
    match &*keys {
        [(only, _)] if active.is_empty() => active.clone_from(only),
        [] if active.is_empty() => {}
        _ if active.is_empty() => {
            it.refuse("vault.active", "expected the id of one entry, since vault.keys has several");
        }
        _ if keys.iter().all(|(id, _)| *id != active) => {
            it.refuse("vault.active", "expected the id of an entry of vault.keys");
        }
        _ => {}
    }
    Vault { keys, active }
}

fn keys(it: &mut Reader<'_>) -> Vec<(String, Secret)> {
    let Some((setting, text)) = it.text("vault.keys") else { return Vec::new() };
    let entries = text.expose().split([',', '\n']).map(str::trim).filter(|it| !it.is_empty());
    let mut ids = BTreeSet::new();
    let mut keys = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        match key(entry).and_then(|(id, key)| {
            let new = ids.insert(id);
            new.then_some((id.to_owned(), key)).ok_or("an id that no entry before it has")
        }) {
            Ok(key) => keys.push(key),
            Err(expected) => {
                let detail = format!("entry {number}: expected {expected}");
                it.problems.push(setting.problem(detail));
            }
        }
    }
    keys
}

/// Reads `id=key`, or says what was expected.
fn key(entry: &str) -> Result<(&str, Secret), &'static str> {
    let (id, key) = entry.split_once('=').ok_or("`id=key`")?;
    if !is_key_id(id) {
        return Err("`id=key` with an id of 8 of a-z and 0-9");
    }
    let bytes = STANDARD.decode(key).map(Zeroizing::new);
    let bytes =
        bytes.map_err(|_| "a key in standard base64, 44 characters with the = at its end")?;
    match &**bytes {
        bytes if bytes.len() != 32 => Err("a key of exactly 32 bytes"),
        [first, rest @ ..] if rest.iter().all(|it| it == first) => {
            Err("a random key; `countersign vault generate-key` prints one")
        }
        _ => Ok((id, key.into())),
    }
}
