//! A sandbox: its world, the changes to it since, the faults ordered, and the calls recorded.

use std::sync::{Arc, Mutex, MutexGuard};

use time::{Duration, OffsetDateTime};

use crate::model::Clock;
use crate::sandbox::http::call_log::Calls;
use crate::sandbox::http::faults::Faults;
use crate::sandbox::lock::held;
use crate::sandbox::world::population::{Population, UserState};
use crate::sandbox::world::settings::Settings;
use crate::sandbox::world::state::State;
use crate::sandbox::world::switches::Switches;

/// Ten years: windows around a clock that is as wrong as that are still in the calendar.
const MOST_OFFSET_S: i64 = 10 * 365 * 86_400;

/// A stand-in upstream; clones share everything.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    population: Population,
    started_with: Switches,
    state: Mutex<State>,
    faults: Faults,
    calls: Calls,
}

impl Sandbox {
    /// A world from a seed. Its first posts are dated back from its birth; its secrets depend on the seed alone.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Sandbox {
        let population = Population::new(&settings, clock.now());
        let state = Mutex::new(State::new(&population, settings.switches.clone()));
        let inner = Inner {
            clock,
            population,
            started_with: settings.switches,
            state,
            faults: Faults::default(),
            calls: Calls::default(),
        };
        Sandbox { inner: Arc::new(inner) }
    }

    /// The sandbox's time, which a switch can put wrong.
    pub(super) fn now(&self) -> OffsetDateTime {
        let offset = self.state().switches.clock_offset_s.clamp(-MOST_OFFSET_S, MOST_OFFSET_S);
        self.inner.clock.now().saturating_add(Duration::seconds(offset))
    }

    /// The time without that switch.
    pub(super) fn true_time(&self) -> OffsetDateTime {
        self.inner.clock.now()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        held(&self.inner.state)
    }

    pub(super) fn population(&self) -> &Population {
        &self.inner.population
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.inner.calls
    }

    /// Sets how X sees a user, if there is one of that name.
    pub fn set_user_state(&self, screen_name: &str, state: UserState) {
        if let Some(place) = self.population().find_named(screen_name) {
            self.state().set_user_state(place, state);
        }
    }

    /// Forgets calls, faults and everything that was changed at run time.
    pub(super) fn reset(&self) {
        *self.state() = State::new(self.population(), self.inner.started_with.clone());
        self.faults().replace(Vec::new());
        self.calls().clear();
    }
}
