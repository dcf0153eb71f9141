//! One grouping's numbers as a tree: read from an answer, added to one another, and written again (reference 3.1, 3.2).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};

use crate::gateway::question::key::{HOURS, Key, KeyText, TypeNames};
use crate::model::GroupBy;

/// Numbers under the keys of one level and those below it.
#[derive(Debug)]
pub enum Nested {
    Inner(BTreeMap<u64, Nested>),
    /// In the order of their keys. Wide enough that sums do not overflow on the way to one that fits.
    Leaves(Vec<(u64, i128)>),
}

/// What is known of a grouping's form, beyond its levels, from the answers so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Form {
    /// Whether hours come below days that were not asked for, which the upstream's own texts disagree on.
    pub hours_by_day: Option<bool>,
}

/// Reads one grouping's object.
pub struct Read<'a> {
    pub levels: &'a [GroupBy],
    pub form: &'a mut Form,
    pub names: &'a mut TypeNames,
}

/// Writes one grouping's object.
pub struct Written<'a> {
    pub nested: &'a Nested,
    pub levels: &'a [GroupBy],
    pub names: &'a TypeNames,
}

impl Nested {
    /// Adds every number of `other`, which has the same levels and [`Form`].
    pub fn absorb(&mut self, other: Nested) {
        match (self, other) {
            (_, other) if other.is_empty() => (),
            (mine, other) if mine.is_empty() => *mine = other,
            (Nested::Inner(mine), Nested::Inner(other)) => {
                for (key, other) in other {
                    match mine.entry(key) {
                        Entry::Vacant(place) => drop(place.insert(other)),
                        Entry::Occupied(mut place) => place.get_mut().absorb(other),
                    }
                }
            }
            (Nested::Leaves(mine), Nested::Leaves(other)) => add(mine, other),
            _ => unreachable!("levels and form decide how deep leaves are"),
        }
    }

    /// Takes out what stands under these keys of the first level.
    pub fn take(&mut self, keys: &[u64]) -> Nested {
        match self {
            Nested::Inner(entries) => {
                let taken = keys.iter().filter_map(|key| entries.remove_entry(key));
                Nested::Inner(taken.collect())
            }
            Nested::Leaves(leaves) => {
                let taken = keys.iter().filter_map(|key| {
                    let place = leaves.binary_search_by_key(key, |it| it.0).ok()?;
                    Some(leaves.remove(place))
                });
                let mut taken: Vec<(u64, i128)> = taken.collect();
                taken.sort_unstable_by_key(|it| it.0);
                Nested::Leaves(taken)
            }
        }
    }

    /// The posts that it has numbers of.
    pub fn posts(&self, levels: &[GroupBy], found: &mut HashSet<u64>) {
        let level = levels.first();
        match self {
            _ if level == Some(&GroupBy::TweetId) => match self {
                Nested::Inner(entries) => found.extend(entries.keys()),
                Nested::Leaves(leaves) => found.extend(leaves.iter().map(|it| it.0)),
            },
            Nested::Inner(entries) => {
                for (key, below) in entries {
                    let is_day = level == Some(&GroupBy::EngagementHour) && *key >= HOURS;
                    let rest = if is_day { levels } else { levels.get(1..).unwrap_or_default() };
                    below.posts(rest, found);
                }
            }
            Nested::Leaves(_) => (),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Nested::Inner(entries) => entries.is_empty(),
            Nested::Leaves(leaves) => leaves.is_empty(),
        }
    }
}

impl Default for Nested {
    fn default() -> Nested {
        Nested::Leaves(Vec::new())
    }
}

