//! The origins of pages that may ask: those of all keys that work and may make tokens.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use time::OffsetDateTime;

use crate::gateway::Gateway;
use crate::model::key::{Key, Right};
use crate::store;

/// The most origins that metrics name; strangers choose them, so that all others are one.
const MOST_NAMED: usize = 50;
/// The most keys whose origins are held in memory, at some kilobytes each.
const MOST_KEYS: u32 = 1000;

/// Each origin with the end of the last key that has it, if all of these end; nothing until it was first read.
#[derive(Default)]
pub(in crate::gateway) struct Origins(ArcSwapOption<HashMap<Box<str>, Option<OffsetDateTime>>>);

/// The origins that were refused, as far as metrics name them.
#[derive(Default)]
pub(in crate::gateway) struct RefusedOrigins(Mutex<HashSet<Box<str>>>);

impl RefusedOrigins {
    /// Counts a refusal in the metrics.
    pub(in crate::gateway) fn count(&self, origin: &str) {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_named =
            named.contains(origin) || (named.len() < MOST_NAMED && named.insert(Box::from(origin)));
        drop(named);
        let origin = if is_named { origin.to_owned() } else { "other".to_owned() };
        metrics::counter!("countersign_origins_refused_total", "origin" => origin).increment(1);
    }
}

impl Gateway {
    /// Whether pages of this origin may ask anything, as far as some key allows it; `None` until the keys were read.
    pub fn allows_origin(&self, origin: &str) -> Option<bool> {
        let origins = self.0.origins.0.load();
        let end = origins.as_ref()?.get(origin);
        Some(end.is_some_and(|end| end.is_none_or(|end| end > self.now())))
    }

    /// Reads the origins of all keys that work; a row that was altered adds none.
    pub(in crate::gateway) async fn learn_origins(&self) -> Result<(), store::Error> {
        let stored = self.0.store.list_keys_with_origins(self.now(), MOST_KEYS).await?;
        let mut ends: HashMap<Box<str>, Option<OffsetDateTime>> = HashMap::new();
        for Key { scopes, expires_at, .. } in stored.into_iter().flat_map(|key| self.trusted(key)) {
            if !scopes.rights.contains(&Right::Browser) {
                continue;
            }
            for origin in scopes.origins {
                let end = ends.entry(origin.as_str().into()).or_insert(expires_at);
                *end = end.zip(expires_at).map(|(known, other)| known.max(other));
            }
        }
        self.0.origins.0.store(Some(ends.into()));
        Ok(())
    }
}
