//! The key ring: each entry is checked in turn, and no error repeats any part of it.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::config::form::{self, is_key_id};
use crate::config::reader::Reader;
use crate::config::{Ring, Vault};
use crate::model::Secret;

/// The ring, which may be empty if it is not needed.
pub fn ring(reader: &mut Reader<'_>) -> Vault {
    let keys = keys(reader);
    if reader.ring == Ring::Needed && keys.is_empty() && !reader.is_wrong("vault.keys") {
        let detail = "expected an entry; `countersign vault generate-key` prints one";
        reader.refuse("vault.keys", detail);
    }
    let named = reader.get("vault.active", &form::KEY_ID);
    if reader.is_wrong("vault.keys") || reader.is_wrong("vault.active") {
        return Vault { keys, active: named };
    }
    let active = active(&keys, named).unwrap_or_else(|expected| {
        reader.refuse("vault.active", format!("expected {expected}"));
        String::new()
    });
    Vault { keys, active }
}

/// The id of the entry that seals; the error says what was expected.
fn active(keys: &[(String, Secret)], named: String) -> Result<String, &'static str> {
    match keys {
        [] if named.is_empty() => Ok(named),
        [(first, _), ..] if named.is_empty() => Ok(first.clone()),
        _ if keys.iter().any(|(id, _)| *id == named) => Ok(named),
        _ => Err("the id of an entry in vault.keys"),
    }
}

fn keys(reader: &mut Reader<'_>) -> Vec<(String, Secret)> {
    let Some((setting, text)) = reader.text("vault.keys") else { return Vec::new() };
    let entries = text.expose().split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
    let mut ids = BTreeSet::new();
    let mut keys = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        let entry = key(entry).and_then(|(id, key)| {
            let is_new = ids.insert(id);
            is_new.then(|| (id.to_owned(), key)).ok_or("an id that no earlier entry has")
        });
        match entry {
            Ok(entry) => keys.push(entry),
            Err(expected) => {
                reader
                    .problems
                    .push(setting.problem(format!("entry {number}: expected {expected}")));
            }
        }
    }
    keys
}

/// Reads `id=key`; the error says what was expected.
fn key(entry: &str) -> Result<(&str, Secret), &'static str> {
    let (id, key) = entry.split_once('=').ok_or("`id=key`")?;
    if !is_key_id(id) {
        return Err("`id=key` with an id of 8 characters (a-z and 0-9)");
    }
    let bytes = STANDARD.decode(key).map(Zeroizing::new);
    let bytes =
        bytes.map_err(|_| "a key in standard base64: 44 characters, with the = at the end")?;
    match &**bytes {
        bytes if bytes.len() != 32 => Err("a key of exactly 32 bytes"),
        [first, rest @ ..] if rest.iter().all(|byte| byte == first) => {
            Err("a random key; `countersign vault generate-key` prints one")
        }
        _ => Ok((id, key.into())),
    }
}
