//! Usage of the upstream: sums of calls by hour, and the accounts that an app used in a month, which X bills.

use std::fmt;

use time::OffsetDateTime;

use crate::model::{AuthKind, Endpoint, UserId};

/// An hour, counted from 1970.
pub type Hour = i64;

/// The properties that calls in one sum have in common.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Line {
    pub hour: Hour,
    pub app: String,
    pub key_id: String,
    /// The user whose token signed.
    pub account: Option<UserId>,
    pub endpoint: Endpoint,
    pub auth: AuthKind,
    pub outcome: Outcome,
}

/// How the upstream answered, by the class of its status.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    Success,
    Redirect,
    Refusal,
    Failure,
    /// No answer came.
    Silence,
}

/// How a call was saved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Saving {
    /// An equal call was in flight.
    InFlight,
    /// The answer was kept.
    Kept,
}

/// What calls may be grouped by, besides their time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Aspect {
    App,
    Key,
    Account,
    Endpoint,
    Auth,
    Outcome,
}

/// Sums over calls.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sums {
    /// Requests sent, including retries.
    pub calls: u64,
    /// Posts that were queried.
    pub posts: u64,
    /// Bytes of the answers' bodies, as they came.
    pub bytes: u64,
    /// Calls that were not made, since what they ask was answered otherwise.
    pub saved: u64,
}

/// A calendar month, UTC.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Month {
    year: i32,
    month: u8,
}

impl Aspect {
    pub const ALL: [Aspect; 6] = [
        Aspect::App,
        Aspect::Key,
        Aspect::Account,
        Aspect::Endpoint,
        Aspect::Auth,
        Aspect::Outcome,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Aspect::App => "app",
            Aspect::Key => "key",
            Aspect::Account => "account",
            Aspect::Endpoint => "endpoint",
            Aspect::Auth => "auth",
            Aspect::Outcome => "outcome",
        }
    }

    pub fn from_name(name: &str) -> Option<Aspect> {
        Aspect::ALL.into_iter().find(|aspect| aspect.name() == name)
    }
}

impl Saving {
    pub const ALL: [Saving; 2] = [Saving::InFlight, Saving::Kept];

    pub const fn name(self) -> &'static str {
        match self {
            Saving::InFlight => "in_flight",
            Saving::Kept => "kept",
        }
    }
}

impl Outcome {
    pub const ALL: [Outcome; 5] =
        [Outcome::Success, Outcome::Redirect, Outcome::Refusal, Outcome::Failure, Outcome::Silence];

    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Success => "2xx",
            Outcome::Redirect => "3xx",
            Outcome::Refusal => "4xx",
            Outcome::Failure => "5xx",
            Outcome::Silence => "none",
        }
    }

    pub fn from_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// The outcome for the upstream's status, if there was one.
    pub fn of(status: Option<u16>) -> Outcome {
        match status {
            None => Outcome::Silence,
            Some(..300) => Outcome::Success,
            Some(300..400) => Outcome::Redirect,
            Some(400..500) => Outcome::Refusal,
            Some(500..) => Outcome::Failure,
        }
    }
}

impl Sums {
    pub fn add(&mut self, other: Sums) {
        self.calls += other.calls;
        self.posts += other.posts;
        self.bytes += other.bytes;
        self.saved += other.saved;
    }

    #[must_use]
    pub fn less(self, other: Sums) -> Sums {
        Sums {
            calls: self.calls.saturating_sub(other.calls),
            posts: self.posts.saturating_sub(other.posts),
            bytes: self.bytes.saturating_sub(other.bytes),
            saved: self.saved.saturating_sub(other.saved),
        }
    }
}

impl Month {
    /// The first hour of the month.
    pub fn begin(self) -> Hour {
        let month = time::Month::try_from(self.month).unwrap_or(time::Month::January);
        let day = time::Date::from_calendar_date(self.year, month, 1);
        day.map_or(0, |day| hour_of(day.midnight().assume_utc()))
    }

    #[must_use]
    pub fn next(self) -> Month {
        match self.month {
            12 => Month { year: self.year + 1, month: 1 },
            month => Month { month: month + 1, ..self },
        }
    }

    pub fn of(at: OffsetDateTime) -> Month {
        let at = at.to_offset(time::UtcOffset::UTC);
        Month { year: at.year(), month: at.month().into() }
    }

    /// Reads a month such as `2026-03`.
    pub fn parse(text: &str) -> Option<Month> {
        let (year, month) = text.split_once('-').filter(|_| text.len() == 7)?;
        let month = Month { year: year.parse().ok()?, month: month.parse().ok()? };
        ((1..=12).contains(&month.month) && month.to_string() == text).then_some(month)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// The hour that holds `at`.
pub fn hour_of(at: OffsetDateTime) -> Hour {
    at.unix_timestamp().div_euclid(3600)
}

/// When an hour begins.
pub fn begin_of(hour: Hour) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(hour.saturating_mul(3600))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_and_follow_each_other() {
        for (month, begin, next) in [
            ("1970-01", 0, "1970-02"),
            ("1970-02", 31 * 24, "1970-03"),
            ("1971-12", (365 + 334) * 24, "1972-01"),
            ("1972-03", (2 * 365 + 31 + 29) * 24, "1972-04"),
        ] {
            let month = Month::parse(month).unwrap();
            assert_eq!((month.begin(), month.next().to_string()), (begin, next.to_owned()));
            assert_eq!(Month::of(begin_of(begin)), month);
            assert_eq!(Month::of(begin_of(month.next().begin() - 1)), month);
        }
    }
}