/// Adds leaves to leaves, both in the order of their keys.
fn add(mine: &mut Vec<(u64, i128)>, other: Vec<(u64, i128)>) {
    let is_same_keys =
        mine.len() == other.len() && mine.iter().zip(&other).all(|(one, two)| one.0 == two.0);
    if is_same_keys {
        for ((_, sum), (_, value)) in mine.iter_mut().zip(other) {
            *sum += value;
        }
    } else if mine.last().map(|it| it.0) < other.first().map(|it| it.0) {
        mine.extend(other);
    } else {
        let mut sums = Vec::with_capacity(mine.len() + other.len());
        let mut others = other.into_iter().peekable();
        for (key, value) in mine.drain(..) {
            while let Some(before) = others.next_if(|it| it.0 < key) {
                sums.push(before);
            }
            let same = others.next_if(|it| it.0 == key).map_or(0, |it| it.1);
            sums.push((key, value + same));
        }
        sums.extend(others);
        *mine = sums;
    }
}

impl<'de> DeserializeSeed<'de> for Read<'_> {
    type Value = Nested;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Nested, D::Error> {
        let hours_are_alone = !self.levels.contains(&GroupBy::EngagementDay);
        let Read { levels, form, names } = self;
        Level { levels, hours_are_alone, form, names }.deserialize(deserializer)
    }
}

/// The level at hand and those below it.
struct Level<'a> {
    levels: &'a [GroupBy],
    /// Whether days may come here though they were not asked for.
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
            return self.leaves(first, &mut map).map(Nested::Leaves);
        }
        let mut inner = BTreeMap::new();
        let mut next = Some(first);
        while let Some(key) = next {
            let level = Level {
                levels: below,
                hours_are_alone: self.hours_are_alone && !is_day,
                form: &mut *self.form,
                names: &mut *self.names,
            };
            if inner.insert(key, map.next_value_seed(level)?).is_some() {
                return Err(twice());
            }
            next = self.next_key(&mut map)?;
        }
        Ok(Nested::Inner(inner))
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
                return Err(Error::custom(
                    "hours stand below days in one place and not in another",
                ));
            }
        }
        Ok(key)
    }

    fn leaves<'de, A: MapAccess<'de>>(
        &mut self,
        first: u64,
        map: &mut A,
    ) -> Result<Vec<(u64, i128)>, A::Error> {
        let mut leaves = Vec::with_capacity(if self.is_hour() { 24 } else { 8 });
        leaves.push((first, map.next_value_seed(Leaf)?));
        let (mut last, mut is_ordered) = (first, true);
        while let Some(key) = self.next_key(map)? {
            is_ordered &= last < key;
            last = key;
            leaves.push((key, map.next_value_seed(Leaf)?));
        }
        if !is_ordered {
            leaves.sort_unstable_by_key(|it| it.0);
            if leaves.windows(2).any(|it| matches!(it, [one, two] if one.0 == two.0)) {
                return Err(twice());
            }
        }
        Ok(leaves)
    }
}

fn twice<E: Error>() -> E {
    E::custom("a key stands twice in the same object")
}

/// A number: documented as a string, printed as a number in places (reference 3.1).
struct Leaf;

impl<'de> DeserializeSeed<'de> for Leaf {
    type Value = i128;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<i128, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Leaf {
    type Value = i128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of 64 bits, as a string or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i128, E> {
        match text.parse::<i64>() {
            Ok(value) => Ok(value.into()),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i128, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i128, E> {
        let unexpected = serde::de::Unexpected::Unsigned(value);
        i64::try_from(value).map(Into::into).map_err(|_| E::invalid_value(unexpected, &self))
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Written { nested, levels, names } = *self;
        match nested {
            Nested::Inner(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, nested) in entries {
                    let key = KeyText { key: *key, level: levels.first(), names };
                    let levels = key.below(levels);
                    map.serialize_entry(&key, &Written { nested, levels, names })?;
                }
                map.end()
            }
            Nested::Leaves(leaves) => {
                let mut map = serializer.serialize_map(Some(leaves.len()))?;
                for (key, sum) in leaves {
                    let sum = i64::try_from(*sum).map_err(|_| S::Error::custom("overflow"))?;
                    let key = KeyText { key: *key, level: levels.first(), names };
                    map.serialize_entry(&key, itoa::Buffer::new().format(sum))?;
                }
                map.end()
            }
        }
    }
}
