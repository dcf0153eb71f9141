//! Time as an argument. Everything that needs the time is handed a `Clock`; nothing else may ask the system.

use std::time::Instant;

use time::{Duration, OffsetDateTime};

/// Where time comes from: the system in production, a hand-moved clock in tests.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, UTC.
    fn now(&self) -> OffsetDateTime;

    /// The monotonic clock, for durations.
    fn instant(&self) -> Instant;
}

/// The machine's clock, set to another time: it goes on from there.
#[derive(Clone, Copy, Debug)]
pub struct SetClock {
    ahead: Duration,
}

impl SetClock {
    pub fn at(now: OffsetDateTime) -> SetClock {
        SetClock { ahead: now - SystemClock.now() }
    }
}

impl Clock for SetClock {
    fn now(&self) -> OffsetDateTime {
        SystemClock.now().saturating_add(self.ahead)
    }

    fn instant(&self) -> Instant {
        SystemClock.instant()
    }
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[expect(clippy::disallowed_methods, reason = "the one place that may ask the system for the time")]
impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}
