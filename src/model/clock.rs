//! Time as an argument. Everything that needs the time is handed a `Clock`; nothing else may ask the system.

use std::time::Instant;

use time::OffsetDateTime;

/// Where time comes from: the system in production, a hand-moved clock in tests.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, UTC.
    fn now(&self) -> OffsetDateTime;

    /// The monotonic clock, for durations.
    fn instant(&self) -> Instant;
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
