//! Who wants a permit, and how long it may wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant as TokioInstant, sleep};

use crate::admission::quota::lanes::Class;

/// A call that wants a permit.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    pub key: &'a Arc<str>,
    pub weight: u32,
    pub class: Class,
    pub patience: Patience,
}

/// How long a call may wait for its permit.
#[derive(Clone, Copy)]
pub struct Patience {
    /// From the moment at which it wants the permit; `None` if only `end` counts.
    pub longest: Option<Duration>,
    pub end: TokioInstant,
}

impl Patience {
    pub(super) fn until(self) -> TokioInstant {
        let until = self.longest.map(|longest| sleep(longest).deadline());
        until.map_or(self.end, |until| until.min(self.end))
    }
}

/// There is no permit in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exhausted {
    /// When to come back, in whole seconds.
    pub retry_after: Duration,
}

pub(super) fn seconds_until(end: TokioInstant) -> f64 {
    // A timer knows its own deadline, so the clock need not be read.
    end.saturating_duration_since(sleep(Duration::ZERO).deadline()).as_secs_f64()
}
