//! How calls ended, added up by the minute.

use time::OffsetDateTime;

use crate::model::Cause;

/// The most tallies that wait to be stored, for minutes in which the database takes none.
const MOST: usize = 2000;

/// Minutes since 1970.
pub type Minute = i64;

/// The calls of an app that ended in one way in a minute.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tally {
    pub minute: Minute,
    pub app: String,
    /// Why they failed; `None` for those that succeeded.
    pub cause: Option<Cause>,
    pub calls: u64,
    /// When the last of them ended, in seconds since 1970.
    pub last_at: i64,
}

/// How calls ended in the last ten minutes, and in the hour around this time of the day before.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lately {
    pub calls: u64,
    pub failed: u64,
    pub calls_yesterday: u64,
    pub failed_yesterday: u64,
}

/// Tallies in the order in which they began.
#[derive(Clone, Debug, Default)]
pub struct Tallies(Vec<Tally>);

pub fn minute_of(at: OffsetDateTime) -> Minute {
    at.unix_timestamp().div_euclid(60)
}

impl Tallies {
    /// Counts a call that ended at that time.
    pub fn count(&mut self, app: &str, cause: Option<Cause>, at: OffsetDateTime) {
        let (minute, last_at) = (minute_of(at), at.unix_timestamp());
        self.add(minute, app, cause, (1, last_at));
    }

    /// Adds what could not be stored before.
    pub fn add_all(&mut self, tallies: &Tallies) {
        for Tally { minute, app, cause, calls, last_at } in &tallies.0 {
            self.add(*minute, app, *cause, (*calls, *last_at));
        }
    }

    pub fn as_slice(&self) -> &[Tally] {
        &self.0
    }

    fn add(
        &mut self,
        minute: Minute,
        app: &str,
        cause: Option<Cause>,
        (calls, last_at): (u64, i64),
    ) {
        // There are few, and the latest is the likeliest.
        let is_same =
            |tally: &&mut Tally| tally.minute == minute && tally.cause == cause && tally.app == app;
        if let Some(tally) = self.0.iter_mut().rev().find(is_same) {
            tally.calls += calls;
            tally.last_at = tally.last_at.max(last_at);
            return;
        }
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(Tally { minute, app: app.to_owned(), cause, calls, last_at });
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn calls_are_counted_by_minute_app_and_cause_within_bounds() {
        let begun = datetime!(2026-03-10 21:15:59 UTC);
        let later = begun + time::Duration::seconds(1);
        let mut tallies = Tallies::default();
        for (app, cause, at) in [
            ("a", None, begun),
            ("a", None, begun),
            ("b", None, begun),
            ("a", Some(Cause::XSlow), begun),
            ("a", None, later),
        ] {
            tallies.count(app, cause, at);
        }
        let calls: Vec<u64> = tallies.as_slice().iter().map(|tally| tally.calls).collect();
        assert_eq!(calls, [2, 1, 1, 1]);
        let again = tallies.clone();
        tallies.add_all(&again);
        let calls: Vec<u64> = tallies.as_slice().iter().map(|tally| tally.calls).collect();
        assert_eq!(calls, [4, 2, 2, 2]);
        for minute in 0..3000 {
            tallies.count("a", None, begun + time::Duration::minutes(minute));
        }
        assert_eq!(tallies.as_slice().len(), MOST);
    }
}
