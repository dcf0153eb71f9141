//! The sandbox: a stand-in for the upstream, with its rules and invented numbers, for everyone without an enterprise contract.
//!
//! It imports `model` alone, so it checks the gateway's signatures with code of its own.
//! A request's way through it: `arrival` reads, records and routes; `engagement` applies the rules in the order of
//! reference 4.4, with `auth`, `quota`, `request`, `access`, `window` and `answer` each doing one step; `reply` puts it on the wire.
//! `lookup` tells whose posts they are, and `lifted` what an endpoint would answer without limits.
//! `handshake` lets apps in and `connected_apps` shuts them out, with `pages` for the people who do it.
//! `population` invents who exists, `numbers` what happened to their posts, `faults` what goes wrong, and `control`
//! is the sandbox's own interface under `/sandbox`.

mod access;
mod answer;
mod arrival;
mod auth;
mod calls;
mod connected_apps;
mod control;
mod credentials;
mod engagement;
mod errors;
mod faults;
mod grants;
mod handshake;
mod lifted;
mod lookup;
mod numbers;
mod pages;
mod population;
mod profile;
mod quota;
mod reply;
mod request;
mod scripted;
mod serve;
mod signature;
mod state;
mod switches;
mod token;
mod window;
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use time::{Duration, OffsetDateTime};

use crate::model::Clock;

pub use serve::serve;
pub use switches::{
    EchoEnd, ForbiddenWording, HistoryFloor, HourWithoutDay, RevokedWording, Switches,
};
pub use world::{World, WorldApp, WorldPost, WorldUser};

/// Ten years: windows around a clock that is as wrong as that are still in the calendar.
const MOST_OFFSET_S: i64 = 10 * 365 * 86_400;

/// What a sandbox is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides ids, names, secrets and numbers.
    pub seed: u64,
    /// Ordinary, active users besides the protected and the suspended one.
    pub users: usize,
    pub posts_per_user: usize,
    /// How many users, from the first, have one post more, which is older than any video may be.
    pub ancient_authors: usize,
    pub switches: Switches,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            seed: 1,
            users: 6,
            posts_per_user: 40,
            ancient_authors: 1,
            switches: Switches::default(),
        }
    }
}

/// A stand-in upstream; clones share everything.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    population: population::Population,
    started_with: Switches,
    state: Mutex<state::State>,
    faults: faults::Faults,
    calls: calls::Calls,
}

impl Sandbox {
    /// A world from a seed. Its posts are dated back from `clock`'s present time; its secrets depend on the seed alone.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Sandbox {
        let population = population::Population::new(&settings, clock.now());
        let state = Mutex::new(state::State::new(&population, settings.switches.clone()));
        let inner = Inner {
            clock,
            population,
            started_with: settings.switches,
            state,
            faults: faults::Faults::default(),
            calls: calls::Calls::default(),
        };
        Sandbox { inner: Arc::new(inner) }
    }

    /// Everything that exists, secrets included, as of now.
    pub fn world(&self) -> World {
        world::list(self)
    }

    /// The upstream's routes and the sandbox's own, for a server that cannot drop connections; see [`serve`].
    pub fn router(&self) -> Router {
        control::router().fallback(arrival::handle).with_state(self.clone())
    }

    /// The sandbox's clock, which a switch can put wrong.
    fn now(&self) -> OffsetDateTime {
        let offset = self.state().switches.clock_offset_s.clamp(-MOST_OFFSET_S, MOST_OFFSET_S);
        self.inner.clock.now().saturating_add(Duration::seconds(offset))
    }

    fn state(&self) -> MutexGuard<'_, state::State> {
        held(&self.inner.state)
    }

    fn population(&self) -> &population::Population {
        &self.inner.population
    }

    fn faults(&self) -> &faults::Faults {
        &self.inner.faults
    }

    fn calls(&self) -> &calls::Calls {
        &self.inner.calls
    }

    /// Forgets calls, faults and whatever was changed at run time.
    fn reset(&self) {
        *self.state() = state::State::new(self.population(), self.inner.started_with.clone());
        self.faults().replace(Vec::new());
        self.calls().clear();
    }
}

/// Locks, even after a panic elsewhere: every change below leaves its value whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
