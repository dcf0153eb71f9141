//! Times as callers and the upstream write them, and the present with which they are compared.

use bytes::Bytes;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::gateway::Gateway;
use crate::gateway::call::json;

/// How much clocks may differ.
const TOLERANCE: Duration = Duration::minutes(1);
/// How far our own clock may be off while X's time is unknown.
const OWN_ERROR: Duration = Duration::DAY;

/// The present, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub at: OffsetDateTime,
    /// How much earlier or later it may be.
    error: Duration,
}

impl Now {
    /// The present by the upstream's clock.
    pub const fn exact(at: OffsetDateTime) -> Now {
        Now { at, error: Duration::ZERO }
    }

    /// The present by our own clock alone.
    pub const fn uncertain(at: OffsetDateTime) -> Now {
        Now { at, error: OWN_ERROR }
    }

    /// Whether it is taken as exact.
    pub(in crate::gateway) fn is_exact(self) -> bool {
        self.error == Duration::ZERO
    }

    pub(in crate::gateway) fn earliest(self) -> OffsetDateTime {
        self.at.saturating_sub(self.error)
    }

    pub(in crate::gateway) fn latest(self) -> OffsetDateTime {
        self.at.saturating_add(self.error)
    }

    /// Whether `at` is certainly in the future.
    pub(in crate::gateway) fn is_before(self, at: OffsetDateTime) -> bool {
        at > self.latest().saturating_add(TOLERANCE)
    }
}

impl Gateway {
    /// Reads a request whose times may be close to the present. If only our own clock speaks against it, X is asked for
    /// the time; if X does not give it, X decides.
    pub(in crate::gateway) async fn read_in_time<T: Send + 'static>(
        &self,
        body: &Bytes,
        read: impl Fn(&[u8], Now) -> T + Clone + Send + 'static,
        is_sound: impl Fn(&T) -> bool,
    ) -> T {
        let upstream = &self.0.upstream;
        let read_at = |now| {
            let read = read.clone();
            json::aside(body, move |body| read(body, now))
        };
        let mut outcome = read_at(Now::exact(upstream.now())).await;
        if !is_sound(&outcome) && !upstream.knows_time() {
            outcome = read_at(Now::uncertain(upstream.now())).await;
            if is_sound(&outcome)
                // Boxed, since it is seldom needed: each call's future would have to make room for it.
                && let Some(now) = Box::pin(upstream.time()).await
            {
                outcome = read_at(Now::exact(now)).await;
            }
        }
        outcome
    }
}

/// Parses the four forms that clients send; no zone means UTC (reference 1.5). Accepts only times that UTC can express.
pub fn read_time(text: &str) -> Option<OffsetDateTime> {
    let in_utc = |time: &OffsetDateTime| time.checked_to_offset(UtcOffset::UTC);
    read(text).filter(|time| in_utc(time).is_some_and(|utc| utc.year() >= 0))
}

pub(in crate::gateway) fn rfc3339(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

fn read(text: &str) -> Option<OffsetDateTime> {
    let seconds = format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]"
    );
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(at);
    }
    if let Ok(at) = PrimitiveDateTime::parse(text, seconds) {
        return Some(at.assume_utc());
    }
    let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
    Some(day.midnight().assume_utc())
}
