//! The state that changes while the sandbox runs: switches, users' states, grants, bearer tokens, quotas, used nonces.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use crate::sandbox::oauth::handshake::Handshakes;
use crate::sandbox::world::grants::Grants;
use crate::sandbox::world::population::{Population, UserState};
use crate::sandbox::world::quota::Quotas;
use crate::sandbox::world::switches::Switches;

/// A nonce can come again with its timestamp for twice the tolerance; each of two sets is kept that long.
const NONCE_MEMORY_S: i64 = 600;

pub struct State {
    pub switches: Switches,
    pub quotas: Quotas,
    pub grants: Grants,
    pub handshakes: Handshakes,
    /// Never `Revoked`, which follows from the grants.
    user_states: Vec<UserState>,
    /// How often each app's bearer token was replaced.
    bearer_generations: Vec<u64>,
    nonces: Nonces,
}

impl State {
    pub fn new(population: &Population, switches: Switches) -> State {
        State {
            switches,
            quotas: Quotas::default(),
            grants: Grants::new(population),
            handshakes: Handshakes::default(),
            user_states: population.users.iter().map(|user| user.first_state).collect(),
            bearer_generations: population.apps.iter().map(|_| 0).collect(),
            nonces: Nonces::default(),
        }
    }

    /// The user's standing with X, whichever apps have access.
    pub fn user_state(&self, user: usize) -> UserState {
        self.user_states.get(user).copied().unwrap_or(UserState::Suspended)
    }

    /// The state with which the user is listed: `Revoked` once no app has access.
    pub fn listed_state(&self, user: usize) -> UserState {
        if self.grants.is_any_live(user) { self.user_state(user) } else { UserState::Revoked }
    }

    /// Sets the state. `Revoked` ends every app's access; any other state makes the latest tokens live again.
    pub fn set_user_state(&mut self, user: usize, state: UserState) {
        let is_revoked = state == UserState::Revoked;
        self.grants.set_all(user, !is_revoked);
        if let Some(current) = self.user_states.get_mut(user)
            && !is_revoked
        {
            *current = state;
        }
    }

    pub fn bearer_generation(&self, app: usize) -> u64 {
        self.bearer_generations.get(app).copied().unwrap_or_default()
    }

    pub fn replace_bearer(&mut self, app: usize) {
        if let Some(generation) = self.bearer_generations.get_mut(app) {
            *generation += 1;
        }
    }

    /// Whether these parameters of a signature are new; they are remembered from now on.
    pub fn is_fresh(&mut self, nonce: [&str; 4], now_s: i64) -> bool {
        self.nonces.insert(nonce, now_s)
    }
}

/// Hashes of used nonces, in two generations, so that old ones are dropped without a search.
#[derive(Default)]
struct Nonces {
    hasher: RandomState,
    since: i64,
    recent: HashSet<u64>,
    before: HashSet<u64>,
}

impl Nonces {
    fn insert(&mut self, nonce: [&str; 4], now_s: i64) -> bool {
        if (now_s - self.since).abs() >= NONCE_MEMORY_S {
            self.before = std::mem::take(&mut self.recent);
            self.since = now_s;
        }
        let hash = self.hasher.hash_one(nonce);
        !self.before.contains(&hash) && self.recent.insert(hash)
    }
}
