//! Whether this gateway can serve, and what is not as it should be.

use std::fmt;

use crate::gateway::{Error, Gateway};

/// Beyond this the upstream may refuse signatures that were not corrected.
const CLOCK_WARNING_SECONDS: i64 = 30;

/// What a readiness probe is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    pub ready: bool,
    pub degraded: Vec<Degraded>,
}

/// Something that is not as it should be, though calls may still be answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Degraded {
    /// Known callers are served for this many seconds more.
    DatabaseAway {
        serving_for: u64,
    },
    ClockOff {
        seconds: i64,
    },
    NotCaughtUp,
}

impl fmt::Display for Degraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Degraded::DatabaseAway { serving_for: 0 } => {
                f.write_str("the database is away for too long")
            }
            Degraded::DatabaseAway { serving_for } => {
                write!(f, "the database is away; known callers are served for {serving_for} s more")
            }
            Degraded::ClockOff { seconds } => {
                write!(
                    f,
                    "the upstream's clock is {seconds} s from this machine's; signatures are corrected"
                )
            }
            Degraded::NotCaughtUp => f.write_str("the database was not read yet"),
        }
    }
}

impl Gateway {
    /// Ready means: can serve known callers. It asks neither the database nor the upstream.
    pub fn health(&self) -> Health {
        let mut degraded = Vec::new();
        let age = self.0.feed.age(self.0.clock.instant());
        if self.0.feed.position() < 0 {
            degraded.push(Degraded::NotCaughtUp);
        } else if age > self.0.poll * 4 {
            let left = self.0.stale.saturating_sub(age);
            degraded.push(Degraded::DatabaseAway { serving_for: left.as_secs() });
        }
        let offset = self.0.upstream.clock_offset();
        if offset.abs() > CLOCK_WARNING_SECONDS {
            degraded.push(Degraded::ClockOff { seconds: offset });
        }
        let ready = self.0.feed.position() >= 0 && self.may_remember();
        Health { ready, degraded }
    }

    /// The first look at the change feed, before the first call is served.
    pub async fn catch_up_once(&self) -> Result<(), Error> {
        Ok(self.catch_up().await?)
    }

    /// Seconds by which the upstream's clock is ahead, as far as known.
    pub fn clock_offset(&self) -> i64 {
        self.0.upstream.clock_offset()
    }
}
