//! Reading one grouping's object from an answer (reference 3.1, 3.2).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::gateway::question::number_key::{HOURS, Key, TypeNames};
use crate::gateway::question::tree::Nested;
use crate::model::GroupBy;

/// The most levels: the four kinds, and days above hours that were requested without days.
const MOST_LEVELS: usize = 5;

/// What the answers so far show of a grouping's form, beyond its levels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Form {
    /// Whether hours come below days that were not requested; the upstream's own texts disagree on that.
    pub hours_by_day: Option<bool>,
    /// How many entries the last list of each depth had: the next one probably has as many.
    lengths: [usize; MOST_LEVELS],
}

/// Reads one grouping's object.
pub struct Read<'a> {
    pub levels: &'a [GroupBy],
    pub form: &'a mut Form,
    pub names: &'a mut TypeNames,
}

impl<'de> DeserializeSeed<'de> for Read<'_> {
    type Value = Nested;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Nested, D::Error> {
        let hours_are_alone = !self.levels.contains(&GroupBy::EngagementDay);
        let Read { levels, form, names } = self;
        Level { levels, depth: 0, hours_are_alone, form, names }.deserialize(deserializer)
    }
}

/// The current level and those below it.
struct Level<'a> {
    levels: &'a [GroupBy],
    depth: usize,
    /// Whether days may come here although they were not requested.
    hours_are_alone: bool,
    form: &'a mut Form,
    names: &'a mut TypeNames,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Nested;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Nested, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Nested;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.levels.first() {
            Some(level) => write!(f, "an object with a key for each {level}"),
            None => f.write_str("a number"),
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Nested, A::Error> {
        let Some(first) = self.next_key(&mut map)? else { return Ok(Nested::default()) };
        let is_day = self.is_hour() && first >= HOURS;
        let below = if is_day { self.levels } else { self.levels.get(1..).unwrap_or_default() };
        if below.is_empty() {
            return self
                .entries(first, &mut map, |_, map| map.next_value_seed(Leaf))
                .map(Nested::Leaves);
        }
        let inner = self.entries(first, &mut map, |this, map| {
            map.next_value_seed(Level {
                levels: below,
                depth: this.depth + 1,
                hours_are_alone: this.hours_are_alone && !is_day,
                form: &mut *this.form,
                names: &mut *this.names,
            })
        });
        inner.map(Nested::Inner)
    }
}

impl Level<'_> {
    fn is_hour(&self) -> bool {
        self.levels.first() == Some(&GroupBy::EngagementHour)
    }

    fn next_key<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<Option<u64>, A::Error> {
        let Some(level) = self.levels.first() else {
            return map.next_key::<IgnoredAny>().map(|_| None);
        };
        let may_be_day = self.is_hour() && self.hours_are_alone;
        let seed = Key { level: *level, may_be_day, names: &mut *self.names };
        let key = map.next_key_seed(seed)?;
        if let Some(key) = key.filter(|_| may_be_day) {
            let is_day = key >= HOURS;
            if *self.form.hours_by_day.get_or_insert(is_day) != is_day {
                return Err(Error::custom("hours are below days in one place but not in another"));
            }
        }
        Ok(key)
    }

    /// All entries of an object whose first key was read, in the order of their keys.
    fn entries<'de, A: MapAccess<'de>, T>(
        &mut self,
        first: u64,
        map: &mut A,
        mut value: impl FnMut(&mut Self, &mut A) -> Result<T, A::Error>,
    ) -> Result<Vec<(u64, T)>, A::Error> {
        let expected = self.form.lengths.get(self.depth).copied().unwrap_or_default();
        let mut entries = Vec::with_capacity(expected);
        entries.push((first, value(self, map)?));
        let (mut last, mut is_ordered) = (first, true);
        while let Some(key) = self.next_key(map)? {
            is_ordered &= last < key;
            last = key;
            entries.push((key, value(self, map)?));
        }
        if !is_ordered {
            entries.sort_unstable_by_key(|(key, _)| *key);
            if entries.windows(2).any(|pair| matches!(pair, [one, two] if one.0 == two.0)) {
                return Err(Error::custom("a key occurs twice in the same object"));
            }
        }
        if let Some(length) = self.form.lengths.get_mut(self.depth) {
            *length = entries.len();
        }
        Ok(exact(entries))
    }
}

/// The list without spare capacity: `shrink_to_fit` may leave half of a list's memory unused.
fn exact<T>(entries: Vec<T>) -> Vec<T> {
    if entries.len() == entries.capacity() {
        return entries;
    }
    let mut exact = Vec::with_capacity(entries.len());
    exact.extend(entries);
    exact
}

/// A number: documented as a string, printed as a number in places (reference 3.1).
struct Leaf;

impl<'de> DeserializeSeed<'de> for Leaf {
    type Value = i64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<i64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Leaf {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of 64 bits, as a string or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i64, E> {
        text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
        Ok(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i64, E> {
        let unexpected = serde::de::Unexpected::Unsigned(value);
        i64::try_from(value).map_err(|_| E::invalid_value(unexpected, &self))
    }
}
