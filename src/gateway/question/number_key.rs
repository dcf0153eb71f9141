//! The keys of an answer's objects as numbers: a post id, the place of an engagement type in [`TypeNames`], a day as
//! `yyyymmdd`, or an hour (reference 3.1).

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::model::{GroupBy, Metric};

/// 1 January of the year 0.
const FIRST_DAY: u64 = 101;
/// Above every hour and below every day.
pub const HOURS: u64 = 24;

/// The engagement types of answers: those known, and others as they come.
#[derive(Clone, Debug, Default)]
pub struct TypeNames {
    others: Vec<String>,
    places: HashMap<String, u64>,
}

/// A key as a number.
pub struct Key<'a> {
    pub level: GroupBy,
    /// Whether a day may stand for an hour.
    pub may_be_day: bool,
    pub names: &'a mut TypeNames,
}

/// A key as the upstream writes it.
#[derive(Clone, Copy, Debug)]
pub struct KeyText<'a> {
    pub key: u64,
    pub level: Option<GroupBy>,
    pub names: &'a TypeNames,
}

impl TypeNames {
    fn place(&mut self, name: &str) -> u64 {
        if let Some(metric) = Metric::from_name(name) {
            return metric as u64;
        }
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = (Metric::ALL.len() + self.others.len()) as u64;
        self.others.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }

    fn name(&self, place: u64) -> &str {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let other = || self.others.get(place.checked_sub(Metric::ALL.len())?);
        let known = Metric::ALL.get(place).map(|metric| metric.name());
        known.or_else(|| other().map(String::as_str)).unwrap_or_default()
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.level {
            GroupBy::TweetId => "a post id",
            GroupBy::EngagementType => "an engagement type",
            GroupBy::EngagementDay => "a day like 2026-01-31",
            GroupBy::EngagementHour => "an hour from 00 to 23",
        })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        let key = match self.level {
            GroupBy::TweetId => digits(text.as_bytes()),
            GroupBy::EngagementType => Some(self.names.place(text)),
            GroupBy::EngagementDay => day(text),
            GroupBy::EngagementHour if self.may_be_day && text.len() != 2 => day(text),
            GroupBy::EngagementHour => hour(text),
        };
        key.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl KeyText<'_> {
    /// Whether it is a day above hours that were requested without days.
    fn is_day_of_hours(&self) -> bool {
        self.level == Some(GroupBy::EngagementHour) && self.key >= HOURS
    }

    /// The kind of key.
    pub fn is_of(&self) -> Option<GroupBy> {
        if self.is_day_of_hours() { Some(GroupBy::EngagementDay) } else { self.level }
    }

    /// The levels below it, out of `levels`, which begin with its own.
    pub fn below<'a>(&self, levels: &'a [GroupBy]) -> &'a [GroupBy] {
        if self.is_day_of_hours() { levels } else { levels.get(1..).unwrap_or_default() }
    }

    /// Passes the key's text to `use_text`.
    pub fn with<T>(&self, use_text: impl FnOnce(&str) -> T) -> T {
        // Formatting with leading zeros would take longer than everything else.
        let digit =
            |unit: u64| u8::try_from(self.key / unit % 10).map_or(b'0', |value| b'0' + value);
        let [y1, y2, y3, y4] = [10_000_000, 1_000_000, 100_000, 10_000].map(digit);
        let [m1, m2, d1, d2] = [1000, 100, 10, 1].map(digit);
        let day = [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2];
        let hour = [d1, d2];
        match self.level {
            Some(GroupBy::EngagementType) => use_text(self.names.name(self.key)),
            Some(GroupBy::EngagementHour) if !self.is_day_of_hours() => use_text(ascii(&hour)),
            Some(GroupBy::EngagementDay | GroupBy::EngagementHour) => use_text(ascii(&day)),
            Some(GroupBy::TweetId) | None => use_text(itoa::Buffer::new().format(self.key)),
        }
    }
}

impl Serialize for KeyText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with(|text| serializer.serialize_str(text))
    }
}

fn ascii(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Parses a number that fits 64 bits.
fn digits(text: &[u8]) -> Option<u64> {
    let add = |sum: u64, digit: &u8| match digit {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    };
    if text.is_empty() { None } else { text.iter().try_fold(0, add) }
}

/// The day of a time as a key.
pub fn day_of(at: OffsetDateTime) -> u64 {
    let year = u64::try_from(at.year()).unwrap_or_default();
    year * 10_000 + u64::from(u8::from(at.month())) * 100 + u64::from(at.day())
}

/// `2016-02-10` as 20160210.
fn day(text: &str) -> Option<u64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return None };
    digits(&[*y1, *y2, *y3, *y4, *m1, *m2, *d1, *d2]).filter(|day| *day >= FIRST_DAY)
}

fn hour(text: &str) -> Option<u64> {
    digits(text.as_bytes()).filter(|hour| text.len() == 2 && *hour < HOURS)
}
